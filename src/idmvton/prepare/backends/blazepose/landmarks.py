"""The 33 BlazePose landmarks, and how they become OpenPose's 18 points."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from idmvton.prepare.backends.protocols import Pose
from idmvton.types import Size


class Landmark(IntEnum):
    """A row of :attr:`Pose.landmarks`; left and right are the person's own."""

    NOSE = 0
    LEFT_EYE_INNER = 1
    LEFT_EYE = 2
    LEFT_EYE_OUTER = 3
    RIGHT_EYE_INNER = 4
    RIGHT_EYE = 5
    RIGHT_EYE_OUTER = 6
    LEFT_EAR = 7
    RIGHT_EAR = 8
    MOUTH_LEFT = 9
    MOUTH_RIGHT = 10
    LEFT_SHOULDER = 11
    RIGHT_SHOULDER = 12
    LEFT_ELBOW = 13
    RIGHT_ELBOW = 14
    LEFT_WRIST = 15
    RIGHT_WRIST = 16
    LEFT_PINKY = 17
    RIGHT_PINKY = 18
    LEFT_INDEX = 19
    RIGHT_INDEX = 20
    LEFT_THUMB = 21
    RIGHT_THUMB = 22
    LEFT_HIP = 23
    RIGHT_HIP = 24
    LEFT_KNEE = 25
    RIGHT_KNEE = 26
    LEFT_ANKLE = 27
    RIGHT_ANKLE = 28
    LEFT_HEEL = 29
    RIGHT_HEEL = 30
    LEFT_FOOT = 31
    RIGHT_FOOT = 32


MIRRORED: Final = np.array(
    [0, 4, 5, 6, 1, 2, 3, 8, 7, 10, 9, *(number + (1 if number % 2 else -1) for number in range(11, 33))]
)
"""For each landmark the one on the other side of the body."""

MIN_VISIBILITY: Final = 0.5
"""Below this a landmark counts as hidden or missing."""

HEAD: Final = tuple(range(11))
SHOULDERS: Final = (Landmark.LEFT_SHOULDER, Landmark.RIGHT_SHOULDER)
HIPS: Final = (Landmark.LEFT_HIP, Landmark.RIGHT_HIP)

BONES: Final = (
    (Landmark.LEFT_SHOULDER, Landmark.RIGHT_SHOULDER),
    (Landmark.LEFT_SHOULDER, Landmark.LEFT_ELBOW),
    (Landmark.LEFT_ELBOW, Landmark.LEFT_WRIST),
    (Landmark.LEFT_WRIST, Landmark.LEFT_INDEX),
    (Landmark.RIGHT_SHOULDER, Landmark.RIGHT_ELBOW),
    (Landmark.RIGHT_ELBOW, Landmark.RIGHT_WRIST),
    (Landmark.RIGHT_WRIST, Landmark.RIGHT_INDEX),
    (Landmark.LEFT_SHOULDER, Landmark.LEFT_HIP),
    (Landmark.RIGHT_SHOULDER, Landmark.RIGHT_HIP),
    (Landmark.LEFT_HIP, Landmark.RIGHT_HIP),
    (Landmark.LEFT_HIP, Landmark.LEFT_KNEE),
    (Landmark.LEFT_KNEE, Landmark.LEFT_ANKLE),
    (Landmark.LEFT_ANKLE, Landmark.LEFT_FOOT),
    (Landmark.RIGHT_HIP, Landmark.RIGHT_KNEE),
    (Landmark.RIGHT_KNEE, Landmark.RIGHT_ANKLE),
    (Landmark.RIGHT_ANKLE, Landmark.RIGHT_FOOT),
    (Landmark.NOSE, Landmark.LEFT_EYE),
    (Landmark.LEFT_EYE, Landmark.LEFT_EAR),
    (Landmark.NOSE, Landmark.RIGHT_EYE),
    (Landmark.RIGHT_EYE, Landmark.RIGHT_EAR),
)
"""What a drawn skeleton connects."""

_OPENPOSE: Final = (
    Landmark.NOSE,
    None,  # neck: between the shoulders
    Landmark.RIGHT_SHOULDER,
    Landmark.RIGHT_ELBOW,
    Landmark.RIGHT_WRIST,
    Landmark.LEFT_SHOULDER,
    Landmark.LEFT_ELBOW,
    Landmark.LEFT_WRIST,
    Landmark.RIGHT_HIP,
    Landmark.RIGHT_KNEE,
    Landmark.RIGHT_ANKLE,
    Landmark.LEFT_HIP,
    Landmark.LEFT_KNEE,
    Landmark.LEFT_ANKLE,
    Landmark.RIGHT_EYE,
    Landmark.LEFT_EYE,
    Landmark.RIGHT_EAR,
    Landmark.LEFT_EAR,
)
_NECK, _RIGHT_SHOULDER, _LEFT_SHOULDER = 1, 2, 5

