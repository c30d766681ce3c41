"""The colours of a picture in coarse bins, for histograms of what garments and skin look like."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Bins = tuple[int, int, int]
Codes = NDArray[np.intp]
Floats = NDArray[np.float32]


def colour_codes(picture: NDArray[np.uint8], bins: Bins, blur: float) -> Codes:
    """The number of each pixel's bin.

    Args:
        picture: uint8 (H, W, 3) RGB.
        bins: of lightness, and of the two colour axes of L*a*b* around grey, where most colours of photos lie.
        blur: pixels, of the picture before.

    Returns:
        int (H, W).
    """
    lab = cv2.cvtColor(cv2.GaussianBlur(picture, (0, 0), blur), cv2.COLOR_RGB2LAB).astype(np.intp)
    light = lab[..., 0] * bins[0] // 256
    red, yellow = (np.clip((lab[..., axis] - 72) * bins[axis] // 112, 0, bins[axis] - 1) for axis in (1, 2))
    return (light * bins[1] + red) * bins[2] + yellow


def smooth_counts(counts: Floats) -> Floats:
    """Blurs a histogram, float32 of the bins' shape, by about one bin along each axis."""
    for axis in range(counts.ndim):
        line = np.moveaxis(counts, axis, 0)
        before, after = np.concatenate([line[:1], line[:-1]]), np.concatenate([line[1:], line[-1:]])
        counts = np.moveaxis((before + 2 * line + after) / 4, 0, axis)
    return counts
