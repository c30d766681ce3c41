"""Other colours and textures for what a picture's labels tell apart: clothes, skin, hair, background."""

from __future__ import annotations

import cv2
import numpy as np

from idmvton.prepare.mask import ATR_LABELS, NECK


def _numbers(*names: str) -> list[int]:
    return [ATR_LABELS.index(name) for name in names]


_CLOTHES = (
    _numbers("upper_clothes"), _numbers("skirt", "pants"), _numbers("dress"), _numbers("left_shoe", "right_shoe"),
    _numbers("bag"), _numbers("hat"), _numbers("scarf"),
)  # fmt: skip
_SKIN = [*_numbers("head", "left_leg", "right_leg", "left_arm", "right_arm"), NECK]
_HAIR = _numbers("hair")
_TONES = np.array(  # sRGB of lit skin, from light to dark
    [
        *((246, 218, 200), (236, 196, 172), (224, 178, 148), (206, 156, 122)),
        *((180, 128, 94), (146, 98, 68), (106, 70, 50), (72, 48, 36)),
    ],
    np.float32,
)
_HAIR_TONES = np.array(
    [
        *((20, 18, 18), (40, 28, 22), (70, 46, 32), (110, 72, 46), (160, 116, 72), (212, 178, 128)),
        *((150, 70, 40), (140, 140, 140), (220, 215, 208), (226, 150, 170)),
    ],
    np.float32,
)


