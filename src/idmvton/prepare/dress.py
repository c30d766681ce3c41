"""A dress where only one half of it is exchanged: above the waist it is an upper garment, below a skirt."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from idmvton.prepare.backends.protocols import HIPS, SHOULDERS
from idmvton.prepare.mask import ATR_LABELS
from idmvton.types import Category

_WAIST: Final = 0.22  # of the torso above the hips
_DRESS, _UPPER, _SKIRT = (ATR_LABELS.index(name) for name in ("dress", "upper_clothes", "skirt"))
_FEW: Final = 0.02  # of the person: less dress is an error of the parser


def divide_dress(
    labels: NDArray[np.uint8], keypoints: NDArray[np.floating], category: Category
) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """The label map with a dress as two garments, where not all of it is exchanged.

    Args:
        labels: uint8 (H, W).
        keypoints: float (18, 2), pixels, (0, 0) missing.
        category: what is exchanged.

    Returns:
        A map of the same size, and what to say about it.
    """
    dress = labels == _DRESS
    if category == "dresses" or dress.sum() < _FEW * max(int((labels > 0).sum()), 1):
        return labels, ()
    if not np.any(keypoints[[*SHOULDERS, *HIPS]] > 0, axis=1).all():
        note = "the person wears a dress, and the hips are not seen: all of it is repainted"
        return labels, (note,) if category == "upper_body" else ()
    shoulders, hips = keypoints[list(SHOULDERS)].mean(0), keypoints[list(HIPS)].mean(0)
    up = shoulders - hips
    y, x = np.mgrid[: labels.shape[0], : labels.shape[1]]
    height = ((x + 0.5 - hips[0]) * up[0] + (y + 0.5 - hips[1]) * up[1]) / max(float(up @ up), 1e-6)
    divided = labels.copy()
    divided[dress & (height >= _WAIST)] = _UPPER
    divided[dress & (height < _WAIST)] = _SKIRT
    kept = "below the waist it stays, as a skirt" if category == "upper_body" else "above the waist it stays, as a top"
    return divided, (f"the person wears a dress: {kept}; with --category dress all of it is exchanged",)
