"""Attention processors of TryonNet and GarmentNet (paper sections 3.2 and 3.3).

The processors hold no state of a call. What a layer reads besides its hidden states travels in one
:class:`AttentionContext`, given to the UNet as ``cross_attention_kwargs={"garment": context}`` and looked up by
layer name (the order of ``unet.attn_processors`` is not the order of execution).

Shape legend: B rows of the batch, U leading rows without a garment (the unconditional half of guidance), G
distinct garments, N person tokens, M garment tokens, T text tokens, I image tokens, C channels, H heads, D head
size.

At the latents' own resolution, where SDXL has no attention at all, attention to everything would cost the square of
thousands of tokens. Small checkpoints may have it there, on the way down: a token then attends to itself and to the
garment's token at the same place (:func:`is_in_place`).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

import torch
import torch.nn.functional as F
from diffusers.models.attention_processor import Attention
from torch import Tensor, nn

from idmvton.errors import ConfigError
from idmvton.models import fused, kernels

_Context = TypeVar("_Context")

MIN_COUNT_SLOTS = 8
"""Keys that stand for all zero tokens, at least."""

CONTEXT = "garment"
"""The ``cross_attention_kwargs`` keyword of the context; every processor accepts it."""


class KeysValues(NamedTuple):
    """Projected keys and values of one layer, each BHND (N: tokens attended to)."""

    keys: Tensor
    values: Tensor

    def row(self, index: int) -> KeysValues:
        """A copy of one row."""
        return KeysValues(*(each[index : index + 1].clone() for each in self))


class CrossKeysValues(NamedTuple):
    """Keys and values of one cross-attention; ``image`` is None where there is no image prompt."""

    text: KeysValues
    image: KeysValues | None

    def rows(self, index: Tensor) -> CrossKeysValues:
        """The rows at ``index``, int64 (B,), one each."""
        text, image = (each and KeysValues(each.keys[index], each.values[index]) for each in self)
        assert text is not None
        return CrossKeysValues(text, image)


@dataclass(frozen=True)
class AttentionContext:
    """What the attention layers of one forward pass read; nothing in it changes during the pass.

    Attributes:
        garment: layer name -> the garment's tokens (GMC), or their :class:`KeysValues` where they are constant
            over the steps and were projected once.
        garment_rows: int64 (B - U,), the garment of each conditional row; None when row i wears garment i, or
            when there is one garment for all.
        num_zero_garment: U, the number of leading rows whose garment features are zero tensors.
        cross: layer name -> keys and values of the prompts, B rows; empty to project ``encoder_hidden_states``.
        image_prompt_scale: weight of the image-prompt attention.
    """

    garment: Mapping[str, Tensor | KeysValues]
    garment_rows: Tensor | None = None
    num_zero_garment: int = 0
    cross: Mapping[str, CrossKeysValues] = field(default_factory=dict)
    image_prompt_scale: float = 1.0


@dataclass(frozen=True)
class RecordingContext:
    """The context of GarmentNet: its self-attentions write their input tokens into ``tokens``."""

    tokens: MutableMapping[str, Tensor]
    cross: Mapping[str, CrossKeysValues] = field(default_factory=dict)


def split_heads(attn: Attention, tokens_BNC: Tensor) -> Tensor:
    """BNC -> BHND."""
    return tokens_BNC.unflatten(-1, (attn.heads, -1)).transpose(1, 2)


def merge_heads(attn: Attention, heads_BHND: Tensor) -> Tensor:
    """BHND -> BNC through the layer's output projection."""
    return attn.to_out[1](attn.to_out[0](heads_BHND.transpose(1, 2).flatten(2)))


def project(attn: Attention, tokens_BNC: Tensor) -> KeysValues:
    """Keys and values of tokens, by the layer's own ``to_k`` and ``to_v``."""
    keys, values = kernels.apply_joined((attn.to_k, attn.to_v), tokens_BNC)
    return KeysValues(split_heads(attn, keys), split_heads(attn, values))


def project_all(attn: Attention, tokens_BNC: Tensor) -> tuple[Tensor, KeysValues]:
    """Query BHND, keys and values of tokens that attend to themselves, by the layer's own projections."""
    parts = kernels.apply_joined((attn.to_q, attn.to_k, attn.to_v), tokens_BNC)
    query, keys, values = (split_heads(attn, part) for part in parts)
    return query, KeysValues(keys, values)


