"""What is known about one person in one photo, and the four kinds of backends that find it out.

A backend is a loaded object that is kept and called for many photos, from one thread at a time. Photos are uint8 RGB
(H, W, 3), of any size and upright. Points are x, y in a photo's pixels, counted from the outer edge of the first one.

Every kind has a registry in :mod:`idmvton.prepare.backends.registry`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from idmvton.types import Size

Photo = NDArray[np.uint8]
Labels = NDArray[np.uint8]
"""uint8 (H, W): the classes of :data:`idmvton.prepare.mask.ATR_LABELS`, 18 for bare neck and trunk where it is told."""
Parts = NDArray[np.uint8]
"""uint8 (H, W): body parts 1 to 24 in DensePose's order, 0 elsewhere."""
Outline = NDArray[np.float32]
"""float32 (H, W) from 0 to 1: how much of each pixel is the person."""
Box = tuple[float, float, float, float]
"""Left, top, right, bottom, pixels."""

NUM_JOINTS: Final = 18
MIN_VISIBILITY: Final = 0.5
"""Below this a point counts as hidden or missing."""


class Joint(IntEnum):
    """A row of :attr:`Pose.points`: OpenPose's order; left and right are the person's own."""

    NOSE = 0
    NECK = 1
    RIGHT_SHOULDER = 2
    RIGHT_ELBOW = 3
    RIGHT_WRIST = 4
    LEFT_SHOULDER = 5
    LEFT_ELBOW = 6
    LEFT_WRIST = 7
    RIGHT_HIP = 8
    RIGHT_KNEE = 9
    RIGHT_ANKLE = 10
    LEFT_HIP = 11
    LEFT_KNEE = 12
    LEFT_ANKLE = 13
    RIGHT_EYE = 14
    LEFT_EYE = 15
    RIGHT_EAR = 16
    LEFT_EAR = 17


SHOULDERS: Final = (Joint.LEFT_SHOULDER, Joint.RIGHT_SHOULDER)
HIPS: Final = (Joint.LEFT_HIP, Joint.RIGHT_HIP)
_TORSO: Final = 1.3  # of the shoulders' distance, where no hip is known


@dataclass(frozen=True, slots=True, eq=False)
class Pose:
    """One person's skeleton.

    Attributes:
        points: float32 (18, 2), in the order of :class:`Joint`, pixels; they may lie outside the photo.
        visibility: float32 (18,) from 0 to 1; 0 is a point of which nothing is known, its place then means nothing.
        source: the backend that found it, with its model.
        confidence: from 0 to 1, whether this is a person at all and read rightly.
        outline: the backend's own rough outline of the person; ``None`` where it has none.
        box: around all that the backend sees of the person, where that is more than the points; it may reach outside.
        extra: more points that the backend knows, for backends that were made for them: name -> float32 (n, 3), each
            x, y, visibility. They move along with the photo.
    """

    points: NDArray[np.float32]
    visibility: NDArray[np.float32]
    source: str
    confidence: float = 1.0
    outline: Outline | None = None
    box: Box | None = None
    extra: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)

    def known(self, joints: Sequence[int]) -> NDArray[np.float32]:
        """The places of those of some joints that are known, also where they are hidden: float32 (n, 2)."""
        rows = list(joints)
        return self.points[rows][self.visibility[rows] > 0]

    def seen(self, joints: Sequence[int]) -> NDArray[np.bool_]:
        """Which of some joints are seen: bool (n,)."""
        return np.asarray(self.visibility[list(joints)] >= MIN_VISIBILITY)

    @property
    def torso(self) -> float:
        """From the middle of the shoulders to the middle of the hips, pixels; 0 where no shoulder is known.

        Without a hip it is told from the distance of the shoulders.
        """
        shoulders, hips = self.known(SHOULDERS), self.known(HIPS)
        if len(shoulders) and len(hips):
            return float(np.hypot(*(shoulders.mean(0) - hips.mean(0))))
        return _TORSO * float(np.hypot(*(shoulders[0] - shoulders[1]))) if len(shoulders) == 2 else 0.0

    def mapped(self, move: Callable[[NDArray[np.float32]], NDArray[np.float32]], outline: Outline | None) -> Pose:
        """The same skeleton in another picture.

        Args:
            move: points x, y, float32 (n, 2) -> where they are there.
            outline: the backend's own rough outline, there.
        """
        box = self.box
        if box is not None:
            (left, top), (right, bottom) = move(np.array(box, np.float32).reshape(2, 2)).tolist()
            box = left, top, right, bottom
        extra = {name: np.column_stack([move(each[:, :2]), each[:, 2:]]) for name, each in self.extra.items()}
        return replace(self, points=move(self.points), outline=outline, box=box, extra=extra)

    def visible_box(self, photo: Size) -> Box:
        """Around what is seen of the person, cut at the photo's border; four zeros where that is nothing."""
        box = self.box
        if box is None:
            places = self.points[self.seen(range(NUM_JOINTS))]
            if not len(places):
                return 0.0, 0.0, 0.0, 0.0
            (left, top), (right, bottom) = places.min(0), places.max(0)
            box = float(left), float(top), float(right), float(bottom)
        across, down = np.clip(box[::2], 0, photo.width), np.clip(box[1::2], 0, photo.height)
        return float(across[0]), float(down[0]), float(across[1]), float(down[1])

    def keypoints(self, photo: Size) -> NDArray[np.float32]:
        """The points as files and mask rules have them: float32 (18, 2), (0, 0) where hidden or outside the photo."""
        inside = (self.points >= 0).all(1) & (self.points < np.array([photo.width, photo.height])).all(1)
        return np.where((inside & self.seen(range(NUM_JOINTS)))[:, None], self.points, np.float32(0))


class PoseEstimator(Protocol):
    """Finds the people of a photo and their joints."""

    name: str

    def __call__(self, photo: Photo) -> tuple[Pose, ...]:
        """Everybody in the photo, the largest first; empty where there is nobody."""


class PersonOutliner(Protocol):
    """Outlines one person. The pose may have no outline of its own, and points may be unknown."""

    name: str

    def __call__(self, photo: Photo, pose: Pose) -> Outline:
        """How much of each pixel is that person.

        Raises:
            PreparationError: the person is not found in the photo.
        """


class LabelParser(Protocol):
    """Tells what one person wears, and the skin."""

    name: str

    def __call__(self, photo: Photo, pose: Pose, outline: Outline) -> Labels:
        """The label map of that person, of the photo's size.

        Args:
            photo: uint8 (H, W, 3).
            pose: the person's skeleton.
            outline: the person's outline; backends that find people by themselves need not look at it.
        """


class BodyParser(Protocol):
    """Tells the parts of one person's body, also under clothes."""

    name: str

    def __call__(self, photo: Photo, pose: Pose, outline: Outline) -> Parts:
        """The body map of that person, of the photo's size; arguments as of :class:`LabelParser`."""
