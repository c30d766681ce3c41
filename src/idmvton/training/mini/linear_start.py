"""New networks that start as something simple and right, from which a short training only has to get better.

From random weights, small networks spend most of a short training on learning to keep colours: group normalisations
take away what is the same everywhere. Here values pass through normalisation and SiLU unchanged from the first step on,
in the architecture as it is. A value is carried by two channels, with both signs, because SiLU(x) - SiLU(-x) = x; each
group of such channels also carries a level with both signs, so large that the group's deviation is the level's,
whatever the picture.

* :func:`start_as_codec`: a VAE that averages colours down and interpolates them up.
* :func:`start_with_latents`: a UNet whose first features hold its input.
* :func:`start_as_copy`: a TryonNet whose first guess is the draft, with the garment as GarmentNet shows it.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, Final

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor, nn

from idmvton.errors import ConfigError
from idmvton.models.garment_net import GarmentNet
from idmvton.models.tryon_net import TryonNet, num_input_channels

_COLOURS: Final = 3
_LEVEL: Final = 8.0
_NEW_INPUTS: Final = 0.05  # deviation of the weights of what is not carried
_HARDLY_SEEN: Final = 0.01  # likewise, where its size would change that of the carried values


@dataclass(frozen=True)
class Carriers:
    """Which channels carry a number of values.

    Attributes:
        values: of each value, the channels with its sign and with the other one.
        levels: of each group, likewise.
        count: channels 0 to count - 1 hold all of them.
        width: channels of the layer.
    """

    values: tuple[tuple[int, int], ...]
    levels: tuple[tuple[int, int], ...]
    count: int
    width: int

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
        return cls(pairs[0], pairs[1], needed * size, channels)

    def bring_in(self, conv: nn.Conv2d, first: int = 0) -> None:
        """The values are the input's channels from ``first`` on."""
        weight, bias = _of(conv)
        middle = weight.shape[-1] // 2
        weight[: self.count], bias[: self.count] = 0, 0
        for number, (plus, minus) in enumerate(self.values):
            weight[plus, first + number, middle, middle], weight[minus, first + number, middle, middle] = 1, -1
        for plus, minus in self.levels:
            bias[plus], bias[minus] = _LEVEL, -_LEVEL

    def are_in(self, conv: nn.Conv2d) -> bool:
        """Whether a layer brings in its input's first channels."""
        as_new = copy.deepcopy(conv)
        self.bring_in(as_new)
        return torch.equal(as_new.weight, conv.weight)

    def carry(self, conv: nn.Conv2d, kernel: Tensor, first: int = 0) -> None:
        """The carried channels, which start at ``first`` in the input, are filtered; the others see no level."""
        weight, bias = _of(conv)
        weight[: self.count], bias[: self.count] = 0, 0
        for plus, minus in self.levels:
            weight[self.count :, [first + plus, first + minus]] = 0
        for channel in range(self.count):
            weight[channel, first + channel] = kernel

    def leave(self, layer: nn.Conv2d | nn.Linear) -> None:
        """Nothing is added to the carried channels."""
        weight, bias = _of(layer)
        weight[: self.count], bias[: self.count] = 0, 0

    def see(self, layer: nn.Linear) -> None:
        """The carried channels stay what they are; the others become small, and see no level."""
        weight, bias = _of(layer)
        nn.init.normal_(weight, std=_HARDLY_SEEN, generator=torch.Generator().manual_seed(0))
        nn.init.zeros_(bias)
        weight[:, [channel for pair in self.levels for channel in pair]] = 0
        weight[: self.count] = torch.eye(*weight.shape)[: self.count]

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
    fix = "set vae.norm_num_groups lower and vae.latent_channels to 3 or more, or autoencoder.start = 'random'"
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
def start_with_latents(unet: UNet2DConditionModel) -> None:
    """The first features of a text-to-image UNet hold the latents; in place.

    They go on to do so if the weights of :func:`layers_that_keep_latents` are not trained.

    Raises:
        ConfigError: groups of too few channels.
    """
    carriers = _carriers(unet, unet.config.in_channels)
    bring_in, *others = layers_that_keep_latents(unet)
    carriers.bring_in(bring_in)
    for layer in others:
        carriers.leave(layer)


