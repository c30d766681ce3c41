"""The garment's own detail, at the photo's resolution.

A result is made at the working size, so everything in it is soft once it is enlarged. WarpNet's flow says which spot
of the product picture each pixel shows, and the product picture has the detail. What its enlarged, shrunken copy
lacks is added to the result; light and shade stay the result's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from idmvton.draft.colours import spread
from idmvton.draft.warp import garment_outlines
from idmvton.images.framing import Axis, Framing
from idmvton.types import Size

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]

_STRIP: Final = 2**20  # pixels that are worked on at once
_SOFTNESS: Final = (0.0, 0.5, 0.75, 1.0, 1.4)  # working pixels: blurs that a result may have beside its product picture
_AROUND: Final = 4.0  # working pixels: over these agreement is measured
_MIXED: Final = 2.0  # working pixels: so near the outline a result mixes garment and surroundings
_COLOUR: Final = 28.0  # grey levels: colours that differ by more do not show the same spot
_GAIN: Final = (0.35, 1.5)  # of the detail: in the shade it is weaker
_FEW: Final = 0.01  # share of pixels to compare that is next to none
_LEAST: Final = 12.0  # grey levels: so dark a garment tells little of the light


@dataclass(frozen=True, eq=False)
class Laid:
    """A garment as it lies on a person.

    Attributes:
        picture: RGB, the product picture at its own size.
        framing: the product picture -> working size.
        flow: float32 (2, h, w), x and y in the framed product picture, from -1 (left, top) to 1, outer edges.
        opacity: float32 (h, w) in [0, 1], how much of each pixel is the garment.
    """

    picture: Image.Image
    framing: Framing
    flow: Floats
    opacity: Floats


def add_detail(restored: Image.Image, result: Image.Image, laid: Laid, framing: Framing) -> Image.Image:
    """The enlarged result with the product picture's detail.

    Args:
        restored: RGB of the photo's size, the result enlarged.
        result: RGB of the working size.
        laid: the garment.
        framing: photo -> working size.
    """
    fine, small = _without_background(_framed(laid, max(framing.scale, 1.0)), _framed(laid, 1.0))
    height, width = fine.shape[:2]
    x, y = (_places(along, Axis(-1, 2, 2, side)) for along, side in zip(laid.flow, (width, height), strict=True))
    copies = [cv2.GaussianBlur(small, (0, 0), sigma) if sigma else small for sigma in _SOFTNESS]
    copies = [cv2.resize(each, (width, height), interpolation=cv2.INTER_CUBIC) for each in copies]
    coarse = _as_soft_as(np.asarray(result), copies, x, y, laid.opacity)
    agreement, gain = _agreement(np.asarray(result), cv2.remap(coarse, x, y, cv2.INTER_LINEAR), laid.opacity)
    pixels = np.array(restored)
    for here, across, down in _strips(framing):
        weight = cv2.remap(agreement, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        if not weight.any():
            continue
        at = [cv2.remap(each, across, down, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE) for each in (x, y)]
        shown, known = (cv2.remap(each, *at, cv2.INTER_LINEAR).astype(np.float32) for each in (fine, coarse))
        weight = weight * cv2.remap(gain, across, down, cv2.INTER_LINEAR)
        pixels[here] = np.clip(np.rint(pixels[here] + weight[..., None] * (shown - known)), 0, 255).astype(np.uint8)
    return Image.fromarray(pixels)


def _framed(laid: Laid, scale: float) -> Bytes:
    """The framed product picture, so many times the working size, but no finer than it is: uint8 (h, w, 3)."""
    scale = min(scale, max(laid.framing.scale, 1.0))
    size = Size(*(round(side * scale) for side in laid.framing.size))
    whole = Framing(laid.framing.photo, laid.framing.box, size)
    return np.asarray(whole.apply(laid.picture, resample="photo", fill=(255, 255, 255)))


def _without_background(fine: Bytes, small: Bytes) -> tuple[Bytes, Bytes]:
    """Both framed product pictures, with the garment's colours spread over the background: no edge of it is detail."""
    picture = torch.from_numpy(np.array(small)).permute(2, 0, 1)[None] / 127.5 - 1
    inside = garment_outlines(picture)
    spread_out = spread(picture, inside.float())[0].permute(1, 2, 0).numpy() * 127.5 + 127.5
    filled = np.rint(spread_out).clip(0, 255).astype(np.uint8)
    size = fine.shape[1], fine.shape[0]
    share = cv2.resize(inside[0, 0].numpy().astype(np.float32), size, interpolation=cv2.INTER_LINEAR)[..., None]
    around = cv2.resize(filled, size, interpolation=cv2.INTER_LINEAR)
    return np.rint(around + share * (fine.astype(np.float32) - around)).astype(np.uint8), filled


