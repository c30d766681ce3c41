"""Attention at the latents' own resolution, which SDXL does not have: details of the garment pass through it."""

from __future__ import annotations

import diffusers
from torch import nn

from idmvton.errors import ConfigError

_NEW = "down_blocks.0.attentions."


def with_fine_attention(unet: diffusers.UNet2DConditionModel) -> diffusers.UNet2DConditionModel:
    """The same UNet with attention at the latents' own resolution, on the way down, that changes nothing yet.

    TryonNet and GarmentNet attend in place there, see :func:`idmvton.models.attention.is_in_place`.

    Raises:
        ConfigError: a UNet that has attention at that resolution.
    """
    types_there = unet.config.down_block_types[0], unet.config.up_block_types[-1]
    if types_there != ("DownBlock2D", "UpBlock2D"):
        raise ConfigError("there is attention already", got=types_there, expected="unet.transformer_layers = [0, ...]")
    types = ("CrossAttnDownBlock2D", *unet.config.down_block_types[1:])
    wider = diffusers.UNet2DConditionModel.from_config({**unet.config, "down_block_types": types})
    new = {name: tensor for name, tensor in wider.state_dict().items() if name.startswith(_NEW)}
    wider.load_state_dict(unet.state_dict() | new)
    for attention in wider.down_blocks[0].attentions:
        nn.init.zeros_(attention.proj_out.weight)
        nn.init.zeros_(attention.proj_out.bias)
    return wider
