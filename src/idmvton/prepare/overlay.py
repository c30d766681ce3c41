"""The picture to check a preparation by: the photo with parts, the mask's edge and the skeleton on it."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from idmvton.prepare.mask import ATR_LABELS

Colour = tuple[int, int, int]

LABEL_COLOURS: Final[NDArray[np.uint8]] = np.array(
    [
        (0, 0, 0), (255, 176, 0), (122, 84, 52), (120, 120, 160), (235, 64, 120), (176, 96, 240), (64, 120, 255),
        (255, 96, 200), (150, 150, 60), (0, 150, 136), (0, 200, 170), (255, 214, 170), (120, 220, 110), (60, 190, 90),
        (255, 160, 90), (250, 200, 60), (140, 110, 100), (220, 220, 120), (255, 190, 150),
    ],
    np.uint8,
)  # fmt: skip
"""A colour for each label of :data:`idmvton.prepare.mask.ATR_LABELS`, and for bare neck and trunk."""

_LEFT: Final[Colour] = (255, 140, 40)  # the person's own left, as on the label map's arms
_RIGHT: Final[Colour] = (40, 150, 255)
_MIDDLE: Final[Colour] = (250, 250, 250)
_BONES: Final = (
    (0, 1, _MIDDLE), (0, 14, _RIGHT), (14, 16, _RIGHT), (0, 15, _LEFT), (15, 17, _LEFT),
    (1, 2, _RIGHT), (2, 3, _RIGHT), (3, 4, _RIGHT), (1, 5, _LEFT), (5, 6, _LEFT), (6, 7, _LEFT),
    (1, 8, _RIGHT), (8, 9, _RIGHT), (9, 10, _RIGHT), (1, 11, _LEFT), (11, 12, _LEFT), (12, 13, _LEFT),
)  # fmt: skip
_TINT: Final = 0.42
_REPAINTED: Final[Colour] = (255, 255, 255)
_SMOOTH: Final = 2  # drawn this much larger, then reduced


def coloured_labels(labels: NDArray[np.uint8]) -> Image.Image:
    """Labels (H, W) as a picture of class numbers with a palette."""
    picture = Image.fromarray(labels).convert("P")
    picture.putpalette(LABEL_COLOURS.tobytes())
    return picture


def draw_overlay(
    photo: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    mask: NDArray[np.bool_],
    keypoints: NDArray[np.floating],
) -> Image.Image:
    """A photo with parts tinted, what is repainted outlined and hatched, skeleton and legend; RGB.

    Args:
        photo: uint8 RGB (H, W, 3).
        labels: uint8 (H, W).
        mask: bool (H, W), True = repaint.
        keypoints: float (18, 2), pixels, (0, 0) missing.
    """
    height, width = labels.shape
    grey = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY).astype(np.float32)[..., None]
    base = np.float32(0.55) * photo + np.float32(0.45) * grey
    tint = LABEL_COLOURS[labels].astype(np.float32)
    share = (labels > 0).astype(np.float32)[..., None] * np.float32(_TINT)
    canvas = base + share * (tint - base)
    canvas = _hatched(canvas, mask)
    picture = Image.fromarray(np.clip(np.rint(canvas), 0, 255).astype(np.uint8))
    large = picture.resize((width * _SMOOTH, height * _SMOOTH), Image.Resampling.BICUBIC)
    unit = max(1.0, height / 512) * _SMOOTH
    _draw_edge(large, mask, unit)
    _draw_skeleton(large, keypoints * _SMOOTH, unit)
    drawn = large.resize((width, height), Image.Resampling.LANCZOS)
    _draw_legend(drawn, labels)
    return drawn


def _hatched(canvas: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Thin light diagonals over what is repainted."""
    height, width = mask.shape
    step = max(8, round(height / 64))
    y, x = np.ogrid[:height, :width]
    lines = mask & ((x + y) % step < max(1, step // 8))
    canvas[lines] += 0.4 * (np.array(_REPAINTED, np.float32) - canvas[lines])
    return canvas


def _draw_edge(picture: Image.Image, mask: NDArray[np.bool_], unit: float) -> None:
    large = cv2.resize(mask.astype(np.uint8), picture.size, interpolation=cv2.INTER_NEAREST)
    smooth = (cv2.GaussianBlur(large.astype(np.float32), (0, 0), _SMOOTH) > 0.5).astype(np.uint8)
    outlines, _ = cv2.findContours(smooth, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    draw = ImageDraw.Draw(picture)
    for colour, thickness in (((20, 20, 20), 3.4), (_REPAINTED, 1.6)):
        for outline in outlines:
            path = [(float(x), float(y)) for x, y in outline[:, 0]]
            if len(path) > 2:
                draw.line([*path, path[0]], fill=colour, width=max(1, round(thickness * unit)), joint="curve")


def _draw_skeleton(picture: Image.Image, points: NDArray[np.floating], unit: float) -> None:
    draw = ImageDraw.Draw(picture)
    seen = np.any(points > 0, axis=1)
    bones = [(points[start], points[end], colour) for start, end, colour in _BONES if seen[start] and seen[end]]
    for dark, thickness in ((True, 5.0), (False, 2.8)):
        for start, end, colour in bones:
            fill = (20, 20, 20) if dark else colour
            draw.line([*map(float, start), *map(float, end)], fill=fill, width=round(thickness * unit))
    for number in np.flatnonzero(seen):
        x, y = map(float, points[number])
        for radius, fill in ((3.6, (20, 20, 20)), (2.4, (255, 255, 255))):
            reach = radius * unit
            draw.ellipse([x - reach, y - reach, x + reach, y + reach], fill=fill)


def _draw_legend(picture: Image.Image, labels: NDArray[np.uint8]) -> None:
    """Names and colours of the labels that cover something, in the lower left corner."""
    counts = np.bincount(labels.ravel(), minlength=len(LABEL_COLOURS))
    shown = [number for number in np.argsort(-counts) if number and counts[number] > 0.001 * labels.size]
    size = max(9, round(picture.height / 72))
    font = ImageFont.load_default(size)
    names = [(*ATR_LABELS, "neck")[number].replace("_", " ") for number in shown]
    if not names:
        return
    line, edge = round(1.45 * size), round(0.6 * size)
    width = round(max(font.getlength(name) for name in names)) + 3 * edge + size
    height = line * len(names) + edge
    left, top = edge, picture.height - height - edge
    shade = Image.new("L", (width, height), 150)
    picture.paste((15, 15, 20), (left, top), shade)
    draw = ImageDraw.Draw(picture)
    for row, (number, name) in enumerate(zip(shown, names, strict=True)):
        y = top + edge // 2 + row * line
        colour = tuple(int(value) for value in LABEL_COLOURS[number])
        draw.rectangle([left + edge, y + edge // 2, left + edge + size, y + edge // 2 + size], fill=colour)
        draw.text((left + 2 * edge + size, y + edge // 2 - size // 8), name, fill=(245, 245, 245), font=font)
