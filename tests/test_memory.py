"""Memory modes: the same computation with parts elsewhere and weights in 8 bits, placed here on a CPU."""

import pytest
import torch
from torch import nn

from idmvton.errors import ConfigError
from idmvton.models import eight_bit
from idmvton.models.eight_bit import EightBitConv2d, EightBitLinear, shrink
from idmvton.tryon.graphs import EagerRecorder, Graphs
from idmvton.tryon.memory import choose_mode
from idmvton.tryon.nested import num_bytes

CPU = torch.device("cpu")


@pytest.fixture
def every_layer(monkeypatch):
    """The golden networks are tiny: all their layers are rounded."""
    monkeypatch.setattr(eight_bit, "MIN_WEIGHTS", 1)


def round_weights(net):
    """Weights as 8 bits hold them, in layers as they were."""
    for name, module in net.named_modules():
        kind = {nn.Linear: EightBitLinear, nn.Conv2d: EightBitConv2d}.get(type(module))
        if kind is not None and name not in ("conv_in", "conv_out"):
            module.weight.data = kind(module).widened()


def test_eight_bit_layers_are_near_and_a_quarter_of_float32():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(256, 512), nn.Unflatten(1, (8, 8, 8)), nn.Conv2d(8, 1024, 3, padding=1))
    picture = torch.randn(3, 256)
    expected, before = net(picture), num_bytes(list(net.parameters()))
    shrink(net)
    assert type(net[0]) is EightBitLinear
    assert type(net[2]) is EightBitConv2d
    error = (net(picture) - expected).norm() / expected.norm()
    assert 0 < error < 0.01
    assert num_bytes([*net.parameters(), *net.buffers()]) < 0.3 * before


@pytest.mark.parametrize("mode", ["balanced", "low"])
def test_a_placed_pipeline_gives_what_rounded_weights_give(own_pipe, one_call, every_layer, mode):
    call = one_call | {"output_type": "latent"}
    own_pipe.enable_vae_tiling()
    own_pipe.garment_cache.max_bytes = own_pipe.feature_cache.max_bytes = 0
    exact = own_pipe(**call).latents
    for net in (own_pipe.unet, own_pipe.unet_encoder):
        round_weights(net)
    expected = own_pipe(**call).latents
    assert (expected - exact).norm() / exact.norm() > 0.01
    own_pipe.place(mode, CPU)
    first = own_pipe(**call)
    torch.testing.assert_close(first.latents, expected, atol=2e-3, rtol=0)
    assert first.made_with["memory"].startswith(f"{mode}: ")
    own_pipe.graphs = Graphs(EagerRecorder())
    assert torch.equal(own_pipe(**call).latents, first.latents)
    assert hasattr(own_pipe.unet, "_hf_hook") == (mode == "low")
    assert hasattr(own_pipe.vae, "_hf_hook")


def test_what_was_rounded_is_neither_saved_nor_cast(own_pipe, tmp_path, every_layer):
    own_pipe.place("balanced", CPU)
    with pytest.raises(ConfigError, match="cannot be saved"):
        own_pipe.save_pretrained(tmp_path)
    with pytest.raises(ConfigError, match="cannot be moved"):
        own_pipe.to(torch.float64)


def test_laid_out_for_gpus_a_pipeline_gives_the_same_and_is_saved_whole(own_pipe, one_call, tmp_path):
    expected = own_pipe(**one_call).latents
    own_pipe.place("fast", CPU)
    attn = own_pipe.unet.get_submodule("down_blocks.1.attentions.0.transformer_blocks.0.attn1")
    assert attn.to_k.weight.untyped_storage().data_ptr() == attn.to_q.weight.untyped_storage().data_ptr()
    assert (own_pipe(**one_call).latents - expected).abs().max() < 1e-4
    own_pipe.save_pretrained(tmp_path)
    again = type(own_pipe).from_pretrained(tmp_path, device="cpu")
    saved = again.unet.state_dict()
    for name, weight in own_pipe.unet.state_dict().items():
        assert torch.equal(saved[name], weight), name


@pytest.mark.parametrize(("free", "mode"), [(1 << 40, "fast"), (5000, "balanced"), (10, "low")])
def test_auto_takes_the_fastest_mode_that_fits(monkeypatch, free, mode):
    parts = {"unet": nn.Linear(1000, 2, bias=False), "scheduler": object()}  # 8,000 bytes
    monkeypatch.setattr("idmvton.tryon.memory.free_bytes", lambda device: free)
    monkeypatch.setattr("idmvton.tryon.memory.WORKING_BYTES", 1000)
    assert choose_mode("auto", torch.device("cuda"), parts) == mode
    assert choose_mode("low", torch.device("cuda"), parts) == "low"
    assert choose_mode("auto", CPU, parts) == "fast"
