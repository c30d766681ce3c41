"""Which part of a photo is worked on: the person with some room, in the model's aspect."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from idmvton.images.framing import Framing
from idmvton.prepare.backends.protocols import Pose
from idmvton.prepare.mask import box_of
from idmvton.types import Size

ASPECT: Final = (4, 3)
"""Height to width of the working picture."""
MARGIN: Final = 0.07
"""Room around the person, as a share of the longer side of the person's box; none where the photo ends before."""
SAME_ASPECT: Final = 0.05
"""A photo whose aspect differs by less than this share is of the model's aspect."""
FILLS: Final = 0.6
"""A person who takes this share of such a photo's height or width is held well: the photo stays whole."""

_Range = tuple[float, float]
_MAX_SIZE: Final = Size(1024, 768)
_STEP: Final = Size(32, 24)  # sizes are multiples of it: every network divides its picture by 8 and keeps 4:3
_MIN_STEPS: Final = 8


def frame_person(
    photo: Size, pose: Pose, silhouette: NDArray[np.float32] | None = None, size: Size | None = None
) -> Framing:
    """The box around the person in the working aspect.

    The box has the person with a margin, grown to the aspect. It stays inside the photo where the photo is large
    enough, and reaches beyond it (padding) otherwise. A photo that is of that aspect already and holds the person well
    stays whole.

    Args:
        photo: size of the photo, pixels.
        pose: the person.
        silhouette: float32 (H, W) from 0 to 1, the person's outline; by default the pose's own rough one.
        size: the working size, pixels; by default 1024x768, or less where the box has fewer pixels.
    """
    aspect = size.height / size.width if size else ASPECT[0] / ASPECT[1]
    left, top, right, bottom = person_box(photo, pose, silhouette)
    own = photo.height / photo.width
    fills = max((bottom - top) / photo.height, (right - left) / photo.width) >= FILLS
    if max(own / aspect, aspect / own) < 1 + SAME_ASPECT and fills:
        whole = size or _working_size(max(photo.height, photo.width * aspect))
        return Framing.fit(photo, whole)
    margin = MARGIN * max(right - left, bottom - top)
    rows, columns = _widened((top, bottom), margin, photo.height), _widened((left, right), margin, photo.width)
    height = max(_length(rows), _length(columns) * aspect)
    rows, columns = _grown(rows, height, photo.height), _grown(columns, height / aspect, photo.width)
    return _boxed(photo, rows, columns, size or _working_size(height), aspect)


def person_box(
    photo: Size, pose: Pose, silhouette: NDArray[np.float32] | None = None
) -> tuple[float, float, float, float]:
    """Left, top, right, bottom of the person inside the photo, pixels: outline and visible landmarks together.

    A pose that shows nothing in the photo gives the whole photo.

    Args:
        photo: size of the photo, pixels.
        pose: the person.
        silhouette: float32 (H, W) from 0 to 1, of the photo or a smaller copy; by default the pose's own rough outline.
    """
    outline = pose.outline if silhouette is None else silhouette
    boxes = [pose.visible_box(photo)]
    drawn = None if outline is None else box_of(outline > 0.5)
    if outline is not None and drawn is not None:
        across, down = photo.width / outline.shape[1], photo.height / outline.shape[0]
        boxes.append((drawn[0] * across, drawn[1] * down, drawn[2] * across, drawn[3] * down))
    boxes = [box for box in boxes if box[2] > box[0] and box[3] > box[1]]
    if not boxes:
        return 0.0, 0.0, float(photo.width), float(photo.height)
    left, top, right, bottom = zip(*boxes, strict=True)
    return min(left), min(top), max(right), max(bottom)


def _working_size(height: float) -> Size:
    """The largest working size that a box of this height fills without being enlarged, within limits."""
    steps = min(max(math.floor(height / _STEP.height), _MIN_STEPS), _MAX_SIZE.height // _STEP.height)
    return Size(steps * _STEP.height, steps * _STEP.width)


def _length(span: _Range) -> float:
    return span[1] - span[0]


def _widened(span: _Range, margin: float, limit: int) -> _Range:
    """With the margin, as far as the photo reaches."""
    return max(span[0] - margin, 0.0), min(span[1] + margin, float(limit))


def _grown(span: _Range, length: float, limit: int) -> _Range:
    """Grown to a length around its middle: moved into the photo, or centred on it where the photo is too short."""
    if length >= limit:
        return (limit - length) / 2, (limit + length) / 2
    start = min(max((span[0] + span[1] - length) / 2, 0.0), limit - length)
    return start, start + length


def _boxed(photo: Size, rows: _Range, columns: _Range, size: Size, aspect: float) -> Framing:
    """Whole pixels whose aspect is exact to half a pixel."""
    height = max(round(_length(rows)), 1)
    width = max(round(height / aspect), 1)
    top = round((rows[0] + rows[1] - height) / 2)
    left = round((columns[0] + columns[1] - width) / 2)
    return Framing(photo, (left, top, left + width, top + height), size)
