"""The fastest attention and projections that a machine has, behind functions that say what they compute.

Shape legend: see :mod:`idmvton.models.attention`; M keys.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from idmvton.errors import ConfigError, MissingExtraError
from idmvton.types import AttentionChoice

Attended = tuple[Tensor, Tensor]
"""Attended values BHND, and the logarithm of each query's summed exponentials, float32 BHN."""

HALF = (torch.float16, torch.bfloat16)
SAGE = "SageAttention, an approximation: queries and keys in 8 bits"
SAGE_LARGEST_HEAD = 128
_chosen: list[AttentionChoice] = ["auto"]  # the innermost block's last; a list, because compiled code can read it


@contextlib.contextmanager
def attending(choice: AttentionChoice) -> Iterator[None]:
    """Lets the functions below take a kernel, for the length of the block.

    Args:
        choice: ``auto``: the fastest that is exact; ``sage``: SageAttention, which has queries and keys in 8 bits, for
            self-attention on CUDA in half precision.
    """
    _chosen.append(choice)
    try:
        yield
    finally:
        _chosen.pop()


def check_attention(choice: AttentionChoice, device: torch.device) -> None:
    """Makes sure that a kernel that was asked for can be had.

    Raises:
        ConfigError: it is for another device.
        MissingExtraError: it is not installed.
    """
    if choice == "sage":
        if device.type != "cuda":
            raise ConfigError("SageAttention needs CUDA", got=f"device {device}", fix="leave --attention out")
        _sage()


@functools.lru_cache(maxsize=1)
def _sage() -> Callable[..., Any]:
    """SageAttention that tells the logsumexp too.

    Raises:
        MissingExtraError: it is not installed, or too old to do so.
    """
    try:
        from sageattention import sageattn
    except ImportError as error:
        found = str(error)
    else:
        if "return_lse" in inspect.signature(sageattn).parameters:
            return functools.partial(sageattn, tensor_layout="HND", return_lse=True)
        found = "a version that does not return the logsumexp"
    raise MissingExtraError(
        "--attention sage needs SageAttention",
        got=found,
        expected="version 2.1 or newer, which is not on PyPI and compiles for the GPU",
        fix="pip install --no-build-isolation git+https://github.com/thu-ml/SageAttention, or leave --attention out",
    )


def attend(query_BHND: Tensor, keys_BHMD: Tensor, values_BHMD: Tensor) -> Tensor:
    """Attention, BHND."""
    if _chosen[-1] == "sage" and attends_with_logsumexp(query_BHND, keys_BHMD, values_BHMD):
        return attend_with_logsumexp(query_BHND, keys_BHMD, values_BHMD)[0]
    return F.scaled_dot_product_attention(query_BHND, keys_BHMD, values_BHMD)


def attend_with_logsumexp(query_BHND: Tensor, keys_BHMD: Tensor, values_BHMD: Tensor) -> Attended:
    """Attention and the logarithm of each query's summed exponentials, by a fused kernel.

    From two such results, over two sets of keys, follows the attention over both sets (:func:`merge`).

    Raises:
        NotImplementedError: there is no such kernel, see :func:`attends_with_logsumexp`.
    """
    kernel = _logsumexp_kernel(query_BHND, keys_BHMD, values_BHMD)
    if kernel is None:
        raise NotImplementedError(f"attention with logsumexp on {query_BHND.device} in {query_BHND.dtype}")
    attended, logsumexp = kernel(query_BHND, keys_BHMD, values_BHMD)
    return attended, logsumexp.view(logsumexp.shape[:3])[..., : query_BHND.shape[2]]


def attends_with_logsumexp(query_BHND: Tensor, keys_BHMD: Tensor, values_BHMD: Tensor) -> bool:
    """Whether :func:`attend_with_logsumexp` has a kernel for these.

    There is none where gradients are wanted: the logarithm has none.
    """
    return _logsumexp_kernel(query_BHND, keys_BHMD, values_BHMD) is not None


def _logsumexp_kernel(query: Tensor, keys: Tensor, values: Tensor) -> Callable[..., Any] | None:
    parts = (query, keys, values)
    if torch.is_grad_enabled() and any(part.requires_grad for part in parts):
        return None
    if any(part.stride(-1) != 1 for part in parts):
        return None
    if query.device.type == "cpu":
        return torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    if query.device.type != "cuda":
        return None
    return _cuda_kernel(_chosen[-1], query.dtype, query.shape[-1], query.device)


