"""A new VAE that starts as a plain codec: colours are averaged down and interpolated up.

From random weights, a VAE spends most of a short training on learning to keep colours. Here three of the latent
channels are the picture's mean colours from the first step on, and what is learned is the detail.

The networks are those of the published system, so the colours must pass group normalisations and SiLUs. They are
carried by eight channels: each colour with both signs, because SiLU(x) - SiLU(-x) = x, and a level with both signs, so
large that the group's deviation is the level's, whatever the picture.
"""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor, nn

from idmvton.errors import ConfigError

_COLOURS: Final = 3
_CARRIED: Final = 2 * _COLOURS + 2
_LEVEL: Final = 8.0


@torch.no_grad()
def start_as_codec(vae: Any) -> None:
    """Changes the weights of a new ``AutoencoderKL`` in place.

    Raises:
        ConfigError: too few channels, or groups of too few.
    """
    config = vae.config
    smallest = min(config.block_out_channels)
    if smallest // config.norm_num_groups < _CARRIED or config.latent_channels < _COLOURS:
        raise ConfigError(
            "the VAE cannot start as a codec",
            got=f"{smallest} channels in {config.norm_num_groups} groups, {config.latent_channels} latent channels",
            expected=f"{_CARRIED} channels in each group, {_COLOURS} latent channels",
            fix="set vae.norm_num_groups lower, or vae.start = 'random'",
        )
    mean = torch.zeros(3, 3)
    mean[:2, :2] = 0.25
    hat = torch.tensor([0.25, 0.5, 0.25])
    for name, module in vae.named_modules():
        if name.endswith("conv2"):
            nn.init.zeros_(module.weight)
        elif name.endswith("conv_shortcut"):
            _carry(module, torch.ones(1, 1))
        elif "downsamplers" in name and isinstance(module, nn.Conv2d):
            _carry(module, mean)
        elif "upsamplers" in name and isinstance(module, nn.Conv2d):
            _carry(module, torch.outer(hat, hat))  # after doubling, that is linear interpolation
    for coder in (vae.encoder, vae.decoder):
        _bring_in(coder.conv_in)
        _read_out(coder.conv_out, coder.conv_norm_out)
    for conv in (vae.quant_conv, vae.post_quant_conv):
        conv.weight[:_COLOURS], conv.bias[:_COLOURS] = 0, 0
        for colour in range(_COLOURS):
            conv.weight[colour, colour] = 1


def _carry(conv: nn.Conv2d, kernel: Tensor) -> None:
    """The carried channels are filtered; the others see of them the colours only."""
    weight, bias = _of(conv)
    weight[:_CARRIED], bias[:_CARRIED] = 0, 0
    weight[_CARRIED:, 2 * _COLOURS : _CARRIED] = 0
    for channel in range(_CARRIED):
        weight[channel, channel] = kernel


def _bring_in(conv: nn.Conv2d) -> None:
    weight, bias = _of(conv)
    weight[:_CARRIED], bias[:_CARRIED] = 0, 0
    bias[2 * _COLOURS], bias[2 * _COLOURS + 1] = _LEVEL, -_LEVEL
    for colour in range(_COLOURS):
        weight[2 * colour, colour, 1, 1], weight[2 * colour + 1, colour, 1, 1] = 1, -1


def _read_out(conv: nn.Conv2d, norm: nn.GroupNorm) -> None:
    """Undoes the normalisation, of which the level decides the deviation."""
    weight, bias = _of(conv)
    deviation = _LEVEL * (2 * norm.num_groups / norm.num_channels) ** 0.5
    weight[:_COLOURS], bias[:_COLOURS] = 0, 0
    for colour in range(_COLOURS):
        weight[colour, 2 * colour, 1, 1], weight[colour, 2 * colour + 1, 1, 1] = deviation, -deviation


def _of(conv: nn.Conv2d) -> tuple[Tensor, Tensor]:
    assert conv.bias is not None
    return conv.weight.data, conv.bias.data
