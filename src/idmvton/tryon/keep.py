"""Minimal repaint: of a result only what has to change is taken, everything else stays the photo's own pixels.

A mask covers arms and neck too, because sleeves and necklines may change. Once the result is known, it is known what
really changed: the old garment, the new one, and the skin between them. The rest of the mask shows the same in photo
and result, and the photo shows it better.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from idmvton.images.framing import Axis, Framing
from idmvton.prepare.mask import ATR_LABELS, NECK

Floats = NDArray[np.float32]
Labels = NDArray[np.uint8]
Mask = NDArray[np.bool_]

_CLOTHES: Final = ("upper_clothes", "skirt", "pants", "dress", "belt", "scarf")
_SKIN: Final = (*(ATR_LABELS.index(f"{side}_{limb}") for side in ("left", "right") for limb in ("arm", "leg")), NECK)
_REPLACED: Final = 0.5  # share of a kind of clothes that the mask must cover; of the others it covers the edge alone
_RIM: Final = 1.6  # working pixels around the old garment: there edges mix with what lies behind
_DOUBT: Final = 10.0  # working pixels around it where the photo's colours decide whether it goes on
_BESIDE: Final = 4.0  # working pixels: from how near the colours on both sides are taken
_ALIKE: Final = 0.6  # as near to the old garment's colour as this share of the way to the other side's: still garment
_VISIBLE: Final = 2.5  # distance in CIE Lab: so far from the background's colour a pixel does not show it
_NEARER: Final = 1.5  # and is old garment if that is at most so many times as far
_FADE: Final = 1.5  # working pixels: width of the seam
_FINEST: Final = 2.0  # photo pixels per working pixel: the old garment's edge is not known better than this
_SEEN: Final = 0.5  # from here on a pixel counts as new


def clothes(labels: Labels) -> Mask:
    """Where anything is worn that could be exchanged: bool (H, W)."""
    return np.isin(labels, [ATR_LABELS.index(name) for name in _CLOTHES])


def old_garment(labels: Labels, mask: Mask) -> Mask:
    """What the mask is there to replace: the kinds of clothes that it mostly covers.

    Args:
        labels: uint8 (H, W), the photo's; see :data:`idmvton.prepare.mask.ATR_LABELS`.
        mask: bool (H, W), True = repaint.

    Returns:
        bool (H, W), also outside the mask.
    """
    area, covered = (np.bincount(each, minlength=NECK + 1) for each in (labels.ravel(), labels[mask]))
    replaced = np.zeros(256, bool)
    for name in _CLOTHES:
        number = ATR_LABELS.index(name)
        replaced[number] = covered[number] > _REPLACED * area[number]
    return np.asarray(replaced[labels])


def share_of_old(photo: NDArray[np.uint8], labels: Labels, mask: Mask, scale: float) -> Floats:
    """How much of each pixel has to go because the old garment is seen there.

    Args:
        photo: uint8 (H, W, 3) RGB.
        labels: uint8 (H, W), what the photo shows.
        mask: bool (H, W), True = repaint.
        scale: photo pixels per working pixel.

    Returns:
        float32 (H, W) from 0 to 1, also beyond the mask's edge. Large photos are looked at in a smaller copy.
    """
    if scale > _FINEST:
        height, width = labels.shape
        size = round(width * _FINEST / scale), round(height * _FINEST / scale)
        small = cv2.resize(photo, size, interpolation=cv2.INTER_AREA)
        maps = (cv2.resize(each, size, interpolation=cv2.INTER_NEAREST) for each in (labels, mask.astype(np.uint8)))
        shown, covered = maps
        share = share_of_old(small, shown, covered > 0, _FINEST)
        return cv2.resize(share, (width, height), interpolation=cv2.INTER_LINEAR)
    old = old_garment(labels, mask) & mask
    old |= _goes_on(photo, labels, old, mask, scale)
    return _faded(old, scale, _RIM)


def share_of_new(new: Mask, framing: Framing) -> Floats:
    """How much of each pixel shows something new, a little around it included, where its soft edge lies.

    Args:
        new: bool (h, w) of the working size.
        framing: photo -> working size.

    Returns:
        float32 (H, W) of the photo's size, from 0 to 1.
    """
    return _faded(upsample(new.astype(np.float32), framing) >= _SEEN, framing.scale, 1)


def _faded(mask: Mask, scale: float, rim: float) -> Floats:
    away = _distance(mask) / np.float32(scale) - np.float32(rim)
    return np.clip(1 - away / np.float32(_FADE), 0, 1)


def differing(labels: Labels, result_labels: Labels) -> Mask:
    """Where a parsed result shows something else than the photo: the new garment, or another part of the body.

    Args:
        labels: uint8 (H, W), the photo's.
        result_labels: uint8 (H, W), the result's.
    """
    kind = np.arange(256, dtype=np.uint8)
    kind[list(_SKIN)] = _SKIN[0]
    return np.asarray(clothes(result_labels) | (kind[labels] != kind[result_labels]))


def upsample(values: Floats, framing: Framing) -> Floats:
    """A map of the working size in photo pixels, smoothly: float32 (H, W); 0 where the box does not show the photo."""
    x, y = (_centres(axis) for axis in (framing.columns, framing.rows))
    grid = np.broadcast_arrays(x[None, :], y[:, None])
    return cv2.remap(
        values, *(np.ascontiguousarray(each) for each in grid), cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT
    )


def _centres(axis: Axis) -> Floats:
    """For each photo pixel its place along the working picture, in OpenCV's count from the first pixel's centre."""
    return np.asarray((np.arange(axis.photo) + 0.5 - axis.start) / axis.scale - 0.5, np.float32)


def _goes_on(photo: NDArray[np.uint8], labels: Labels, old: Mask, mask: Mask, scale: float) -> Mask:
    """Pixels near the old garment that have its colour, whatever their label says: hems, cuffs, wide sleeves."""
    near = (_distance(old) < _DOUBT * scale) & mask & ~old
    if not near.any():
        return near
    beside = max(1, round(_BESIDE * scale))
    core = cv2.erode(old.astype(np.uint8), np.ones((beside + 1,) * 2, np.uint8)) > 0
    far = ~(_distance(old) < _DOUBT * scale) & ~old
    reach = 2 * _DOUBT * scale
    lab = cv2.cvtColor(photo, cv2.COLOR_RGB2LAB).astype(np.float32)
    inside, outside = (_local_colour(lab, where, reach) for where in (core, far))
    to_old, to_other = (np.linalg.norm(lab - each, axis=-1) for each in (inside, outside))
    apart = np.linalg.norm(inside - outside, axis=-1)
    alike = (to_old < _ALIKE * to_other) & (to_old < _ALIKE * apart)
    not_behind = (labels == 0) & (to_other > _VISIBLE) & (to_old < _NEARER * to_other)
    found = near & (alike | not_behind)
    brush = np.ones((2 * beside + 1,) * 2, np.uint8)
    closed = cv2.morphologyEx((old | found).astype(np.uint8), cv2.MORPH_CLOSE, brush) > 0
    return np.asarray(found | (near & closed & (labels == 0)))


def _local_colour(lab: Floats, where: Mask, reach: float) -> Floats:
    """The mean colour of marked pixels around each pixel."""
    step = max(1, int(reach / 4))
    size = max(1, lab.shape[1] // step), max(1, lab.shape[0] // step)
    weight = cv2.resize(where.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    colour = cv2.resize(lab * where[..., None], size, interpolation=cv2.INTER_AREA)
    weight, colour = (cv2.GaussianBlur(each, (0, 0), reach / step) for each in (weight, colour))
    mean = colour / np.maximum(weight, 1e-6)[..., None]
    return np.asarray(cv2.resize(mean, lab.shape[1::-1], interpolation=cv2.INTER_LINEAR), np.float32)


def _distance(mask: Mask) -> Floats:
    """Of each pixel to the mask, in pixels; large where the mask is empty."""
    if not mask.any():
        return np.full(mask.shape, np.float32(max(mask.shape) * 2))
    return cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
