"""A person's maps of 112 x 112 cells as parts and surface coordinates of a picture's pixels.

The logits of a box are enlarged to its size first and compared then. A picture is done in strips of rows, so a large
one needs no more memory than its result.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import torch
from torch import Tensor

from idmvton.prepare.backends.densepose.heads import BodyMaps

STRIP_PIXELS: Final = 65_536
"""How many pixels are enlarged at a time."""


@dataclass(frozen=True, slots=True)
class Surface:
    """Where on the body each pixel of a picture is.

    Attributes:
        parts: uint8 (H, W), 1 to 24, 0 where the person is not.
        u, v: float32 (H, W), the place on the part's surface, about 0 to 1 (not cut off), 0 where the person is not.
    """

    parts: Tensor
    u: Tensor
    v: Tensor


class Places(NamedTuple):
    """For each pixel of a line, the two cells between which its centre lies.

    Attributes:
        first, second: their numbers.
        share: how much of the second is read, from 0 to 1.
    """

    first: Tensor
    second: Tensor
    share: Tensor


def decode_box(maps: BodyMaps, height: int, width: int) -> Surface:
    """The surface that one box shows.

    Args:
        maps: DensePose's maps of one box, N = 1.
        height, width: of the box, whole pixels, at least 1.
    """
    parts = torch.zeros(height, width, dtype=torch.uint8)
    u, v = torch.zeros(height, width), torch.zeros(height, width)
    coarse, fine, all_u, all_v = (values[0].float().cpu() for values in maps)
    columns = _places(width, coarse.shape[2])
    rows = _places(height, coarse.shape[1])
    step = max(1, STRIP_PIXELS // width)
    for start in range(0, height, step):
        strip = slice(start, start + step)
        some = Places(*(each[strip] for each in rows))
        body = _enlarged(coarse, some, columns).argmax(0) > 0
        label = torch.where(body, _enlarged(fine, some, columns).argmax(0), 0)
        parts[strip] = label.to(torch.uint8)
        u[strip] = _enlarged_of(all_u, label, some, columns)
        v[strip] = _enlarged_of(all_v, label, some, columns)
    return Surface(parts, u, v)


def place_in_picture(surface: Surface, left: int, top: int, height: int, width: int) -> Surface:
    """The surface of a box in a picture.

    Args:
        surface: of the box.
        left, top: where the box begins, pixels.
        height, width: of the picture; what reaches outside is cut off.
    """
    rows, columns = surface.parts.shape
    inside = slice(top, min(top + rows, height)), slice(left, min(left + columns, width))
    placed = []
    for values in (surface.parts, surface.u, surface.v):
        whole = values.new_zeros(height, width)
        whole[inside] = values[: inside[0].stop - top, : inside[1].stop - left]
        placed.append(whole)
    return Surface(*placed)


def whole_pixels(box: Tensor) -> tuple[int, int, int, int]:
    """Left, top, width and height of a box (4,), each cut to a whole number, the last two at least 1."""
    left, top, right, bottom = box.float().cpu()
    return int(left), int(top), max(int(right - left), 1), max(int(bottom - top), 1)


def _places(length: int, num_cells: int) -> Places:
    at = ((torch.arange(length, dtype=torch.float32) + 0.5) * (num_cells / length) - 0.5).clamp(min=0)
    low = at.long().clamp(max=num_cells - 1)
    return Places(low, (low + 1).clamp(max=num_cells - 1), at - low)


def _enlarged(cells: Tensor, rows: Places, columns: Places) -> Tensor:
    """Cells (C, h, w) read bilinearly: (C, number of rows, number of columns)."""
    top, bottom, down = rows
    left, right, across = columns
    lines = torch.lerp(cells[:, top], cells[:, bottom], down[:, None])
    return torch.lerp(lines[:, :, left], lines[:, :, right], across)


def _enlarged_of(cells: Tensor, channel: Tensor, rows: Places, columns: Places) -> Tensor:
    """Cells (C, h, w) read bilinearly, of each pixel the channel that it names; 0 where that is 0."""
    top, bottom, down = rows
    left, right, across = columns
    above = torch.lerp(cells[channel, top[:, None], left], cells[channel, top[:, None], right], across)
    below = torch.lerp(cells[channel, bottom[:, None], left], cells[channel, bottom[:, None], right], across)
    return torch.where(channel > 0, torch.lerp(above, below, down[:, None]), 0)
