"""The garment brought to where it will be worn: pictures for a checkpoint's extra input channels.

The published system has none; a checkpoint says in ``extra_input`` which of :data:`PLACERS` it was trained with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

GREY: Final = (128, 128, 128)
_WHITE: Final = 245  # product pictures are on white; JPEG leaves some grey levels

Placer = Callable[[Image.Image, NDArray[np.bool_], Image.Image], Image.Image]
"""(garment RGB on white, mask bool (H, W), body map RGB of the mask's size) -> RGB of the mask's size."""


def place_in_mask(garment: Image.Image, mask: NDArray[np.bool_], densepose: Image.Image) -> Image.Image:
    """The garment's bounding box stretched over the mask's, grey where nothing is repainted.

    Args:
        garment: RGB on white.
        mask: bool (H, W), True = repaint.
        densepose: not used.

    Returns:
        RGB (H, W).
    """
    height, width = mask.shape
    canvas = Image.new("RGB", (width, height), GREY)
    target = _box(mask)
    if target is None:
        return canvas
    source = _box(np.asarray(garment).min(axis=2) < _WHITE) or (0, 0, garment.width, garment.height)
    left, top, right, bottom = target
    placed = garment.crop(source).resize((right - left, bottom - top), Image.Resampling.BILINEAR)
    canvas.paste(placed, (left, top), Image.fromarray(mask[top:bottom, left:right]))
    return canvas


def _box(region: NDArray[np.bool_]) -> tuple[int, int, int, int] | None:
    """Left, top, right, bottom of what is True; None where nothing is."""
    rows, columns = np.flatnonzero(region.any(axis=1)), np.flatnonzero(region.any(axis=0))
    if not len(rows):
        return None
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


PLACERS: Final[Mapping[str, Placer]] = {"placed_garment": place_in_mask}
