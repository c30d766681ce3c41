"""The mask as a visitor sees and paints it: over the whole photo, reduced for the screen."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from idmvton.errors import InputError

Mask = NDArray[np.bool_]

SHOWN_SIDE: Final = 1024
"""Pixels: photos are shown with at most this side; results have the photo's own size."""
COLOUR: Final = (224, 49, 111)
_INSIDE: Final = 128  # of 255: from this alpha on a pixel is in the mask
_SPECK: Final = 6  # pixels that a stroke changes at least; less is rounding


@dataclass(frozen=True, slots=True, eq=False)
class Edits:
    """What a visitor painted and erased.

    Attributes:
        added, erased: bool (H, W), of the shown size.
    """

    added: Mask
    erased: Mask

    @property
    def is_empty(self) -> bool:
        """Whether nothing was changed."""
        return not (self.added.any() or self.erased.any())

    def apply(self, mask: Mask) -> Mask:
        """A mask of the shown size with what was painted, and without what was erased."""
        return (mask | self.added) & ~self.erased

    def apply_to_photo(self, mask: Mask) -> Mask:
        """The same in the photo's own pixels: where nothing was painted, the mask keeps its own edge.

        Args:
            mask: bool (H, W), of the photo's size.
        """
        height, width = mask.shape
        added, erased = (_enlarged(each, (width, height)) for each in (self.added, self.erased))
        return (mask | added) & ~erased


def edits_of(painted: Mask, shown: Mask, before: Edits | None = None) -> Edits | None:
    """What changed from a mask that was made to what the visitor left.

    Args:
        painted: bool (H, W), all that is marked now.
        shown: the mask that was made, of the same size.
        before: earlier edits, which hold where the new mask agrees with them anyway.

    Returns:
        None where nothing changed.
    """
    added, erased = painted & ~shown, shown & ~painted
    if before is not None and before.added.shape == shown.shape:
        added |= before.added & painted
        erased |= before.erased & ~painted
    if int(added.sum()) + int(erased.sum()) < _SPECK:
        return None
    return Edits(added, erased)


def shown_size(width: int, height: int) -> tuple[int, int]:
    """(width, height) at which a photo is shown."""
    scale = min(1.0, SHOWN_SIDE / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def shown_mask(mask: Mask) -> Mask:
    """A mask of the photo's size at the size that is shown."""
    size = shown_size(mask.shape[1], mask.shape[0])
    return np.asarray(Image.fromarray(mask).convert("L").resize(size, Image.Resampling.BOX)) >= _INSIDE


def _enlarged(mask: Mask, size: tuple[int, int]) -> Mask:
    if (mask.shape[1], mask.shape[0]) == size:
        return mask
    return cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_LINEAR) > 0.5


def layer_of(mask: Mask) -> Image.Image:
    """The mask as the layer that is painted on: RGBA, coloured where it is, transparent elsewhere."""
    pixels = np.zeros((*mask.shape, 4), np.uint8)
    pixels[mask] = (*COLOUR, 255)
    return Image.fromarray(pixels)


def mask_of_layer(layer: str, size: tuple[int, int]) -> Mask:
    """The mask that a layer holds, by its alpha.

    Args:
        layer: a PNG as a data URI.
        size: (width, height) that it must have.

    Raises:
        InputError: no such picture.
    """
    kind, comma, content = layer.partition(",")
    try:
        if not comma or kind != "data:image/png;base64":
            raise ValueError(kind[:40])
        with Image.open(io.BytesIO(base64.b64decode(content, validate=True)), formats=["PNG"]) as opened:
            if opened.size != size:
                raise ValueError(f"{opened.size} instead of {size}")
            alpha = np.asarray(opened.convert("RGBA"))[..., 3]
    except (ValueError, OSError) as error:
        raise InputError("the painted mask cannot be read", got=str(error), fix="load the page again") from error
    return alpha >= _INSIDE


def data_uri(picture: Image.Image, kind: str = "jpeg") -> str:
    """A picture as text that a page can show: ``"jpeg"`` or ``"png"``."""
    file = io.BytesIO()
    if kind == "jpeg":
        picture.convert("RGB").save(file, "JPEG", quality=88)
    else:
        picture.save(file, "PNG", compress_level=3)
    return f"data:image/{kind};base64," + base64.b64encode(file.getvalue()).decode()


def thumbnail(picture: Image.Image, side: int = 144) -> str:
    """A small picture as a data URI."""
    small = picture.convert("RGB")
    small.thumbnail((side, side), Image.Resampling.LANCZOS)
    return data_uri(small)