def layers_that_keep_latents(unet: UNet2DConditionModel) -> list[nn.Conv2d]:
    """The layers that decide whether the first features hold the latents."""
    return [unet.conv_in, *(resnet.conv2 for resnet in unet.down_blocks[0].resnets)]


@torch.no_grad()
def start_as_copy(net: TryonNet, garment_net: GarmentNet) -> None:
    """Makes TryonNet's first guess of the result, whatever the noisy latents are, the draft; in place.

    What shows the person comes from TryonNet's own input; the garment comes from GarmentNet, through the attention at
    the latents' own resolution.

    Args:
        net: that predicts the sample, with input channels for a draft and attention at that resolution.
        garment_net: whose first features hold its latents (:func:`start_with_latents`); its part of that attention
            passes them on.

    Raises:
        ConfigError: no such channels, attention or features, or groups of too few.
    """
    count, down, up = net.latent_channels, net.down_blocks[0], net.up_blocks[-1]
    if net.config.in_channels != num_input_channels(count, drafted=True):
        raise ConfigError("TryonNet cannot start as a copy", got="no draft", fix="name a mini_tryon.warp_net")
    if not hasattr(down, "attentions"):
        raise ConfigError(
            "TryonNet cannot start as a copy", got="no garment", fix="set mini_tryon.fine_attention = true"
        )
    carriers = _carriers(net, count)
    if not carriers.are_in(garment_net.conv_in):
        raise ConfigError(
            "TryonNet cannot start as a copy",
            got="a GarmentNet whose first features do not hold its latents",
            fix="train its text-to-image UNet with text_to_image.start = 'latents'",
        )
    net.conv_in.weight[:, :count] = 0
    nn.init.normal_(net.conv_in.weight[:, count:], std=_NEW_INPUTS)
    carriers.bring_in(net.conv_in, first=3 * count + 1)
    for attention in down.attentions:
        carriers.leave(attention.proj_out)
    _pass_on(garment_net.down_blocks[0].attentions[0], down.attentions[0], carriers)
    for number, resnet in enumerate(up.resnets):
        shortcut = resnet.conv_shortcut
        carriers.carry(shortcut, torch.ones(1, 1), first=0 if number else shortcut.in_channels - carriers.width)
    for resnet in (*down.resnets, *up.resnets):
        carriers.leave(resnet.conv2)
    norm = net.conv_norm_out
    norm.weight[: carriers.count], norm.bias[: carriers.count] = 1, 0
    carriers.read_out(net.conv_out, norm)


def _pass_on(theirs: Any, own: Any, carriers: Carriers) -> None:
    """The values that GarmentNet's features carry are added to TryonNet's, at the same place.

    Both keys get the same score, so each counts half. The layer's norm divides by the levels' deviation once more.
    """
    count, block = len(carriers.values), own.transformer_blocks[0]
    carriers.see(theirs.proj_in)
    carriers.leave(own.proj_in)
    nn.init.zeros_(block.attn1.to_q.weight)
    again = _LEVEL * (2 * len(carriers.levels) / carriers.width) ** 0.5
    block.attn1.to_v.weight[:count] = 0
    for number, (plus, minus) in enumerate(carriers.values):
        block.attn1.to_v.weight[number, plus], block.attn1.to_v.weight[number, minus] = again, -again
    to_out = block.attn1.to_out[0]
    to_out.weight[:count], to_out.bias[:count] = torch.eye(*to_out.weight.shape)[:count], 0
    for layer in (block.attn2.to_out[0], block.ff.net[-1]):
        layer.weight[:count], layer.bias[:count] = 0, 0
    for number, (plus, minus) in enumerate(carriers.values):
        own.proj_out.weight[plus, number], own.proj_out.weight[minus, number] = 1, -1


def _carriers(unet: UNet2DConditionModel, num_values: int) -> Carriers:
    fix = "set unet.norm_num_groups lower, or the start as something else"
    return Carriers.of(num_values, unet.config.block_out_channels[0], unet.config.norm_num_groups, fix)


def _of(layer: nn.Conv2d | nn.Linear) -> tuple[Tensor, Tensor]:
    assert layer.bias is not None
    return layer.weight.data, layer.bias.data
