"""BlazePose's landmark network: a region of the photo -> 33 landmarks and a rough outline."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from idmvton.prepare.backends.blazepose.landmarks import MIRRORED, NUM_LANDMARKS
from idmvton.prepare.backends.blazepose.regions import Region
from idmvton.prepare.backends.blazepose.tflite import Network, sigmoid
from idmvton.prepare.backends.protocols import Photo

INPUT_SIDE: Final = 256
_HEATMAP_SIDE: Final = 64
_REACH: Final = 4  # heatmap cells either side of a landmark that refine it
_MIN_PEAK: Final = 0.5  # of the heatmap there; below, the landmark stays
_NUM_POINTS: Final = NUM_LANDMARKS + 6  # the network's own: six more, two of which place the next region
_BODY_MIDDLE: Final = 33
_BODY_TOP: Final = 34
_REGION_SCALE: Final = 1.25


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """What the network says about one region.

    Attributes:
        landmarks: float32 (33, 2), photo pixels.
        visibility: float32 (33,), from 0 to 1: seen, neither hidden nor outside the region.
        outline: float32 (256, 256) from 0 to 1, in the region.
        score: from 0 to 1: whether there is a person.
        region: where it looked; ``next_region``: where the person is by these landmarks.
    """

    landmarks: NDArray[np.float32]
    visibility: NDArray[np.float32]
    outline: NDArray[np.float32]
    score: float
    region: Region
    next_region: Region


class LandmarkModel:
    """The landmark network.

    Args:
        file: ``pose_landmark_full.tflite`` or ``pose_landmark_heavy.tflite``.
        num_threads: of the network.
    """

    def __init__(self, file: Path, num_threads: int) -> None:
        self._network = Network(file, num_threads)

    def __call__(self, photo: Photo, region: Region, *, mirrored: bool = False) -> Reading:
        """Reads one region.

        Args:
            photo: uint8 (H, W, 3).
            region: where to look.
            mirrored: show the network the mirror picture; the answer is for the photo itself.
        """
        picture = region.crop(photo, INPUT_SIDE)
        if mirrored:
            picture = picture[:, ::-1]
        points, flag, outline, heat, _ = self._network(np.divide(picture, 255, dtype=np.float32))
        rows = points.reshape(_NUM_POINTS, 5)
        places = refine(np.divide(rows[:, :2], INPUT_SIDE, dtype=np.float32), heat[0]) * INPUT_SIDE
        visibility = sigmoid(rows[:NUM_LANDMARKS, 3])
        mask = sigmoid(outline[0, ..., 0])
        if mirrored:
            places[:, 0] = INPUT_SIDE - places[:, 0]
            places[:NUM_LANDMARKS] = places[:NUM_LANDMARKS][MIRRORED]
            visibility, mask = visibility[MIRRORED], np.ascontiguousarray(mask[:, ::-1])
        on_photo = region.to_photo(places, INPUT_SIDE)
        return Reading(
            on_photo[:NUM_LANDMARKS],
            visibility,
            mask,
            float(flag[0, 0]),
            region,
            Region.around(on_photo[_BODY_MIDDLE], on_photo[_BODY_TOP], _REGION_SCALE),
        )


def refine(places: NDArray[np.float32], heat: NDArray[np.float32]) -> NDArray[np.float32]:
    """Moves each point to the centre of mass of its heatmap nearby.

    Args:
        places: float32 (n, 2), x, y as shares of the input's side.
        heat: float32 (64, 64, n), logits.

    Returns:
        float32 (n, 2). A point outside the map, or on a map without a peak there, stays.
    """
    moved = places.copy()
    for number, (x, y) in enumerate(places * _HEATMAP_SIDE):
        column, row = int(np.floor(x)), int(np.floor(y))
        if not (0 <= column < _HEATMAP_SIDE and 0 <= row < _HEATMAP_SIDE):
            continue
        top, left = max(row - _REACH, 0), max(column - _REACH, 0)
        near = sigmoid(heat[top : row + _REACH + 1, left : column + _REACH + 1, number])
        if near.max() < _MIN_PEAK:
            continue
        rows, columns = np.indices(near.shape)
        centre = np.array([(near * (columns + left)).sum(), (near * (rows + top)).sum()]) / near.sum()
        moved[number] = centre / _HEATMAP_SIDE
    return moved
