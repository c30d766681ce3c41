"""Validation pictures side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image


def sheet(rows: Sequence[Sequence[Image.Image]]) -> Image.Image:
    """One row of pictures below the other; all pictures of one size."""
    pixels = np.concatenate([np.concatenate([np.asarray(each) for each in row], axis=1) for row in rows])
    return Image.fromarray(pixels)


def greyed(picture: Image.Image, mask: np.ndarray) -> Image.Image:
    """The picture with what is repainted in grey; mask bool (H, W)."""
    return Image.fromarray(np.where(mask[..., None], np.uint8(128), np.asarray(picture)))
