"""Rendering at the right detail and size: shots are drawn a little larger and reduced."""

from __future__ import annotations

import threading
from typing import Final, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from idmvton.studio.bodies import Anatomy, load_anatomy
from idmvton.studio.renderer import Frame, Item, Renderer, View

Bytes = NDArray[np.uint8]

SMALL: Final = 320  # pictures up to this height are supersampled less and have coarser meshes
CELLS: Final = (0.009, 0.006, 0.004, 0.0025)  # levels of detail of the body, metres
_kept = threading.local()
CROP_HEIGHTS: Final = {"half": 0.95, "three-quarter": 1.4, "full": 1.95, "product": 0.95}  # rough, metres


def renderer() -> Renderer:
    """The renderer of this thread: an OpenGL context works in the thread that made it."""
    if not hasattr(_kept, "renderer"):
        _kept.renderer = Renderer()
    return cast(Renderer, _kept.renderer)


def shoot(items: list[Item], view: View, size: tuple[int, int], backdrop: Bytes, mode: int = 0) -> Frame:
    """Renders supersampled and reduces: colours by area, labels by the middle sample."""
    frame = renderer().render(items, view, rendered_size(size), backdrop, mode=mode)
    picture = cv2.resize(frame.picture, size[::-1], interpolation=cv2.INTER_LINEAR)
    truth = cv2.resize(frame.truth, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
    return Frame(np.asarray(picture[..., :3], np.uint8), np.asarray(truth, np.uint8))


def rendered_size(size: tuple[int, int]) -> tuple[int, int]:
    """(height, width) of the rendering of a picture."""
    scale = supersampling(size)
    return round(size[0] * scale), round(size[1] * scale)


def supersampling(size: tuple[int, int]) -> float:
    """How many rendered pixels make one pixel of the picture, in each direction."""
    return 1.25 if size[0] <= SMALL else 1.5


def detail(crop: str, size: tuple[int, int]) -> Anatomy:
    """The body without the details that a picture of this size cannot show."""
    pixel = CROP_HEIGHTS[crop] / (size[0] * supersampling(size))
    return load_anatomy(next((cell for cell in CELLS if 1.6 * pixel >= cell), 0.0))
