"""Room in the mask for the new garment: its length and width as its picture shows them, on this body.

The mask of the old clothes ends where these end. A longer dress or a wider skirt needs more, down to where it can
reach.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from idmvton.prepare.backends.protocols import HIPS, SHOULDERS, Joint
from idmvton.prepare.category import has_legs
from idmvton.types import Category

Mask = NDArray[np.bool_]
Points = NDArray[np.floating]

_FLAT: Final = (
    1.25  # width of a garment that lies flat, at its narrowest, as a multiple of the shoulder joints' distance
)
_WAIST_ROWS: Final = (0.15, 0.5)  # of a dress, from its top: where it is narrowest
_HEM_ROWS: Final = 0.9
_WIDEST: Final = 3.0  # a hem, as a multiple of the shoulder joints' distance
_ABOVE_SHOULDERS: Final = 0.25  # of the shoulder joints' distance: where a dress begins
_WAIST: Final = 0.25  # of the torso above the hips
_TO_ANKLES: Final = 0.97  # shoes begin there
_LEGS: Final = 1.75  # of the torso: from the hips to the ankles, where these are not seen


def room_for(outline: Mask, category: Category, keypoints: Points, shape: tuple[int, int]) -> Mask:
    """Where a dress or a skirt may hang: bool (H, W), empty for other garments and where the body is not known.

    Args:
        outline: bool, of the garment's picture.
        category: what is exchanged.
        keypoints: float (18, 2), pixels of the person's picture, (0, 0) missing.
        shape: height and width of that picture.
    """
    nowhere = np.zeros(shape, bool)
    rows, columns = np.flatnonzero(outline.any(1)), np.flatnonzero(outline.any(0))
    known = np.any(keypoints[[*SHOULDERS, *HIPS]] > 0, axis=1).all()
    if category == "upper_body" or not len(rows) or not known:
        return nowhere
    garment = outline[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    if category == "lower_body" and has_legs(garment):
        return nowhere
    shoulders, hips = keypoints[list(SHOULDERS)], keypoints[list(HIPS)]
    span = max(float(np.hypot(*(shoulders[0] - shoulders[1]))), 0.4 * float(np.hypot(*(shoulders - hips).mean(0))))
    narrow, hem = _widths(garment, category)
    scale = _FLAT * span / max(narrow, 1)
    top, down, ankles = _axis(shoulders.mean(0), hips.mean(0), keypoints, span, category)
    length = min(scale * len(garment), _TO_ANKLES * float(np.hypot(*(ankles - top))))
    half = 0.5 * min(scale * hem, _WIDEST * span)
    across = np.array([-down[1], down[0]])
    waist = hips.mean(0) - _WAIST * (hips.mean(0) - shoulders.mean(0))
    end = top + length * down
    if float((end - waist) @ down) <= 0:
        return nowhere
    narrowest = 0.6 * span
    corners = [waist - narrowest * across, waist + narrowest * across, end + half * across, end - half * across]
    canvas = np.zeros(shape, np.uint8)
    cv2.fillConvexPoly(canvas, np.rint(corners).astype(np.int32), 1)
    return canvas > 0


def _axis(
    shoulders: NDArray[np.floating], hips: NDArray[np.floating], keypoints: Points, span: float, category: Category
) -> tuple[NDArray[np.floating], NDArray[np.floating], NDArray[np.floating]]:
    """Where the garment begins, the direction it hangs, and the ankles."""
    ankles = keypoints[[Joint.LEFT_ANKLE, Joint.RIGHT_ANKLE]]
    ankles = ankles[np.any(ankles > 0, axis=1)]
    below = ankles.mean(0) if len(ankles) else hips + _LEGS * (hips - shoulders)
    down = (below - hips) / max(float(np.hypot(*(below - hips))), 1e-6)
    top = hips - _WAIST * (hips - shoulders)
    if category == "dresses":
        top = shoulders - _ABOVE_SHOULDERS * span * (hips - shoulders) / max(float(np.hypot(*(hips - shoulders))), 1e-6)
    return top, down, below


def _widths(garment: Mask, category: Category) -> tuple[float, float]:
    """The narrowest width of a garment's body, and the width of its hem, in pixels of its picture."""
    height = len(garment)
    middle = garment.shape[1] // 2
    widths = np.array([_run_at(row, middle) for row in garment])
    first, last = (0.0, 0.1) if category == "lower_body" else _WAIST_ROWS
    body = widths[round(first * height) : max(round(last * height), 1)]
    body = body[body > 0]
    hem = garment[round(_HEM_ROWS * height) :].any(0).sum()
    return float(np.percentile(body, 10)) if len(body) else float(garment.shape[1]), float(hem)


def _run_at(row: NDArray[np.bool_], place: int) -> int:
    """How broad the filled stretch around a place is."""
    if not row[place]:
        return 0
    right, left = row[place:], row[: place + 1][::-1]
    return sum(len(part) if part.all() else int(part.argmin()) for part in (left, right)) - 1
