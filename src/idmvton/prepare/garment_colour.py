"""The word for a garment's main colour: the one that most of the cut-out has, and of all words the nearest to it."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from idmvton.captions.templates import COLOURS

_SIDE: Final = 512  # pixels: larger pictures are looked at in a smaller copy, threads and noise melt
_EDGE: Final = 0.01  # of the longer side: near the outline the background mixes in
_LOOKED_AT: Final = 400  # pixels of the cut-out, evenly spread over it
_WEIGHTS: Final = np.array([0.6, 1.2, 1.2], np.float32)  # of L, a, b: folds change the light
_WIDTH: Final = 10.0  # of the density's kernel, in weighted CIE Lab
_SAME: Final = 16.0  # so near a pixel has the main colour


def colour_of(picture: NDArray[np.uint8], mask: NDArray[np.bool_]) -> tuple[str, float]:
    """Reads the main colour of a garment.

    Args:
        picture: uint8 (H, W, 3) RGB.
        mask: bool (H, W), the garment; not empty.

    Returns:
        The word, and the share of the garment that has about this colour, from 0 to 1.
    """
    scale = min(1.0, _SIDE / max(mask.shape))
    size = max(1, round(mask.shape[1] * scale)), max(1, round(mask.shape[0] * scale))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    inside = cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    brush = np.ones((2 * max(1, round(_EDGE * max(size))) + 1,) * 2, np.uint8)
    core = cv2.erode(inside, brush) > 0
    shown = core if core.any() else inside > 0
    if not shown.any():
        shown[:] = True
    pixels = _lab(cv2.GaussianBlur(small, (0, 0), 1.0)[shown])
    some = pixels[np.linspace(0, len(pixels) - 1, min(_LOOKED_AT, len(pixels))).astype(int)]
    apart = np.linalg.norm((some[:, None] - some[None]) * _WEIGHTS, axis=-1)
    densest = int(np.exp(-((apart / _WIDTH) ** 2)).sum(1).argmax())
    same = apart[densest] < _SAME
    colour = np.median(some[same], 0)
    words = list(COLOURS)
    distances = np.linalg.norm(_lab(np.array([COLOURS[word] for word in words]) * 255) - colour, axis=-1)
    return words[int(distances.argmin())], float(same.mean())


def _lab(pixels: NDArray[np.generic]) -> NDArray[np.float32]:
    """RGB from 0 to 255 (N, 3) -> CIE Lab (N, 3)."""
    values = (pixels.astype(np.float32) / 255).reshape(-1, 1, 3)
    return np.asarray(cv2.cvtColor(values, cv2.COLOR_RGB2LAB).reshape(-1, 3), np.float32)
