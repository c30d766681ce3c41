"""Decides once for a person between a dress and two garments, and between a skirt and trousers.

Where a network reads pixels, a skirt is easily half skirt and half dress. A person wears one or the other, and two
garments mostly differ in colour: both count here, and the whole outfit follows the decision.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from idmvton.prepare.mask import ATR_LABELS

Floats = NDArray[np.float32]

_UPPER: Final = ATR_LABELS.index("upper_clothes")
_LOWER: Final = np.array([ATR_LABELS.index(name) for name in ("skirt", "pants")])
_DRESS: Final = ATR_LABELS.index("dress")
_NEEDED: Final = (0.45, 0.5)  # share of dress that a dress needs; and so much more if the two halves differ fully
_BINS: Final = (8, 12, 12)
_FEW: Final = 1e-3  # of the crop: fewer pixels are no garment
_TINY: Final = np.float32(1e-6)


def settle_outfit(picture: NDArray[np.uint8], shares: Floats) -> Floats:
    """Takes the dress away from who wears two garments, and the other way round; likewise skirt and trousers.

    Args:
        picture: uint8 (H, W, 3) RGB.
        shares: float32 (19, H, W), probabilities of the labels.

    Returns:
        float32 (19, H, W), probabilities.
    """
    dress, upper, lower = shares[_DRESS], shares[_UPPER], shares[_LOWER].sum(0)
    clothed = dress + upper + lower > 0.5
    below = clothed & (lower > upper)
    above = clothed & ~below
    settled = shares.copy()
    if wears_dress(picture, shares, above, below):
        jacket = above & (upper > 2 * dress)  # something open over a dress
        settled[_LOWER] = 0
        settled[_UPPER] *= jacket
        settled[_DRESS] = dress + lower + upper * ~jacket
        return settled
    worn = _LOWER[shares[_LOWER].sum((1, 2)).argmax()]
    settled[_DRESS] = settled[_LOWER] = 0
    settled[_UPPER] = upper + dress * (upper + _TINY) / (upper + lower + 2 * _TINY)
    settled[worn] = upper + lower + dress - settled[_UPPER]
    return settled


def wears_dress(picture: NDArray[np.uint8], shares: Floats, above: NDArray[np.bool_], below: NDArray[np.bool_]) -> bool:
    """Whether one garment covers the pixels ``above`` and ``below``, which would be two garments otherwise."""
    dress, upper, lower = shares[_DRESS], shares[_UPPER], shares[_LOWER].sum(0)
    few = _FEW * above.size
    if below.sum() < few or above.sum() < few:
        return bool(dress.sum() > (upper + lower).sum())
    share_above = float((dress[above] / (dress + upper + _TINY)[above]).mean())
    share_below = float((dress[below] / (dress + lower + _TINY)[below]).mean())
    needed, more = _NEEDED
    return (share_above + share_below) / 2 > needed + more * colour_difference(picture, above, below)


def colour_difference(picture: NDArray[np.uint8], first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    """Hellinger distance, from 0 to 1, of the colours in two regions."""
    lab = cv2.cvtColor(cv2.GaussianBlur(picture, (0, 0), 1.5), cv2.COLOR_RGB2LAB)
    histograms = []
    for region in (first, second):
        histogram = cv2.calcHist([lab], [0, 1, 2], region.astype(np.uint8), _BINS, [0, 256, 72, 184, 72, 184])
        histogram = cv2.GaussianBlur(histogram.reshape(_BINS[0], -1), (1, 3), 0).ravel() + 1e-9
        histograms.append(histogram / histogram.sum())
    return float(np.sqrt(max(1 - np.sqrt(histograms[0] * histograms[1]).sum(), 0)))
