"""The published demo's way from a photo to mask and body map: its sizes, filters and rules, and its faults.

Every picture is squashed to 768 x 1024, whatever its aspect, and from there to 384 x 512, where the networks and the
mask rules work; mask and body map are enlarged again. The published numbers rest on maps that were made like this.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from idmvton.images import ImageInput, load_as_stored
from idmvton.images.densepose import colour_parts
from idmvton.images.framing import Framing
from idmvton.prepare.mask import agnostic_mask
from idmvton.types import Category, Size

Demo = Literal["no", "whole", "cropped"]
"""Whether a photo is prepared as the demo does, and which part of it is used."""
DEMO_SIZE: Final = Size(1024, 768)
"""What the try-on reads, pixels."""
NETWORK_SIZE: Final = Size(512, 384)
"""What the networks read, pixels."""
ARM_WIDTH: Final = 60
"""Of the demo, for every photo; pixels at the networks' size."""
_ASPECT: Final = (3, 4)
_REPAINTED: Final = 128  # the try-on repaints grey levels from half on


@dataclass(frozen=True, slots=True, eq=False)
class DemoPhoto:
    """A photo at the demo's sizes.

    Attributes:
        photo: RGB, as stored: not turned upright, whatever lies under transparency.
        framing: the part of it that is used, squashed to 1024 x 768.
        person: RGB, 1024 x 768.
        small: RGB, 512 x 384.
        turn: what would turn the photo upright. The demo does so for the body map only.
    """

    photo: Image.Image
    framing: Framing
    person: Image.Image
    small: Image.Image
    turn: Image.Transpose | None

    @property
    def for_body_map(self) -> Image.Image:
        """What the body map is made of: the small picture, turned upright."""
        return self.small if self.turn is None else self.small.transpose(self.turn)


def read_photo(source: ImageInput, crop: bool = False) -> DemoPhoto:
    """Reads a photo as the demo does.

    Args:
        source: the photo.
        crop: use only the largest 3:4 part in the middle, which is then not squashed.

    Raises:
        InputError: a picture that cannot be used.
    """
    photo, turn = load_as_stored(source, what="person")
    size = Size(photo.height, photo.width)
    box = _middle(size) if crop else (0, 0, size.width, size.height)
    person = _resized(photo.crop(box), DEMO_SIZE)
    return DemoPhoto(photo, Framing(size, box, DEMO_SIZE), person, _resized(person, NETWORK_SIZE), turn)


def read_garment(source: ImageInput) -> Image.Image:
    """A garment's picture as the demo takes it: squashed to 1024 x 768, nothing cut out.

    Raises:
        InputError: a picture that cannot be used.
    """
    return _resized(load_as_stored(source, what="garment")[0], DEMO_SIZE)


def make_mask(
    labels: NDArray[np.uint8], points: NDArray[np.floating], category: Category, arm_width: int | None = None
) -> NDArray[np.bool_]:
    """The demo's mask: the published rules, of which the largest outline stays.

    Args:
        labels: uint8 (512, 384), ATR's labels, 18 for bare neck and trunk.
        points: float (18, 2), OpenPose points x, y in pixels of the labels, (0, 0) where missing.
        category: what is exchanged.
        arm_width: of the arm strokes, pixels of the labels; by default the demo's.

    Returns:
        bool (1024, 768), True = repaint.

    Raises:
        InputError: maps that cannot be used.
    """
    mask = agnostic_mask(labels, points, category, arm_width or ARM_WIDTH, as_published=True)
    return np.asarray(_resized(Image.fromarray(mask), DEMO_SIZE)) >= _REPAINTED


def body_map(parts: NDArray[np.uint8]) -> Image.Image:
    """The demo's body map: RGB, 1024 x 768; its colours blend where parts meet.

    Args:
        parts: uint8 (H, W), body parts 1 to 24 of the person that the demo draws, 0 elsewhere.
    """
    return _resized(colour_parts(parts), DEMO_SIZE)


def enlarged(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A map (512, 384) at 1024 x 768, without new values."""
    return labels.repeat(2, axis=0).repeat(2, axis=1)


def _middle(size: Size) -> tuple[int, int, int, int]:
    """The largest 3:4 box in the middle of a photo, in whole pixels."""
    across, down = _ASPECT
    width = math.floor(min(size.width, size.height * across / down))
    height = math.floor(min(size.height, size.width * down / across))
    left, top = (size.width - width) / 2, (size.height - height) / 2
    return round(left), round(top), round(left + width), round(top + height)


def _resized(picture: Image.Image, size: Size) -> Image.Image:
    return picture.resize((size.width, size.height), Image.Resampling.BICUBIC)
