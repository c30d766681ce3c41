"""Masks that are white where they should be black."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_ALL = 0.97  # share of a picture: more is no mask of a garment


def looks_inverted(mask: NDArray[np.bool_], body: NDArray[np.bool_] | None) -> str:
    """Says in words that more of the background than of the body is repainted; empty if not.

    Without a body map of the mask's size the border of the picture counts as background and the middle as body.
    """
    if body is None or body.shape != mask.shape or body.all() or not body.any():
        height, width = mask.shape
        body = np.zeros(mask.shape, bool)
        body[height // 4 : -(height // 4), width // 4 : -(width // 4)] = True
        background = np.ones(mask.shape, bool)
        background[height // 16 : -(height // 16), width // 16 : -(width // 16)] = False
    else:
        background = ~body
    outside, inside = float(mask[background].mean()), float(mask[body].mean())
    if outside <= max(inside, 0.5):
        return ""
    return f"repaints {outside:.0%} of the background and {inside:.0%} of the person"


def odd_mask(mask: NDArray[np.bool_], body: NDArray[np.bool_] | None = None) -> str:
    """Says in words what is odd about a mask: nearly everything is repainted, or it looks inverted; empty if nothing.

    Args:
        mask: bool (H, W), True = repaint.
        body: bool (H, W), where the person is, where that is known.
    """
    share = float(mask.mean())
    if share > _ALL:
        return f"the mask repaints {share:.0%} of the picture, the face too: white = repaint, black = keep"
    if inverted := looks_inverted(mask, body):
        return f"the mask {inverted}: is it inverted? white = repaint, black = keep"
    return ""
