"""Pictures <-> latents of the VAE, in the scale that the UNets work in."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def encode_latents(vae: Any, images_BCHW: Tensor) -> Tensor:
    """Latents of pictures: the mode of the posterior, so that nothing is drawn.

    Args:
        vae: ``AutoencoderKL``; it computes in its own precision and on its own device.
        images_BCHW: float, RGB in [-1, 1].

    Returns:
        Float (B, C, h, w), multiplied by the VAE's scaling factor.
    """
    posterior = vae.encode(images_BCHW.to(vae.dtype)).latent_dist
    return posterior.mode() * vae.config.scaling_factor


def decode_latents(vae: Any, latents_BChw: Tensor) -> Tensor:
    """Pictures of latents, the inverse of :func:`encode_latents`. Float BCHW, about [-1, 1]."""
    return vae.decode(latents_BChw.to(vae.dtype) / vae.config.scaling_factor, return_dict=False)[0]


def needs_float32(vae: Any, dtype: torch.dtype) -> bool:
    """Whether the VAE overflows or loses colours in ``dtype``: SDXL's does, unless its config says otherwise."""
    return dtype in (torch.float16, torch.bfloat16) and bool(vae.config.get("force_upcast", True))
