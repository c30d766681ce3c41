"""BlazePose's person detector: anchors, decoding, weighted suppression."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from idmvton.prepare.backends.blazepose.regions import Region
from idmvton.prepare.backends.blazepose.tflite import Network, sigmoid
from idmvton.prepare.backends.protocols import Photo

Floats = NDArray[np.floating]

INPUT_SIDE: Final = 224
_GRIDS: Final = ((28, 2), (14, 2), (7, 6))  # cells a side, anchors a cell
MIN_SCORE: Final = 0.5
_SAME_FACE: Final = 0.3  # overlap (IoU) from which two boxes are one person
_LONG: Final = 1.8  # aspect from which squares of the photo are searched too
_REGION_SCALE: Final = 1.25
_MIDDLE: Final = 0  # keypoints of a detection: middle of the hips, top of the body's circle
_TOP: Final = 1


@dataclass(frozen=True, slots=True, eq=False)
class Detection:
    """One person.

    Attributes:
        box: float (4,): left, top, right, bottom of the head, pixels.
        points: float (4, 2): middle of the hips, top of the body's circle, middle of the shoulders, top of the upper
            body's circle, pixels.
        score: from 0 to 1.
    """

    box: Floats
    points: Floats
    score: float

    @property
    def region(self) -> Region:
        """Where the landmark model looks for this person."""
        return Region.around(self.points[_MIDDLE], self.points[_TOP], _REGION_SCALE)


def anchors() -> NDArray[np.float32]:
    """Centres of the 2254 anchor boxes: float32 (2254, 2), x, y as shares of the input's side."""
    centres = []
    for cells, repeats in _GRIDS:
        axis = (np.arange(cells) + 0.5) / cells
        grid = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2)
        centres.append(np.repeat(grid, repeats, axis=0))
    return np.concatenate(centres).astype(np.float32)


def suppress(boxes: Floats, scores: Floats, values: Floats) -> list[tuple[Floats, float]]:
    """Weighted non-maximum suppression: each group of overlapping boxes becomes its mean, weighted by score.

    Args:
        boxes: (n, 4) left, top, right, bottom.
        scores: (n,).
        values: (n, k), what is averaged.

    Returns:
        The mean values (k,) and the best score of each group, best first.
    """
    order = np.argsort(-scores, kind="stable")
    found = []
    while len(order):
        same = _overlap(boxes[order[0]], boxes[order]) > _SAME_FACE
        same[0] = True
        group = order[same]
        weights = scores[group] / scores[group].sum()
        found.append((weights @ values[group], float(scores[order[0]])))
        order = order[~same]
    return found


def _overlap(box: Floats, others: Floats) -> Floats:
    """Intersection over union of one box with many."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    inside = np.clip(high - low, 0, None).prod(1)
    areas = (others[:, 2:] - others[:, :2]).clip(0, None).prod(1) + (box[2:] - box[:2]).clip(0, None).prod()
    return np.asarray(inside / np.maximum(areas - inside, 1e-9))


class Detector:
    """The detector network.

    Args:
        file: ``pose_detection.tflite``.
        num_threads: of the network.
    """

    def __init__(self, file: Path, num_threads: int) -> None:
        self._network = Network(file, num_threads)
        self._anchors = anchors()

    def __call__(self, photo: Photo) -> list[Detection]:
        """The people of a photo, surest first.

        Besides the whole photo, overlapping squares of it are searched where it is so long that people would be
        tiny in the network's input, and smaller squares where nobody was found.
        """
        height, width = photo.shape[:2]
        found = self._search(photo, (0, 0, width, height))
        short, long = sorted((height, width))
        if long > _LONG * short:
            found = self._add(photo, found, short)
        return found or self._add(photo, found, max(short // 2, 1))

    def _add(self, photo: Photo, found: list[Detection], side: int) -> list[Detection]:
        """The detections and those in squares of this side that show somebody else; a larger view knows better."""
        height, width = photo.shape[:2]
        closer = [each for view in squares(height, width, side) for each in self._search(photo, view)]
        for detection in sorted(closer, key=lambda each: -each.score):
            heads = np.array([each.box for each in found]).reshape(-1, 4)
            if not (_overlap(detection.box, heads) > _SAME_FACE).any():
                found = [*found, detection]
        return found

    def _search(self, photo: Photo, view: tuple[int, int, int, int]) -> list[Detection]:
        values, scores = self._decode(photo, view)
        return [
            Detection(mean[:4], mean[4:].reshape(4, 2), score)
            for mean, score in suppress(values[:, :4], scores, values)
        ]

    def _decode(self, photo: Photo, view: tuple[int, int, int, int]) -> tuple[Floats, Floats]:
        """Boxes and points (n, 12) in photo pixels and scores (n,) of one window of the photo."""
        left, top, width, height = view
        picture, scale, shift = _letterbox(photo[top : top + height, left : left + width])
        raw, logits = self._network(picture.astype(np.float32) / 127.5 - 1)
        scores = sigmoid(logits[0, :, 0])
        sure = scores >= MIN_SCORE
        raw, centres = raw[0, sure].astype(np.float64), self._anchors[sure]
        points = raw.reshape(-1, 6, 2)
        points[:, [0, 2, 3, 4, 5]] += centres[:, None] * INPUT_SIDE
        middle, half = points[:, 0], points[:, 1] / 2
        corners = np.stack([middle - half, middle + half, *np.moveaxis(points[:, 2:], 1, 0)], 1)
        corners = (corners - shift) / scale + np.array([left, top])
        return corners.reshape(-1, 12), scores[sure]


def squares(height: int, width: int, side: int) -> list[tuple[int, int, int, int]]:
    """Squares that cover a picture and overlap by at least half: left, top, width, height."""
    side = min(side, height, width)
    return [(left, top, side, side) for top in _starts(height, side) for left in _starts(width, side)]


def _starts(length: int, side: int) -> list[int]:
    count = 1 + -(-2 * (length - side) // side)
    return [round(start) for start in np.linspace(0, length - side, count)]


def _letterbox(window: Photo) -> tuple[Photo, float, Floats]:
    """The window on a black square of the network's size; the scale, and the shift in that square's pixels."""
    height, width = window.shape[:2]
    scale = INPUT_SIDE / max(height, width)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    canvas = np.zeros((INPUT_SIDE, INPUT_SIDE, 3), np.uint8)
    left, top = (INPUT_SIDE - size[0]) // 2, (INPUT_SIDE - size[1]) // 2
    shrunk = cv2.resize(window, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    canvas[top : top + size[1], left : left + size[0]] = shrunk
    return canvas, scale, np.array([left, top], np.float64)
