"""ROIAlign: features of a box, whatever its size, as a small square of cells.

Four points are read in each cell, bilinearly, and averaged. All points of all boxes are read at once: each cell is
a weighted sum of 16 rows of the features, which ``embedding_bag`` adds without keeping the rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

SAMPLES: Final = 2
"""Points in each direction of a cell."""
BASE_LEVEL: Final = 4
BASE_SIZE: Final = 224
"""A box of this size (the square root of its area, in pixels) is read from the base level."""


def roi_align(features: Tensor, boxes: Tensor, scale: float, num_cells: int) -> Tensor:
    """Reads boxes from features.

    Coordinates are used as they are (half a cell off the centres of pixels, as the published weights were trained),
    and a box is at least one cell of the features wide and high.

    Args:
        features: (C, H, W).
        boxes: (N, 4), pixels of the picture.
        scale: cells of the features a pixel.
        num_cells: of the result, in each direction.

    Returns:
        (N, C, num_cells, num_cells).
    """
    num_channels, height, width = features.shape
    if not len(boxes):
        return features.new_zeros(0, num_channels, num_cells, num_cells)
    corners = boxes * scale
    x, x_weights = _points(corners[:, 0], corners[:, 2], num_cells, width)
    y, y_weights = _points(corners[:, 1], corners[:, 3], num_cells, height)
    places = y[:, :, None, :, None] * width + x[:, None, :, None, :]
    weights = y_weights[:, :, None, :, None] * x_weights[:, None, :, None, :]
    per_cell = (2 * SAMPLES) ** 2
    rows = features.permute(1, 2, 0).reshape(height * width, num_channels)
    cells = F.embedding_bag(
        places.reshape(-1, per_cell), rows, per_sample_weights=weights.reshape(-1, per_cell), mode="sum"
    )
    return cells.reshape(len(boxes), num_cells, num_cells, num_channels).permute(0, 3, 1, 2)


def _points(first: Tensor, last: Tensor, num_cells: int, length: int) -> tuple[Tensor, Tensor]:
    """Along one axis: the cells that are read, (N, num_cells, 2 * SAMPLES), and how much each counts."""
    steps = (torch.arange(num_cells * SAMPLES, device=first.device, dtype=first.dtype) + 0.5) / SAMPLES
    at = first[:, None] + steps * ((last - first).clamp(min=1) / num_cells)[:, None]
    inside = (at >= -1) & (at <= length)
    at = at.clamp(0, length - 1)
    low = at.floor().long().clamp(max=length - 1)
    high = (low + 1).clamp(max=length - 1)
    share = at - low
    places = torch.stack([low, high], 2)
    weights = torch.stack([1 - share, share], 2) * (inside / SAMPLES)[:, :, None]
    shape = (len(first), num_cells, 2 * SAMPLES)
    return places.reshape(shape), weights.reshape(shape)


def pooled(levels: Sequence[tuple[int, Tensor]], boxes: Tensor, num_cells: int) -> Tensor:
    """Reads each box from the level of the pyramid that suits its size.

    Args:
        levels: number of a level and its features (C, H, W), the finest first; level n has a cell every 2**n pixels.
        boxes: (N, 4), pixels of the picture.
        num_cells: of the result, in each direction.

    Returns:
        (N, C, num_cells, num_cells).
    """
    sizes = ((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])).sqrt()
    chosen = torch.floor(BASE_LEVEL + torch.log2(sizes / BASE_SIZE + 1e-8)).clamp(levels[0][0], levels[-1][0])
    result = boxes.new_zeros(len(boxes), levels[0][1].shape[0], num_cells, num_cells)
    for number, features in levels:
        here = torch.nonzero(chosen == number)[:, 0]
        result[here] = roi_align(features, boxes[here], 2.0**-number, num_cells)
    return result
