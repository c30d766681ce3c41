"""Where people are in a photo: 33 landmarks each, and OpenPose's 18 points made from them."""

from __future__ import annotations

from idmvton.prepare.backends.blazepose.estimator import BlazePose
from idmvton.prepare.backends.blazepose.landmarks import (
    BONES,
    MIN_VISIBILITY,
    Landmark,
    openpose_from_landmarks,
    torso_length,
    visible_box,
)

__all__ = [
    "BONES",
    "MIN_VISIBILITY",
    "BlazePose",
    "Landmark",
    "openpose_from_landmarks",
    "torso_length",
    "visible_box",
]
