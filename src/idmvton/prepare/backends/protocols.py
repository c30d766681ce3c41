"""What is known about one person in one photo, and the parts that find it out.

A backend is a loaded object that is kept and called for many photos. Arrays of a photo are uint8 RGB (H, W, 3);
points are x, y in its pixels, counted from the outer edge of the first one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

Photo = NDArray[np.uint8]
NUM_LANDMARKS: Final = 33
NUM_PARTS: Final = 24


@dataclass(frozen=True, slots=True, eq=False)
class Pose:
    """One person's skeleton.

    Attributes:
        landmarks: float32 (33, 2), the BlazePose points, pixels; they may lie outside the photo.
        visibility: float32 (33,), from 0 to 1.
        segmentation: float32 (H, W) from 0 to 1, the landmark model's own rough outline of the person; ``None``
            where the backend has none.
        source: the backend that found it, with its model.
        confidence: from 0 to 1, whether this is a person at all and read rightly.
    """

    landmarks: NDArray[np.float32]
    visibility: NDArray[np.float32]
    segmentation: NDArray[np.float32] | None
    source: str
    confidence: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Parsing:
    """What each pixel of the photo shows of the person.

    Attributes:
        labels: uint8 (H, W), the classes of :data:`idmvton.prepare.mask.ATR_LABELS`, 18 for bare neck and trunk;
            ``None`` where the backend does not tell them.
        parts: uint8 (H, W), body parts 1 to 24 in DensePose's order, 0 elsewhere; ``None`` likewise.
    """

    labels: NDArray[np.uint8] | None = None
    parts: NDArray[np.uint8] | None = None


class PoseEstimator(Protocol):
    """Finds the people of a photo."""

    name: str

    def __call__(self, photo: Photo) -> tuple[Pose, ...]:
        """Everybody in the photo, the largest first; empty where there is nobody."""


class PersonSegmenter(Protocol):
    """Outlines one person."""

    name: str

    def __call__(self, photo: Photo, pose: Pose) -> NDArray[np.float32]:
        """How much of each pixel is that person: float32 (H, W) from 0 to 1."""


class PersonParser(Protocol):
    """Tells clothes, skin and body parts of one person."""

    name: str

    def __call__(self, photo: Photo, pose: Pose, silhouette: NDArray[np.float32]) -> Parsing:
        """The maps that this backend knows.

        Args:
            photo: uint8 (H, W, 3).
            pose: the person's skeleton.
            silhouette: float32 (H, W) from 0 to 1, the person's outline.
        """