_JOINTS: Final[dict[int, tuple[int, int, float]]] = {
    Landmark.LEFT_SHOULDER: (Landmark.LEFT_SHOULDER, Landmark.LEFT_HIP, 0.048),
    Landmark.RIGHT_SHOULDER: (Landmark.RIGHT_SHOULDER, Landmark.RIGHT_HIP, 0.048),
    Landmark.LEFT_ELBOW: (Landmark.LEFT_ELBOW, Landmark.LEFT_WRIST, 0.06),
    Landmark.RIGHT_ELBOW: (Landmark.RIGHT_ELBOW, Landmark.RIGHT_WRIST, 0.06),
    Landmark.LEFT_HIP: (Landmark.RIGHT_HIP, Landmark.LEFT_HIP, 0.06),
    Landmark.RIGHT_HIP: (Landmark.LEFT_HIP, Landmark.RIGHT_HIP, 0.06),
    Landmark.LEFT_KNEE: (Landmark.LEFT_KNEE, Landmark.LEFT_ANKLE, 0.035),
    Landmark.RIGHT_KNEE: (Landmark.RIGHT_KNEE, Landmark.RIGHT_ANKLE, 0.035),
    Landmark.LEFT_ANKLE: (Landmark.LEFT_KNEE, Landmark.LEFT_ANKLE, 0.068),
    Landmark.RIGHT_ANKLE: (Landmark.RIGHT_KNEE, Landmark.RIGHT_ANKLE, 0.068),
    Landmark.LEFT_EAR: (Landmark.RIGHT_EAR, Landmark.LEFT_EAR, 0.185),
    Landmark.RIGHT_EAR: (Landmark.LEFT_EAR, Landmark.RIGHT_EAR, 0.185),
}
"""Where a joint lies off BlazePose's landmark: from, to, and the share of that way that is added.

BlazePose marks points a little nearer to the outside of the shoulder or above the joint; OpenPose marks the joint. The
shares are medians over 60 rendered people of the training split, whose joints are known.
"""


def openpose_from_landmarks(pose: Pose, size: Size) -> NDArray[np.float32]:
    """OpenPose's 18 points.

    Landmarks are moved to the joints that OpenPose marks; the neck is the middle of the shoulders. A point that lies
    outside the picture, or whose landmark is seen with less than :data:`MIN_VISIBILITY`, is missing.

    Args:
        pose: the landmarks, pixels.
        size: of the picture, pixels.

    Returns:
        float32 (18, 2): x, y in pixels, (0, 0) where missing.
    """
    points, visibility = np.zeros((18, 2), np.float32), np.zeros(18, np.float32)
    for row, landmark in enumerate(_OPENPOSE):
        if landmark is not None:
            points[row], visibility[row] = pose.landmarks[landmark], pose.visibility[landmark]
            if landmark in _JOINTS:
                start, end, share = _JOINTS[landmark]
                points[row] += share * (pose.landmarks[end] - pose.landmarks[start])
    shoulders = [_RIGHT_SHOULDER, _LEFT_SHOULDER]
    points[_NECK], visibility[_NECK] = points[shoulders].mean(0), visibility[shoulders].min()
    inside = (points >= 0).all(1) & (points[:, 0] < size.width) & (points[:, 1] < size.height)
    points[~inside | (visibility < MIN_VISIBILITY)] = 0
    return points


def torso_length(pose: Pose) -> float:
    """From the middle of the shoulders to the middle of the hips, pixels."""
    top, bottom = pose.landmarks[list(SHOULDERS)].mean(0), pose.landmarks[list(HIPS)].mean(0)
    return float(np.hypot(*(top - bottom)))


def visible_box(pose: Pose, size: Size) -> tuple[float, float, float, float]:
    """Left, top, right, bottom of the visible landmarks, cut at the picture's border, pixels.

    With no visible landmark the box is empty: four zeros.
    """
    seen = pose.landmarks[pose.visibility >= MIN_VISIBILITY]
    if not len(seen):
        return 0.0, 0.0, 0.0, 0.0
    limit = np.array([size.width, size.height])
    (left, top), (right, bottom) = np.clip(seen.min(0), 0, limit), np.clip(seen.max(0), 0, limit)
    return float(left), float(top), float(right), float(bottom)