def is_in_place(config: Mapping[str, Any], name: str) -> bool:
    """Whether a self-attention of a UNet is one at the latents' own resolution, which it has on the way down only."""
    only_down = config["down_block_types"][0] == "CrossAttnDownBlock2D" and config["up_block_types"][-1] == "UpBlock2D"
    return bool(only_down and name.startswith("down_blocks.0."))


def attend_in_place(query_BHND: Tensor, person: KeysValues, garment: KeysValues) -> Tensor:
    """Each person token attends to itself and to the garment's token at the same place.

    Raises:
        ConfigError: the garment has another number of tokens.
    """
    if garment.keys.shape[2] not in (1, query_BHND.shape[2]):
        raise ConfigError(
            "the garment's tokens do not lie where the person's do",
            got=f"{garment.keys.shape[2]} and {query_BHND.shape[2]} tokens",
            expected="pictures of the same size",
        )
    score = (query_BHND.float() * (garment.keys - person.keys).float()).sum(-1, keepdim=True)
    share = (score / math.sqrt(query_BHND.shape[-1])).sigmoid().to(person.values.dtype)
    return torch.lerp(person.values, garment.values.expand_as(person.values), share)


def attend_with_garment(query_BHND: Tensor, person: KeysValues, garment: KeysValues) -> Tensor:
    """Person tokens attend to person + garment tokens.

    The paper concatenates both along the tokens, attends with all of them as queries, and keeps the person's
    half. A softmax row does not depend on the other queries, so queries from the person alone give the same.
    """
    keys = torch.cat([person.keys, garment.keys], dim=2)
    values = torch.cat([person.values, garment.values], dim=2)
    return F.scaled_dot_product_attention(query_BHND, keys, values)


def attend_with_zero_garment(
    attn: Attention, query_BHND: Tensor, person: KeysValues, num_garment_tokens: int
) -> Tensor:
    """Person tokens attend to person tokens and ``num_garment_tokens`` zero tokens, without making those.

    All zero tokens have one key and one value, so M of them weigh M * exp(score): one token with log(M) added to
    its score. log(M) is spelled as a few numbers that the dtype can represent (see :func:`count_biases`).
    """
    zero = project(attn, query_BHND.new_zeros(1, 1, attn.to_k.in_features))
    num_person_tokens = person.keys.shape[2]
    num_slots = MIN_COUNT_SLOTS + -num_person_tokens % 8  # fused kernels want a multiple of 8 keys
    zeros = KeysValues(*(each.expand(query_BHND.shape[0], -1, num_slots, -1) for each in zero))
    make_bias = _zero_garment_bias if torch.compiler.is_compiling() else _kept_zero_garment_bias
    counted = (num_person_tokens, num_garment_tokens, num_slots)
    bias = make_bias(*counted, query_BHND.dtype, query_BHND.device)
    keys = torch.cat([person.keys, zeros.keys], dim=2)
    values = torch.cat([person.values, zeros.values], dim=2)
    return F.scaled_dot_product_attention(query_BHND, keys, values, attn_mask=bias)


def attend_in_parts(query_BHND: Tensor, person: KeysValues, garment: KeysValues, num_zero_garment: int) -> Tensor:
    """Person tokens attend to the person's and to the garment's, by two fused kernels whose results are merged.

    Args:
        query_BHND: of all rows.
        person: likewise.
        garment: of the rows with a garment.
        num_zero_garment: U, the leading rows that attend to as many zero tokens instead. Those have score 0 and
            value 0, so that nothing is computed for them.
    """
    zero, num_tokens = num_zero_garment, garment.keys.shape[2]
    attended = kernels.attend_with_logsumexp(query_BHND, *person)
    of_garment = None
    if zero < query_BHND.shape[0]:
        of_garment = kernels.attend_with_logsumexp(query_BHND[zero:], *garment)
    if not fused.merge_parts(attended, of_garment, zero, math.log(num_tokens)):
        values, logsumexp = attended
        if zero:
            kernels.scale_for_zeros((values[:zero], logsumexp[:zero]), num_tokens)
        if of_garment is not None:
            kernels.merge((values[zero:], logsumexp[zero:]), of_garment)
    return attended[0]


