"""Pictures in the square that a parsing network reads, and its scores in the picture again.

The whole picture lies centred in the square, its aspect kept. Places are counted from the middle of the first pixel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

_MEAN: Final = np.array([0.406, 0.456, 0.485], np.float32)  # BGR
_STD: Final = np.array([0.225, 0.224, 0.229], np.float32)


@dataclass(frozen=True, slots=True)
class Square:
    """A picture in a square.

    Attributes:
        height, width: of the picture, pixels.
        side: of the square, pixels.
    """

    height: int
    width: int
    side: int

    @property
    def scale(self) -> float:
        """Steps of the square for each step of the picture."""
        return (self.side - 1) / max(self.height - 1, self.width - 1, 1)

    @property
    def to_network(self) -> Doubles:
        """The affine map (2, 3) of x, y from the picture to the square."""
        middle = (self.side - 1) / 2
        return np.array(
            [
                [self.scale, 0, middle - self.scale * (self.width - 1) / 2],
                [0, self.scale, middle - self.scale * (self.height - 1) / 2],
            ]
        )

    def to_picture(self, size: tuple[int, int] | None = None) -> Doubles:
        """The affine map (2, 3) of x, y from the square to the picture.

        Args:
            size: height and width that the picture is wanted at; by default its own.
        """
        scale, middle = 1 / self.scale, (self.side - 1) / 2
        own = np.array(
            [[scale, 0, (self.width - 1) / 2 - scale * middle], [0, scale, (self.height - 1) / 2 - scale * middle]]
        )
        if size is None or size == (self.height, self.width):
            return own
        larger = np.array([size[1] / self.width, size[0] / self.height])
        own *= larger[:, None]
        own[:, 2] += (larger - 1) / 2  # the middle of the first pixel moves
        return own

    def encode(self, picture: NDArray[np.uint8]) -> Floats:
        """The picture as the network reads it.

        Args:
            picture: uint8 RGB (H, W, 3).

        Returns:
            float32 (1, 3, side, side), BGR, normalised; black around the picture.
        """
        bgr = np.ascontiguousarray(picture[..., ::-1])
        moved = cv2.warpAffine(bgr, self.to_network, (self.side, self.side), flags=cv2.INTER_LINEAR)
        values = (moved.astype(np.float32) / np.float32(255) - _MEAN) / _STD
        return np.ascontiguousarray(values.transpose(2, 0, 1))[None]

    def enlarged(self, scores: Floats) -> Floats:
        """The network's scores (C, h, w), of the square's size: float32 (C, side, side)."""
        tensor = torch.from_numpy(scores)[None]
        return F.interpolate(tensor, (self.side, self.side), mode="bilinear", align_corners=True)[0].numpy()

    def scores_in_picture(self, scores: Floats, size: tuple[int, int] | None = None) -> Floats:
        """Scores in the picture.

        Args:
            scores: float32 (C, h, w), as the network gives them.
            size: height and width that are wanted; by default the picture's.

        Returns:
            float32 (C, H, W); 0 where the square ends.
        """
        height, width = size or (self.height, self.width)
        matrix = self.to_picture(size)
        large = self.enlarged(scores)
        return np.stack([cv2.warpAffine(each, matrix, (width, height), flags=cv2.INTER_LINEAR) for each in large])

    def labels_in_picture(self, scores: Floats, size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
        """The label with the highest score: uint8 (H, W); see :meth:`scores_in_picture`."""
        return self.scores_in_picture(scores, size).argmax(0).astype(np.uint8)