@functools.lru_cache(maxsize=64)
def _cuda_kernel(
    choice: AttentionChoice, dtype: torch.dtype, head_size: int, device: torch.device
) -> Callable[..., Any] | None:
    if choice == "sage" and dtype in HALF and head_size <= SAGE_LARGEST_HEAD:
        return _sage()
    if dtype is torch.float32:
        return lambda *parts: torch.ops.aten._scaled_dot_product_efficient_attention(*parts, None, True)[:2]
    if dtype not in HALF or head_size % 8 or head_size > 128:
        return None
    if prefers_cudnn(device):
        return lambda *parts: torch.ops.aten._scaled_dot_product_cudnn_attention(*parts, None, True)[:2]
    if torch.backends.cuda.is_flash_attention_available():
        return lambda *parts: torch.ops.aten._scaled_dot_product_flash_attention(*parts)[:2]
    return lambda *parts: torch.ops.aten._scaled_dot_product_efficient_attention(*parts, None, True)[:2]


@functools.lru_cache(maxsize=8)
def prefers_cudnn(device: torch.device) -> bool:
    """Whether cuDNN's attention is there and faster than FlashAttention 2: from Hopper on."""
    return (
        device.type == "cuda"
        and torch.backends.cudnn.is_available()
        and torch.backends.cuda.cudnn_sdp_enabled()
        and torch.cuda.get_device_capability(device) >= (9, 0)
    )


@contextlib.contextmanager
def fastest_attention(device: torch.device) -> Iterator[None]:
    """Lets ``scaled_dot_product_attention`` take the fastest kernel of the device, for the length of the block."""
    if not prefers_cudnn(device):
        yield
        return
    order = [
        SDPBackend.CUDNN_ATTENTION,
        SDPBackend.FLASH_ATTENTION,
        SDPBackend.EFFICIENT_ATTENTION,
        SDPBackend.MATH,
    ]
    with sdpa_kernel(order, set_priority=True):
        yield


def scale_for_zeros(attended: Attended, num_zeros: int) -> Tensor:
    """Attention over M keys and ``num_zeros`` more whose score and value are 0, from that over the M keys.

    A softmax over both gives the M keys the share exp(lse) / (exp(lse) + zeros) = sigmoid(lse - log zeros) of the
    mass, and the rest adds nothing. Changes ``attended`` in place.
    """
    values_BHND, logsumexp_BHN = attended
    share = torch.sigmoid(logsumexp_BHN - math.log(num_zeros))
    return values_BHND.mul_(share[..., None])


def merge(first: Attended, second: Attended) -> Tensor:
    """Attention over two sets of keys, from that over each: weighted by their summed exponentials.

    Changes the values of ``first`` in place.
    """
    share_of_second = torch.sigmoid(second[1] - first[1])[..., None]
    return first[0].lerp_(second[0], share_of_second.to(first[0].dtype))


def apply_joined(layers: Sequence[nn.Module], tokens_BNC: Tensor) -> tuple[Tensor, ...]:
    """What linear layers without bias make of the same tokens: in one product where :func:`join` was called."""
    weight = _joined_weight(layers, tokens_BNC)
    if weight is None:
        return tuple(layer(tokens_BNC) for layer in layers)
    return F.linear(tokens_BNC, weight).chunk(len(layers), dim=-1)


def join(layers: Sequence[nn.Linear]) -> None:
    """Lets the weights of layers lie behind one another in memory, so that :func:`apply_joined` takes one product.

    Their parameters stay the same objects with the same names, values and shapes, and no memory is added. To be
    called where nothing trains: checkpoints of a training would take the weights for shared ones.
    """
    if not all(_is_plain(layer) for layer in layers) or _lie_together(layers):
        return
    with torch.no_grad():
        together = torch.cat([layer.weight for layer in layers])
        for layer, weight in zip(layers, together.chunk(len(layers)), strict=True):
            layer.weight.data = weight


def _joined_weight(layers: Sequence[Any], tokens: Tensor) -> Tensor | None:
    if torch.compiler.is_compiling() or not all(_is_plain(layer) for layer in layers):
        return None
    weights = [layer.weight for layer in layers]
    trains = torch.is_grad_enabled() and any(each.requires_grad for each in weights)
    if trains or not _lie_together(layers) or weights[0].dtype != tokens.dtype:
        return None
    first = weights[0].detach()
    size = (len(weights) * first.shape[0], first.shape[1])
    return first.as_strided(size, first.stride(), first.storage_offset())


def _is_plain(layer: nn.Module) -> bool:
    """A linear layer that nothing was hooked onto (offloading, casting and adapters do that)."""
    return (
        type(layer) is nn.Linear and layer.bias is None and not (layer._forward_pre_hooks or "forward" in vars(layer))
    )


def _lie_together(layers: Sequence[Any]) -> bool:
    first = layers[0].weight
    num_bytes = first.numel() * first.element_size()
    start = first.data_ptr()
    return bool(start) and all(
        layer.weight.shape == first.shape
        and layer.weight.is_contiguous()
        and layer.weight.data_ptr() == start + number * num_bytes
        and layer.weight.untyped_storage().data_ptr() == first.untyped_storage().data_ptr()
        for number, layer in enumerate(layers)
    )