def count_biases(count: int, dtype: torch.dtype, num_slots: int = MIN_COUNT_SLOTS) -> list[float]:
    """``num_slots`` numbers, exact in ``dtype``, whose exponentials sum to ``count``.

    float32 holds log(3072) to 7 digits in one number; bfloat16 to 2, an error of some percent in the attention.
    So each further slot takes what the ones before left over.
    """
    significant_bits = 2 - math.frexp(torch.finfo(dtype).eps)[1]
    biases = [torch.finfo(dtype).min] * num_slots
    rest = float(count)
    for slot in range(num_slots):
        if rest < count * 1e-7:
            break
        mantissa, exponent = math.frexp(math.log(rest))
        biases[slot] = math.ldexp(math.floor(math.ldexp(mantissa, significant_bits)), exponent - significant_bits)
        rest -= math.exp(biases[slot])
    return biases


def _zero_garment_bias(
    num_person_tokens: int, count: int, num_slots: int, dtype: torch.dtype, device: torch.device
) -> Tensor:
    """Score bias (1, 1, 1, N + slots): nothing for person tokens, :func:`count_biases` for the zero tokens."""
    bias = [0.0] * num_person_tokens + count_biases(count, dtype, num_slots)
    return torch.tensor(bias, dtype=dtype, device=device)[None, None, None]


@functools.lru_cache(maxsize=64)
def _kept_zero_garment_bias(
    num_person_tokens: int, count: int, num_slots: int, dtype: torch.dtype, device: torch.device
) -> Tensor:
    """The same for every layer of a size and every step: made once."""
    with torch.inference_mode(False):
        return _zero_garment_bias(num_person_tokens, count, num_slots, dtype, device)


class RecordingSelfAttention:
    """GarmentNet's self-attention: records its input (the tokens after norm1) under its layer name."""

    def __init__(self, name: str, *, in_place: bool = False) -> None:
        self.name, self.in_place = name, in_place

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
        garment: RecordingContext | None = None,
    ) -> Tensor:
        """Args: hidden_states BMC. Returns BMC, plain self-attention; in place, a token's own value."""
        context = _require(garment, self.name)
        context.tokens.setdefault(self.name, hidden_states)  # gradient checkpointing comes here twice
        if self.in_place:
            return merge_heads(attn, project(attn, hidden_states).values)
        query, own = project_all(attn, hidden_states)
        return merge_heads(attn, kernels.attend(query, *own))


class GarmentSelfAttention:
    """TryonNet's self-attention: person tokens attend to person + garment tokens (paper section 3.2)."""

    def __init__(self, name: str, *, in_place: bool = False) -> None:
        self.name, self.in_place = name, in_place

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
        garment: AttentionContext | None = None,
    ) -> Tensor:
        """Args: hidden_states BNC. Returns BNC."""
        context = _require(garment, self.name)
        query, person = project_all(attn, hidden_states)
        of_garment = self._garment_keys_values(attn, context)
        zero, batch = context.num_zero_garment, query.shape[0]
        of_rows = _rows(of_garment, context.garment_rows, batch - zero)
        if self._attends_in_parts(attn, query, of_rows):
            return merge_heads(attn, attend_in_parts(query, person, of_rows, zero))
        halves = []
        if zero:
            unconditional = KeysValues(person.keys[:zero], person.values[:zero])
            if self.in_place:
                nothing = project(attn, query.new_zeros(1, 1, attn.to_k.in_features))
                halves.append(attend_in_place(query[:zero], unconditional, nothing))
            else:
                num_tokens = of_garment.keys.shape[2]
                halves.append(attend_with_zero_garment(attn, query[:zero], unconditional, num_tokens))
        if zero < batch:
            conditional = KeysValues(person.keys[zero:], person.values[zero:])
            attend = attend_in_place if self.in_place else attend_with_garment
            halves.append(attend(query[zero:], conditional, of_rows))
        return merge_heads(attn, torch.cat(halves) if len(halves) > 1 else halves[0])

    def _attends_in_parts(self, attn: Attention, query: Tensor, garment: KeysValues) -> bool:
        """Whether :func:`attend_in_parts` gives the same: zero tokens have zero keys, and there is a kernel for it."""
        is_possible = not self.in_place and attn.to_k.bias is None and attn.to_v.bias is None
        return is_possible and kernels.attends_with_logsumexp(query, *garment)

    def _garment_keys_values(self, attn: Attention, context: AttentionContext) -> KeysValues:
        if self.name not in context.garment:
            raise ConfigError(
                f"no garment feature for self-attention {self.name!r}",
                got=f"{len(context.garment)} features, such as {next(iter(context.garment), None)!r}",
                expected="one feature per self-attention: GarmentNet and TryonNet of the same architecture",
            )
        entry = context.garment[self.name]
        return entry if isinstance(entry, KeysValues) else project(attn, entry)


