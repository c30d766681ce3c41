"""Results in photos of a hundred megapixels: composed in a smaller copy, so that memory stays bounded."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from idmvton.tryon.inputs import Person
from idmvton.types import Size

LARGEST: Final = 16_000_000
"""Pixels: composing takes about forty bytes for each, and no model draws more of a person than one million."""
_STRIP: Final = 256  # rows that are mixed at once
_ROOM: Final = 2  # pixels of the copy around what changed: its soft edge


def compose_bounded(
    compose: Callable[[Image.Image, Person], Image.Image], result: Image.Image, person: Person
) -> Image.Image:
    """Composes a result, in a copy of the photo if that is very large.

    Args:
        compose: puts a result of the working size into a person's photo.
        result: RGB of the working size.
        person: who it shows.

    Returns:
        RGB of the photo's size. Where composing leaves the copy as it was, the pixels are those of the photo.
    """
    size = person.framing.photo
    factor = math.sqrt(size.height * size.width / LARGEST)
    if factor <= 1:
        return compose(result, person)
    small = Size(round(size.height / factor), round(size.width / factor))
    shape = small.width, small.height
    maps = (person.photo_mask.view(np.uint8), person.labels)
    mask, labels = (None if each is None else cv2.resize(each, shape, interpolation=cv2.INTER_NEAREST) for each in maps)
    assert mask is not None
    copy = dataclasses.replace(
        person,
        photo=person.photo.resize(shape, Image.Resampling.BOX),
        photo_mask=np.asarray(mask > 0),
        framing=person.framing.at(small),
        labels=None if labels is None else labels.astype(np.uint8),
    )
    composed = compose(result, copy)
    return _put(composed, _changed(np.asarray(copy.photo), np.asarray(composed)), person.photo)


def _changed(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> Image.Image:
    changed = np.any(before != after, axis=-1).astype(np.uint8)
    return Image.fromarray(cv2.dilate(changed, np.ones((2 * _ROOM + 1,) * 2, np.uint8)) * np.uint8(255))


def _put(composed: Image.Image, where: Image.Image, photo: Image.Image) -> Image.Image:
    """The enlarged copy over the photo where it changed."""
    result = photo.copy()
    scale = composed.height / photo.height
    for first in range(0, photo.height, _STRIP):
        last = min(first + _STRIP, photo.height)
        size, box = (photo.width, last - first), (0, first * scale, composed.width, last * scale)
        share = np.asarray(where.resize(size, Image.Resampling.BILINEAR, box=box))
        if not share.any():
            continue
        above = np.asarray(composed.resize(size, Image.Resampling.BICUBIC, box=box))
        under = np.asarray(photo.crop((0, first, photo.width, last)), np.float32)
        part = share[..., None] * np.float32(1 / 255)
        mixed = np.rint(under + part * (above - under)).astype(np.uint8)
        result.paste(Image.fromarray(mixed), (0, first))
    return result