def repaint(image: np.ndarray, labels: np.ndarray, scenery: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The same scene in other colours: uint8 (H, W, 3).

    Args:
        image: uint8 (H, W, 3) RGB.
        labels: uint8 (H, W), ATR classes and bare skin.
        scenery: another uint8 (H, W, 3) picture, whose pieces serve as textures and backgrounds.
        rng: the source of every choice.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    result = image.astype(np.float32)
    for group in _CLOTHES:
        if rng.random() < 0.6 and (region := _within(labels, group)).any():
            _dye(result, grey, region, _cloth(image.shape[:2], scenery, rng), rng)
    if rng.random() < 0.45:
        _dye(result, grey, _within(labels, _SKIN), _tone(_TONES, rng), rng)
    if rng.random() < 0.5:
        _dye(result, grey, _within(labels, _HAIR), _tone(_HAIR_TONES, rng), rng)
    if rng.random() < 0.6:
        outside = cv2.GaussianBlur((labels == 0).astype(np.float32), (0, 0), rng.uniform(0.4, 0.9))[..., None]
        result += outside * (_background(image.shape[:2], scenery, rng) - result)
    return np.clip(result, 0, 255).astype(np.uint8)


def _within(labels: np.ndarray, group: list[int]) -> np.ndarray:
    table = np.zeros(256, bool)
    table[group] = True
    return table[labels]


def _dye(
    result: np.ndarray, grey: np.ndarray, region: np.ndarray, colour: np.ndarray, rng: np.random.Generator
) -> None:
    """Colours a region in place, keeping its light and shade, with some more folds."""
    if not region.any():
        return
    shade = grey[region]
    shade = np.clip(shade / max(float(np.median(shade)), 8.0), 0.25, 1.8) ** rng.uniform(0.3, 1.1)
    if rng.random() < 0.5:
        height, width = grey.shape
        cells = (int(rng.integers(8, 40)), int(rng.integers(6, 30)))
        folds = cv2.resize(rng.normal(0, 1, cells).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
        shade = shade * np.clip(1 + folds[region] * rng.uniform(0.03, 0.2), 0.2, 2)
    paint = colour[region] if colour.ndim == 3 else colour
    result[region] = paint * shade[:, None]


def _tone(tones: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A colour between two neighbours of a row of tones."""
    number = int(rng.integers(len(tones) - 1))
    part = rng.random()
    return tones[number] * (1 - part) + tones[number + 1] * part + rng.normal(0, 4, 3).astype(np.float32)


def _colour(rng: np.random.Generator) -> np.ndarray:
    """A colour of clothes: often white, grey or black."""
    kind = rng.random()
    if kind < 0.15:
        return np.float32(rng.uniform(215, 252)) + rng.normal(0, 3, 3).astype(np.float32)
    if kind < 0.33:
        return np.float32(rng.uniform(10, 50)) + rng.normal(0, 4, 3).astype(np.float32)
    if kind < 0.42:
        return np.float32(rng.uniform(60, 200)) + rng.normal(0, 4, 3).astype(np.float32)
    if kind < 0.52:  # near skin and wood
        return _tone(_TONES, rng)
    if kind < 0.62:  # denim
        return np.array([70, 100, 140], np.float32) * np.float32(rng.uniform(0.4, 1.6))
    hue, saturation, value = rng.uniform(0, 180), rng.uniform(50, 255), rng.uniform(60, 255)
    pixel = np.array([[[hue, saturation, value]]], np.uint8)
    return cv2.cvtColor(pixel, cv2.COLOR_HSV2RGB)[0, 0].astype(np.float32)


def _cloth(size: tuple[int, int], scenery: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Plain colour (3,) or a texture (H, W, 3), float32."""
    base = _colour(rng)
    kind = rng.random()
    if kind < 0.55:
        return base
    other = _colour(rng)
    if kind < 0.65:
        return _piece(size, scenery, rng)
    if kind < 0.82:  # stripes and checks
        y, x = np.indices(size, np.float32)
        angle, period = rng.uniform(0, np.pi), rng.uniform(3, 30)
        share = rng.uniform(0.15, 0.6)
        bands = ((x * np.cos(angle) + y * np.sin(angle)) / period % 1) < share
        if rng.random() < 0.5:
            bands = bands ^ (((y * np.cos(angle) - x * np.sin(angle)) / period % 1) < share)
        return np.where(bands[..., None], other, base).astype(np.float32)
    cells = rng.integers(6, 80)
    noise = rng.normal(0, 1, (int(cells), int(cells * 0.75) + 1)).astype(np.float32)
    noise = cv2.resize(noise, size[::-1], interpolation=cv2.INTER_CUBIC)
    if rng.random() < 0.6:  # spots
        return np.where((noise > rng.uniform(0.2, 1.5))[..., None], other, base).astype(np.float32)
    mix = np.clip(0.5 + noise * rng.uniform(0.1, 0.5), 0, 1)[..., None]
    return base * (1 - mix) + other * mix


def _piece(size: tuple[int, int], scenery: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A random piece of a picture, enlarged."""
    height, width = scenery.shape[:2]
    tall = int(rng.integers(height // 6, height))
    wide = min(width, int(tall * rng.uniform(0.5, 1)))
    top, left = int(rng.integers(height - tall + 1)), int(rng.integers(width - wide + 1))
    piece = cv2.resize(scenery[top : top + tall, left : left + wide], size[::-1], interpolation=cv2.INTER_LINEAR)
    return (piece[:, ::-1] if rng.random() < 0.5 else piece).astype(np.float32)


def _background(size: tuple[int, int], scenery: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    kind = rng.random()
    if kind < 0.4:  # a studio: plain, a little brighter somewhere
        base = np.float32(rng.uniform(190, 255)) if rng.random() < 0.7 else _colour(rng)
        light = cv2.resize(
            rng.normal(0, rng.uniform(0, 12), (3, 2)).astype(np.float32), size[::-1], interpolation=cv2.INTER_LINEAR
        )
        return base + rng.normal(0, 4, 3).astype(np.float32) + light[..., None]
    if kind < 0.75:
        piece = _piece(size, scenery, rng)
        return cv2.GaussianBlur(piece, (0, 0), rng.uniform(1, 10)) if rng.random() < 0.6 else piece
    return np.broadcast_to(_cloth(size, scenery, rng), (*size, 3)).astype(np.float32)
