"""Body maps as colours: the 24 DensePose parts in OpenCV's parula palette, and back to part numbers.

Part 0 is background. Of the parts that come in pairs, the odd and the even number of a pair are the two sides of
the body; 1 and 2 are the back and the front of the trunk.
"""

from __future__ import annotations

import functools
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from idmvton.errors import InputError

NUM_PARTS: Final = 24
"""Body parts of DensePose; 0 is background."""
OTHER_SIDE: Final = np.array(
    [0, 1, 2, *(part + 1 if part % 2 else part - 1 for part in range(3, NUM_PARTS + 1))], np.uint8
)
"""Part -> the part that a mirror makes of it."""
COARSE_PARTS: Final = np.array(
    [0, 1, 1, 2, 3, 4, 5, 6, 7, 6, 7, 8, 9, 8, 9, 10, 11, 10, 11, 12, 13, 12, 13, 14, 14], np.uint8
)
"""Part -> one of 14 that do not tell front from back: trunk, hands, feet, thighs, shins, upper arms, forearms, head."""

HANDS: Final = (3, 4)
HEAD: Final = (23, 24)
OFF_PALETTE: Final = 0.4
"""Share of a body map's pixels off the palette from which it is another kind of picture (JPEG edges: up to 0.26)."""
_LEAST_BODY: Final = 0.005  # of the picture
_TOLERANCE: Final = 32  # distance in RGB to the nearest colour of the palette, beyond JPEG noise
_BITS: Final = 6  # of each channel in the table of nearest colours; 2 levels off is nearer than the next part
_SHIFT: Final = 8 - _BITS


@functools.lru_cache(maxsize=1)
def part_colours() -> NDArray[np.uint8]:
    """The palette: uint8 (25, 3) RGB, black for background, parula at part * 255 / 24 for the others."""
    ramp = (np.arange(NUM_PARTS + 1) * (255 / NUM_PARTS)).astype(np.uint8)
    colours = cv2.applyColorMap(ramp[:, None], cv2.COLORMAP_PARULA)[:, 0, ::-1].copy()
    colours[0] = 0
    return np.asarray(colours, np.uint8)


def colour_parts(parts: NDArray[np.uint8]) -> Image.Image:
    """Parts (H, W) in 0 to 24 as an RGB picture."""
    return Image.fromarray(part_colours()[parts])


def parts_of(densepose: Image.Image) -> tuple[NDArray[np.uint8], float]:
    """The part numbers that colours stand for.

    Args:
        densepose: RGB, possibly with JPEG noise.

    Returns:
        uint8 (H, W) with the nearest part of each pixel, and the share (0 to 1) of the pixels that are not black
        whose colour is not of the palette.
    """
    nearest, strange = _nearest_parts()
    colours = np.asarray(densepose).astype(np.int32) >> _SHIFT
    codes = (colours[..., 0] << 2 * _BITS) | (colours[..., 1] << _BITS) | colours[..., 2]
    parts, off = nearest[codes], strange[codes]
    body = (parts > 0) | off
    return parts, float(off.sum() / max(int(body.sum()), 1))


def checked_parts(densepose: Image.Image, what: str = "densepose") -> NDArray[np.uint8]:
    """The part numbers of a body map that must show somebody, in the published colours; see :func:`parts_of`.

    Args:
        densepose: RGB.
        what: its role, for messages.

    Raises:
        InputError: it is in other colours, or empty; the message names what was likely done to it.
    """
    parts, strange = parts_of(densepose)
    if strange > OFF_PALETTE:
        reason, fix = _likely_mistake(densepose)
        raise InputError(
            f"the {what} has colours that stand for no body part",
            got=f"{strange:.0%} of the pixels that are not black" + (f"; {reason}" if reason else ""),
            expected="the 24 parts in the published colours (parula), on black",
            fix=fix,
        )
    if np.count_nonzero(parts) < _LEAST_BODY * parts.size:
        raise InputError(
            f"the {what} shows nobody",
            got=f"{np.count_nonzero(parts) / parts.size:.2%} of it is a body part",
            expected="the 24 parts in the published colours (parula), on black",
            fix="make it from this photo, or leave it out to have it made",
        )
    return parts


def _likely_mistake(densepose: Image.Image) -> tuple[str, str]:
    """What was done to a body map whose colours are strange, and what to do."""
    pixels = np.asarray(densepose)
    if parts_of(Image.fromarray(np.ascontiguousarray(pixels[..., ::-1])))[1] <= OFF_PALETTE:
        return "with red and blue swapped it would be right", "save it as RGB (OpenCV writes and reads BGR)"
    if (pixels[..., :1] == pixels).all():
        if pixels.max() <= NUM_PARTS:
            return "it holds part numbers", "colour them: idmvton.images.densepose.colour_parts(parts)"
        return "it is grey", "colour the parts, or leave it out to have it made"
    return "", "make it without blending it with the photo, or leave it out to have it made"


@functools.lru_cache(maxsize=1)
def _nearest_parts() -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """For each coarse colour: the nearest part, and whether even that one is far."""
    levels = (np.arange(1 << _BITS, dtype=np.float32) * (1 << _SHIFT)) + ((1 << _SHIFT) - 1) / 2
    best = np.full((len(levels),) * 3, np.inf, np.float32)
    nearest = np.zeros(best.shape, np.uint8)
    for part, (red, green, blue) in enumerate(part_colours().astype(np.float32)):
        distance = (levels[:, None, None] - red) ** 2 + (levels[:, None] - green) ** 2 + (levels - blue) ** 2
        closer = distance < best
        nearest[closer], best[closer] = part, distance[closer]
    return nearest.ravel(), (best > _TOLERANCE**2).ravel()
