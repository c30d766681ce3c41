"""The kinds of files that data sets are made of, each with its own reader; every error names the file."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from idmvton.errors import InputError
from idmvton.images import load_image, load_mask
from idmvton.images.densepose import NUM_PARTS, colour_parts
from idmvton.images.files import decode, open_picture
from idmvton.images.framing import BLACK, WHITE
from idmvton.prepare.mask import ATR_LABELS, NECK

Classes = Literal["atr", "cihp"]

# The classes of CIHP parsers (VITON-HD's maps) in the names of ATR. Socks have neither class nor side there: they
# count as a shoe, and gloves as a bag, because both are always kept.
_CIHP_AS_ATR: Final = (
    "background", "hat", "hair", "bag", "sunglasses", "upper_clothes", "dress", "upper_clothes", "left_shoe", "pants",
    "neck", "scarf", "skirt", "head", "left_arm", "right_arm", "left_leg", "right_leg", "left_shoe", "right_shoe",
)  # fmt: skip
_AS_ATR: Final[dict[Classes, NDArray[np.uint8]]] = {
    "atr": np.arange(NECK + 1, dtype=np.uint8),
    "cihp": np.array([(*ATR_LABELS, "neck").index(name) for name in _CIHP_AS_ATR], np.uint8),
}
_BODY_25_AS_18: Final = [*range(8), *range(9, 19)]  # without the middle of the hips and the feet


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Errors about pictures that arise inside name the file."""
    try:
        yield
    except InputError as error:
        if str(path) in str(error):
            raise
        got = path if error.got is None else f"{path}: {error.got}"
        raise InputError(error.what, got=got, expected=error.expected, fix=error.fix) from error


def read_photo(path: Path, what: str, background: tuple[int, int, int] = WHITE) -> Image.Image:
    """A picture as RGB.

    Raises:
        InputError: missing, unreadable or damaged.
    """
    with naming(path):
        return load_image(path, what=what, background=background)


def read_mask(path: Path, threshold: int | None = None) -> NDArray[np.bool_]:
    """A mask file as bool (H, W), True = repaint.

    Raises:
        InputError: missing, unreadable, coloured, empty, or grey without a ``threshold``.
    """
    with naming(path):
        return load_mask(path, threshold=threshold)


def read_classes(path: Path, what: str, highest: int) -> NDArray[np.uint8]:
    """A picture whose pixel values, or palette indices, are class numbers, as uint8 (H, W).

    Raises:
        InputError: missing, unreadable, a coloured picture, or numbers above ``highest``.
    """
    with naming(path), open_picture(path, what) as opened:
        image = decode(opened, what, path)
        if image.mode not in ("L", "P"):
            raise InputError(
                f"the {what} holds colours instead of class numbers",
                got=f"mode {image.mode}",
                expected="a PNG with one channel or a palette",
            )
        classes = np.array(image, np.uint8)
        if int(classes.max()) > highest:
            raise InputError(f"the {what} holds unknown classes", got=int(classes.max()), expected=f"0 to {highest}")
        return classes


def read_labels(path: Path, classes: Classes) -> NDArray[np.uint8]:
    """A parse map as uint8 (H, W) in the classes of ATR, 18 for bare neck and trunk.

    Raises:
        InputError: see :func:`read_classes`.
    """
    table = _AS_ATR[classes]
    return table[read_classes(path, "label map", len(table) - 1)]


def labels_as(labels: NDArray[np.uint8], classes: Classes) -> NDArray[np.uint8]:
    """ATR classes in the numbers of a file's classes, so that :func:`read_labels` gives them back.

    CIHP has no belt: it becomes a part of the trousers.
    """
    if classes == "atr":
        return labels
    numbers = [_CIHP_AS_ATR.index(name if name in _CIHP_AS_ATR else "pants") for name in (*ATR_LABELS, "neck")]
    return np.array(numbers, np.uint8)[labels]


def read_densepose(path: Path, *, is_parts: bool = False) -> Image.Image:
    """A body map in colours; ``is_parts``: the file holds part numbers, which are coloured.

    Raises:
        InputError: missing, unreadable, or numbers that are no parts.
    """
    if is_parts:
        return colour_parts(read_classes(path, "densepose", NUM_PARTS))
    return read_photo(path, "densepose", BLACK)


def read_keypoints(path: Path) -> NDArray[np.float32]:
    """Keypoints of the first person in a JSON file.

    The forms are OpenPose's (``people``, each point x, y, confidence; 18 points, or the 25 of BODY_25) and
    DressCode's (``keypoints``, 18 rows that start with x, y).

    Returns:
        float32 (18, 2), in the file's pixels; (0, 0) is a missing point, also where nobody was found.

    Raises:
        InputError: missing, damaged, or of another form.
    """
    try:
        content = json.loads(path.read_text())
        if "keypoints" in content:
            points = np.array(content["keypoints"], np.float32)[:, :2]
        else:
            people = content["people"]
            flat = np.array(people[0]["pose_keypoints_2d"] if people else np.zeros(54), np.float32)
            points = flat.reshape(-1, 3)[:, :2]
        points = points[_BODY_25_AS_18] if len(points) == 25 else points
        if points.shape != (18, 2) or not np.isfinite(points).all():
            raise ValueError(f"{len(points)} points")
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise InputError(
            "the keypoints cannot be read",
            got=f"{path}: {error}",
            expected="OpenPose JSON with 18 or 25 points, or DressCode's with 18",
        ) from error
    known = points[(points != 0).any(1)]
    if len(known) > 1 and np.abs(known).max() <= 1:
        raise InputError(
            "the keypoints are not pixels",
            got=f"{path}: coordinates from {known.min():.2f} to {known.max():.2f}, shares of the picture",
            expected="x and y in pixels of the photo",
            fix="multiply x with the photo's width and y with its height (OpenPose: --keypoint_scale 0)",
        )
    return np.where((points < 0).any(1, keepdims=True), np.float32(0), points)


def read_json(path: Path, what: str) -> Any:
    """A JSON file.

    Raises:
        InputError: missing or damaged.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"the {what} cannot be read", got=f"{path}: {error}", expected="a JSON file") from error
