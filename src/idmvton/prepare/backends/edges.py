"""The outline of one person at the photo's resolution."""

from __future__ import annotations

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from idmvton.errors import PreparationError
from idmvton.prepare.backends.blazepose.landmarks import BONES, HIPS, NAME, SHOULDERS, Landmark, landmarks_of
from idmvton.prepare.backends.protocols import MIN_VISIBILITY, Photo, Pose
from idmvton.prepare.backends.skeleton_outline import outline_of_skeleton

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

_WORK_SIDE: Final = 384  # longer side, pixels, at which colours decide
_SURE: Final = 0.9  # of the rough outline: person
_NONE: Final = 0.08  # below it: background
_BAND: Final = 0.03  # of the torso: how far the rough outline may be wrong
_BONE: Final = 0.05  # of the torso: half the width of what surely lies around a bone
_ITERATIONS: Final = 1
_GRABCUT_VOTE: Final = 2.0  # in units of log odds
_ROUGH_VOTE: Final = 1.0
_NEARBY_VOTE: Final = 0.5
_CERTAIN: Final = 9.0
_NEAR: Final = 0.15  # of the torso: what is nearby
_COLOUR_NOISE: Final = 0.05  # of colours from 0 to 1
_MIN_NEARBY: Final = 0.01  # share of the window that must be sure
_LIMIT: Final = 3.0
_SMOOTHNESS: Final = 1e-4  # of the guided filter, for colours from 0 to 1
_MIN_ISLAND: Final = 0.02  # of the person: smaller pieces apart from it are dropped
_MIN_HOLE: Final = 0.0015  # of the person: smaller holes are closed
_MIN_PIXELS: Final = 200  # of sure person and sure background, to learn colours from


class EdgeSegmenter:
    """The pose's rough outline, moved to the photo's edges; without one, the skeleton gives it.

    Inside a band around the rough outline three judges decide together: the rough outline itself, colour models of the
    whole person and background (GrabCut, with the skeleton as sure foreground), and the colours nearby, which hold
    where the background is busy. A guided filter then gives soft edges at the photo's own resolution.
    """

    name = "edges"

    def __call__(self, photo: Photo, pose: Pose) -> Floats:
        """How much of each pixel is that person: float32 (H, W) from 0 to 1.

        Args:
            photo: uint8 (H, W, 3).
            pose: the person's skeleton, with its rough outline where the backend has one.

        Raises:
            PreparationError: the pose shows nobody in the photo.
        """
        rough = outline_of_skeleton(pose, *photo.shape[:2]) if pose.outline is None else pose.outline
        left, top, right, bottom = _window(rough, 0.1 * _torso(pose))
        if right <= left or bottom <= top:
            raise PreparationError("the pose's rough outline shows nobody in the photo")
        part = np.ascontiguousarray(photo[top:bottom, left:right])
        silhouette = np.zeros(photo.shape[:2], np.float32)
        silhouette[top:bottom, left:right] = _refine(part, rough[top:bottom, left:right], pose, (left, top))
        return silhouette


def _torso(pose: Pose) -> float:
    return landmarks_of(pose).torso if NAME in pose.extra else pose.torso


