"""The convolutional networks whose features perceptual distances compare: AlexNet, VGG16, SqueezeNet 1.1.

Each is the part of the network that the distances read, with the parameter names of the files that the public
model zoos hold, so that those files load strictly. Shape suffixes: B batch, C channels, H and W pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from idmvton.errors import ConfigError

Backbone = Literal["alex", "vgg", "squeeze"]
CHANNELS: Final[Mapping[Backbone, tuple[int, ...]]] = {
    "alex": (64, 192, 384, 256, 256),
    "vgg": (64, 128, 256, 512, 512),
    "squeeze": (64, 128, 256, 384, 384, 512, 512),
}
"""Channels of the features that are compared, from the first to the last."""

_VGG_BLOCKS: Final = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
_BLUR: Final = (1.0, 2.0, 1.0)


class Fire(nn.Module):
    """SqueezeNet's block: a 1x1 convolution, then 1x1 and 3x3 convolutions of it side by side."""

    def __init__(self, in_channels: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(in_channels, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Both expansions, one after the other in the channels."""
        squeezed = F.relu(self.squeeze(x_BCHW))
        return torch.cat([F.relu(self.expand1x1(squeezed)), F.relu(self.expand3x3(squeezed))], 1)


class BlurPool(nn.Module):
    """Every second value of the picture blurred by (1, 2, 1) / 4, reflected at the border by two values."""

    filt: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        kernel = torch.outer(torch.tensor(_BLUR), torch.tensor(_BLUR)) / sum(_BLUR) ** 2
        self.register_buffer("filt", kernel.expand(channels, 1, 3, 3).clone())

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Half the size, rounded up, and one more at each end."""
        return F.conv2d(F.pad(x_BCHW, (2, 2, 2, 2), mode="reflect"), self.filt, stride=2, groups=x_BCHW.shape[1])


class FeatureStack(nn.Module):
    """Layers in a row, of which some outputs are kept.

    Args:
        layers: in order; their parameters are called ``features.NUMBER.*``.
        kept: the layers, by number, whose outputs are given back.
    """

    def __init__(self, layers: Sequence[nn.Module], kept: Sequence[int]) -> None:
        super().__init__()
        self.features = nn.Sequential(*layers)
        self.kept = tuple(kept)

    def forward(self, x_BCHW: Tensor) -> list[Tensor]:
        """The kept features, float (B, C, H', W') each, of a picture that is normalized as the network wants."""
        found = []
        for number, layer in enumerate(self.features):
            x_BCHW = layer(x_BCHW)
            if number in self.kept:
                found.append(x_BCHW)
        return found


def build(name: Backbone) -> FeatureStack:
    """A backbone with random weights.

    Raises:
        ConfigError: no backbone has this name.
    """
    if name == "alex":
        return FeatureStack(
            [
                *(nn.Conv2d(3, 64, 11, stride=4, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)),
                *(nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)),
                *_conv(192, 384),
                *_conv(384, 256),
                *_conv(256, 256),
            ],
            kept=(1, 4, 7, 9, 11),
        )
    if name == "vgg":
        return FeatureStack(_vgg(lambda _: [nn.MaxPool2d(2, 2)]), kept=(3, 8, 15, 22, 29))
    if name == "squeeze":
        pool = (3, 2, 0, 1, False, True)  # the last one: windows may reach over the edge
        return FeatureStack(
            [
                *(nn.Conv2d(3, 64, 3, stride=2), nn.ReLU(), nn.MaxPool2d(*pool)),
                *(Fire(64, 16, 64), Fire(128, 16, 64), nn.MaxPool2d(*pool)),
                *(Fire(128, 32, 128), Fire(256, 32, 128), nn.MaxPool2d(*pool)),
                *(Fire(256, 48, 192), Fire(384, 48, 192), Fire(384, 64, 256), Fire(512, 64, 256)),
            ],
            kept=(1, 4, 7, 9, 10, 11, 12),
        )
    raise ConfigError("unknown backbone", got=repr(name), expected=", ".join(get_args(Backbone)))


def build_shift_tolerant(name: Literal["alex", "vgg"]) -> FeatureStack:
    """The shift-tolerant form (Ghildyal and Liu 2022): dense pooling, then a blur before every second value is kept.

    Raises:
        ConfigError: the backbone has no such form.
    """
    if name == "alex":
        return FeatureStack(
            [
                *(nn.Conv2d(3, 64, 11, padding=2), BlurPool(64), nn.ReLU()),
                *(nn.MaxPool2d(3, 1), BlurPool(64), nn.Conv2d(64, 192, 5, padding=2), nn.ReLU()),
                *(nn.MaxPool2d(3, 1), BlurPool(192), *_conv(192, 384)),
                *_conv(384, 256),
                *_conv(256, 256),
            ],
            kept=(2, 6, 10, 12, 14),
        )
    if name == "vgg":
        layers = _vgg(lambda channels: [nn.MaxPool2d(2, 1), BlurPool(channels)])
        return FeatureStack(layers, kept=(3, 9, 17, 25, 33))
    raise ConfigError("this backbone has no shift-tolerant form", got=repr(name), expected="alex, vgg")


def _conv(in_channels: int, out_channels: int) -> list[nn.Module]:
    return [nn.Conv2d(in_channels, out_channels, 3, padding=1), nn.ReLU()]


def _vgg(pool: Callable[[int], list[nn.Module]]) -> list[nn.Module]:
    layers: list[nn.Module] = []
    channels = 3
    for number, block in enumerate(_VGG_BLOCKS):
        layers += pool(channels) if number else []
        for width in block:
            layers += _conv(channels, width)
            channels = width
    return layers
