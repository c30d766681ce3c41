"""Triton's kernels, interpreted on the CPU, against the modules of PyTorch and diffusers.

`make test-kernels` runs them. They are not among the other tests because Triton is a download of 286 MB.
"""

import math
import os

import pytest
import torch
import torch.nn.functional as F
from diffusers.models.activations import GEGLU
from diffusers.models.attention import BasicTransformerBlock
from diffusers.models.resnet import ResnetBlock2D
from torch import nn

from idmvton.models import fused, kernels


@pytest.fixture(autouse=True)
def interpreted():
    assert os.environ.get("TRITON_INTERPRET") == "1", "to be set before Triton is imported: make test-kernels"
    torch.manual_seed(0)
    with torch.no_grad(), fused.switched("on a processor, interpreted"):
        yield


def plainly(call):
    with fused.switched():
        return call()


def fill(module):
    """Weights of norms that are not one and zero."""
    for name, parameter in module.named_parameters():
        if "norm" in name or parameter.dim() == 1:
            parameter.normal_()
    return module


@pytest.mark.parametrize("channels", [3, 1024, 1100])
def test_geglu(channels):
    projected = torch.randn(2, 3, 2 * channels)
    expected = projected[..., :channels] * F.gelu(projected[..., channels:])
    assert torch.allclose(fused._geglu(projected), expected, atol=1e-6)


@pytest.mark.parametrize(("channels", "groups", "size"), [(8, 4, (5, 7)), (96, 32, (3, 3)), (24, 3, (33, 40))])
@pytest.mark.parametrize("silu", [False, True])
@pytest.mark.parametrize("has_time", [False, True])
def test_group_norm(channels, groups, size, silu, has_time):
    norm = fill(nn.GroupNorm(groups, channels))
    picture = 3 + torch.randn(2, channels, *size)
    time = torch.randn(2, channels) if has_time else None
    expected = norm(picture if time is None else picture + time[..., None, None])
    ours = fused._group_norm(picture, norm, time, silu=silu)
    assert torch.allclose(ours, F.silu(expected) if silu else expected, atol=1e-5)
    assert ours.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("channels", [5, 64])
def test_sum_and_layer_norm(channels):
    norm = fill(nn.LayerNorm(channels))
    tokens, change = torch.randn(2, 3, channels), torch.randn(2, 3, channels)
    total, normed = fused._add_layer_norm(tokens, change, norm)
    assert torch.equal(total, tokens + change)
    assert torch.allclose(normed, norm(tokens + change), atol=1e-5)


@pytest.mark.parametrize("zero_rows", [0, 1, 2])
def test_merging_of_attention(zero_rows):
    rows, heads, tokens, size = 2, 3, 35, 8

    def draw(count):
        return torch.randn(count, tokens, heads, size).transpose(1, 2), torch.randn(count, heads, tokens)

    attended, garment = draw(rows), draw(rows - zero_rows)
    values, logsumexp = attended[0].clone(), attended[1]
    expected = [kernels.scale_for_zeros((values[:zero_rows], logsumexp[:zero_rows]), 12)]
    if zero_rows < rows:
        expected.append(kernels.merge((values[zero_rows:], logsumexp[zero_rows:]), garment))
    of_garment = garment if zero_rows < rows else None
    assert fused.merge_parts(attended, of_garment, zero_rows, math.log(12))
    assert torch.allclose(attended[0], torch.cat(expected), atol=1e-6)


def test_half_precision_is_rounded_once():
    norm = fill(nn.GroupNorm(4, 16)).to(torch.bfloat16)
    picture = torch.randn(1, 16, 6, 6).to(torch.bfloat16)
    exact = F.group_norm(picture.float(), 4, norm.weight.float(), norm.bias.float(), norm.eps)
    error = (fused._group_norm(picture, norm).float() - exact).abs()
    assert (error <= 2**-7 * exact.abs() + 1e-6).all()  # one step: the interpreter cuts where a GPU rounds


def test_blocks_of_diffusers():
    resnet = fill(ResnetBlock2D(in_channels=16, out_channels=24, temb_channels=12, groups=4, groups_out=6))
    picture, time = torch.randn(2, 16, 6, 5), torch.randn(2, 12)
    block = fill(BasicTransformerBlock(16, 2, 8, cross_attention_dim=10, activation_fn="geglu"))
    tokens, text = torch.randn(2, 7, 16), torch.randn(2, 4, 10)
    gated = GEGLU(6, 9)
    for module, inputs in ((resnet, (picture, time)), (block, (tokens, None, text)), (gated, (tokens[..., :6],))):
        expected = module(*inputs)
        fused.install(module)
        keywords = {"encoder_hidden_states": text} if module is block else {}
        given = (tokens,) if module is block else inputs
        assert torch.allclose(module(*given, **keywords), expected, atol=1e-5)
        assert torch.allclose(plainly(lambda m=module, g=given, k=keywords: m(*g, **k)), expected, atol=1e-6)


def test_the_trial_notices_a_kernel_that_computes_something_else(monkeypatch):
    from idmvton.models import triton_kernels

    assert fused._check(torch.device("cpu"))
    monkeypatch.setattr(triton_kernels, "geglu", triton_kernels.geglu)
    monkeypatch.setattr(fused, "_geglu", lambda projected: projected[..., : projected.shape[-1] // 2])
    assert not fused._check(torch.device("cpu"))
