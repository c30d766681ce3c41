"""Garment photos: a product before a plain background, a flat lay, or a garment that somebody wears.

Whatever it was, the garment comes out whole, upright, on white, letterboxed to 3:4, never squashed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from idmvton.errors import PreparationError
from idmvton.images.framing import BLACK, WHITE, Framing
from idmvton.prepare.backends.protocols import SHOULDERS, Joint, Labels, Photo, Pose
from idmvton.prepare.category import CATEGORY_NAMES, category_of_labels, category_of_outline, clothes_of
from idmvton.prepare.cutout import cut_out, onto_white
from idmvton.prepare.mask import ATR_LABELS, where
from idmvton.types import Category, Size

Kind = Literal["plain background", "busy background", "worn"]
Mask = NDArray[np.bool_]
FindPeople = Callable[[Photo], "tuple[Pose, ...]"]
Parse = Callable[[Photo, Pose], Labels]

LARGEST: Final = Size(1024, 768)
_MARGIN: Final = 0.06  # white around the garment, share of its larger side
_SMALLEST: Final = 0.01  # share of the photo that a garment covers at least
_GUESS_RANGE: Final = (0.08, 0.9)  # share of a busy photo that a believable cut-out covers
_GUESS_AT_BORDER: Final = 0.25  # share of the photo's border that it may touch

_SKIN_SHARE: Final = 0.015  # of the foreground: with less skin than this nobody is looked for
_PATCH: Final = 0.02  # of the photo's shorter side: skin comes in patches at least this broad
_HEAD_WIDTH: Final = 1.0  # of the shoulders: a printed face has cloth beside it, a head has not
_SEEN: Final = 0.7  # visibility of joints that are seen for sure
_FACE: Final = (Joint.NOSE, Joint.LEFT_EYE, Joint.RIGHT_EYE)
_LIMB_ENDS: Final = (
    Joint.LEFT_WRIST,
    Joint.RIGHT_WRIST,
    Joint.LEFT_KNEE,
    Joint.RIGHT_KNEE,
    Joint.LEFT_ANKLE,
    Joint.RIGHT_ANKLE,
)


@dataclass(frozen=True, slots=True, eq=False)
class GarmentPicture:
    """A garment on white.

    Attributes:
        image: RGB, 3:4.
        mask: bool (H, W) of its size, True on the garment.
        category: what it looks like; of a worn garment, what was asked for.
        kind: what the photo was.
        source: how it was found, in words.
        warnings: what the caller should know.
    """

    image: Image.Image
    mask: Mask
    category: Category
    kind: Kind
    source: str
    warnings: tuple[str, ...]


def prepare_garment(photo: Image.Image, choice: str, find_people: FindPeople, parse: Parse) -> GarmentPicture:
    """Cuts the garment out and puts it on white.

    Args:
        photo: RGB, upright.
        choice: the category, a word of :data:`idmvton.prepare.category.CATEGORY_NAMES` or ``"auto"``; of a worn
            garment, which of the wearer's clothes is meant.
        find_people: the pose backend; it is asked only where skin is seen.
        parse: tells the wearer's clothes.

    Raises:
        PreparationError: there is no garment.
    """
    pixels = np.asarray(photo)
    mask, background = cut_out(pixels)
    wearer = find_wearer(pixels, mask if background.is_plain else np.ones_like(mask), find_people)
    if wearer is not None:
        return _from_wearer(pixels, choice, parse(pixels, wearer))
    notes: tuple[str, ...] = ()
    if not background.is_plain:
        if not _is_believable(mask):
            mask = np.ones_like(mask)
            notes = ("the garment's background is not plain and could not be taken away: the whole photo is used",)
        else:
            notes = ("the garment's background is not plain: look at garment.png whether the cut is right",)
    if mask.mean() < _SMALLEST:
        raise _no_garment(f"only {mask.mean():.1%} of the photo differs from its background")
    kind: Kind = "plain background" if background.is_plain else "busy background"
    white = onto_white(pixels, mask, background if background.is_plain else None) if not mask.all() else pixels
    return _framed(white, mask, category_of_outline(mask), kind, "border colour + GrabCut", notes)


def find_wearer(pixels: Photo, foreground: Mask, find_people: FindPeople) -> Pose | None:
    """The person who wears the garment; ``None`` for a product picture, also of a mannequin without skin.

    Pose networks see people in clothes without anybody in them. What counts is skin where the skeleton says that
    skin is: in a face that stands free above the shoulders, or at two ends of limbs.

    Args:
        pixels: uint8 (H, W, 3).
        foreground: bool (H, W), what stands before the background.
        find_people: the pose backend.
    """
    skin = _skin(pixels) & foreground
    brush = np.ones((max(3, round(_PATCH * min(skin.shape))),) * 2, np.uint8)
    patches = cv2.morphologyEx(skin.astype(np.uint8), cv2.MORPH_OPEN, brush)
    if patches.sum() < _SKIN_SHARE * max(int(foreground.sum()), 1):
        return None
    people = find_people(pixels)
    return next((pose for pose in people[:1] if _has_face(pose, skin, foreground) or _has_limbs(pose, skin)), None)


def _skin(pixels: Photo) -> Mask:
    luma, red, blue = np.moveaxis(cv2.cvtColor(pixels, cv2.COLOR_RGB2YCrCb), -1, 0)
    return (red >= 135) & (red <= 178) & (blue >= 80) & (blue <= 127) & (luma > 25)


def _has_face(pose: Pose, skin: Mask, foreground: Mask) -> bool:
    shoulders = pose.known(SHOULDERS)
    if pose.visibility[list(_FACE)].min() < _SEEN or len(shoulders) < 2:
        return False
    nose, eyes = pose.points[_FACE[0]], pose.points[list(_FACE[1:])]
    span = float(np.hypot(*(shoulders[0] - shoulders[1])))
    radius = max(2.0, 0.08 * span)
    if not all(_share(skin, point, radius) > 0.5 for point in (nose, *eyes)):
        return False
    if nose[1] >= shoulders[:, 1].min():
        return False
    row = foreground[int(nose[1])]
    right, left = row[int(nose[0]) :], row[: int(nose[0]) + 1][::-1]
    width = sum(int(np.argmin(part)) if not part.all() else len(part) for part in (right, left))
    return width < _HEAD_WIDTH * span or bool(foreground.all())


def _has_limbs(pose: Pose, skin: Mask) -> bool:
    shoulders = pose.known(SHOULDERS)
    if len(shoulders) < 2:
        return False
    span = float(np.hypot(*(shoulders[0] - shoulders[1])))
    ends = [
        number
        for number in _LIMB_ENDS
        if pose.visibility[number] >= _SEEN and _share(skin, pose.points[number], max(2.0, 0.06 * span)) > 0.6
    ]
    return len(ends) >= 2


def _share(region: Mask, point: NDArray[np.float32], radius: float) -> float:
    """How much of a square around a point is in a region; 0 outside the picture."""
    height, width = region.shape
    x, y = float(point[0]), float(point[1])
    if not (0 <= x < width and 0 <= y < height):
        return 0.0
    window = region[
        max(0, int(y - radius)) : int(y + radius) + 1,
        max(0, int(x - radius)) : int(x + radius) + 1,
    ]
    return float(window.mean())


def _from_wearer(pixels: Photo, choice: str, labels: Labels) -> GarmentPicture:
    category = category_of_labels(labels) if choice == "auto" else CATEGORY_NAMES[choice]
    mask = _solid(where(labels, clothes_of(category)))
    if mask.mean() < _SMALLEST:
        names = ", ".join(sorted({ATR_LABELS[number] for number in np.unique(labels) if 0 < number < len(ATR_LABELS)}))
        raise _no_garment(f"a person, on whom no such garment is seen (but {names or 'nothing'})")
    note = "a person wears the garment: it was cut out of that photo, without what arms and hair hide"
    return _framed(onto_white(pixels, mask, None), mask, category, "worn", "the wearer's label map", (note,))


def _solid(mask: Mask) -> Mask:
    """The garment with smooth edges, without specks and pinholes."""
    size = max(3, round(0.006 * max(mask.shape))) | 1
    brush = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    closed = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, brush)
    count, parts, stats, _ = cv2.connectedComponentsWithStats(closed, connectivity=8)
    areas = stats[:, cv2.CC_STAT_AREA].astype(np.float64)
    areas[0] = 0
    large = areas >= 0.05 * areas.max() if count > 1 else np.zeros(1, bool)
    large[0] = False
    return large[parts]


def _is_believable(mask: Mask) -> bool:
    border = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
    return _GUESS_RANGE[0] < mask.mean() < _GUESS_RANGE[1] and border.mean() < _GUESS_AT_BORDER


def _framed(
    pixels: Photo, mask: Mask, category: Category, kind: Kind, source: str, notes: tuple[str, ...]
) -> GarmentPicture:
    """The garment with a margin, letterboxed to 3:4, as large as its photo allows."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    margin = round(_MARGIN * max(bottom - top, right - left)) if not mask.all() else 0
    height = max(bottom - top + 2 * margin, round((right - left + 2 * margin) * LARGEST.height / LARGEST.width))
    width = round(height * LARGEST.width / LARGEST.height)
    x, y = int(left + right - width) // 2, int(top + bottom - height) // 2
    size = LARGEST if height >= LARGEST.height else Size(max(256, height // 32 * 32), max(192, height // 32 * 24))
    framing = Framing(Size(*mask.shape), (x, y, x + width, y + height), size)
    image = framing.apply(Image.fromarray(pixels), resample="photo", fill=WHITE)
    grey = framing.apply(Image.fromarray(np.where(mask, np.uint8(255), np.uint8(0))), resample="photo", fill=BLACK)
    return GarmentPicture(image, np.asarray(grey) >= 128, category, kind, source, notes)


def _no_garment(got: str) -> PreparationError:
    return PreparationError(
        "there is no garment in the garment photo",
        got=got,
        expected="one garment: alone before a plain background, or worn by a person",
        fix="give another photo of the garment",
    )
