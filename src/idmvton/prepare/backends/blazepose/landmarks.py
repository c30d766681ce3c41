"""The 33 BlazePose landmarks, how they become OpenPose's 18 points, and the way back."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from idmvton.prepare.backends.protocols import MIN_VISIBILITY, NUM_JOINTS, Box, Joint, Outline, Pose

NAME: Final = "blazepose"
NUM_LANDMARKS: Final = 33


class Landmark(IntEnum):
    """A row of :attr:`Landmarks.points`; left and right are the person's own."""

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

_LANDMARK_OF: Final[dict[Joint, Landmark]] = {joint: Landmark[joint.name] for joint in Joint if joint is not Joint.NECK}
"""OpenPose's point -> the landmark of that name; the neck has none, it lies midway between the shoulders."""

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


_SAME_PLACE: Final = 0.5  # pixels: a joint that lies farther from where its landmark puts it was moved


@dataclass(frozen=True, slots=True, eq=False)
class Landmarks:
    """One person's landmarks.

    Attributes:
        points: float32 (33, 2), pixels; they may lie outside the photo.
        visibility: float32 (33,), from 0 to 1; negative where nothing is known of a landmark.
    """

    points: NDArray[np.float32]
    visibility: NDArray[np.float32]

    @property
    def torso(self) -> float:
        """From the middle of the shoulders to the middle of the hips, pixels."""
        return float(np.hypot(*(self.points[list(SHOULDERS)].mean(0) - self.points[list(HIPS)].mean(0))))

    @property
    def box(self) -> Box | None:
        """Around the visible landmarks, where there are any."""
        places = self.points[self.visibility >= MIN_VISIBILITY]
        if not len(places):
            return None
        (left, top), (right, bottom) = places.min(0), places.max(0)
        return float(left), float(top), float(right), float(bottom)

    def joints(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The joints that OpenPose marks: float32 (18, 2) in pixels, also outside the photo; visibility (18,)."""
        points, visibility = np.zeros((NUM_JOINTS, 2), np.float32), np.zeros(NUM_JOINTS, np.float32)
        for joint, landmark in _LANDMARK_OF.items():
            points[joint], visibility[joint] = self.points[landmark], self.visibility[landmark]
            if landmark in _JOINTS:
                start, end, share = _JOINTS[landmark]
                points[joint] += share * (self.points[end] - self.points[start])
        shoulders = [Joint.RIGHT_SHOULDER, Joint.LEFT_SHOULDER]
        points[Joint.NECK], visibility[Joint.NECK] = points[shoulders].mean(0), visibility[shoulders].min()
        return points, visibility

    def pose(self, source: str, confidence: float = 1.0, outline: Outline | None = None) -> Pose:
        """The skeleton, which carries these landmarks along; arguments as of :class:`Pose`."""
        points, visibility = self.joints()
        extra = {NAME: np.column_stack([self.points, self.visibility]).astype(np.float32)}
        return Pose(points, visibility, source, confidence, outline, self.box, extra)


def landmarks_of(pose: Pose) -> Landmarks:
    """The landmarks of a skeleton.

    BlazePose's own poses carry them; where a joint was moved since, because its place was given, its landmark is there.
    Of other poses, joints serve as the landmarks of their name, and nothing is known of the others.
    """
    own = pose.extra.get(NAME)
    moved = pose.visibility > 0
    if own is None:
        found = Landmarks(np.zeros((NUM_LANDMARKS, 2), np.float32), np.full(NUM_LANDMARKS, -1, np.float32))
    else:
        found = Landmarks(own[:, :2].copy(), own[:, 2].copy())
        moved &= np.abs(pose.points - found.joints()[0]).max(1) > _SAME_PLACE
    for joint, landmark in _LANDMARK_OF.items():
        if moved[joint]:
            found.points[landmark], found.visibility[landmark] = pose.points[joint], pose.visibility[joint]
    return found