def _window(rough: Floats, margin: float) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of what the outline may touch, with a margin, inside the photo."""
    height, width = rough.shape
    rows, columns = np.flatnonzero((rough > _NONE).any(1)), np.flatnonzero((rough > _NONE).any(0))
    if not len(rows):
        return 0, 0, 0, 0
    low, high = int(np.floor(-margin)), int(np.ceil(margin)) + 1
    return (
        max(int(columns[0]) + low, 0),
        max(int(rows[0]) + low, 0),
        min(int(columns[-1]) + high, width),
        min(int(rows[-1]) + high, height),
    )


def _refine(photo: Photo, rough: Floats, pose: Pose, corner: tuple[int, int]) -> Floats:
    """The outline of a window of the photo whose left, top corner is given."""
    height, width = rough.shape
    scale = min(_WORK_SIDE / max(height, width), 1.0)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    small = cv2.resize(photo, size, interpolation=cv2.INTER_AREA)
    soft = cv2.resize(rough, size, interpolation=cv2.INTER_AREA)
    torso, landmarks = _torso(pose) * scale, landmarks_of(pose)
    points = (landmarks.points - np.array(corner)) * scale
    trimap = _trimap(soft, points, landmarks.visibility, torso)
    votes = _GRABCUT_VOTE * np.where(_cut(small, trimap, soft), 1, -1) + _ROUGH_VOTE * _logit(soft)
    votes += _NEARBY_VOTE * _nearby(small, trimap, max(round(_NEAR * torso), 3))
    votes[trimap == cv2.GC_FGD], votes[trimap == cv2.GC_BGD] = _CERTAIN, -_CERTAIN
    share = np.asarray(1 / (1 + np.exp(-votes)), np.float32)
    radius = max(round(_BAND / 2 * torso), 2)
    inside = _without_islands(_guided(small, small, share, max(radius // 2, 1)) > 0.5)
    return _guided(photo, small, inside.astype(np.float32), radius)


def _logit(share: Floats) -> Floats:
    limited = np.clip(share, 0.02, 0.98)
    return np.asarray(np.log(limited / (1 - limited)))


def _nearby(small: Photo, trimap: NDArray[np.uint8], reach: int) -> Floats:
    """How much better each pixel's colour fits the sure person nearby than the sure background nearby.

    Args:
        small: uint8 (h, w, 3).
        trimap: uint8 (h, w), GrabCut's labels.
        reach: half the side of the windows, pixels.

    Returns:
        float32 (h, w), the log of the ratio, limited; 0 where either is too far.
    """
    window = (2 * reach + 1, 2 * reach + 1)
    guide = np.divide(small, 255, dtype=np.float32)
    fits, shares = [], []
    for label in (cv2.GC_FGD, cv2.GC_BGD):
        weight = (trimap == label).astype(np.float32)
        share = cv2.blur(weight, window)
        divisor = np.maximum(share, 1e-4)[..., None]
        mean = cv2.blur(guide * weight[..., None], window) / divisor
        spread = cv2.blur(guide**2 * weight[..., None], window) / divisor - mean**2
        spread = np.maximum(spread, 0) + _COLOUR_NOISE**2
        fits.append(-0.5 * ((guide - mean) ** 2 / spread + np.log(spread)).sum(-1))
        shares.append(share)
    known = np.minimum(*shares) > _MIN_NEARBY
    return np.where(known, np.clip(fits[0] - fits[1], -_LIMIT, _LIMIT), 0).astype(np.float32)


def _trimap(soft: Floats, points: NDArray[np.floating[Any]], visibility: Floats, torso: float) -> NDArray[np.uint8]:
    """GrabCut's four labels: sure where the rough outline is clear and not near its edge, or on the skeleton."""
    reach = max(round(_BAND * torso), 1)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    sure = cv2.erode((soft > _SURE).astype(np.uint8), disc, borderType=cv2.BORDER_REPLICATE) > 0
    none = cv2.dilate((soft > _NONE).astype(np.uint8), disc) == 0
    trimap = np.where(soft > 0.5, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    trimap[none] = cv2.GC_BGD
    sure |= _skeleton(points, visibility, torso, soft.shape) & (soft > 0.5)
    trimap[sure] = cv2.GC_FGD
    return trimap


def _skeleton(points: NDArray[np.floating[Any]], visibility: Floats, torso: float, shape: tuple[int, ...]) -> Mask:
    """What surely lies inside the body: thin lines along the visible bones, and the trunk between them."""
    canvas = np.zeros(shape, np.uint8)
    places = np.clip(np.rint(points), -10_000, 10_000).astype(np.int32)
    width = max(round(_BONE * torso), 1)
    for first, second in BONES:
        thin = first in _HANDS or second in _HANDS
        if min(visibility[first], visibility[second]) >= MIN_VISIBILITY:
            line = tuple(map(int, places[first])), tuple(map(int, places[second]))
            cv2.line(canvas, *line, 1, max(width // 2, 1) if thin else width)
    if visibility[[*SHOULDERS, *HIPS]].min() >= MIN_VISIBILITY:
        trunk = places[[Landmark.LEFT_SHOULDER, Landmark.RIGHT_SHOULDER, Landmark.RIGHT_HIP, Landmark.LEFT_HIP]]
        cv2.fillConvexPoly(canvas, trunk, 1)
    return canvas > 0


_HANDS: Final = (
    Landmark.LEFT_WRIST,
    Landmark.RIGHT_WRIST,
    Landmark.LEFT_INDEX,
    Landmark.RIGHT_INDEX,
    Landmark.LEFT_FOOT,
    Landmark.RIGHT_FOOT,
)


def _cut(small: Photo, trimap: NDArray[np.uint8], soft: Floats) -> Mask:
    """GrabCut inside the band; the rough outline itself where there is nothing to learn colours from."""
    counts = np.bincount(trimap.ravel(), minlength=4)
    if counts[cv2.GC_BGD] < _MIN_PIXELS or counts[cv2.GC_FGD] < _MIN_PIXELS:
        return np.asarray(soft > 0.5)
    cv2.setRNGSeed(0)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    labels, _, _ = cv2.grabCut(small, trimap.copy(), None, *models, _ITERATIONS, cv2.GC_INIT_WITH_MASK)
    return np.asarray((labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD))


def _without_islands(inside: Mask) -> Mask:
    """Without small pieces apart from the person, and without pinholes."""
    for value in (True, False):
        count, labels, stats, _ = cv2.connectedComponentsWithStats((inside == value).astype(np.uint8))
        if count < 2:
            continue
        areas = stats[1:, cv2.CC_STAT_AREA]
        least = _MIN_ISLAND * areas.max() if value else _MIN_HOLE * inside.sum()
        small = np.flatnonzero(areas < least) + 1
        inside = np.where(np.isin(labels, small), not value, inside)
    return inside


def _guided(photo: Photo, small: Photo, mask: Floats, radius: int) -> Floats:
    """A soft mask at the photo's size whose edges are those of the photo (fast guided filter).

    Args:
        photo: uint8 (H, W, 3).
        small: uint8 (h, w, 3), the same, shrunk.
        mask: float32 (h, w) from 0 to 1.
        radius: of the windows, pixels of ``small``.
    """

    def mean(values: Floats) -> Floats:
        return np.asarray(cv2.blur(values, (2 * radius + 1, 2 * radius + 1)))

    guide = np.divide(small, 255, dtype=np.float32)
    centre, level = mean(guide), mean(mask)
    with_mask = mean(guide * mask[..., None]) - centre * level[..., None]
    pairs = [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)]
    products = np.stack([guide[..., i] * guide[..., j] for i, j in pairs], -1)
    spread = [mean(products[..., k]) - centre[..., i] * centre[..., j] for k, (i, j) in enumerate(pairs)]
    slope = _solve(spread, with_mask)
    offset = level - (slope * centre).sum(-1)
    size = photo.shape[1], photo.shape[0]
    value = cv2.resize(mean(offset), size, interpolation=cv2.INTER_LINEAR)
    for channel in range(3):
        large = cv2.resize(mean(slope[..., channel]), size, interpolation=cv2.INTER_LINEAR)
        value += cv2.multiply(large, photo[..., channel], scale=1 / 255, dtype=cv2.CV_32F)
    return np.clip(value, 0, 1, dtype=np.float32)


def _solve(spread: list[Floats], right: Floats) -> Floats:
    """Solves the symmetric 3x3 systems (a b c; b d e; c e f) + smoothness, one a pixel."""
    a, b, c, d, e, f = spread
    a, d, f = a + _SMOOTHNESS, d + _SMOOTHNESS, f + _SMOOTHNESS
    first, second, third = d * f - e * e, c * e - b * f, b * e - c * d
    fourth, fifth, sixth = a * f - c * c, b * c - a * e, a * d - b * b
    x, y, z = right[..., 0], right[..., 1], right[..., 2]
    solved = np.stack(
        [first * x + second * y + third * z, second * x + fourth * y + fifth * z, third * x + fifth * y + sixth * z], -1
    )
    return np.asarray(solved / (a * first + b * second + c * third)[..., None], np.float32)