def _as_soft_as(result: Bytes, copies: list[Bytes], x: Floats, y: Floats, opacity: Floats) -> Bytes:
    """Of copies from sharp to soft, the one that has as much detail, where it lies, as the result."""
    inside = opacity > 0.9

    def detail(picture: Bytes) -> float:
        grey = picture.astype(np.float32).mean(-1)
        return float(np.abs(grey - cv2.GaussianBlur(grey, (0, 0), 2.0))[inside].mean()) if inside.any() else 0.0

    wanted = detail(result)
    return min(copies, key=lambda each: abs(detail(cv2.remap(each, x, y, cv2.INTER_LINEAR)) - wanted))


def _places(along: Floats, axis: Axis) -> Floats:
    """Places from -1 to 1 -> pixels in OpenCV's count from the first one's centre."""
    return np.asarray(axis.to_working(along) - np.float32(0.5), np.float32)


def _agreement(result: Bytes, laid: Bytes, opacity: Floats) -> tuple[Floats, Floats]:
    """How far result and laid garment show the same, from 0 to 1, and how light falls there.

    Both (h, w): colours may differ by light, but not otherwise; structure must not contradict. They are compared where
    the result shows the garment alone, and what holds there holds up to the outline.
    """
    distance = cv2.distanceTransform(np.pad((opacity > 0.5).astype(np.uint8), 1, mode="edge"), cv2.DIST_L2, 5)
    counts = (distance[1:-1, 1:-1] > _MIXED).astype(np.float32)
    total = np.maximum(cv2.GaussianBlur(counts, (0, 0), _AROUND), _FEW)

    def around(values: Floats) -> Floats:
        counted = values * (counts if values.ndim == 2 else counts[..., None])
        return np.asarray(cv2.GaussianBlur(counted, (0, 0), _AROUND), np.float32) / (
            total if values.ndim == 2 else total[..., None]
        )

    shown, meant = result.astype(np.float32), laid.astype(np.float32)
    means = [around(each) for each in (shown, meant)]
    light = [each.mean(-1) for each in means]
    gain = np.clip((light[0] + _LEAST) / (light[1] + _LEAST), *_GAIN).astype(np.float32)
    colour = np.linalg.norm(means[0] - means[1] * gain[..., None], axis=-1)
    parts = [each.mean(-1) - mean for each, mean in zip((shown, meant), light, strict=True)]
    together = around(parts[0] * parts[1])
    spread_of_both = np.sqrt(np.maximum(around(parts[0] ** 2) * around(parts[1] ** 2), 0)) + 16
    structure = np.clip(1 + 2 * together / spread_of_both, 0, 1)
    known = np.clip(total / (20 * _FEW), 0, 1) * (total > _FEW)
    weight = (opacity > 0.02) * known * np.clip(2 - 2 * colour / _COLOUR, 0, 1) * structure
    return weight.astype(np.float32), gain


def _strips(framing: Framing) -> Iterator[tuple[tuple[slice, slice], Floats, Floats]]:
    """The photo inside the box, a strip of rows at a time, with each pixel's place in the working picture."""
    (top, bottom), (left, right) = framing.rows.covered(), framing.columns.covered()
    height = max(1, _STRIP // max(right - left, 1))
    for first in range(top, bottom, height):
        last = min(first + height, bottom)
        x = framing.columns.to_working(np.arange(left, right, dtype=np.float32) + 0.5) - np.float32(0.5)
        y = framing.rows.to_working(np.arange(first, last, dtype=np.float32) + 0.5) - np.float32(0.5)
        across, down = np.broadcast_arrays(x[None, :].astype(np.float32), y[:, None].astype(np.float32))
        yield (slice(first, last), slice(left, right)), np.ascontiguousarray(across), np.ascontiguousarray(down)
