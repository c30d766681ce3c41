"""Boxes: what a network says about an anchor or a proposal, overlaps, and the suppression of doubles.

A box is x0, y0, x1, y1 in pixels. N and M count boxes.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import torch
from torch import Tensor

MAX_LOG_GROWTH: Final = math.log(1000 / 16)
"""No box grows by more than this (natural logarithm) in one step."""


def apply_deltas(boxes: Tensor, deltas: Tensor, weights: tuple[float, float, float, float]) -> Tensor:
    """Moves and scales boxes.

    Args:
        boxes: (N, 4).
        deltas: (N, 4): shifts of the centre in widths and heights, then logarithms of the growth of both.
        weights: what each delta is divided by.

    Returns:
        The new boxes (N, 4).
    """
    sizes = boxes[:, 2:] - boxes[:, :2]
    centres = boxes[:, :2] + 0.5 * sizes
    deltas = deltas / deltas.new_tensor(weights)
    centres = deltas[:, :2] * sizes + centres
    sizes = torch.exp(deltas[:, 2:].clamp(max=MAX_LOG_GROWTH)) * sizes
    return torch.cat([centres - 0.5 * sizes, centres + 0.5 * sizes], 1)


def clip_boxes(boxes: Tensor, height: float, width: float) -> Tensor:
    """The boxes inside a picture: (N, 4) to (N, 4)."""
    limits = boxes.new_tensor([width, height, width, height])
    return torch.minimum(boxes.clamp(min=0), limits)


def areas(boxes: Tensor) -> Tensor:
    """Square pixels of boxes: (N, 4) to (N,)."""
    sizes = boxes[:, 2:] - boxes[:, :2]
    return sizes[:, 0] * sizes[:, 1]


def intersection_over_union(boxes: Tensor, others: Tensor) -> Tensor:
    """Overlaps of boxes (N, 4) with others (M, 4): (N, M), from 0 to 1."""
    first = torch.maximum(boxes[:, None, :2], others[None, :, :2])
    last = torch.minimum(boxes[:, None, 2:], others[None, :, 2:])
    shared = (last - first).clamp(min=0).prod(2)
    return shared / (areas(boxes)[:, None] + areas(others)[None] - shared)


def suppress_doubles(boxes: Tensor, scores: Tensor, max_overlap: float) -> Tensor:
    """Non-maximum suppression: the best box of each crowd.

    Args:
        boxes: (N, 4).
        scores: (N,); equal scores keep their order.
        max_overlap: a box that overlaps a better kept one by more than this is dropped.

    Returns:
        The indices of the kept boxes, best first.
    """
    order = torch.argsort(scores, descending=True, stable=True)
    sorted_boxes = boxes[order]
    overlaps = (intersection_over_union(sorted_boxes, sorted_boxes) > max_overlap).cpu().numpy()
    dropped = np.zeros(len(overlaps), bool)
    kept = []
    for index in range(len(dropped)):
        if not dropped[index]:
            kept.append(index)
            dropped |= overlaps[index]
    return order[torch.tensor(kept, dtype=torch.long, device=order.device)]
