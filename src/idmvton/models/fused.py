"""What surrounds the products of the two UNets, as few kernels on GPUs that Triton can write for.

Each function computes what the modules of diffusers compute, and does it as they do wherever the kernels cannot run:
on processors, with gradients, under ``torch.compile``, without Triton. :func:`install` puts them into a network.
"""

from __future__ import annotations

import contextlib
import functools
import warnings
from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from diffusers.models.activations import GEGLU
from diffusers.models.attention import BasicTransformerBlock
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from torch import Tensor, nn

from idmvton.errors import GraphsWarning

MAX_CHANNELS = 8192
MAX_ELEMENTS = 2**31
_SWITCHES = {"on a processor, interpreted": False, "off": False}


def install(network: nn.Module) -> None:
    """Lets the blocks of a network use the functions below; parameters and their names stay."""
    swaps: dict[type[nn.Module], type[nn.Module]] = {
        ResnetBlock2D: FusedResnetBlock,
        GEGLU: FusedGEGLU,
        BasicTransformerBlock: FusedTransformerBlock,
        Transformer2DModel: FusedTransformer,
        nn.GroupNorm: FusedGroupNorm,
    }
    for module in network.modules():
        swapped = swaps.get(type(module))
        if swapped is not None:
            module.__class__ = swapped


def is_available(tensor: Tensor) -> bool:
    """Whether the kernels can run on a tensor."""
    if (
        _SWITCHES["off"]
        or torch.is_grad_enabled()
        or torch.is_autocast_enabled()
        or torch.compiler.is_compiling()
        or tensor.numel() >= MAX_ELEMENTS
    ):
        return False
    if tensor.device.type == "cpu":
        return _SWITCHES["on a processor, interpreted"]
    return tensor.device.type == "cuda" and _kernels_work(tensor.device)


@contextlib.contextmanager
def switched(name: str = "off") -> Iterator[None]:
    """For the length of the block, lets every function do as the modules of diffusers do.

    Args:
        name: or ``on a processor, interpreted``: runs the kernels on a CPU, which is for tests.
    """
    before, _SWITCHES[name] = _SWITCHES[name], True
    try:
        yield
    finally:
        _SWITCHES[name] = before


@functools.lru_cache(maxsize=8)
def _kernels_work(device: torch.device) -> bool:
    """Tries every kernel on a small case: Triton needs a compiler on the machine, and a GPU that it knows."""
    if torch.version.hip is not None:
        return False
    try:
        with torch.no_grad():
            return _check(device)
    except Exception as error:  # whatever a broken compiler raises: the modules do the same without it
        warnings.warn(f"no kernels of Triton's are used, which is slower: {error}", GraphsWarning, stacklevel=3)
        return False


def _check(device: torch.device) -> bool:
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator).to(device)

    norm, layer_norm = nn.GroupNorm(4, 24).to(device), nn.LayerNorm(24).to(device)
    picture, added, tokens, change = draw(2, 24, 5, 7), draw(2, 24), draw(2, 9, 24), draw(2, 9, 24)
    pairs = [
        (_geglu(tokens), tokens[..., :12] * F.gelu(tokens[..., 12:])),
        (_group_norm(picture, norm, added, silu=True), F.silu(norm(picture + added[..., None, None]))),
        (_add_layer_norm(tokens, change, layer_norm)[1], layer_norm(tokens + change)),
    ]
    return all(torch.allclose(ours, plain, atol=1e-4, rtol=1e-4) for ours, plain in pairs)


