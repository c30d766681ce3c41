"""The garment cut in numpy: the same smooth distances as `shaders/garment_cut.glsl`, at vertices.

Used to leave out what the shader would discard anyway, and to measure garments.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]


def shoulder_height(width: float) -> float:
    """Height of the shoulder line where a neckline of this half width meets it."""
    return 0.6846 + 0.0054 / max(width, 0.05)


def neck_distance(neck: Floats, place: Floats, front: Floats) -> Floats:
    """Distance from the neckline, positive on the cloth; ``neck``: type, half width, front and back depth."""
    kind, width = int(neck[0] + 0.5), float(neck[1])
    side = np.abs(place[:, 0])
    if kind == 3:
        return np.asarray(0.790 + 0.35 * (place[:, 1] + 0.02) - place[:, 2])
    if kind == 4:
        return np.asarray(0.635 - 0.05 * np.exp(-side * side * 90.0) - place[:, 2])
    share = np.clip((front + 0.03) / 0.06, 0, 1)
    share = share * share * (3 - 2 * share)
    below = np.maximum(shoulder_height(width) - place[:, 2], 0.0)
    depth = neck[3] * (1 - share) + neck[2] * share
    if kind == 1:
        depth = np.where(front >= 0, neck[2], neck[3])
    scaled = np.hypot(side / width, below / depth)
    round_ = (scaled - 1.0) * np.minimum(width, depth)
    if kind == 1:
        slant = (side - width * (1.0 - below / neck[2])) * neck[2] / np.hypot(width, neck[2])
        return np.where(front >= 0, slant, round_)
    if kind == 2:
        return np.where(front >= 0, np.maximum(side - width, below - depth), round_)
    return np.asarray(round_)


def distance(cut: Floats, where: Floats) -> Floats:
    """Distance from the garment's edges, positive on the cloth.

    Args:
        cut: float (3, 4), rows extent, neck, shape.
        where: float (V, 12), packed coordinates.
    """
    extent, neck, shape = cut
    place, seam = where[:, :3], where[:, 3]
    arm_along, around, front = where[:, 4], where[:, 6], where[:, 7]
    leg_along = where[:, 8]
    kind = int(shape[0] + 0.5)
    if kind == 1:
        hem = extent[0] + 0.012 * np.cos(around * 9.0) * np.clip(front * 20, -1, 1)
        inside = np.where(seam > 0, 1.0, place[:, 2] - hem)
        inside = np.minimum(inside, neck_distance(neck, place, front))
        if extent[3] >= 0:
            inside = np.where(seam > 0, np.minimum(inside, (extent[3] - arm_along) * 0.26), inside)
        else:
            inside = np.minimum(inside, shape[1] - seam)
        share = np.clip((place[:, 2] - 0.1) / 0.56, 0, 1)
        opening = shape[3] + (shape[2] - shape[3]) * share * share * (3 - 2 * share)
        open_ = (opening > 0) & (front > 0)
        return np.where(open_, np.minimum(inside, np.abs(place[:, 0]) - opening), inside)
    if kind == 2:
        inside = np.minimum(extent[1] - place[:, 2], (extent[2] - leg_along) * 0.43)
        return np.minimum(inside, -seam - 0.005)
    if kind == 3:
        instep = _smooth(0.01, -0.04, place[:, 1]) * (1 - _smooth(-0.085, -0.130, place[:, 1]))
        return np.asarray((leg_along - extent[2] - extent[0] * instep) * 0.43)
    return np.full(len(where), 1.0 if kind == 4 else -1.0)


def _smooth(low: float, high: float, value: Floats) -> Floats:
    t = np.clip((value - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t))
