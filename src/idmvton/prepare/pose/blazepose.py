"""The embedded pose estimator: BlazePose's networks, run by LiteRT."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

import numpy as np

from idmvton import weights
from idmvton.prepare.pose.consensus import AGREEMENT, Believed, believe, difference
from idmvton.prepare.pose.detector import Detector
from idmvton.prepare.pose.landmark_model import LandmarkModel, Reading
from idmvton.prepare.pose.landmarks import visible_box
from idmvton.prepare.pose.regions import Region
from idmvton.prepare.signals import Photo, Pose
from idmvton.types import Size
from idmvton.weights.catalogue import DETECTOR_FILE, FULL_LANDMARK_FILE, HEAVY_LANDMARK_FILE

MAX_PEOPLE: Final = 8
Model = Literal["auto", "full", "heavy"]


class BlazePose:
    """Finds people and their landmarks. Loaded once, it is called for many photos.

    Args:
        model: the landmark network. ``"auto"`` takes the heavy one where its file is here, else the full one.
        num_threads: of the networks.
        cache_dir: where weights are looked for; by default the cache of huggingface_hub.

    Raises:
        WeightsError: the files are not on this machine (the message holds the command that fetches them) or damaged.
    """

    name = "blazepose"

    def __init__(self, *, model: Model = "auto", num_threads: int = 2, cache_dir: str | Path | None = None) -> None:
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

        def read(region: Region, mirrored: bool) -> Reading:
            return self._landmarks(photo, region, mirrored=mirrored)

        height, width = photo.shape[:2]
        found: list[Believed] = []
        for detection in self._detector(photo)[:MAX_PEOPLE]:
            _add(found, believe(detection.region, read))
        if not found:  # the detector looks for heads; a person without one may still be read
            _add(found, believe(Region.whole(height, width), read))
        poses = [self._pose(each.reading, height, width) for each in found]
        return tuple(sorted(poses, key=lambda pose: -_area(pose, Size(height, width))))

    def _pose(self, reading: Reading, height: int, width: int) -> Pose:
        outline = reading.region.paste(reading.outline, height, width)
        return Pose(reading.landmarks, reading.visibility, np.clip(outline, 0, 1), self.source)


def _add(found: list[Believed], new: Believed | None) -> None:
    """Keeps a person, unless it is one that is kept already: then the reading with more support stays."""
    if new is None:
        return
    for number, old in enumerate(found):
        if difference(old.reading, new.reading) < 2 * AGREEMENT:
            found[number] = max(old, new, key=lambda each: each.agreeing / each.tried)
            return
    found.append(new)


def _area(pose: Pose, size: Size) -> float:
    left, top, right, bottom = visible_box(pose, size)
    return (right - left) * (bottom - top)
