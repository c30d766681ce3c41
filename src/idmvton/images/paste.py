"""The repainted region back in the untouched photo."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image

from idmvton.errors import InputError
from idmvton.images.framing import Framing, check_mask, check_picture

if TYPE_CHECKING:
    from numpy.typing import NDArray

_STRIP: Final = 256  # rows that are mixed at once: large photos need little memory


def paste_back(
    result: Image.Image, photo: Image.Image, mask: NDArray[np.bool_], framing: Framing, feather: int
) -> Image.Image:
    """Puts the repainted region into the untouched photo, at the photo's own size.

    The result counts fully inside the mask and falls as a raised cosine of the distance to the mask, reaching
    exactly 0 at ``feather`` working pixels. From there on the photo's pixels are unchanged.

    Args:
        result: PIL RGB of the working size.
        photo: PIL RGB, the photo.
        mask: bool (H, W) of the photo's size, True = repaint.
        framing: how the result lies on the photo.
        feather: width of the soft edge outside the mask, working pixels; 0 gives a hard edge.

    Returns:
        PIL RGB of the photo's size.

    Raises:
        InputError: sizes that do not belong to the framing, or a negative feather.
    """
    return paste_layer(framing.invert(result), photo, mask, framing, feather)


def paste_layer(
    layer: Image.Image,
    photo: Image.Image,
    mask: NDArray[np.bool_],
    framing: Framing,
    feather: int,
    share: NDArray[np.float32] | None = None,
) -> Image.Image:
    """Puts a picture of the photo's own size on the photo, where mask and share allow it.

    Args:
        layer: PIL RGB of the photo's size.
        photo, mask, framing, feather: see :func:`paste_back`.
        share: float32 (H, W) of the photo's size, from 0 to 1: how much of the layer is taken, all where not given.

    Returns:
        PIL RGB of the photo's size.

    Raises:
        InputError: sizes that do not belong to the framing, or a negative feather.
    """
    check_picture(photo, framing.photo, "photo")
    check_picture(layer, framing.photo, "photo")
    check_mask(mask, framing.photo)
    if feather < 0:
        raise InputError("the feather is negative", got=feather, expected="0 or more working pixels")
    reach = feather * framing.scale
    region = _affected(mask, framing, math.ceil(reach))
    pixels = np.array(photo)
    alpha = _feathered(mask[region], reach)[..., None]
    if share is not None:
        alpha = alpha * share[region][..., None]
    below, above = pixels[region], np.asarray(layer)[region]
    for first in range(0, len(alpha), _STRIP):
        strip = slice(first, first + _STRIP)
        under = below[strip].astype(np.float32)
        below[strip] = np.rint(under + alpha[strip] * (above[strip] - under)).astype(np.uint8)
    return Image.fromarray(pixels)


def _affected(mask: NDArray[np.bool_], framing: Framing, margin: int) -> tuple[slice, slice]:
    """The part of the photo that pasting can change: mask and margin, within the box."""
    slices = []
    for along, axis in ((1, framing.rows), (0, framing.columns)):
        marked = np.flatnonzero(mask.any(axis=along))
        low, high = axis.covered()
        begin, end = (int(marked[0]), int(marked[-1]) + 1) if len(marked) else (0, 0)
        begin, end = max(low, begin - margin), min(high, end + margin)
        slices.append(slice(begin, max(begin, end)) if len(marked) else slice(0, 0))
    return slices[0], slices[1]


def _feathered(mask: NDArray[np.bool_], reach: float) -> NDArray[np.float32]:
    """1 inside the mask, falling to 0 at ``reach`` pixels outside it; float32 (H, W)."""
    if reach <= 0 or not mask.any():
        return mask.astype(np.float32)
    import cv2

    distance = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.where(distance < reach, 0.5 + 0.5 * np.cos(np.pi / reach * distance), 0).astype(np.float32)
