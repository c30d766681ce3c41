"""Left and right for labels that do not tell them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

_JOINTS: Final[Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]]] = {
    "arms": ((5, 6, 7), (2, 3, 4)),
    "legs": ((11, 12, 13), (8, 9, 10)),
    "shoes": ((13,), (10,)),
}
"""Pair -> OpenPose's points of the person's left and of the right one, from the trunk outward."""
_BODY: Final = ((5, 11), (2, 8))  # shoulder and hip of the left and of the right


def is_left(region: NDArray[np.bool_], pair: str, points: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Which pixels of a region belong to the person's left.

    A pixel belongs to the limb whose bones are nearer; where a limb is not seen, to the side of the body that is
    nearer; where that is not seen either, to the photo's right half of the region.

    Args:
        region: bool (H, W).
        pair: a key of :data:`idmvton.prepare.backends.segmenter.tables.PAIRS`.
        points: float (18, 2), OpenPose points x, y in pixels, (0, 0) where missing.

    Returns:
        bool (N,), for the pixels of the region in the order of :func:`numpy.nonzero`.
    """
    rows, columns = np.nonzero(region)
    places: NDArray[np.float64] = np.stack([columns, rows], axis=1) + np.float64(0.5)
    for sides in (_JOINTS[pair], _BODY):
        left, right = _seen(points, sides[0]), _seen(points, sides[1])
        if len(left) and len(right):
            return _distance(places, left) < _distance(places, right)
    middle = places[:, 0].mean() if len(places) else 0.0
    return places[:, 0] > middle


def _seen(points: NDArray[np.floating], joints: tuple[int, ...]) -> NDArray[np.float64]:
    path: NDArray[np.float64] = points[list(joints)].astype(np.float64)
    return path[(path != 0).any(1)]


def _distance(places: NDArray[np.float64], path: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance of each place (N, 2) to a line through points (K, 2)."""
    best = np.linalg.norm(places - path[0], axis=1)
    for start, end in itertools.pairwise(path):
        way = end - start
        along = np.clip((places - start) @ way / max(way @ way, 1e-9), 0, 1)
        best = np.minimum(best, np.linalg.norm(places - start - along[:, None] * way, axis=1))
    return best
