"""What every reader gives: one person, one garment, and the maps that are known, at one size."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from idmvton.errors import InputError
from idmvton.prepare.mask import Category

Bytes = NDArray[np.uint8]
Floats = NDArray[np.floating[Any]]
Size = tuple[int, int]
NUM_KEYPOINTS: Final = 18


@dataclass(frozen=True, slots=True)
class PairSample:
    """A person and a garment.

    Attributes:
        person, garment: uint8 (H, W, 3).
        mask: uint8 (H, W), 255 is repainted; ``None`` where the data set has none.
        densepose: uint8 (H, W, 3), body parts in the published colours, or ``None``.
        labels: uint8 (H, W), ATR classes, or ``None``. ``keypoints``: float (18, 2), pixels, or ``None``.
        truth: uint8 (H, W, 3), the person in the garment; ``None`` where nobody photographed it.
        caption: the garment in words, or ``None``.
        category: part of the body.
        person_name, garment_name: file names; together they are unique.
    """

    person: Bytes
    garment: Bytes
    mask: Bytes | None
    densepose: Bytes | None
    labels: Bytes | None
    keypoints: Floats | None
    truth: Bytes | None
    caption: str | None
    category: Category
    person_name: str
    garment_name: str

    @property
    def name(self) -> str:
        """A file stem that is unique for the pair."""
        return f"{Path(self.person_name).stem}__{Path(self.garment_name).stem}"


class PairReader:
    """A map-style dataset of pairs; works with any data loader.

    Args:
        size: (height, width) that everything is resized to.
        transform: applied to each sample where it was read.
    """

    def __init__(self, size: Size, transform: Callable[[PairSample], Any] | None) -> None:
        self.size, self.transform = size, transform

    def __len__(self) -> int:
        raise NotImplementedError

    def read(self, index: int) -> PairSample:
        """Reads one pair."""
        raise NotImplementedError

    def __getitem__(self, index: int) -> Any:
        if not 0 <= index < len(self):
            raise IndexError(index)
        made = self.read(index)
        return made if self.transform is None else self.transform(made)

    def __iter__(self) -> Iterator[Any]:
        return (self[index] for index in range(len(self)))


def read_photo(path: Path, size: Size) -> Bytes:
    """An RGB picture, turned upright by its EXIF data and resized; uint8 (H, W, 3).

    Raises:
        InputError: missing or damaged.
    """
    with _open(path) as picture:
        upright = ImageOps.exif_transpose(picture).convert("RGB")
        if upright.size != (size[1], size[0]):
            upright = upright.resize((size[1], size[0]), Image.Resampling.LANCZOS)
        return np.asarray(upright, np.uint8)


def read_labels(path: Path, size: Size) -> Bytes:
    """A map of class numbers, resized without mixing; uint8 (H, W).

    Raises:
        InputError: missing, damaged, or a colour picture without a palette.
    """
    with _open(path) as picture:
        if picture.mode not in ("L", "P", "1"):
            raise InputError("a label map must have one channel", got=f"{path}: {picture.mode}", expected="L or P")
        values = np.asarray(picture.convert("L") if picture.mode == "1" else picture, np.uint8)
    return np.asarray(cv2.resize(values, (size[1], size[0]), interpolation=cv2.INTER_NEAREST), np.uint8)


def read_mask(path: Path, size: Size) -> Bytes:
    """A mask, resized; uint8 (H, W) of 0 and 255.

    Raises:
        InputError: missing or damaged.
    """
    with _open(path) as picture:
        grey = np.asarray(picture.convert("L"), np.uint8)
    resized = cv2.resize(grey, (size[1], size[0]), interpolation=cv2.INTER_LINEAR)
    return np.where(resized > 127, np.uint8(255), np.uint8(0))


def scaled_keypoints(points: Iterable[Iterable[float]], source: Size, size: Size) -> Floats:
    """Keypoints (18, 2) at ``size`` from points measured at ``source``; (0, 0) stays missing.

    Raises:
        InputError: not 18 points.
    """
    values = np.array([list(point)[:2] for point in points], np.float64)
    if values.shape != (NUM_KEYPOINTS, 2):
        raise InputError("the keypoints cannot be used", got=f"shape {values.shape}", expected="18 points of x and y")
    values[(values < 0).any(1)] = 0
    return values * [size[1] / source[1], size[0] / source[0]]


def read_lines(path: Path, fields: int) -> list[list[str]]:
    """Lines of a list of pairs, split at white space.

    Raises:
        InputError: the file is missing or a line is too short.
    """
    try:
        lines = [line.split() for line in path.read_text().splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError("a list of pairs cannot be read", got=f"{path}: {error}") from error
    short = next((number for number, line in enumerate(lines, 1) if len(line) < fields), None)
    if short is not None:
        raise InputError(
            "a line of a list of pairs is too short", got=f"{path}, line {short}", expected=f"{fields} names"
        )
    return lines


def _open(path: Path) -> Image.Image:
    try:
        picture = Image.open(path)
        picture.load()
    except (OSError, UnidentifiedImageError, SyntaxError) as error:
        raise InputError(
            "a picture cannot be read",
            got=f"{path}: {'it does not exist' if not path.exists() else error}",
            fix="restore the file, or take the pair off the list",
        ) from error
    return picture
