"""The parser network: a small U-Net with two heads.

Shapes: B pictures, C channels, H x W pixels of the input.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from idmvton.images.densepose import NUM_PARTS
from idmvton.prepare.backends.studio_net.encoding import PICTURE_CHANNELS, POSE_CHANNELS
from idmvton.prepare.mask import ATR_LABELS

NUM_LABELS: Final = len(ATR_LABELS) + 1
NUM_PART_CLASSES: Final = NUM_PARTS + 1
WEIGHTS: Final = Path(__file__).parents[2] / "assets" / "studio-net.safetensors"
_WIDTHS: Final = (16, 40, 72, 112, 160)  # at strides 2, 4, 8, 16, 32
_BLOCKS: Final = (0, 1, 2, 2, 1)  # residual blocks on the way down


class _Conv(nn.Sequential):
    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
        )


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = _Conv(width, width)
        self.second = nn.Sequential(nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return F.relu(x_BCHW + self.second(self.first(x_BCHW)))


class ParserNet(nn.Module):
    """Labels and body parts of one person. Sides of the input must be divisible by 16."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = _Conv(PICTURE_CHANNELS, _WIDTHS[0], stride=2)
        inputs = (_WIDTHS[0], *_WIDTHS[1:-1])
        self.reduce = nn.ModuleList(_Conv(a, b, stride=2) for a, b in zip(inputs, _WIDTHS[1:], strict=True))
        self.join = _Conv(_WIDTHS[1] + POSE_CHANNELS, _WIDTHS[1])
        self.down = nn.ModuleList(
            nn.Sequential(*(_Residual(width) for _ in range(count)))
            for width, count in zip(_WIDTHS[1:], _BLOCKS[1:], strict=True)
        )
        self.lift = nn.ModuleList(
            nn.Conv2d(a, b, 1, bias=False) for a, b in zip(_WIDTHS[:0:-1], _WIDTHS[-2::-1], strict=True)
        )
        self.up = nn.ModuleList(_Conv(width, width) for width in _WIDTHS[-2::-1])
        self.labels = nn.Conv2d(_WIDTHS[0], NUM_LABELS, 1)
        self.parts = nn.Conv2d(_WIDTHS[0], NUM_PART_CLASSES, 1)

    def forward(self, picture_BCHW: Tensor, pose_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        """Scores of labels (B, 19, H / 2, W / 2) and of parts (B, 25, H / 2, W / 2).

        Args:
            picture_BCHW: :func:`inputs.encode_picture`, (B, 4, H, W).
            pose_BCHW: :func:`inputs.encode_pose`, (B, 17, H / 4, W / 4).
        """
        skips = [self.stem(picture_BCHW)]
        for number, (reduce, down) in enumerate(zip(self.reduce, self.down, strict=True)):
            x_BCHW = reduce(skips[-1])
            if number == 0:
                x_BCHW = self.join(torch.cat([x_BCHW, pose_BCHW], dim=1))
            skips.append(down(x_BCHW))
        x_BCHW = skips.pop()
        for lift, up in zip(self.lift, self.up, strict=True):
            skip_BCHW = skips.pop()
            x_BCHW = up(skip_BCHW + F.interpolate(lift(x_BCHW), skip_BCHW.shape[2:], mode="bilinear"))
        return self.labels(x_BCHW), self.parts(x_BCHW)


def load_network(weights: Path = WEIGHTS) -> ParserNet:
    """The trained network in float32, ready for use."""
    network = ParserNet()
    network.load_state_dict({name: value.float() for name, value in load_file(weights).items()})
    return network.eval()
