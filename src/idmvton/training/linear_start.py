"""New networks that start as something simple and right, from which a short training only has to get better.

From random weights, small networks spend most of a short training on learning to keep colours: group normalisations
take away what is the same everywhere. Here values pass through normalisation and SiLU unchanged from the first step on,
in the architecture as it is. A value is carried by two channels, with both signs, because SiLU(x) - SiLU(-x) = x; each
group of such channels also carries a level with both signs, so large that the group's deviation is the level's,
whatever the picture.

* :func:`start_as_codec`: a VAE that averages colours down and interpolates them up.
* :func:`start_as_copy`: a TryonNet whose first guess is the draft.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn

from idmvton.errors import ConfigError
from idmvton.models.tryon_net import TryonNet, num_input_channels

_COLOURS: Final = 3
_LEVEL: Final = 8.0
_NEW_INPUTS: Final = 0.05  # deviation of the weights of what is not carried


@dataclass(frozen=True)
class Carriers:
    """Which channels carry a number of values.

    Attributes:
        values: of each value, the channels with its sign and with the other one.
        levels: of each group, likewise.
        count: channels 0 to count - 1 hold all of them.
    """

    values: tuple[tuple[int, int], ...]
    levels: tuple[tuple[int, int], ...]
    count: int

    @classmethod
    def of(cls, num_values: int, channels: int, groups: int, fix: str) -> Carriers:
        """Carriers in the first of ``groups`` groups of a layer of ``channels``.

        Raises:
            ConfigError: they do not fit.
        """
        size = channels // groups
        per_group = (size - 2) // 2
        needed = -(-num_values // per_group) if per_group > 0 else groups + 1
        if needed > groups:
            raise ConfigError(
                f"{num_values} values cannot be carried",
                got=f"{channels} channels in {groups} groups",
                expected="groups of two channels for each value and two more",
                fix=fix,
            )
        first = [number // per_group * size + 2 * (number % per_group) for number in range(num_values)]
        levels = [group * size + 2 * per_group for group in range(needed)]
        pairs = [tuple((channel, channel + 1) for channel in each) for each in (first, levels)]
        return cls(pairs[0], pairs[1], needed * size)

    def bring_in(self, conv: nn.Conv2d, first: int = 0) -> None:
        """The values are the input's channels from ``first`` on."""
        weight, bias = _of(conv)
        middle = weight.shape[-1] // 2
        weight[: self.count], bias[: self.count] = 0, 0
        for number, (plus, minus) in enumerate(self.values):
            weight[plus, first + number, middle, middle], weight[minus, first + number, middle, middle] = 1, -1
        for plus, minus in self.levels:
            bias[plus], bias[minus] = _LEVEL, -_LEVEL

    def carry(self, conv: nn.Conv2d, kernel: Tensor, first: int = 0) -> None:
        """The carried channels, which start at ``first`` in the input, are filtered; the others see no level."""
        weight, bias = _of(conv)
        weight[: self.count], bias[: self.count] = 0, 0
        for plus, minus in self.levels:
            weight[self.count :, [first + plus, first + minus]] = 0
        for channel in range(self.count):
            weight[channel, first + channel] = kernel

    def read_out(self, conv: nn.Conv2d, norm: nn.GroupNorm) -> None:
        """The first outputs are the values again: undoes the normalisation, whose deviation is the level's."""
        weight, bias = _of(conv)
        middle = weight.shape[-1] // 2
        deviation = _LEVEL * (2 * norm.num_groups / norm.num_channels) ** 0.5
        weight[: len(self.values)], bias[: len(self.values)] = 0, 0
        for number, (plus, minus) in enumerate(self.values):
            weight[number, plus, middle, middle], weight[number, minus, middle, middle] = deviation, -deviation


@torch.no_grad()
def start_as_codec(vae: Any) -> None:
    """Three latent channels of a new ``AutoencoderKL`` become the picture's mean colours; in place.

    Raises:
        ConfigError: too few channels, or groups of too few.
    """
    config = vae.config
    fix = "set vae.norm_num_groups lower and vae.latent_channels to 3 or more, or vae.start = 'random'"
    carriers = Carriers.of(_COLOURS, min(config.block_out_channels), config.norm_num_groups, fix)
    if config.latent_channels < _COLOURS:
        raise ConfigError("the VAE cannot start as a codec", got=f"{config.latent_channels} latent channels", fix=fix)
    mean = torch.zeros(3, 3)
    mean[:2, :2] = 0.25
    hat = torch.tensor([0.25, 0.5, 0.25])
    for name, module in vae.named_modules():
        if name.endswith("conv2"):
            nn.init.zeros_(module.weight)
        elif name.endswith("conv_shortcut"):
            carriers.carry(module, torch.ones(1, 1))
        elif "downsamplers" in name and isinstance(module, nn.Conv2d):
            carriers.carry(module, mean)
        elif "upsamplers" in name and isinstance(module, nn.Conv2d):
            carriers.carry(module, torch.outer(hat, hat))  # after doubling, that is linear interpolation
    for coder in (vae.encoder, vae.decoder):
        carriers.bring_in(coder.conv_in)
        carriers.read_out(coder.conv_out, coder.conv_norm_out)
    for conv in (vae.quant_conv, vae.post_quant_conv):
        conv.weight[:_COLOURS], conv.bias[:_COLOURS] = 0, 0
        for colour in range(_COLOURS):
            conv.weight[colour, colour] = 1


@torch.no_grad()
def start_as_copy(net: TryonNet) -> None:
    """Makes the draft TryonNet's first guess of the result, whatever the noisy latents are; in place.

    Args:
        net: that predicts the sample, with input channels for a draft.

    Raises:
        ConfigError: no such channels, or groups of too few.
    """
    count, config = net.latent_channels, net.config
    if config.in_channels != num_input_channels(count, drafted=True):
        raise ConfigError("TryonNet cannot start as a copy", got="no draft", fix="name a tryon.warp_net")
    fix = "set unet.norm_num_groups lower, or tryon.start = 'trained'"
    carriers = Carriers.of(count, config.block_out_channels[0], config.norm_num_groups, fix)
    net.conv_in.weight[:, :count] = 0
    nn.init.normal_(net.conv_in.weight[:, count:], std=_NEW_INPUTS)
    carriers.bring_in(net.conv_in, first=3 * count + 1)
    last = net.up_blocks[-1].resnets[-1]
    shortcut, inner = last.conv_shortcut, last.conv2
    carriers.carry(shortcut, torch.ones(1, 1), first=shortcut.in_channels - net.conv_in.out_channels)
    inner.weight[: carriers.count], inner.bias[: carriers.count] = 0, 0
    norm = net.conv_norm_out
    norm.weight[: carriers.count], norm.bias[: carriers.count] = 1, 0
    carriers.read_out(net.conv_out, norm)


def _of(conv: nn.Conv2d) -> tuple[Tensor, Tensor]:
    assert conv.bias is not None
    return conv.weight.data, conv.bias.data
