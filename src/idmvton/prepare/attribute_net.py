"""What a garment is, read off its picture by a small embedded network: item, sleeve, neckline, colour, pattern.

It was trained on the studio's product pictures only. It sees the cut-out, framed tightly, on white.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn

from idmvton.captions.templates import COLOURS, ITEMS, NECKLINES, PATTERNS, SLEEVES
from idmvton.errors import WeightsError
from idmvton.types import Size

WEIGHTS: Final = Path(__file__).parent / "assets" / "attribute-net.safetensors"
SIZE: Final = Size(96, 72)
MARGIN: Final = 0.04  # white around the garment, share of the picture's height

WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "item": tuple(ITEMS),
    "sleeve": tuple(SLEEVES),
    "neckline": tuple(NECKLINES),
    "colour": tuple(COLOURS),
    "pattern": tuple(PATTERNS),
}
"""Attribute -> its words, in the order of the network's scores."""

_WIDTHS: Final = (16, 32, 64, 128)


class AttributeNet(nn.Module):
    """Four stages of convolutions, pooled by mean and maximum, and a linear layer for each attribute.

    Shape legend: B pictures, H and W of :data:`SIZE`.
    """

    def __init__(self) -> None:
        super().__init__()
        stages: list[nn.Module] = []
        before = 4
        for width in _WIDTHS:
            stages += [
                nn.Conv2d(before, width, 3, 2, 1),
                nn.GroupNorm(8, width),
                nn.SiLU(),
                nn.Conv2d(width, width, 3, 1, 1),
                nn.GroupNorm(8, width),
                nn.SiLU(),
            ]
            before = width
        self.stages = nn.Sequential(*stages)
        self.mix = nn.Sequential(nn.Linear(2 * before + 12 * before, 256), nn.SiLU(), nn.Dropout(0.2))
        self.coarse = nn.AdaptiveAvgPool2d((4, 3))
        self.scores = nn.ModuleDict({name: nn.Linear(256, len(words)) for name, words in WORDS.items()})

    def forward(self, pictures_B4HW: Tensor) -> dict[str, Tensor]:
        """Attribute -> scores (B, words).

        Args:
            pictures_B4HW: float, RGB in [-1, 1] on white, and the cut-out in {0, 1}.
        """
        features = self.stages(pictures_B4HW)
        pooled = [features.mean((2, 3)), features.amax((2, 3)), self.coarse(features).flatten(1)]
        state = self.mix(torch.cat(pooled, 1))
        return {name: layer(state) for name, layer in self.scores.items()}


def framed(picture: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """A cut-out as the network sees it.

    Args:
        picture: uint8 (H, W, 3) RGB.
        mask: bool (H, W), the garment; not empty.

    Returns:
        uint8 (h, w, 4) of :data:`SIZE`: RGB on white, and the mask as 0 or 255.
    """
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    top, bottom, left, right = (int(each) for each in (rows[0], rows[-1] + 1, columns[0], columns[-1] + 1))
    inner = 1 - 2 * MARGIN
    scale = inner * min(SIZE.height / (bottom - top), SIZE.width / (right - left))
    cut = np.where(mask[top:bottom, left:right, None], picture[top:bottom, left:right], np.uint8(255))
    both = np.dstack([cut, mask[top:bottom, left:right].astype(np.uint8) * 255])
    size = max(1, round((right - left) * scale)), max(1, round((bottom - top) * scale))
    small = cv2.resize(both, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    canvas = np.full((*SIZE, 4), 255, np.uint8)
    canvas[..., 3] = 0
    y, x = (SIZE.height - size[1]) // 2, (SIZE.width - size[0]) // 2
    canvas[y : y + size[1], x : x + size[0]] = small
    return canvas


def to_input(framed_BHW4: Tensor) -> Tensor:
    """uint8 (B, H, W, 4) -> what the network reads, float (B, 4, H, W)."""
    values = framed_BHW4.permute(0, 3, 1, 2).float()
    return torch.cat([values[:, :3] / 127.5 - 1, values[:, 3:] / 255], 1)


def read_attributes(picture: NDArray[np.uint8], mask: NDArray[np.bool_]) -> dict[str, NDArray[np.float32]]:
    """Attribute -> probabilities of its words; the mean over the picture and its mirror.

    Args:
        picture: uint8 (H, W, 3) RGB.
        mask: bool (H, W), the garment; not empty.

    Raises:
        WeightsError: the network's weights are damaged.
    """
    plain = framed(picture, mask)
    pair = to_input(torch.from_numpy(np.stack([plain, plain[:, ::-1]])))
    with torch.inference_mode():
        scores = _network()(pair)
    return {name: each.softmax(-1).mean(0).numpy() for name, each in scores.items()}


@functools.lru_cache(maxsize=1)
def _network() -> AttributeNet:
    net = AttributeNet()
    try:
        net.load_state_dict({name: value.float() for name, value in load_file(WEIGHTS).items()})
    except (OSError, RuntimeError, ValueError) as error:
        raise WeightsError("the embedded garment reader cannot be loaded", got=str(error)[:300]) from error
    return net.eval()
