"""Matching sets: a top and trousers of one colour that a network took for one garment, told apart by the two legs."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from idmvton.prepare.backends.blazepose.landmarks import HIPS, SHOULDERS, Landmark, Landmarks
from idmvton.prepare.backends.protocols import Labels, Photo
from idmvton.prepare.mask import ATR_LABELS

Mask = NDArray[np.bool_]

_UPPER, _DRESS, _PANTS = (ATR_LABELS.index(name) for name in ("upper_clothes", "dress", "pants"))
_LOWER: Final = tuple(ATR_LABELS.index(name) for name in ("pants", "skirt"))
_KNEES: Final = (Landmark.LEFT_KNEE, Landmark.RIGHT_KNEE)
_BELOW_CROTCH: Final = 0.35  # of the way from hips to knees: below this, two legs are apart
_TWO: Final = 0.5  # share of the rows below it that show two legs
_LEG: Final = 0.25  # of the hips' distance: how broad a leg is at least
_HEM: Final = (-0.4, 0.1)  # of the torso from the hips, downward: where a top ends
_FEW: Final = 0.03  # of the garment: less below the crotch is a long hem


def divide_set(photo: Photo, labels: Labels, pose: Landmarks) -> Labels:
    """The label map with trousers where a dress or top has two legs; the same map where it has none.

    Args:
        photo: uint8 (H, W, 3).
        labels: uint8 (H, W).
        pose: the skeleton, pixels of the photo.
    """
    if pose.visibility[[*SHOULDERS, *HIPS]].min() <= 0:
        return labels
    for name in (_DRESS, _UPPER):
        garment = labels == name
        if np.isin(labels, _LOWER).sum() > garment.sum() * 0.3 or not _has_two_legs(garment, pose):
            continue
        result = labels.copy()
        below = np.arange(labels.shape[0])[:, None] >= _hem(photo, garment, pose)
        result[garment] = _UPPER
        result[garment & below] = _PANTS
        return result
    return labels


def _has_two_legs(garment: Mask, pose: Landmarks) -> bool:
    hips, knees = pose.points[list(HIPS)], pose.points[list(_KNEES)]
    if pose.visibility[list(_KNEES)].min() <= 0:
        return False
    crotch = round(float((hips + _BELOW_CROTCH * (knees - hips))[:, 1].mean()))
    rows = np.flatnonzero(garment.any(1))
    if not len(rows) or crotch >= rows[-1] or garment[max(crotch, 0) :].sum() < _FEW * garment.sum():
        return False
    least = _LEG * float(np.hypot(*(hips[0] - hips[1])))
    pairs = [_num_runs(garment[row], least) == 2 for row in range(max(crotch, 0), int(rows[-1]) + 1)]
    return float(np.mean(pairs)) >= _TWO


def _num_runs(row: NDArray[np.bool_], least: float) -> int:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], row.astype(np.int8), [0]])))
    return int((edges[1::2] - edges[::2] >= least).sum())


def _hem(photo: Photo, garment: Mask, pose: Landmarks) -> int:
    """The row near the hips at which the garment's pixels change most: a hem or a waistband."""
    hips = float(pose.points[list(HIPS)].mean(0)[1])
    first, last = (round(hips + share * pose.torso) for share in _HEM)
    first, last = max(first, 1), min(last, len(garment) - 2)
    if last <= first:
        return round(hips)
    grey = cv2.GaussianBlur(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY).astype(np.float32), (0, 0), 1.5)
    step = np.abs(grey[2:] - grey[:-2])[first - 1 : last]
    inside = garment[first : last + 1]
    strength = (step * inside).sum(1) / np.maximum(inside.sum(1), 1)
    return first + int(cv2.GaussianBlur(strength[:, None], (1, 5), 1).argmax())
