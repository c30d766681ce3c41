"""Where the face is, by the skeleton: a label map's border between face and neck is not to be trusted."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from idmvton.prepare.backends.blazepose.landmarks import Landmark, Landmarks
from idmvton.prepare.backends.protocols import MIN_VISIBILITY

Mask = NDArray[np.bool_]

_EYES: Final = (Landmark.LEFT_EYE, Landmark.RIGHT_EYE)
_MOUTH: Final = (Landmark.MOUTH_LEFT, Landmark.MOUTH_RIGHT)
_EARS: Final = (Landmark.LEFT_EAR, Landmark.RIGHT_EAR)
_TO_MOUTH: Final = 1.55  # of the way from the eyes to the tip of the nose
_CHIN: Final = 0.72  # of the way from the eyes to the mouth: how far the chin lies below the mouth
_HALF_WIDTH: Final = 0.95  # likewise: half the width of a face at its middle
_MIDDLE: Final = 0.35  # of the way from the eyes to the chin: where a face is widest


def face_region(pose: Landmarks, shape: tuple[int, int]) -> Mask:
    """The face down to the chin: an ellipse around eyes and mouth; empty where eyes or nose are not seen.

    Args:
        pose: the skeleton, pixels of the picture.
        shape: height and width of the picture.

    Returns:
        bool (H, W).
    """
    region = np.zeros(shape, np.uint8)
    if pose.visibility[[*_EYES, Landmark.NOSE]].min() < MIN_VISIBILITY:
        return region > 0
    eyes = pose.points[list(_EYES)].mean(0)
    mouth = pose.points[list(_MOUTH)].mean(0)
    if pose.visibility[list(_MOUTH)].min() < MIN_VISIBILITY:  # poses of other backends have no mouth
        mouth = eyes + _TO_MOUTH * (pose.points[Landmark.NOSE] - eyes)
    down = mouth - eyes
    length = float(np.hypot(*down))
    if length < 1:
        return region > 0
    chin = mouth + _CHIN * down
    centre = eyes + _MIDDLE * (chin - eyes)
    half_height = float(np.hypot(*(chin - centre)))
    ears = pose.points[list(_EARS)]
    half_width = _HALF_WIDTH * length
    angle = float(np.degrees(np.arctan2(down[1], down[0])))
    if pose.visibility[list(_EARS)].min() > 0:
        half_width = max(half_width, 0.5 * float(np.hypot(*(ears[0] - ears[1]))))
        across = np.array([-down[1], down[0]]) / length
        shift = 0.5 * float((ears.mean(0) - centre) @ across)
        centre = centre + shift * across  # turned heads: the jaw lies between mouth and ears
    axes = max(round(half_height), 1), max(round(half_width), 1)
    cv2.ellipse(region, tuple(round(float(value)) for value in centre), axes, angle, 0, 360, 1, -1)
    return region > 0
