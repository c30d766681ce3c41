"""BlazePose: where people are in a photo, 33 landmarks each, and OpenPose's 18 points made from them."""

from __future__ import annotations

from idmvton.prepare.backends.blazepose.estimator import BlazePose
from idmvton.prepare.backends.blazepose.landmarks import BONES, Landmark, Landmarks, landmarks_of

__all__ = ["BONES", "BlazePose", "Landmark", "Landmarks", "landmarks_of"]
