"""One invertible geometric map between a photo and the working size, used for the photo and all its maps."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias, TypeVar

import numpy as np
from PIL import Image

from idmvton.errors import InputError
from idmvton.types import Size

if TYPE_CHECKING:
    from numpy.typing import NDArray

Position = TypeVar("Position", float, "NDArray[np.float32]")
Resample: TypeAlias = Literal["photo", "labels"]
Fill: TypeAlias = Literal["edge"] | tuple[int, int, int]

AnyKind = TypeVar("AnyKind", bound=np.generic)
WHITE: Final = (255, 255, 255)
BLACK: Final = (0, 0, 0)

_FILTERS = {"photo": Image.Resampling.LANCZOS, "labels": Image.Resampling.NEAREST}
_LANCZOS_REACH = 3  # source pixels either side of the centre, times the scale when shrinking


def nearest_valid_size(height: int, width: int, multiple: int) -> Size:
    """The nearest size whose sides are multiples of ``multiple``, at least one multiple each (pixels)."""
    return Size(*(max(multiple, math.floor(side / multiple + 0.5) * multiple) for side in (height, width)))


def check_size(height: int, width: int, multiple: int) -> None:
    """Makes sure that a working size fits the model.

    Args:
        height: pixels.
        width: pixels.
        multiple: what both sides must be a multiple of, pixels.

    Raises:
        InputError: it does not; the nearest size that does is named.
    """
    nearest = nearest_valid_size(height, width, multiple)
    if nearest != (height, width):
        raise InputError(
            "the working size does not fit the model",
            got=Size(height, width),
            expected=f"height and width in multiples of {multiple}",
            fix=f"use height {nearest.height}, width {nearest.width}",
        )


class Axis(NamedTuple):
    """One axis of a framing: working pixel ``i`` shows ``[start + i * scale, start + (i + 1) * scale)``."""

    start: int  # of the box, in photo pixels
    extent: int  # of the box, in photo pixels
    photo: int  # pixels of the photo
    size: int  # pixels of the working picture

    @property
    def scale(self) -> float:
        """Photo pixels per working pixel."""
        return self.extent / self.size

    def to_working(self, position: Position) -> Position:
        """A photo coordinate, or an array of them, in working pixels."""
        return (position - self.start) / self.scale

    def covered(self) -> tuple[int, int]:
        """The photo pixels inside the box, as a range."""
        return max(self.start, 0), min(self.start + self.extent, self.photo)

    def centred(self) -> tuple[int, int]:
        """The working pixels whose centre lies on the photo, as a range of at least one."""
        low, high = (self.to_working(edge) for edge in self.covered())
        first, last = math.ceil(low - 0.5), math.ceil(high - 0.5)
        if first >= last:
            first = min(int((low + high) / 2), self.size - 1)
            last = first + 1
        return first, last


class _Slice(NamedTuple):
    """What is read along one axis to resample a stretch of it."""

    low: int  # first pixel of the source, possibly outside it
    high: int
    box: tuple[float, float]  # what is resampled, counted from ``low``
    first: int  # where the result goes
    last: int


@dataclass(frozen=True, slots=True)
class Framing:
    """A box of the photo, seen at the working size.

    Attributes:
        photo: size of the photo, pixels.
        box: left, top, right, bottom in photo pixels; it may reach beyond the photo (padding).
        size: the working size, pixels.

    Raises:
        InputError: on construction, an empty size or a box that shows nothing of the photo.
    """

    photo: Size
    box: tuple[int, int, int, int]
    size: Size

    def __post_init__(self) -> None:
        left, top, right, bottom = self.box
        inside = right > max(left, 0) and bottom > max(top, 0)
        inside = inside and left < self.photo.width and top < self.photo.height
        if min(self.photo) < 1 or min(self.size) < 1 or not inside:
            raise InputError(
                "the framing shows nothing of the photo",
                got=f"box {self.box} (left, top, right, bottom), photo {self.photo}, size {self.size}",
                expected="sizes of at least one pixel and a box that overlaps the photo",
            )

    @classmethod
    def fit(cls, photo: Size, size: Size) -> Framing:
        """The whole photo, centred in the smallest box of the working aspect: padded, never cropped.

        The box is in whole photo pixels, so its aspect is exact to half a pixel.

        Args:
            photo: size of the photo, pixels.
            size: the working size, pixels; equal to ``photo`` it gives the identity.
        """
        height = max(photo.height, math.floor(photo.width * size.height / size.width + 0.5))
        width = max(photo.width, math.floor(photo.height * size.width / size.height + 0.5))
        left, top = -((width - photo.width) // 2), -((height - photo.height) // 2)
        return cls(photo, (left, top, left + width, top + height), size)

    @property
    def is_identity(self) -> bool:
        """Whether the working picture is the photo itself, pixel on pixel."""
        return self.photo == self.size and self.box == (0, 0, self.photo.width, self.photo.height)

    @property
    def scale(self) -> float:
        """Photo pixels per working pixel."""
        return (self.rows.scale + self.columns.scale) / 2

    @property
    def rows(self) -> Axis:
        """The framing from top to bottom."""
        return Axis(self.box[1], self.box[3] - self.box[1], self.photo.height, self.size.height)

    @property
    def columns(self) -> Axis:
        """The framing from left to right."""
        return Axis(self.box[0], self.box[2] - self.box[0], self.photo.width, self.size.width)

    def at(self, photo: Size) -> Framing:
        """The same framing of the photo at another size; the box lies on whole pixels of it.

        Args:
            photo: a size of the same aspect.
        """
        across, down = photo.width / self.photo.width, photo.height / self.photo.height
        left, top, right, bottom = self.box
        box = round(left * across), round(top * down), round(right * across), round(bottom * down)
        return Framing(photo, box, self.size)

    def apply(self, image: Image.Image, *, resample: Resample, fill: Fill) -> Image.Image:
        """The photo, or a map of its size, at the working size.

        Args:
            image: PIL RGB or L, of the photo's size.
            resample: ``"photo"`` for Lanczos, ``"labels"`` for nearest (densepose, parsing: no new values).
            fill: what lies beyond the photo: ``"edge"`` repeats the border pixels, a colour (RGB 0..255; of a
                grey picture its first value) pads with it.

        Returns:
            A picture of the working size; the identity returns the pixels unchanged.

        Raises:
            InputError: the picture does not have the photo's size.
        """
        check_picture(image, self.photo, "photo")
        if self.is_identity:
            return image.copy()
        rows, columns = _shrinking_slice(self.rows), _shrinking_slice(self.columns)
        part = _resample(image, rows, columns, _FILTERS[resample], fill)
        around = ((rows.first, self.size.height - rows.last), (columns.first, self.size.width - columns.last))
        return Image.fromarray(_pad(part, around, fill))

    def apply_mask(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """A mask at the working size.

        A working pixel is repainted if it shows any part of a repainted photo pixel: nothing that is to be
        repainted is ever lost, however thin, and the mask grows by less than one working pixel. Padding is
        not repainted.

        Args:
            mask: bool (H, W) of the photo's size, True = repaint.

        Returns:
            bool (h, w) of the working size.

        Raises:
            InputError: the mask does not have the photo's size.
        """
        check_mask(mask, self.photo)
        return _any_along(_any_along(mask, 0, self.rows), 1, self.columns)

    def then(self, inner: Framing) -> Framing:
        """Photo -> working picture of ``inner``, which frames this one's working picture; to whole photo pixels.

        Raises:
            InputError: ``inner`` does not start from this working size.
        """
        if inner.photo != self.size:
            raise InputError("the framings do not follow each other", got=inner.photo, expected=self.size)
        across, down = self.columns, self.rows
        left, top, right, bottom = inner.box
        x = [round(across.start + edge * across.scale) for edge in (left, right)]
        y = [round(down.start + edge * down.scale) for edge in (top, bottom)]
        return Framing(self.photo, (x[0], y[0], x[1], y[1]), inner.size)

    def invert_labels(self, labels: NDArray[AnyKind]) -> NDArray[AnyKind]:
        """A mask or label map in photo pixels, by nearest neighbour: no new values.

        Args:
            labels: (h, w) of the working size, of any dtype.

        Returns:
            (H, W) of the photo's size; 0 (False) where the box does not show the photo.

        Raises:
            InputError: the map does not have the working size.
        """
        if labels.shape != tuple(self.size):
            raise InputError("the map does not have the working size", got=Size(*labels.shape), expected=self.size)
        places = []
        for axis in (self.rows, self.columns):
            first, last = axis.covered()
            centres = np.arange(first, last) + 0.5
            nearest = np.floor((centres - axis.start) / axis.scale).astype(np.intp).clip(0, axis.size - 1)
            places.append((slice(first, last), nearest))
        (rows, from_rows), (columns, from_columns) = places
        restored = np.zeros(tuple(self.photo), labels.dtype)
        restored[rows, columns] = labels[np.ix_(from_rows, from_columns)]
        return restored

    def to_working(self, points: NDArray[np.floating]) -> NDArray[np.float32]:
        """Points x, y in photo pixels as float32 (N, 2) in working pixels; they may lie outside the picture."""
        axes = (self.columns, self.rows)
        return np.stack([(points[:, n] - axis.start) / axis.scale for n, axis in enumerate(axes)], 1).astype(np.float32)

    def to_photo(self, points: NDArray[np.floating]) -> NDArray[np.float32]:
        """Points x, y in working pixels as float32 (N, 2) in photo pixels."""
        axes = (self.columns, self.rows)
        return np.stack([points[:, n] * axis.scale + axis.start for n, axis in enumerate(axes)], 1).astype(np.float32)

    def invert(self, image: Image.Image) -> Image.Image:
        """The working picture back in photo pixels; padding is dropped and does not shine in.

        Args:
            image: PIL RGB or L of the working size.

        Returns:
            A picture of the photo's size; black where the box does not show the photo.

        Raises:
            InputError: the picture does not have the working size.
        """
        check_picture(image, self.size, "working")
        if self.is_identity:
            return image.copy()
        rows, columns = _growing_slice(self.rows), _growing_slice(self.columns)
        part = _resample(image, rows, columns, _FILTERS["photo"], "edge")
        around = (
            (rows.first, self.photo.height - rows.last),
            (columns.first, self.photo.width - columns.last),
        )
        return Image.fromarray(_pad(part, around, (0, 0, 0)))


def check_picture(image: Image.Image, size: Size, which: str) -> None:
    """Makes sure that a picture is RGB or L and has the size that ``which`` names.

    Raises:
        InputError: it is not.
    """
    if (image.height, image.width) != size or image.mode not in ("RGB", "L"):
        raise InputError(
            f"the picture does not have the {which} size of this framing",
            got=f"{Size(image.height, image.width)}, {image.mode}",
            expected=f"{size}, RGB or L",
        )


def check_mask(mask: NDArray[np.bool_], size: Size) -> None:
    """Makes sure that a mask is bool and has the photo's size.

    Raises:
        InputError: it is not.
    """
    if mask.shape != tuple(size) or mask.dtype != np.bool_:
        raise InputError(
            "the mask does not have the photo's size",
            got=f"shape {mask.shape}, {mask.dtype}",
            expected=f"bool, {size}",
        )


def _shrinking_slice(axis: Axis) -> _Slice:
    """Photo to working picture: the working pixels whose filter reaches the photo, and what they read.

    Only these are resampled: a narrow photo's box can be many times larger than the photo.
    """
    reach = _LANCZOS_REACH * max(axis.scale, 1.0) + 1
    first = max(0, math.floor(axis.to_working(-reach)))
    last = min(axis.size, math.ceil(axis.to_working(axis.photo + reach)))
    low = max(axis.start, math.floor(axis.start + first * axis.scale - reach))
    high = min(axis.start + axis.extent, math.ceil(axis.start + last * axis.scale + reach))
    box = (axis.start + first * axis.scale - low, axis.start + last * axis.scale - low)
    return _Slice(low, high, box, first, last)


def _growing_slice(axis: Axis) -> _Slice:
    """Working picture to photo: only working pixels centred on the photo are read, padding never."""
    first, last = axis.covered()
    begin, end = axis.to_working(first), axis.to_working(last)
    low, high = axis.centred()
    return _Slice(low, high, (begin - low, end - low), first, last)


def _resample(
    image: Image.Image, rows: _Slice, columns: _Slice, resampling: Image.Resampling, fill: Fill
) -> NDArray[Any]:
    """Resamples a window of a picture that may reach beyond it; a window of all of it needs no copy."""
    around, inner, box = [], [], []
    for (low, high, (begin, end), _, _), length in zip((rows, columns), (image.height, image.width), strict=True):
        before, after = max(0, -low), max(0, high - length)
        inner.append(slice(max(low, 0), min(high, length)))
        missing_before, missing_after = math.ceil(max(0.0, -begin)), math.ceil(max(0.0, end - (high - low)))
        around.append((before + missing_before, after + missing_after))
        box.append((begin + missing_before, end + missing_before))
    source = image
    if inner != [slice(0, image.height), slice(0, image.width)] or any(map(any, around)):
        source = Image.fromarray(_pad(np.asarray(image)[tuple(inner)], (around[0], around[1]), fill))
    (top, bottom), (left, right) = box
    resized = source.resize(
        (columns.last - columns.first, rows.last - rows.first),
        resampling,
        box=(max(left, 0.0), max(top, 0.0), min(right, source.width), min(bottom, source.height)),
    )
    return np.asarray(resized)


def _pad(array: NDArray[Any], around: tuple[tuple[int, int], tuple[int, int]], fill: Fill) -> NDArray[Any]:
    """Grows an array, HW or HWC, by rows and columns before and after."""
    (top, bottom), (left, right) = around
    if not any((top, bottom, left, right)):
        return array
    if fill == "edge":
        return np.pad(array, (*around, (0, 0))[: array.ndim], mode="edge")
    height, width = array.shape[:2]
    canvas = np.empty((top + height + bottom, left + width + right, *array.shape[2:]), array.dtype)
    canvas[...] = fill if array.ndim == 3 else fill[0]
    canvas[top : top + height, left : left + width] = array
    return canvas


def _any_along(mask: NDArray[np.bool_], along: int, axis: Axis) -> NDArray[np.bool_]:
    """Whether a working pixel shows any marked photo pixel, along one axis."""
    edges = np.arange(axis.size + 1, dtype=np.int64) * axis.extent
    begin = np.clip(axis.start + edges[:-1] // axis.size, 0, axis.photo)
    end = np.clip(axis.start - (-edges[1:] // axis.size), 0, axis.photo)
    counts = np.cumsum(mask, axis=along, dtype=np.int32)
    counts = np.insert(counts, 0, 0, axis=along)
    found: NDArray[np.bool_] = counts.take(end, axis=along) > counts.take(begin, axis=along)
    return found
