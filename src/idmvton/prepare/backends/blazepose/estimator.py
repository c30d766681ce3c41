"""The embedded pose estimator: BlazePose's networks, run by LiteRT."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from idmvton import weights
from idmvton.errors import ConfigError
from idmvton.prepare.backends.blazepose.consensus import Agreed, agree
from idmvton.prepare.backends.blazepose.detector import MIN_SCORE, Detector
from idmvton.prepare.backends.blazepose.landmark_model import LandmarkModel, Reading
from idmvton.prepare.backends.blazepose.landmarks import HEAD, MIRRORED, NAME, SHOULDERS, Landmarks
from idmvton.prepare.backends.blazepose.regions import Region
from idmvton.prepare.backends.protocols import Photo, Pose
from idmvton.types import Size
from idmvton.weights.catalogue import DETECTOR_FILE, FULL_LANDMARK_FILE, HEAVY_LANDMARK_FILE

MAX_PEOPLE: Final = 8
MIN_CONFIDENCE: Final = 0.35
"""Of a pose: heads give 0.8 and more, people cut at the neck about 0.5, empty garments at most 0.33."""
_SURE: Final = 0.8  # of the detector: heads that are whole get more
_MAX_DOUBTFUL: Final = 3
_UPSIDE_DOWN: Final = 2.0  # radians: knees and hands that are taken for heads give such people
_ON_PERSON: Final = 0.5  # of the rough outline
_SAME_PERSON: Final = 0.6  # share of the smaller of two outlines that lies in the other
Model = Literal["auto", "full", "heavy"]


class BlazePose:
    """Finds people and their landmarks. Loaded once, it is called for many photos.

    Args:
        model: the landmark network. ``"auto"`` takes the heavy one where its file is here, else the full one.
        num_threads: of the networks.
        cache_dir: where weights are looked for; by default the cache of huggingface_hub.

    Raises:
        ConfigError: no such model.
        WeightsError: the files are not on this machine (the message holds the command that fetches them) or damaged.
    """

    name = NAME

    def __init__(self, *, model: Model = "auto", num_threads: int = 2, cache_dir: str | Path | None = None) -> None:
        if model not in get_args(Model):
            raise ConfigError("there is no such landmark model", got=repr(model), expected=", ".join(get_args(Model)))
        if model == "auto":
            model = "heavy" if weights.status("pose-heavy", cache_dir=cache_dir).present else "full"
        folder = weights.locate("pose", cache_dir=cache_dir)
        file = folder / FULL_LANDMARK_FILE
        if model == "heavy":
            file = weights.locate("pose-heavy", cache_dir=cache_dir) / HEAVY_LANDMARK_FILE
        self.source = f"{self.name} {model}"
        self._detector = Detector(folder / DETECTOR_FILE, num_threads)
        self._landmarks = LandmarkModel(file, num_threads)

    def __call__(self, photo: Photo) -> tuple[Pose, ...]:
        """Everybody in the photo, the largest first; empty where there is nobody.

        Args:
            photo: uint8 (H, W, 3).
        """
        height, width = photo.shape[:2]
        size = Size(height, width)

        def read(region: Region, mirrored: bool) -> Reading:
            return facing_without_head(self._landmarks(photo, region, mirrored=mirrored), size)

        found: list[_Person] = []
        upright = [each for each in self._detector(photo) if abs(each.region.angle) < _UPSIDE_DOWN]
        doubtful = [each for each in upright if each.score < _SURE]
        upright = [each for each in upright if each.score >= _SURE][:MAX_PEOPLE] + doubtful[:_MAX_DOUBTFUL]
        for detection in upright:
            if any(person.covers(detection.box) for person in found):
                continue
            guesses = () if found else _guesses(height, width)
            agreed = agree(detection.region, read, guesses, doubtful=detection.score < _SURE)
            if agreed is not None:
                _add(found, self._person(agreed, detection.score, size))
        if not found:  # the detector looks for heads; a person without one may still be read
            agreed = agree(Region.whole(height, width), read)
            found = [self._person(agreed, MIN_SCORE, size)] if agreed else []
        sure = [each.pose for each in found if each.pose.confidence >= MIN_CONFIDENCE]
        return tuple(sorted(sure, key=lambda pose: -_area(pose, size)))

    def _person(self, agreed: Agreed, detected: float, size: Size) -> _Person:
        reading = agreed.reading
        outline = np.clip(reading.region.paste(reading.outline, size.height, size.width), 0, 1)
        confidence = detected * agreed.support * min(reading.score, 1.0)
        landmarks = Landmarks(reading.landmarks, reading.visibility)
        return _Person(agreed, landmarks.pose(self.source, confidence, outline))


@dataclass(frozen=True, slots=True)
class _Person:
    agreed: Agreed
    pose: Pose

    def covers(self, box: NDArray[np.floating]) -> bool:
        """Whether the middle of a box lies on this person."""
        outline = self.pose.outline
        assert outline is not None
        x, y = int((box[0] + box[2]) / 2), int((box[1] + box[3]) / 2)
        inside = 0 <= y < outline.shape[0] and 0 <= x < outline.shape[1]
        return bool(inside and outline[y, x] > _ON_PERSON)

    def is_same(self, other: _Person) -> bool:
        """Whether two outlines show one person."""
        assert self.pose.outline is not None
        assert other.pose.outline is not None
        one, two = self.pose.outline > _ON_PERSON, other.pose.outline > _ON_PERSON
        return int((one & two).sum()) > _SAME_PERSON * max(min(int(one.sum()), int(two.sum())), 1)


def _add(found: list[_Person], new: _Person) -> None:
    """Keeps a person, unless it is one that is kept already: then the reading with more support stays."""
    for number, old in enumerate(found):
        if old.is_same(new):
            found[number] = max(old, new, key=lambda each: each.agreed.support)
            return
    found.append(new)


def facing_without_head(reading: Reading, size: Size) -> Reading:
    """The reading, its sides exchanged where it shows the back of a person whose head is not in the photo.

    Without a head little tells front from back, and the network often takes the lack of a face for a back.
    """
    head = reading.landmarks[list(HEAD)]
    outside = (head < 0).any(1) | (head[:, 0] >= size.width) | (head[:, 1] >= size.height)
    left, right = reading.landmarks[list(SHOULDERS), 0]
    if left >= right or not outside.all():
        return reading
    return replace(reading, landmarks=reading.landmarks[MIRRORED], visibility=reading.visibility[MIRRORED])


def _guesses(height: int, width: int) -> list[Region]:
    """Regions for a person who fills the photo's width but whose head, legs or both are outside."""
    return [
        Region(width / 2, height * middle, max(height, width) * side)
        for middle, side in ((0.35, 1.6), (0.5, 1.3), (0.75, 1.8), (0.6, 2.4))
    ]


def _area(pose: Pose, size: Size) -> float:
    left, top, right, bottom = pose.visible_box(size)
    return (right - left) * (bottom - top)
