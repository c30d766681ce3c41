"""Where people are in a photo: 33 landmarks each, and OpenPose's 18 points made from them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from idmvton.errors import ConfigError
from idmvton.prepare.pose.blazepose import BlazePose
from idmvton.prepare.pose.landmarks import (
    BONES,
    MIN_VISIBILITY,
    Landmark,
    openpose_from_landmarks,
    torso_length,
    visible_box,
)
from idmvton.prepare.signals import PoseEstimator

POSE_ESTIMATORS: Final[dict[str, Callable[..., PoseEstimator]]] = {BlazePose.name: BlazePose}
"""Backends by name."""


def load_pose_estimator(name: str = BlazePose.name, **options: Any) -> PoseEstimator:
    """Loads a backend.

    Args:
        name: one of :data:`POSE_ESTIMATORS`.
        **options: what that backend takes.

    Raises:
        ConfigError: no such backend.
        WeightsError: its files are missing or damaged.
    """
    if name not in POSE_ESTIMATORS:
        raise ConfigError("there is no such pose estimator", got=repr(name), expected=", ".join(POSE_ESTIMATORS))
    return POSE_ESTIMATORS[name](**options)


__all__ = [
    "BONES",
    "MIN_VISIBILITY",
    "POSE_ESTIMATORS",
    "BlazePose",
    "Landmark",
    "load_pose_estimator",
    "openpose_from_landmarks",
    "torso_length",
    "visible_box",
]