def _geglu(projected: Tensor) -> Tensor:
    from idmvton.models import triton_kernels

    channels = projected.shape[-1] // 2
    projected = projected.contiguous()
    result = projected.new_empty(*projected.shape[:-1], channels)
    block = 1024
    grid = (result.numel() // channels, -(-channels // block))
    triton_kernels.geglu[grid](projected, result, channels, BLOCK=block)
    return result


def _group_norm(picture: Tensor, norm: nn.GroupNorm, added: Tensor | None = None, *, silu: bool = False) -> Tensor:
    """Group norm of BCHW [+ ``added`` BC], then SiLU if asked for; the result lies channels last."""
    from idmvton.models import triton_kernels

    picture = picture.contiguous(memory_format=torch.channels_last)
    batch, channels, height, width = picture.shape
    pixels, groups = height * width, norm.num_groups
    rows, columns = 32, 64
    steps = -(-pixels // (rows * 32))
    chunks = -(-pixels // (rows * steps))
    across = -(-channels // columns)
    sums = picture.new_empty(batch, chunks, 2, channels, dtype=torch.float32)
    scales = picture.new_empty(batch, 2, channels, dtype=torch.float32)
    has_added = added is not None
    extra = picture if added is None else added.contiguous()
    triton_kernels.group_sums[(batch, chunks, across)](
        picture, extra, sums, pixels, channels, HAS_ADDED=has_added, STEPS=steps, ROWS=rows, COLUMNS=columns
    )
    triton_kernels.group_scales[(batch * groups,)](
        sums, norm.weight, norm.bias, extra, scales, groups, chunks, pixels, channels, norm.eps,
        HAS_ADDED=has_added, CHUNKS=_power(chunks), SIZE=_power(channels // groups),
    )  # fmt: skip
    result = torch.empty_like(picture)
    triton_kernels.apply_scales[(batch, -(-pixels // rows), across)](
        picture, scales, result, pixels, channels, SILU=silu, ROWS=rows, COLUMNS=columns
    )
    return result


def _add_layer_norm(tokens: Tensor, change: Tensor, norm: nn.LayerNorm) -> tuple[Tensor, Tensor]:
    from idmvton.models import triton_kernels

    channels = tokens.shape[-1]
    total, normed = torch.empty_like(tokens), torch.empty_like(tokens)
    triton_kernels.add_layer_norm[(tokens.numel() // channels,)](
        tokens, change, norm.weight, norm.bias, total, normed, channels, norm.eps, BLOCK=_power(channels)
    )
    return total, normed


def merge_parts(
    attended: tuple[Tensor, Tensor], of_garment: tuple[Tensor, Tensor] | None, zero_rows: int, log_zeros: float
) -> bool:
    """Makes attention over a person's tokens one over the garment's too, in place; see ``attend_in_parts``.

    Args:
        attended: values BHND and logarithms BHN of all rows.
        of_garment: of the rows with a garment.
        zero_rows: the leading rows with zero tokens instead.
        log_zeros: logarithm of their number.

    Returns:
        Whether it did; if not, nothing was changed.
    """
    values, logsumexp = attended
    parts = [values, *([] if of_garment is None else of_garment[:1])]
    size = values.shape[-1]
    fits = size & (size - 1) == 0 and all(each.transpose(1, 2).is_contiguous() for each in parts)
    if not fits or not is_available(values):
        return False
    from idmvton.models import triton_kernels

    batch, heads, tokens, _ = values.shape
    others = attended if of_garment is None else of_garment
    grid = (batch, -(-tokens // 32), heads)
    triton_kernels.merge_parts[grid](
        values, logsumexp.contiguous(), others[0], others[1].contiguous(), zero_rows, log_zeros, tokens, heads,
        SIZE=size, ROWS=32,
    )  # fmt: skip
    return True


def _power(number: int) -> int:
    """The next power of two."""
    return 1 << max(0, number - 1).bit_length()


def _is_plain(norm: nn.Module, channels: int) -> bool:
    """A norm with weights that nothing was hooked onto."""
    known = isinstance(norm, nn.GroupNorm | nn.LayerNorm) and norm.weight is not None and norm.bias is not None
    return known and channels <= MAX_CHANNELS and "forward" not in vars(norm) and not norm._forward_pre_hooks


class FusedGEGLU(GEGLU):
    """The gated activation of the feed-forward layers, one kernel after its product."""

    def forward(self, hidden_states: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """BNC -> BN(4C)."""
        if not is_available(hidden_states):
            result: Tensor = super().forward(hidden_states, *args, **kwargs)
            return result
        return _geglu(self.proj(hidden_states))


class FusedGroupNorm(nn.GroupNorm):
    """Group norm of pictures whose channels lie last."""

    def forward(self, input: Tensor) -> Tensor:
        """BCHW -> BCHW."""
        if input.dim() == 4 and is_available(input) and _is_plain(self, input.shape[1]):
            return _group_norm(input, self)
        return super().forward(input)


class FusedResnetBlock(ResnetBlock2D):
    """A block whose norms, activations and time embedding are fused."""

    def forward(self, input_tensor: Tensor, temb: Tensor | None, *args: Any, **kwargs: Any) -> Tensor:
        """BCHW, and the time's embedding BE where there is one -> BCHW."""
        is_stock = (
            self.upsample is None
            and self.downsample is None
            and not (self.time_emb_proj is not None and self.skip_time_act)
            and self.time_embedding_norm == "default"
            and isinstance(self.nonlinearity, nn.SiLU)
            and all(_is_plain(norm, norm.num_channels) for norm in (self.norm1, self.norm2))
        )
        if not is_stock or not is_available(input_tensor):
            result: Tensor = super().forward(input_tensor, temb, *args, **kwargs)
            return result
        hidden_states = self.conv1(_group_norm(input_tensor, self.norm1, silu=True))
        time = None if self.time_emb_proj is None or temb is None else self.time_emb_proj(F.silu(temb))
        hidden_states = self.conv2(_group_norm(hidden_states, self.norm2, time, silu=True))
        if self.conv_shortcut is not None:
            input_tensor = self.conv_shortcut(input_tensor)
        total: Tensor = input_tensor + hidden_states
        return total if self.output_scale_factor == 1.0 else total / self.output_scale_factor


class FusedTransformerBlock(BasicTransformerBlock):
    """A block whose sums are normed as they are made."""

    def forward(self, hidden_states: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """BNC -> BNC."""
        norms = (self.norm2, self.norm3)
        is_stock = (
            self.norm_type == "layer_norm"
            and self.attn2 is not None
            and not self.only_cross_attention
            and self.pos_embed is None
            and self._chunk_size is None
            and not args
            and all(_is_plain(norm, hidden_states.shape[-1]) for norm in norms)
            and kwargs.get("attention_mask") is None
            and kwargs.get("encoder_attention_mask") is None
        )
        if not is_stock or not is_available(hidden_states) or not hidden_states.is_contiguous():
            result: Tensor = super().forward(hidden_states, *args, **kwargs)
            return result
        context = kwargs.get("cross_attention_kwargs") or {}
        change = self.attn1(self.norm1(hidden_states), **context)
        hidden_states, normed = _add_layer_norm(hidden_states, change.contiguous(), self.norm2)
        change = self.attn2(normed, encoder_hidden_states=kwargs.get("encoder_hidden_states"), **context)
        hidden_states, normed = _add_layer_norm(hidden_states, change.contiguous(), self.norm3)
        total: Tensor = self.ff(normed) + hidden_states
        return total


class FusedTransformer(Transformer2DModel):
    """Transformer blocks between pictures whose channels lie last: tokens are such a picture as it lies."""

    def _get_output_for_continuous_inputs(
        self, hidden_states: Tensor, residual: Tensor, batch_size: int, height: int, width: int, inner_dim: int
    ) -> Tensor:
        if not self.use_linear_projection or not is_available(hidden_states):
            result: Tensor = super()._get_output_for_continuous_inputs(
                hidden_states, residual, batch_size, height, width, inner_dim
            )
            return result
        tokens = self.proj_out(hidden_states)
        return tokens.reshape(batch_size, height, width, inner_dim).permute(0, 3, 1, 2) + residual
