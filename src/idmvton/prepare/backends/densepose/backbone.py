"""ResNet-50 with frozen batch norm and a feature pyramid. Parameter names are those of the published file.

Shapes: B batch, C channels, H and W the padded picture's height and width; a level pN has H / 2**N rows.
"""

from __future__ import annotations

from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

NORM_EPS: Final = 1e-5
STAGES: Final = (("res2", 3, 64, 256), ("res3", 4, 128, 512), ("res4", 6, 256, 1024), ("res5", 3, 512, 2048))
"""Name, number of blocks, channels inside a block and after it, of each stage of ResNet-50."""
PYRAMID_CHANNELS: Final = 256
LEVEL_STRIDES: Final = {"p2": 4, "p3": 8, "p4": 16, "p5": 32, "p6": 64}
"""Level of the pyramid -> pixels of the picture between two of its cells."""


class FrozenBatchNorm(nn.Module):
    """The constants of a batch normalisation that was trained elsewhere and no longer changes."""

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, num_channels: int) -> None:
        super().__init__()
        for name in ("weight", "bias", "running_mean", "running_var"):
            self.register_buffer(name, torch.ones(num_channels))

    def scale_and_shift(self) -> tuple[Tensor, Tensor]:
        """What it multiplies each channel by, and what it adds then: two tensors (C,)."""
        scale = self.weight * torch.rsqrt(self.running_var + NORM_EPS)
        return scale, self.bias - self.running_mean * scale


class NormedConv(nn.Conv2d):
    """A convolution without bias whose frozen normalisation is multiplied into its kernel.

    The result is that of convolving and normalising, without another pass over the features.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, kernel_size // 2, bias=False)
        self.norm = FrozenBatchNorm(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Features (B, C, H, W) to (B, out, H / stride, W / stride)."""
        scale, shift = self.norm.scale_and_shift()
        return F.conv2d(x, self.weight * scale[:, None, None, None], shift, self.stride, self.padding)


class Stem(nn.Module):
    """The picture to features of a quarter of its size."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = NormedConv(3, 64, 7, stride=2)

    def forward(self, picture: Tensor) -> Tensor:
        """Normalised BGR (B, 3, H, W) to (B, 64, H / 4, W / 4)."""
        return F.max_pool2d(F.relu_(self.conv1(picture)), 3, stride=2, padding=1)


class Bottleneck(nn.Module):
    """Three convolutions beside a shortcut; the first one takes the stride."""

    def __init__(self, in_channels: int, inner: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.shortcut = NormedConv(in_channels, out_channels, 1, stride) if in_channels != out_channels else None
        self.conv1 = NormedConv(in_channels, inner, 1, stride)
        self.conv2 = NormedConv(inner, inner, 3)
        self.conv3 = NormedConv(inner, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Features (B, in, H, W) to (B, out, H / stride, W / stride)."""
        inner = F.relu_(self.conv2(F.relu_(self.conv1(x))))
        return F.relu_(self.conv3(inner).add_(x if self.shortcut is None else self.shortcut(x)))


class ResNet50(nn.Module):
    """Features of four sizes."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = Stem()
        channels = 64
        for name, num_blocks, inner, out_channels in STAGES:
            stride = 1 if name == "res2" else 2
            blocks = [Bottleneck(channels, inner, out_channels, stride)]
            blocks += [Bottleneck(out_channels, inner, out_channels, 1) for _ in range(num_blocks - 1)]
            self.add_module(name, nn.Sequential(*blocks))
            channels = out_channels

    def forward(self, picture: Tensor) -> list[Tensor]:
        """Normalised BGR (B, 3, H, W) to features at strides 4, 8, 16 and 32."""
        x, features = self.stem(picture), []
        for name, *_ in STAGES:
            x = self.get_submodule(name)(x)
            features.append(x)
        return features


class FeaturePyramid(nn.Module):
    """ResNet-50 and five levels of 256 channels made of its features, coarse ones added to fine ones."""

    def __init__(self) -> None:
        super().__init__()
        self.bottom_up = ResNet50()
        for level, (_, _, _, channels) in enumerate(STAGES, start=2):
            self.add_module(f"fpn_lateral{level}", nn.Conv2d(channels, PYRAMID_CHANNELS, 1))
            self.add_module(f"fpn_output{level}", nn.Conv2d(PYRAMID_CHANNELS, PYRAMID_CHANNELS, 3, padding=1))

    def forward(self, picture: Tensor) -> dict[str, Tensor]:
        """Normalised BGR (B, 3, H, W), sides divisible by 32, to the levels p2 to p6, each (B, 256, H / s, W / s)."""
        features = self.bottom_up(picture)
        levels: dict[str, Tensor] = {}
        summed: Tensor | None = None
        for level in range(5, 1, -1):
            lateral = self.get_submodule(f"fpn_lateral{level}")(features.pop())
            summed = lateral if summed is None else lateral.add_(F.interpolate(summed, scale_factor=2, mode="nearest"))
            levels[f"p{level}"] = self.get_submodule(f"fpn_output{level}")(summed)
        levels["p6"] = levels["p5"][:, :, ::2, ::2]
        return {name: levels[name] for name in LEVEL_STRIDES}
