"""Cuffs that a parser took for hands: at the wrist, beside the sleeve, and not of the colour of this person's skin."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from idmvton.prepare.backends.blazepose.landmarks import HIPS, SHOULDERS, Landmark, Landmarks
from idmvton.prepare.backends.protocols import Labels, Photo
from idmvton.prepare.backends.studio_net.colours import colour_codes
from idmvton.prepare.backends.studio_net.outfit import BINS, BLUR, histogram
from idmvton.prepare.backends.studio_net.repair import touching
from idmvton.prepare.mask import ATR_LABELS, NECK

Mask = NDArray[np.bool_]

_SLEEVED: Final = tuple(ATR_LABELS.index(name) for name in ("upper_clothes", "dress"))
_FACE: Final = (ATR_LABELS.index("head"), NECK)
_LIMBS: Final = (
    (Landmark.LEFT_ELBOW, Landmark.LEFT_WRIST, ATR_LABELS.index("left_arm")),
    (Landmark.RIGHT_ELBOW, Landmark.RIGHT_WRIST, ATR_LABELS.index("right_arm")),
)
_AROUND: Final = 0.35  # of the torso, around the wrist
_BEYOND: Final = 0.35  # of the torso beyond the wrist: cuffs end there
_SURE: Final = 0.35  # and from here on skin is the hand's
_CLEAR: Final = 1.0  # natural logarithm of how much likelier the sleeve's colour must be than the skin's
_UNSEEN: Final = np.float32(1e-3)
_STRANGE: Final = 1.2  # as a multiple of an unseen colour: the person's skin does not have it
_FEW: Final = 40  # pixels: fewer teach no colours


def find_cuffs(photo: Photo, labels: Labels, pose: Landmarks) -> Labels:
    """The label map with cuffs as a part of the sleeves.

    Args:
        photo: uint8 (H, W, 3).
        labels: uint8 (H, W).
        pose: the skeleton, pixels of the photo.

    Returns:
        A map of the same size; the same one where there is nothing to correct.
    """
    if pose.visibility[[*SHOULDERS, *HIPS]].min() <= 0 or not np.isin(labels, _SLEEVED).any():
        return labels
    codes = colour_codes(photo, BINS, BLUR)
    y, x = np.mgrid[: labels.shape[0], : labels.shape[1]].astype(np.float32) + np.float32(0.5)
    result, torso = labels.copy(), pose.torso
    for elbow, wrist, arm in _LIMBS:
        if pose.visibility[[elbow, wrist]].min() <= 0:
            continue
        start = pose.points[wrist]
        forearm = start - pose.points[elbow]
        forearm = forearm / max(float(np.hypot(*forearm)), 1e-6)
        ahead = ((x - start[0]) * forearm[0] + (y - start[1]) * forearm[1]) / torso
        near = np.hypot(x - start[0], y - start[1]) < _AROUND * torso
        sleeve = np.isin(labels, _SLEEVED) & near & (ahead < _BEYOND)
        known = np.isin(labels, _FACE) | ((labels == arm) & near & (ahead > _SURE))
        skin = cv2.erode(known.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        if min(sleeve.sum(), skin.sum()) < _FEW:
            continue
        likely, own = (histogram(codes, region.astype(np.float32))[codes] for region in (sleeve, skin))
        claim = cv2.blur(np.log(likely + _UNSEEN) - np.log(own + _UNSEEN), (3, 3))
        is_strange = cv2.blur(own, (3, 3)) < (_STRANGE - 1) * _UNSEEN
        found = (labels == arm) & near & (ahead < _BEYOND) & ((claim > _CLEAR) | is_strange)
        found = cv2.morphologyEx(found.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)) > 0
        result[touching(found, sleeve)] = np.bincount(labels[sleeve]).argmax()
    return result
