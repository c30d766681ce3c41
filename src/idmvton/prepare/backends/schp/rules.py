"""What the published system does with the labels of the two networks before it makes a mask of them."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from idmvton.prepare.mask import ATR_LABELS, NECK

Labels = NDArray[np.uint8]

NUM_ATR_LABELS: Final = len(ATR_LABELS)
NUM_LIP_LABELS: Final = 20
LIP_FACE: Final = 13
LARGE_HOLE: Final = 2000.0
"""Area in pixels of a picture 512 high: larger holes in clothes and arms are openings and keep their labels."""
_UPPER: Final = ATR_LABELS.index("upper_clothes")
_FACE: Final = ATR_LABELS.index("head")
_ARMS: Final = (ATR_LABELS.index("left_arm"), ATR_LABELS.index("right_arm"))


def merge_labels(atr: Labels, lip: Labels, large_hole: float = LARGE_HOLE, as_published: bool = False) -> Labels:
    """One label map of the two networks' labels.

    Holes in the upper garment are closed. What ATR calls the face and LIP does not is bare neck and trunk; nothing
    else of LIP is used.

    Args:
        atr: uint8 (H, W), ATR's labels.
        lip: uint8 (H, W), LIP's labels.
        large_hole: area in pixels above which a hole is an opening.
        as_published: see :func:`close_holes`.

    Returns:
        uint8 (H, W), ATR's labels and :data:`idmvton.prepare.mask.NECK`.
    """
    labels = close_holes(atr, large_hole, as_published)
    labels[(labels == _FACE) & (lip != LIP_FACE)] = NECK
    return labels


def close_holes(labels: Labels, large_hole: float = LARGE_HOLE, as_published: bool = False) -> Labels:
    """Small holes in upper garment and arms become upper garment.

    Args:
        labels: uint8 (H, W), ATR's labels.
        large_hole: area in pixels of the polygon around a hole, above which it keeps its labels.
        as_published: arms inside the polygon of a large hole (a hand on a bag, the rim of an opening) become upper
            garment, because two marks are added as bytes there and overflow to nothing.

    Returns:
        uint8 (H, W), a new map.
    """
    padded = np.pad(labels, 1)
    arms = np.isin(padded, _ARMS)
    holes = _holes(arms | (padded == _UPPER))
    openings = _large(holes, large_hole)
    is_kept = arms ^ openings if as_published else arms | openings
    result = np.where(holes | arms, np.uint8(_UPPER), padded)
    return np.where(is_kept, padded, result)[1:-1, 1:-1].copy()


def _holes(solid: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """What is not solid and cannot be reached from the first pixel; the border is not solid."""
    filled = solid.astype(np.uint8)
    cv2.floodFill(filled, None, (0, 0), 1)
    return filled == 0


def _large(holes: NDArray[np.bool_], large_hole: float) -> NDArray[np.bool_]:
    """The polygons of the large holes, filled."""
    # outlines of 32-bit pictures differ a little from those of 8-bit ones: the published ones are of the former
    outlines, _ = cv2.findContours(holes.astype(np.int32), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_TC89_L1)
    canvas = np.zeros(holes.shape, np.uint8)
    for outline in outlines:
        if cv2.contourArea(outline) > large_hole:
            cv2.drawContours(canvas, [outline], -1, 1, cv2.FILLED)
    return canvas > 0
