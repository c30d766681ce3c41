"""Which of several readings of one person agree, and which of them to take.

The landmark network now and then collapses: a skeleton folded into the trunk, or legs where the arms are. It says so
with no score. But it does not collapse the same way when it is shown the mirror picture or a slightly different
region, so readings that agree are right and an outlier is not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from idmvton.prepare.backends.blazepose.landmark_model import Reading
from idmvton.prepare.backends.blazepose.landmarks import HEAD, HIPS, SHOULDERS, Landmark
from idmvton.prepare.backends.blazepose.regions import Region
from idmvton.prepare.backends.protocols import MIN_VISIBILITY

ReadRegion = Callable[[Region, bool], Reading]
"""Reads a region, or its mirror picture."""

AGREEMENT: Final = 0.07
"""Two readings of one person differ by less than this share of the torso (median of the visible points)."""
MIN_AGREEING: Final = 3
"""So many readings must agree where the first two did not."""
MIN_SCORE: Final = 0.5
_FAR: Final = 4  # differences beyond this many times the agreement are all the same
_ZOOMS: Final = (0.85, 1.2)  # other regions that are tried: this much of the person's own
_MIN_ON_OUTLINE: Final = 0.75  # share of the visible points that lies on the network's own outline
_LONGEST_BONE: Final = 1.9  # of the torso; a leg towards the camera reaches 1.5
_TORSO_RANGE: Final = (0.08, 0.55)  # of the region's side


@dataclass(frozen=True, slots=True)
class Agreed:
    """A reading, and how many readings it rests on of how many."""

    reading: Reading
    agreeing: int
    tried: int

    @property
    def support(self) -> float:
        """The share of the readings that agree."""
        return self.agreeing / self.tried


def agree(region: Region, read: ReadRegion, further: Sequence[Region] = (), *, doubtful: bool = False) -> Agreed | None:
    """Reads a person until readings agree.

    Args:
        region: where the person is.
        read: the landmark network.
        further: regions to try last, when the person's own ones did not settle it.
        doubtful: the region itself may be wrong: two readings of it that agree are not enough.

    Returns:
        The mean of the readings that agree with the most central one; ``None`` where none is of a person, or where
        fewer than :data:`MIN_AGREEING` of many agree.
    """
    readings = [read(region, False), read(region, True)]
    settled = _settle(readings)
    if settled is not None and settled.agreeing == len(readings) and not doubtful:
        return settled
    nearer = [each.next_region for each in readings]
    nearer += [replace(region, side=region.side * zoom) for zoom in _ZOOMS]
    readings += [read(other, mirrored) for other in nearer for mirrored in (False, True)]
    settled = _settle(readings)
    if further and settled is not None and settled.agreeing < len(readings) / 2:
        readings += [read(other, mirrored) for other in further for mirrored in (False, True)]
        settled = _settle(readings)
    return settled if settled is not None and settled.agreeing >= MIN_AGREEING else None


def _settle(readings: list[Reading]) -> Agreed | None:
    good = [each for each in readings if plausible(each)]
    if not good:
        return None
    apart = np.array([[difference(one, other) for other in good] for one in good])
    centre = int(np.argmin(np.minimum(apart, _FAR * AGREEMENT).mean(1)))
    agreeing = [each for each, gap in zip(good, apart[centre], strict=True) if gap <= AGREEMENT]
    return Agreed(_mean(good[centre], agreeing), len(agreeing), len(readings))


def difference(one: Reading, other: Reading) -> float:
    """The median distance of the points that either reading sees, as a share of the longer torso."""
    seen = np.maximum(one.visibility, other.visibility) >= MIN_VISIBILITY
    if not seen.any():
        return float("inf")
    apart = np.hypot(*(one.landmarks[seen] - other.landmarks[seen]).T)
    return float(np.median(apart) / max(_torso(one.landmarks), _torso(other.landmarks), 1e-6))


def plausible(reading: Reading) -> bool:
    """Whether a reading can be a person: its score, its proportions, and points on its own outline."""
    if reading.score < MIN_SCORE:
        return False
    torso = _torso(reading.landmarks)
    low, high = (share * reading.region.side for share in _TORSO_RANGE)
    return low <= torso <= high and _bones_fit(reading, torso) and _share_on_outline(reading) >= _MIN_ON_OUTLINE


def _bones_fit(reading: Reading, torso: float) -> bool:
    points, seen = reading.landmarks, reading.visibility >= MIN_VISIBILITY
    for first, second in _LIMBS:
        if seen[first] and seen[second] and np.hypot(*(points[first] - points[second])) > _LONGEST_BONE * torso:
            return False
    face = points[list(HEAD)]
    return bool(np.ptp(face, axis=0).max() < torso)


_LIMBS: Final = (
    SHOULDERS,
    HIPS,
    (Landmark.LEFT_SHOULDER, Landmark.LEFT_ELBOW),
    (Landmark.LEFT_ELBOW, Landmark.LEFT_WRIST),
    (Landmark.RIGHT_SHOULDER, Landmark.RIGHT_ELBOW),
    (Landmark.RIGHT_ELBOW, Landmark.RIGHT_WRIST),
    (Landmark.LEFT_HIP, Landmark.LEFT_KNEE),
    (Landmark.LEFT_KNEE, Landmark.LEFT_ANKLE),
    (Landmark.RIGHT_HIP, Landmark.RIGHT_KNEE),
    (Landmark.RIGHT_KNEE, Landmark.RIGHT_ANKLE),
)


def _share_on_outline(reading: Reading) -> float:
    side = len(reading.outline)
    grown = cv2.dilate(reading.outline, np.ones((9, 9), np.uint8))
    places = reading.region.from_photo(reading.landmarks[reading.visibility >= MIN_VISIBILITY], side)
    inside = places[((places >= 0) & (places < side)).all(1)].astype(int)
    return float((grown[inside[:, 1], inside[:, 0]] > 0.3).mean()) if len(inside) else 0.0


def _torso(landmarks: NDArray[np.float32]) -> float:
    return float(np.hypot(*(landmarks[list(SHOULDERS)].mean(0) - landmarks[list(HIPS)].mean(0))))


def _mean(centre: Reading, agreeing: list[Reading]) -> Reading:
    """The central reading with the mean points of those that agree, and the outlines of the same region."""
    same = [each.outline for each in agreeing if each.region == centre.region]
    return replace(
        centre,
        landmarks=np.mean([each.landmarks for each in agreeing], axis=0, dtype=np.float32),
        visibility=np.mean([each.visibility for each in agreeing], axis=0, dtype=np.float32),
        outline=np.mean(same, axis=0, dtype=np.float32),
    )
