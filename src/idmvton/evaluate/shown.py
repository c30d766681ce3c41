"""What a metric sees of one case, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from idmvton.evaluate.pictures import Bytes
from idmvton.evaluate.protocols import Protocol
from idmvton.types import Size

Piece = Literal["truth", "photo", "garment", "mask", "keypoints", "reference"]
Measured = float | NDArray[np.float32]
Measure = Callable[["Shown"], Measured | None]
"""Gives a number or vectors, float32 (2, D), of the result and the reference; ``None`` where the case has no answer."""


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """What a metric sees of one case: pictures uint8 (H, W, 3) as the protocol brings them together.

    Attributes:
        name: of the case.
        result: the picture that is scored.
        truth: the same person in that garment, of the result's size.
        photo: the photo that the try-on started from, of the result's size.
        garment: the product picture, of its own size.
        mask: bool (H, W) of the result's size, True = repainted.
        keypoints: float (18, 2), OpenPose order, pixels of the result, (0, 0) missing.
        candidate, reference: what distances of sets compare: the result, and the photo or else the truth.
        protocol: says which region counts and what LPIPS sees.
    """

    name: str
    result: Bytes
    candidate: Bytes
    protocol: Protocol
    truth: Bytes | None = None
    photo: Bytes | None = None
    garment: Bytes | None = None
    mask: NDArray[np.bool_] | None = None
    keypoints: NDArray[np.floating] | None = None
    reference: Bytes | None = None

    @property
    def size(self) -> Size:
        """Of the result, pixels."""
        return Size(self.result.shape[0], self.result.shape[1])

    @property
    def region(self) -> NDArray[np.bool_] | None:
        """The pixels that count; ``None``: all."""
        if self.protocol.region == "whole" or self.mask is None:
            return None
        return self.mask if self.protocol.region == "inside" else ~self.mask
