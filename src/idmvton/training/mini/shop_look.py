"""Rendered product pictures that look more like those of shops; the garment stays in its place, so its flow stays true.

Added are what a cut-out leaves or takes at the rim, folds from lying in a box, a label inside the collar, a little
other light, and the traces of JPEG.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]

_FOLDS: Final = 0.10  # most by which folds change the brightness
_LIGHT: Final = 0.05  # likewise the light as a whole
_RIM: Final = 2  # pixels of a picture 512 high: errors of a cut-out
_WITH_LABEL: Final = ("round neck", "scoop neck", "boat neck", "v neck", "collar", "hood")


def shop_look(picture: Bytes, mask: Bytes, neckline: str, rng: np.random.Generator) -> Bytes:
    """One variation of a product picture.

    Args:
        picture: uint8 (H, W, 3), on white or light grey.
        mask: uint8 (H, W), 255 on the garment.
        neckline: of the garment, in the studio's words.
        rng: random numbers.

    Returns:
        uint8 (H, W, 3), on white or nearly so.
    """
    inside = mask > 127
    height = len(mask)
    shade = rng.normal(size=inside.shape).astype(np.float32)
    pixels = picture.astype(np.float32) * (1 + _folds(shade, height, rng) * inside)[..., None]
    if neckline in _WITH_LABEL and rng.random() < 0.5:
        _draw_label(pixels, inside, rng)
    reach = int(rng.integers(-_RIM, _RIM + 1) * height / 512)
    kernel = np.ones((2 * abs(reach) + 1,) * 2, np.uint8)
    cut = (cv2.dilate if reach > 0 else cv2.erode)(inside.astype(np.uint8), kernel)
    alpha = cv2.GaussianBlur(cut.astype(np.float32), (0, 0), 0.8)[..., None]
    background = 255.0 if rng.random() < 0.8 else float(rng.integers(236, 256))
    mixed = np.clip(alpha * pixels + (1 - alpha) * background, 0, 255).astype(np.uint8)
    if rng.random() < 0.7:
        quality = int(rng.integers(65, 97))
        coded = cv2.imencode(".jpg", mixed[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        mixed = cv2.imdecode(coded, cv2.IMREAD_COLOR)[..., ::-1]
    return np.ascontiguousarray(mixed)


def _folds(noise: Floats, height: int, rng: np.random.Generator) -> Floats:
    """Creases in a direction, broad shadows, and the light as a whole: a change of brightness."""
    total = np.full(noise.shape, np.float32(rng.uniform(-_LIGHT, _LIGHT)))
    fine, long = rng.uniform(0.003, 0.01) * height, rng.uniform(0.03, 0.10) * height
    across = (fine, long) if rng.random() < 0.5 else (long, fine)
    for sigma, most in ((across, _FOLDS), ((long, long), _FOLDS / 2)):
        field = cv2.GaussianBlur(noise, (0, 0), sigmaX=sigma[0], sigmaY=sigma[1])
        total += np.float32(rng.uniform(0, most) / 2.5) * field / np.float32(max(float(field.std()), 1e-6))
    return np.clip(total, -0.3, 0.3)


def _draw_label(pixels: Floats, inside: NDArray[np.bool_], rng: np.random.Generator) -> None:
    """A label below the collar's upper rim, in place."""
    height, width = inside.shape
    columns = np.flatnonzero(inside.any(0))
    middle = int(columns.mean()) if len(columns) else width // 2
    rows = np.flatnonzero(inside[:, middle])
    if not len(rows):
        return
    top = int(rows[0] + rng.uniform(0.004, 0.015) * height)
    tall, wide = (max(2, int(rng.uniform(*share) * height)) for share in ((0.01, 0.03), (0.015, 0.035)))
    window = np.s_[top : top + tall, middle - wide // 2 : middle + wide // 2]
    colour, ink = (245.0, 30.0) if rng.random() < 0.6 else (25.0, 230.0)
    pixels[window] = colour
    if tall > 5:
        lines = pixels[window][1:-1:3, 1:-1]
        lines[rng.random(lines.shape[:2]) < 0.6] = ink
