"""Varied masks: a network that only saw exact masks would read the old garment's shape off them."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from idmvton.training.sections import MaskOptions


def vary_mask(mask: NDArray[np.bool_], rng: np.random.Generator, options: MaskOptions) -> NDArray[np.bool_]:
    """One variation of a mask: itself, grown, or its bounding box.

    Args:
        mask: bool (H, W), True = repaint; not empty.
        rng: drawn from equally often, whatever happens.
        options: how often, and how much.
    """
    choice, amount = rng.random(2)
    if choice < options.box:
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        box = np.zeros_like(mask)
        box[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = True
        return box
    if choice < options.box + options.grown:
        reach = round(amount * options.growth * mask.shape[0])
        if reach:
            disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
            return np.asarray(cv2.dilate(mask.astype(np.uint8), disc) > 0)
    return mask
