"""What the parser network reads: a crop of the photo, the rough outline, and the skeleton as soft lines.

The crop holds the person with a margin in the network's 3:4 picture; what lies beyond the photo is black and
outside the outline. Training and use share every function here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from idmvton.prepare.mask import box_of

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]

SIZE: Final = (192, 144)  # height, width of the network's picture
POSE_STRIDE: Final = 4  # the skeleton is drawn this much coarser
_MARGIN: Final = 0.06  # of the person's longer extent, on each side
_FAINT: Final = 0.3  # how strongly a point is drawn that the pose model merely extrapolates
_LINE: Final = 1 / 36  # half width of a drawn line, in picture heights
_MEAN: Final = np.array([0.485, 0.456, 0.406], np.float32)
_SPREAD: Final = np.array([0.229, 0.224, 0.225], np.float32)

# BlazePose's numbers; the person's right before the left, so that a mirror exchanges neighbours.
LINES: Final[tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]] = (
    ((12,), (14,)),  # upper arms
    ((11,), (13,)),
    ((14,), (16,)),  # forearms
    ((13,), (15,)),
    ((16,), (18, 20)),  # hands
    ((15,), (17, 19)),
    ((24,), (26,)),  # thighs
    ((23,), (25,)),
    ((26,), (28,)),  # shins
    ((25,), (27,)),
    ((28,), (32,)),  # feet
    ((27,), (31,)),
    ((12,), (24,)),  # sides of the trunk
    ((11,), (23,)),
    ((8,), (8,)),  # ears
    ((7,), (7,)),
    ((0,), (0,)),  # nose
)
MIRRORED_LINES: Final = np.array([*(line + 1 - 2 * (line % 2) for line in range(16)), 16])
"""Line -> the line that a mirror makes of it."""
PICTURE_CHANNELS: Final = 4
POSE_CHANNELS: Final = len(LINES)


@dataclass(frozen=True, slots=True)
class Crop:
    """A 3:4 window of the photo.

    Attributes:
        left, top: its corner in the photo's pixels; may lie outside.
        scale: photo pixels for each pixel of the network's picture.
        size: (height, width) of the network's picture.
    """

    left: float
    top: float
    scale: float
    size: tuple[int, int] = SIZE

    def matrix(self, zoom: float = 1.0) -> NDArray[np.float64]:
        """Crop pixels, ``zoom`` times as many, -> photo pixels; for `cv2.warpAffine` with the inverse-map flag."""
        step = self.scale / zoom
        # Points count from a pixel's outer edge, OpenCV's from its middle.
        return np.array([[step, 0, self.left + step / 2 - 0.5], [0, step, self.top + step / 2 - 0.5]])

    def cut(self, picture: NDArray[np.generic], zoom: float = 1.0) -> NDArray[np.generic]:
        """The window, ``zoom`` times as large as the network's picture; zero beyond the photo."""
        height, width = (round(side * zoom) for side in self.size)
        reduced, shrink = picture, self.scale / zoom
        if shrink > 1.5:  # sample from an area average, or fine stripes alias
            factor = 1 / shrink
            reduced = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        ratio = np.array([reduced.shape[1] / picture.shape[1], reduced.shape[0] / picture.shape[0]])
        matrix = self.matrix(zoom)
        matrix[:, 2] = (matrix[:, 2] + 0.5) * ratio - 0.5
        matrix[:, :2] *= ratio[:, None]
        return cv2.warpAffine(reduced, matrix, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)

    def points(self, points: Floats) -> Floats:
        """Photo points as points of the network's picture."""
        return np.asarray((points - np.array([self.left, self.top])) / self.scale, np.float32)


def person_crop(silhouette: Floats, size: tuple[int, int] = SIZE) -> Crop:
    """The window around the outline; the whole photo where nothing is outlined.

    Args:
        silhouette: float32 (H, W) from 0 to 1.
        size: (height, width) of the network's picture.
    """
    box = box_of(silhouette > 0.5)
    if box is None:
        return fitted_crop((0, 0, silhouette.shape[1], silhouette.shape[0]), 0.0, size)
    return fitted_crop(box, _MARGIN, size)


def fitted_crop(box: tuple[float, float, float, float], margin: float, size: tuple[int, int]) -> Crop:
    """The smallest window of the picture's aspect around ``box`` (left, top, right, bottom) and its margin."""
    left, top, right, bottom = box
    extra = 2 * margin * max(right - left, bottom - top)
    scale = max((right - left + extra) / size[1], (bottom - top + extra) / size[0])
    return Crop((left + right - scale * size[1]) / 2, (top + bottom - scale * size[0]) / 2, scale, size)


def encode_picture(crop: Bytes, silhouette: Floats) -> Floats:
    """Colours and outline of the crop: float32 (4, H, W)."""
    colours = (crop.astype(np.float32) * np.float32(1 / 255) - _MEAN) / _SPREAD
    planes = np.concatenate([colours, 2 * silhouette[..., None] - 1], axis=2)
    return np.ascontiguousarray(planes.transpose(2, 0, 1))


def encode_pose(points: Floats, visibility: Floats, size: tuple[int, int] = SIZE) -> Floats:
    """The skeleton as soft lines.

    Args:
        points: float32 (33, 2) in pixels of the network's picture.
        visibility: float32 (33,) from 0 to 1; a point of visibility below zero is unknown, and so are its lines.
        size: (height, width) of that picture.

    Returns:
        float32 (17, H / 4, W / 4) from 0 to 1.
    """
    height, width = (side // POSE_STRIDE for side in size)
    x = (np.arange(width, dtype=np.float32) + 0.5) * POSE_STRIDE
    y = (np.arange(height, dtype=np.float32)[:, None] + 0.5) * POSE_STRIDE
    narrow = np.float32(-0.5 / (_LINE * size[0]) ** 2)
    planes = np.zeros((POSE_CHANNELS, height, width), np.float32)
    for plane, (first, second) in zip(planes, LINES, strict=True):
        seen = float(min(visibility[list(first)].min(), visibility[list(second)].min()))
        if seen < 0:
            continue
        (ax, ay), (bx, by) = points[list(first)].mean(0), points[list(second)].mean(0)
        dx, dy = bx - ax, by - ay
        along = np.clip(((x - ax) * dx + (y - ay) * dy) / max(dx * dx + dy * dy, 1e-6), 0, 1)
        distance = (x - ax - along * dx) ** 2 + (y - ay - along * dy) ** 2
        np.exp(distance * narrow, out=plane)
        plane *= _FAINT + (1 - _FAINT) * min(seen, 1.0)
    return planes
