"""Simple baselines: the mask filled with the garment's colour, or with the product picture by a thin-plate warp."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Floats = NDArray[np.floating]

# OpenPose numbers of the points that hold a garment.
_RIGHT_SHOULDER, _LEFT_SHOULDER, _RIGHT_HIP, _LEFT_HIP = 2, 5, 8, 11
_SHOULDER_WIDTH, _HIP_WIDTH = 1.3, 1.8  # of the clothes, as a multiple of the joints' distance


def garment_pixels(garment: Bytes) -> NDArray[np.bool_]:
    """Which pixels (H, W) of a product picture on white or light grey are garment: what differs from its border."""
    border = np.concatenate([garment[0], garment[-1], garment[:, 0], garment[:, -1]])
    distance = np.abs(garment.astype(int) - np.median(border, 0)).max(-1)
    filled = cv2.morphologyEx((distance > 12).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    return filled.astype(bool)


def colour_fill(person: Bytes, garment: Bytes, mask: NDArray[np.bool_]) -> Bytes:
    """The mask filled with the garment's mean colour."""
    result = person.copy()
    result[mask] = garment[garment_pixels(garment)].mean(0).round()
    return result


def thin_plate_warp(person: Bytes, garment: Bytes, mask: NDArray[np.bool_], keypoints: Floats, category: str) -> Bytes:
    """The product picture, bent so that its corners lie on the person's joints, pasted into the mask.

    Where a joint is missing, the mask's own corners take its place. What the bent garment leaves of the mask gets the
    garment's mean colour.

    Args:
        person: uint8 (H, W, 3).
        garment: uint8 (H, W, 3), the product picture.
        mask: bool (H, W), True = repaint.
        keypoints: float (18, 2), OpenPose order, (0, 0) missing.
        category: ``upper_body``, ``lower_body`` or ``dresses``.
    """
    inside = garment_pixels(garment)
    source = _corners(inside)
    target = _joints(keypoints, category, source)
    fallback = _corners(mask)
    target = np.where((target == 0).all(1)[:, None], fallback, target)
    y, x = np.nonzero(mask)
    flow = np.zeros((*mask.shape, 2), np.float32)
    flow[mask] = thin_plate(target, source, np.stack([x, y], 1) + 0.5) - 0.5
    inner = cv2.erode(inside.astype(np.uint8), np.ones((5, 5), np.uint8))
    seen = mask & (cv2.remap(inner, flow, None, cv2.INTER_NEAREST) > 0)
    result = colour_fill(person, garment, mask)
    result[seen] = cv2.remap(garment, flow, None, cv2.INTER_LINEAR)[seen]
    return result


def thin_plate(points: Floats, values: Floats, queries: Floats) -> Floats:
    """The thin-plate spline through ``points`` (N, 2) -> ``values`` (N, 2), at ``queries`` (Q, 2)."""
    count = len(points)
    affine = np.concatenate([np.ones((count, 1)), points], 1)
    system = np.zeros((count + 3, count + 3))
    system[:count, :count] = _bending(points, points)
    system[:count, count:], system[count:, :count] = affine, affine.T
    weights = np.linalg.lstsq(system, np.concatenate([values, np.zeros((3, 2))]), rcond=None)[0]
    return _bending(queries, points) @ weights[:count] + weights[count] + queries @ weights[count + 1 :]


def _bending(first: Floats, second: Floats) -> Floats:
    squared = ((first[:, None] - second[None]) ** 2).sum(-1)
    return squared * np.log(squared + 1e-9)


def _corners(inside: NDArray[np.bool_]) -> Floats:
    """Left and right edge, 10 % below the top and 5 % above the bottom of a region: float (4, 2) x, y."""
    rows = np.nonzero(inside.any(1))[0]
    top, bottom = rows[0], rows[-1]
    corners = []
    for share in (0.10, 0.95):
        row = round(top + share * (bottom - top))
        columns = np.nonzero(inside[row])[0]
        columns = columns if len(columns) else np.nonzero(inside.any(0))[0]
        corners += [(columns[0] + 0.5, row + 0.5), (columns[-1] + 0.5, row + 0.5)]
    return np.array(corners)


def _joints(keypoints: Floats, category: str, corners: Floats) -> Floats:
    """Where those four corners belong on the person: float (4, 2), (0, 0) where a joint is missing.

    The lower corners of trousers, skirts and dresses hang from the upper ones, as far as the garment is long.
    """
    shoulders = _widened(keypoints[[_RIGHT_SHOULDER, _LEFT_SHOULDER]], _SHOULDER_WIDTH)
    hips = _widened(keypoints[[_RIGHT_HIP, _LEFT_HIP]], _HIP_WIDTH)
    if category == "upper_body":
        return np.concatenate([shoulders, hips])
    upper = hips if category == "lower_body" else shoulders
    scale = np.linalg.norm(upper[1] - upper[0]) / max(corners[1, 0] - corners[0, 0], 1)
    lower = upper.mean(0) + (corners[2:] - corners[:2].mean(0)) * scale
    return np.concatenate([upper, lower]) if scale > 0 else np.zeros((4, 2))


def _widened(pair: Floats, factor: float) -> Floats:
    """Two joints moved apart, out to the edge of the clothes; zeros where one is missing."""
    pair = pair.astype(float)
    return pair * 0 if (pair == 0).all(1).any() else pair.mean(0) + factor * (pair - pair.mean(0))
