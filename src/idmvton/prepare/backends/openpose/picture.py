"""Photos as OpenPose's network reads them, and its maps at the photo's size again.

The published sizes: a picture 384 wide and 512 high becomes an input of 138 x 184 pixels, padded to 144 x 184.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from idmvton.prepare.backends.openpose.network import STRIDE

Floats = NDArray[np.float32]

SHORT_SIDE: Final = 384
"""Pixels of the picture's shorter side, in which people are looked for."""
_SIDE_STEP: Final = 64  # both sides of that picture are multiples of it
_INPUT_HEIGHT: Final = 0.5 * 368  # pixels: half of the height that the network was trained at
_PADDING: Final = 128  # grey: 0 for the network
_LONGEST: Final = 4  # long side / short side beyond which a picture is read smaller, so that it stays cheap


@dataclass(frozen=True, slots=True, eq=False)
class NetworkInput:
    """A picture for the network.

    Attributes:
        values: float32 (3, H, W), BGR / 256 - 0.5, padded at the bottom and at the right.
        size: height and width before the padding.
    """

    values: Floats
    size: tuple[int, int]


def working_picture(photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A photo at the size in which people are looked for: 384 on the shorter side, both sides multiples of 64.

    A photo that is very long for its height is made smaller than that.

    Args:
        photo: uint8 RGB (H, W, 3), any size.
    """
    height, width = photo.shape[:2]
    scale = min(SHORT_SIDE / min(height, width), _LONGEST * SHORT_SIDE / max(height, width))
    high, wide = (max(round(side * scale / _SIDE_STEP), 1) * _SIDE_STEP for side in (height, width))
    shrinks = scale <= 1
    return _resized(photo, (high, wide), cv2.INTER_AREA if shrinks else cv2.INTER_LANCZOS4)


def network_input(picture: NDArray[np.uint8]) -> NetworkInput:
    """A working picture as the network reads it.

    Args:
        picture: uint8 RGB (H, W, 3).
    """
    height, width = picture.shape[:2]
    scale = min(_INPUT_HEIGHT / height, _LONGEST * _INPUT_HEIGHT / width)
    size = (int(height * scale), int(width * scale))
    small = _resized(picture, size, _filter(picture.shape[:2], size))
    missing = [(0, -side % STRIDE) for side in size]
    padded = np.pad(small, (*missing, (0, 0)), constant_values=_PADDING)
    values = padded[..., ::-1].astype(np.float32) / np.float32(256) - np.float32(0.5)
    return NetworkInput(np.ascontiguousarray(values.transpose(2, 0, 1)), size)


def maps_of_picture(maps: Floats, input_size: tuple[int, int], size: tuple[int, int]) -> Floats:
    """The network's maps at the size of the working picture.

    Args:
        maps: float32 (C, h, w).
        input_size: of the network's input, without the padding.
        size: height and width that are wanted.

    Returns:
        float32 (H, W, C).
    """
    height, width = maps.shape[1] * STRIDE, maps.shape[2] * STRIDE
    kind = _filter(input_size, size)
    result = np.empty((*size, len(maps)), np.float32)
    for channel, values in enumerate(maps):
        large = _resized(values, (height, width), cv2.INTER_LANCZOS4)[: input_size[0], : input_size[1]]
        result[..., channel] = _resized(large, size, kind)
    return result


def _filter(old: tuple[int, ...], new: tuple[int, int]) -> int:
    """Area for what shrinks on the whole, Lanczos for the rest."""
    return cv2.INTER_AREA if sum(new) < sum(old[:2]) else cv2.INTER_LANCZOS4


def _resized(values: NDArray[Any], size: tuple[int, int], kind: int) -> NDArray[Any]:
    return cv2.resize(values, (size[1], size[0]), interpolation=kind)
