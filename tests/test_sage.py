"""SageAttention, only when it is asked for: by a stand-in that attends exactly, since it needs an NVIDIA GPU."""

import sys
from types import ModuleType

import pytest
import torch
import torch.nn.functional as F

from golden_data import CHECKPOINT
from idmvton import TryOnPipeline
from idmvton.errors import ConfigError, MissingExtraError
from idmvton.models import kernels

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.fixture
def sage(monkeypatch):
    """A package of its name, whose calls are counted."""
    calls = []

    def sageattn(q, k, v, tensor_layout="HND", is_causal=False, sm_scale=None, return_lse=False):
        calls.append((tensor_layout, return_lse))
        scores = q.float() @ k.float().mT * q.shape[-1] ** -0.5
        return (scores.softmax(-1) @ v.float()).to(q.dtype), scores.logsumexp(-1)

    package = ModuleType("sageattention")
    package.sageattn, package.calls = sageattn, calls
    monkeypatch.setitem(sys.modules, "sageattention", package)
    kernels._sage.cache_clear()
    kernels._cuda_kernel.cache_clear()
    yield package
    kernels._sage.cache_clear()
    kernels._cuda_kernel.cache_clear()


def test_it_is_chosen_where_it_can_run_and_nowhere_else(sage):
    kernel = kernels._cuda_kernel("sage", torch.bfloat16, 64, CUDA)
    query, keys, values = torch.randn(3, 2, 4, 7, 64).to(torch.bfloat16)
    attended, logsumexp = kernel(query, keys, values)
    assert sage.calls == [("HND", True)]
    assert torch.allclose(attended, F.scaled_dot_product_attention(query, keys, values), atol=0.02)
    assert logsumexp.shape == (2, 4, 7)
    for dtype, size in ((torch.float32, 64), (torch.bfloat16, 160)):
        other = kernels._cuda_kernel("sage", dtype, size, CUDA)
        assert other is None or getattr(other, "func", None) is not sage.sageattn


def test_the_choice_holds_for_a_block_and_reaches_every_self_attention(sage, monkeypatch):
    query, keys, values = torch.randn(3, 1, 2, 5, 8)
    seen = []

    def chosen(*_):
        seen.append(kernels._chosen[-1])
        return lambda query, keys, values: (query, query[..., 0])

    monkeypatch.setattr(kernels, "_logsumexp_kernel", chosen)
    kernels.attend(query, keys, values)
    assert not seen, "not asked for: PyTorch attends"
    with kernels.attending("sage"):
        assert torch.equal(kernels.attend(query, keys, values), query)
    assert set(seen) == {"sage"}
    assert torch.equal(kernels.attend(query, keys, values), F.scaled_dot_product_attention(query, keys, values))


def test_without_the_package_the_install_line_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sageattention", None)
    kernels._sage.cache_clear()
    with pytest.raises(MissingExtraError, match=r"pip install .*SageAttention"):
        kernels.check_attention("sage", CUDA)


def test_an_old_version_is_refused(sage):
    sage.sageattn = lambda q, k, v, tensor_layout="HND", **others: q
    with pytest.raises(MissingExtraError, match=r"2\.1 or newer"):
        kernels.check_attention("sage", CUDA)


def test_on_a_cpu_it_is_refused_before_anything_is_loaded(sage):
    kernels.check_attention("auto", CPU)
    with pytest.raises(ConfigError, match="needs CUDA"):
        TryOnPipeline.from_pretrained(CHECKPOINT, device="cpu", attention="sage")