class TextCrossAttention:
    """GarmentNet's cross-attention to its prompt."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
        garment: RecordingContext | None = None,
    ) -> Tensor:
        """Args: hidden_states BMC, encoder_hidden_states BTC. Returns BMC."""
        context = _require(garment, self.name)
        if context.cross:
            text = context.cross[self.name].text
        else:
            assert encoder_hidden_states is not None
            text = project(attn, encoder_hidden_states)
        query = split_heads(attn, attn.to_q(hidden_states))
        return merge_heads(attn, F.scaled_dot_product_attention(query, *text))


class ImagePromptCrossAttention(nn.Module):
    """TryonNet's cross-attention: text + scale * image prompt, each with its own keys and values (IP-Adapter).

    Its parameters carry the published names, ``...attn2.processor.to_k_ip.weight`` and ``...to_v_ip.weight``.

    Args:
        name: the layer's name.
        hidden_size: channels of the layer.
        cross_attention_dim: channels of the image tokens.
    """

    def __init__(self, name: str, hidden_size: int, cross_attention_dim: int) -> None:
        super().__init__()
        self.name = name
        self.to_k_ip = nn.Linear(cross_attention_dim, hidden_size, bias=False)
        self.to_v_ip = nn.Linear(cross_attention_dim, hidden_size, bias=False)

    def project(self, attn: Attention, text_BTC: Tensor, image_BIC: Tensor) -> CrossKeysValues:
        """Keys and values of both prompts; constant over the steps."""
        image = KeysValues(split_heads(attn, self.to_k_ip(image_BIC)), split_heads(attn, self.to_v_ip(image_BIC)))
        return CrossKeysValues(project(attn, text_BTC), image)

    def __call__(  # not forward: diffusers reads the accepted keywords off __call__
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: tuple[Tensor, list[Tensor]] | Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
        garment: AttentionContext | None = None,
    ) -> Tensor:
        """Args: hidden_states BNC, encoder_hidden_states (text BTC, [image BIC]) unless cached. Returns BNC."""
        context = _require(garment, self.name)
        if context.cross:
            cross = context.cross[self.name]
        else:
            assert isinstance(encoder_hidden_states, tuple)
            text_BTC, (image_BIC,) = encoder_hidden_states
            cross = self.project(attn, text_BTC, image_BIC)
        assert cross.image is not None
        query = split_heads(attn, attn.to_q(hidden_states))
        of_text = F.scaled_dot_product_attention(query, *cross.text)
        of_image = F.scaled_dot_product_attention(query, *cross.image)
        if context.image_prompt_scale != 1.0:
            of_image = context.image_prompt_scale * of_image
        return merge_heads(attn, of_text + of_image)


def _rows(garment: KeysValues, rows: Tensor | None, num_rows: int) -> KeysValues:
    """G garments -> one per conditional row, without a copy where all wear the same."""
    if rows is not None:
        return KeysValues(garment.keys[rows], garment.values[rows])
    if garment.keys.shape[0] == 1:
        return KeysValues(*(each.expand(num_rows, -1, -1, -1) for each in garment))
    return garment


def _require(context: _Context | None, name: str) -> _Context:
    if context is None:
        raise ConfigError(
            f"attention {name!r} was called without its context",
            expected=f"cross_attention_kwargs={{{CONTEXT!r}: ...}} in the call of the UNet",
        )
    return context
