"""Where a top ends, when its colours mislead: matching sets, told apart by their two legs, and tops of two colours."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from idmvton.prepare.backends.blazepose.landmarks import HIPS, SHOULDERS, Landmark, Landmarks
from idmvton.prepare.backends.protocols import Labels, Photo
from idmvton.prepare.backends.studio_net.colours import colour_codes
from idmvton.prepare.backends.studio_net.outfit import BINS, BLUR, colour_difference, histogram
from idmvton.prepare.backends.studio_net.repair import touching
from idmvton.prepare.mask import ATR_LABELS

Mask = NDArray[np.bool_]

_UPPER, _DRESS, _PANTS = (ATR_LABELS.index(name) for name in ("upper_clothes", "dress", "pants"))
_LOWER: Final = tuple(ATR_LABELS.index(name) for name in ("pants", "skirt"))
_KNEES: Final = (Landmark.LEFT_KNEE, Landmark.RIGHT_KNEE)
_BELOW_CROTCH: Final = 0.35  # of the way from hips to knees: below this, two legs are apart
_TWO: Final = 0.5  # share of the rows below it that show two legs
_LEG: Final = 0.25  # of the hips' distance: how broad a leg is at least
_HEM: Final = (-0.4, 0.1)  # of the torso from the hips, downward: where a top ends
_ABOVE_HIPS, _THIGHS = 0.12, 0.3  # of the torso, up and down from the hips
_LEAST: Final = 0.08  # of the torso squared: smaller parts are belts and shirt tails
_OTHER_MATERIAL: Final = 0.65  # Hellinger distance of colours; one material has less than 0.5
_UNSEEN: Final = np.float32(1e-3)
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


def complete_top(photo: Photo, labels: Labels, pose: Landmarks) -> Labels:
    """The label map with the lower half of a two-coloured top, which was taken for trousers or a skirt above the waist.

    What a network calls a lower garment has one material: where it looks quite different above the hips and at the
    thighs, the part above is the top's.

    Args:
        photo: uint8 (H, W, 3).
        labels: uint8 (H, W).
        pose: the skeleton, pixels of the photo.
    """
    if pose.visibility[[*SHOULDERS, *HIPS]].min() <= 0:
        return labels
    hips, torso = float(pose.points[list(HIPS)][:, 1].mean()), pose.torso
    rows = np.arange(labels.shape[0])[:, None]
    lower, top = np.isin(labels, _LOWER), labels == _UPPER
    above, thighs = lower & (rows < hips - _ABOVE_HIPS * torso), lower & (rows > hips + _THIGHS * torso)
    least = _LEAST * torso**2
    if min(above.sum(), thighs.sum(), top.sum()) < least:
        return labels
    codes = colour_codes(photo, BINS, BLUR)
    if colour_difference(codes, above, thighs) < _OTHER_MATERIAL:
        return labels
    likelier = np.log(histogram(codes, above.astype(np.float32)) + _UNSEEN) - np.log(
        histogram(codes, thighs.astype(np.float32)) + _UNSEEN
    )
    claimed = lower & (rows < hips + _THIGHS * torso) & (cv2.blur(likelier[codes].astype(np.float32), (5, 5)) > 0)
    result = labels.copy()
    result[touching(claimed, top)] = _UPPER
    return result


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
