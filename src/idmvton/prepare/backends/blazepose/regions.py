"""Rotated square regions of a photo: where the landmark model looks."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from idmvton.prepare.backends.protocols import Photo


@dataclass(frozen=True, slots=True)
class Region:
    """A rotated square of the photo.

    Attributes:
        x, y: its centre, pixels.
        side: pixels.
        angle: radians; positive turns the square clockwise on the screen.
    """

    x: float
    y: float
    side: float
    angle: float = 0.0

    @classmethod
    def around(cls, centre: NDArray[np.floating], top: NDArray[np.floating], scale: float) -> Region:
        """The square of a person whose hips and head are known, upright in it.

        Args:
            centre: (2,) x, y in the middle of the body.
            top: (2,) x, y of the point straight up whose distance is the body's radius.
            scale: how much larger than that circle's square.
        """
        right, up = float(top[0] - centre[0]), float(centre[1] - top[1])
        angle = math.remainder(math.pi / 2 - math.atan2(up, right), 2 * math.pi)
        return cls(float(centre[0]), float(centre[1]), max(2 * math.hypot(right, up) * scale, 1.0), angle)

    @classmethod
    def whole(cls, height: int, width: int) -> Region:
        """The square around a whole picture."""
        return cls(width / 2, height / 2, float(max(height, width)))

    def matrix(self, size: int) -> NDArray[np.float64]:
        """(2, 3): from x, y in the ``size`` x ``size`` crop to the photo's pixels, both counted from outer edges."""
        scale = self.side / size
        cos, sin = math.cos(self.angle) * scale, math.sin(self.angle) * scale
        turn = np.array([[cos, -sin], [sin, cos]])
        shift = np.array([self.x, self.y]) - turn @ np.full(2, size / 2)
        return np.column_stack([turn, shift])

    def to_photo(self, points: NDArray[np.floating], size: int) -> NDArray[np.float32]:
        """Points (n, 2) of the crop in photo pixels."""
        matrix = self.matrix(size)
        return np.asarray(points @ matrix[:, :2].T + matrix[:, 2], np.float32)

    def from_photo(self, points: NDArray[np.floating], size: int) -> NDArray[np.float32]:
        """Points (n, 2) of the photo in the ``size`` x ``size`` crop."""
        matrix = self.matrix(size)
        return np.asarray((points - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T, np.float32)

    def crop(self, photo: Photo, size: int) -> Photo:
        """The square, upright, at ``size`` x ``size``; black outside the photo.

        Args:
            photo: uint8 (H, W, 3).
            size: pixels.
        """
        shrink = max(int(self.side / size), 1)
        if shrink > 1:  # an area filter first: bilinear sampling alone would skip pixels
            height, width = photo.shape[:2]
            small = (max(width // shrink, 1), max(height // shrink, 1))
            photo = cv2.resize(photo, small, interpolation=cv2.INTER_AREA)
            factor = np.array([small[0] / width, small[1] / height])
        else:
            factor = np.ones(2)
        matrix = _between_centres(factor[:, None] * self.matrix(size))
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return np.asarray(cv2.warpAffine(photo, matrix, (size, size), flags=flags), np.uint8)

    def paste(self, values: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
        """A map (S, S) of the crop laid back on the photo; 0 outside the square.

        Args:
            values: float32 (S, S).
            height: of the photo, pixels.
            width: of the photo, pixels.

        Returns:
            float32 (height, width).
        """
        matrix = _between_centres(self.matrix(len(values)))
        return np.asarray(cv2.warpAffine(values, matrix, (width, height), flags=cv2.INTER_LINEAR), np.float32)


def _between_centres(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same map for coordinates counted from pixel centres, as OpenCV does."""
    shift = matrix[:, 2] + matrix[:, :2] @ np.full(2, 0.5) - 0.5
    return np.column_stack([matrix[:, :2], shift])
