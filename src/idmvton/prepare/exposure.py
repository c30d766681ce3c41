"""The garment in the light of the person's photo: product pictures are bright and neutral, photos need not be."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Floats = NDArray[np.float32]

_BRIGHT: Final = 150.0  # grey levels that the lightest spots of a photo in ordinary light reach
_DARKEST: Final = 0.25  # at most so much is taken off
_LIGHTEST: Final = 98  # per cent
_GREY: Final = 6.0  # levels: a photo whose channels differ by less almost everywhere is grey
_CAST: Final = 0.10  # share by which channels must differ, in the light spots and on the whole, to be a cast
_STRONGEST_CAST: Final = 0.3


def match_scene(
    garment: Image.Image, mask: NDArray[np.bool_], person: NDArray[np.uint8]
) -> tuple[Image.Image, tuple[str, ...]]:
    """The garment's picture as it would look in the light of a photo, and what to say about it.

    In a dark photo it is darkened, and tinted where the light has a colour. In a grey photo it is grey. In ordinary
    light the same picture comes back.

    Args:
        garment: RGB, on white.
        mask: bool (H, W) of its size, True on the garment; the white around it stays.
        person: uint8 (h, w, 3), the person's photo.
    """
    notes = []
    pixels = np.asarray(garment).astype(np.float32)
    if light_of(person) < _BRIGHT:
        share = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 0.8)[..., None]
        pixels = pixels + share * (pixels * _levels(person) - pixels)
        notes.append("the photo is dark: the garment was darkened to its light")
    if is_grey(person):
        pixels = np.repeat(pixels @ np.array([[0.299], [0.587], [0.114]], np.float32), 3, -1)
        notes.append("the photo is grey: the garment was made grey too")
    if not notes:
        return garment, ()
    return Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8)), tuple(notes)


def light_of(photo: NDArray[np.uint8]) -> float:
    """How bright the lightest spots of a photo are: 0 to 255."""
    return float(np.percentile(_small(photo) @ np.array([0.299, 0.587, 0.114], np.float32), _LIGHTEST))


def is_grey(photo: NDArray[np.uint8]) -> bool:
    """Whether a photo has no colours, apart from noise of its compression."""
    small = _small(photo)
    return bool(np.percentile(small.max(-1) - small.min(-1), 99) < _GREY)


def _levels(photo: NDArray[np.uint8]) -> Floats:
    """What a white thing would have of full brightness in that photo, for each channel: float32 (3,)."""
    small = _small(photo).reshape(-1, 3)
    grey = small @ np.array([0.299, 0.587, 0.114], np.float32)
    lightest = small[grey >= np.percentile(grey, _LIGHTEST)].mean(0)
    level = float(np.clip(light_of(photo) / _BRIGHT, _DARKEST, 1))
    casts = [each / max(float(each.mean()), 1e-6) - 1 for each in (lightest, small.mean(0))]
    agree = np.sign(casts[0]) == np.sign(casts[1])
    cast = np.where(agree, np.sign(casts[0]) * np.minimum(*np.abs(casts)), 0)
    cast = np.clip(cast, -_STRONGEST_CAST, _STRONGEST_CAST) if np.abs(cast).max() > _CAST else np.zeros(3)
    return np.asarray(level * (1 + cast), np.float32)


def _small(photo: NDArray[np.uint8]) -> Floats:
    """A few thousand averages of the photo: single lamps and noise do not count."""
    return np.asarray(cv2.resize(photo, (72, 96), interpolation=cv2.INTER_AREA), np.float32)
