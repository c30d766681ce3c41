"""Placed prints with alpha: words, badges, large shapes."""

from __future__ import annotations

import functools
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from idmvton.studio.chance import choose
from idmvton.studio.colours import Colour, pick_colour

Bytes = NDArray[np.uint8]

WORDS: Final = (
    "STUDIO", "Sunday", "1984", "NORTH", "hello", "ocean", "WILD", "coffee", "No. 7", "club", "Paris", "mini",
    "LOVE", "west 21", "ATLAS", "bloom", "today", "RIVER", "echo", "42",
)  # fmt: skip


@functools.lru_cache(maxsize=32)
def draw_print(seed: int, ink: Colour) -> tuple[Bytes, tuple[float, float]]:
    """A print: uint8 (128, 256, 4), read-only, and its width and height in metres."""
    stamp, size = make_print(np.random.default_rng(seed), ink)
    stamp = np.asarray(cv2.resize(stamp, (256, 128), interpolation=cv2.INTER_AREA), np.uint8)
    stamp.flags.writeable = False
    return stamp, size


def make_print(rng: np.random.Generator, ink: Colour) -> tuple[Bytes, tuple[float, float]]:
    """A print with alpha, and its width and height in metres: words, a badge, or a large shape."""
    style = choose(rng, ("words", "badge", "shape", "words"))
    canvas = Image.new("RGBA", (256, 256 if style != "words" else 128))
    draw = ImageDraw.Draw(canvas)
    fill = tuple(int(c * 255) for c in ink)
    if style == "words":
        return _words(rng, fill)
    if style == "badge":
        second = tuple(int(c * 255) for c in pick_colour(rng)[1])
        draw.ellipse((8, 8, 248, 248), fill=fill)
        draw.ellipse((28, 28, 228, 228), fill=second)
        reach = [88 if k % 2 == 0 else 38 for k in range(10)]
        points = [(128 + r * np.sin(np.pi * k / 5), 128 - r * np.cos(np.pi * k / 5)) for k, r in enumerate(reach)]
        draw.polygon(points, fill=fill)
        size = choose(rng, (0.07, 0.16, 0.20))
        return np.array(canvas), (size, size)
    for _ in range(int(rng.integers(2, 5))):
        colour = tuple(int(c * 255) for c in pick_colour(rng)[1])
        x, y, r = rng.uniform(60, 196), rng.uniform(60, 196), rng.uniform(25, 60)
        if rng.random() < 0.5:
            draw.ellipse((x - r, y - r, x + r, y + r), fill=colour)
        else:
            draw.regular_polygon((x, y, r), int(rng.integers(3, 7)), rotation=int(rng.integers(360)), fill=colour)
    size = float(rng.uniform(0.17, 0.24))
    return np.array(canvas), (size, size)


def _words(rng: np.random.Generator, fill: tuple[int, ...]) -> tuple[Bytes, tuple[float, float]]:
    word = choose(rng, WORDS)
    font = int(rng.choice([-1, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_COMPLEX, cv2.FONT_HERSHEY_SCRIPT_COMPLEX,
                           cv2.FONT_HERSHEY_TRIPLEX, cv2.FONT_HERSHEY_PLAIN]))  # fmt: skip
    mask = np.zeros((200, 620), np.uint8)
    if font < 0:
        picture = Image.new("L", (620, 200))
        ImageDraw.Draw(picture).text((40, 40), word, fill=255, font=ImageFont.load_default(110))
        mask = np.array(picture)
    else:
        scale = 8.0 if font == cv2.FONT_HERSHEY_PLAIN else 4.0
        cv2.putText(mask, word, (40, 140), font, scale, 255, int(rng.integers(8, 14)), cv2.LINE_AA)
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    mask = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    stamp = np.zeros((*mask.shape, 4), np.uint8)
    stamp[..., :3], stamp[..., 3] = np.array(fill[:3], np.uint8), mask
    width = float(rng.uniform(0.14, 0.25))
    return stamp, (width, min(width * mask.shape[0] / mask.shape[1], 0.14))
