"""The image prompt: CLIP hidden states of the garment -> resampler -> tokens (IP-Adapter Plus, section 3.2).

The resampler is diffusers' ``IPAdapterPlusImageProjection``. Published files use other names for its tensors;
:func:`from_published` and :func:`to_published` translate, in both directions without rounding.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from diffusers.models.embeddings import IPAdapterPlusImageProjection
from torch import Tensor

from idmvton.errors import WeightsError

HEAD_SIZE = 64
"""Channels of one attention head; the files do not tell it."""

_PUBLISHED_TO_OURS = {
    "0.norm1": "ln0",
    "0.norm2": "ln1",
    "0.to_q": "attn.to_q",
    "0.to_out": "attn.to_out.0",
    "1.0": "ff.0",
    "1.1": "ff.1.net.0.proj",
    "1.3": "ff.1.net.2",
}
_OURS_TO_PUBLISHED = {ours: published for published, ours in _PUBLISHED_TO_OURS.items()}
_LAYER_KEY = re.compile(r"layers\.(\d+)\.(.+)\.(weight|bias)")


def build_resampler(published: Mapping[str, Tensor]) -> IPAdapterPlusImageProjection:
    """A resampler of the sizes that published tensors have; the values are not loaded.

    Args:
        published: the tensors under their published names, such as ``layers.0.0.to_kv.weight``.

    Raises:
        WeightsError: a tensor that tells a size is missing.
    """
    try:
        num_queries, width = published["latents"].shape[1:]
        output_dims = published["proj_out.weight"].shape[0]
        embed_dims = published["proj_in.weight"].shape[1]
        inner = published["layers.0.0.to_q.weight"].shape[0]
        hidden = published["layers.0.1.1.weight"].shape[0]
    except KeyError as error:
        raise WeightsError(
            "the image prompt's resampler is incomplete",
            got=f"no tensor {error.args[0]!r} among {len(published)}",
            expected="the tensors of IP-Adapter Plus: latents, proj_in, proj_out, norm_out, layers.*",
        ) from None
    layers = [int(match[1]) for match in map(_LAYER_KEY.fullmatch, published) if match]
    return IPAdapterPlusImageProjection(
        embed_dims=embed_dims,
        output_dims=output_dims,
        hidden_dims=width,
        depth=max(layers) + 1,
        dim_head=HEAD_SIZE,
        heads=inner // HEAD_SIZE,
        num_queries=num_queries,
        ffn_ratio=hidden / width,
    )


def from_published(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Published names -> those of ``IPAdapterPlusImageProjection``; ``to_kv`` is cut into ``to_k`` and ``to_v``.

    Names that are not a resampler's stay as they are, so that strict loading reports them.
    """
    ours: dict[str, Tensor] = {}
    for name, tensor in published.items():
        layer = _LAYER_KEY.fullmatch(name)
        if layer and layer[2] == "0.to_kv":
            keys, values = (half.clone() for half in tensor.chunk(2, dim=0))  # views cannot be loaded into again
            ours[f"layers.{layer[1]}.attn.to_k.weight"] = keys
            ours[f"layers.{layer[1]}.attn.to_v.weight"] = values
        elif layer and layer[2] in _PUBLISHED_TO_OURS:
            ours[f"layers.{layer[1]}.{_PUBLISHED_TO_OURS[layer[2]]}.{layer[3]}"] = tensor
        else:
            ours[name] = tensor
    return ours


def to_published(ours: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of :func:`from_published`."""
    published: dict[str, Tensor] = {}
    for name, tensor in ours.items():
        layer = _LAYER_KEY.fullmatch(name)
        if layer and layer[2] == "attn.to_k":
            values = ours[f"layers.{layer[1]}.attn.to_v.weight"]
            published[f"layers.{layer[1]}.0.to_kv.weight"] = torch.cat([tensor, values], dim=0)
        elif layer and layer[2] == "attn.to_v":
            continue
        elif layer:
            published[f"layers.{layer[1]}.{_OURS_TO_PUBLISHED[layer[2]]}.{layer[3]}"] = tensor
        else:
            published[name] = tensor
    return published
