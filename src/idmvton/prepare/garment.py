"""Garment photos: a product before a plain background, a flat lay, or a garment that somebody wears.

The result is the whole garment, upright, on white, letterboxed to 3:4.
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
from idmvton.prepare.backends.protocols import Labels, Photo, Pose
from idmvton.prepare.category import (
    CATEGORY_NAMES,
    categories_of_labels,
    clothes_of,
    word_of,
)
from idmvton.prepare.cutout import Background, cut_out, mask_of_alpha, onto_white, without_frame
from idmvton.prepare.garment_words import SURE, garment_words
from idmvton.prepare.garments_found import (
    choose_garment,
    garment_pieces,
    is_cut_off,
    looks_like_a_garment,
    without_hook,
)
from idmvton.prepare.mask import ATR_LABELS, where
from idmvton.prepare.orientation import turns_of_garment
from idmvton.prepare.wearer import FindPeople, find_wearer
from idmvton.types import Category, Size

Kind = Literal["plain background", "busy background", "cut-out", "worn"]
WORN_SOURCE: Final = "the wearer's label map"
"""What cuts a worn garment out."""
Mask = NDArray[np.bool_]
Parse = Callable[[Photo, Pose], Labels]

LARGEST: Final = Size(2048, 1536)
_MARGIN: Final = 0.06  # white around the garment, share of its larger side
_SMALLEST: Final = 0.01  # share of the photo that a garment covers at least
_GUESS_RANGE: Final = (0.08, 0.9)  # share of a busy photo that a plausible cut-out covers
_GUESS_AT_BORDER: Final = 0.25  # share of the photo's border that it may touch


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


@dataclass(frozen=True, slots=True, eq=False)
class _Cut:
    """What stands before the background of a garment photo.

    Attributes:
        pixels: uint8 (H, W, 3), on white where the photo was transparent.
        mask: bool (H, W).
        background: the plain one that was assumed; ``None`` where it is busy or transparent.
        kind, source, notes: as in :class:`GarmentPicture`.
        is_sure: whether the outline is reliable.
    """

    pixels: Photo
    mask: Mask
    background: Background | None
    kind: Kind
    source: str
    notes: tuple[str, ...] = ()
    is_sure: bool = True


def prepare_garment(
    photo: Image.Image,
    choice: str,
    find_people: FindPeople,
    parse: Parse,
    *,
    alpha: NDArray[np.uint8] | None = None,
    number: int | None = None,
) -> GarmentPicture:
    """Cuts the garment out and puts it on white.

    Args:
        photo: RGB, upright.
        choice: the category, a word of :data:`idmvton.prepare.category.CATEGORY_NAMES` or ``"auto"``; of a worn
            garment, which of the wearer's clothes is meant.
        find_people: the pose backend; called only where skin is seen.
        parse: labels the wearer's clothes.
        alpha: uint8 (H, W), the photo's transparency: what is opaque is the garment.
        number: which garment, where the photo shows several: from 1, from the left.

    Raises:
        PreparationError: there is no garment, or not so many, or with ``"auto"`` one whose kind is not clear.
    """
    cut = _cut(np.asarray(photo), alpha)
    wearer = find_wearer(cut.pixels, np.ones_like(cut.mask) if cut.kind == "busy background" else cut.mask, find_people)
    if wearer is not None:
        labels = parse(cut.pixels, wearer)
        return _from_wearer(cut.pixels, choice, labels if alpha is None else np.where(cut.mask, labels, np.uint8(0)))
    if choice == "auto" and not cut.is_sure:
        raise _unknown_kind("a busy background, or a garment that fills the photo")
    pieces = [cut.mask] if cut.kind == "busy background" else garment_pieces(cut.mask)
    if not pieces or cut.mask.mean() < _SMALLEST:
        raise _no_garment(f"only {cut.mask.mean():.1%} of the photo differs from its background")
    mask, notes = choose_garment(pieces, choice, number)
    spread = cut.background.spread if cut.background else None
    is_whole = cut.is_sure and not is_cut_off(mask)
    is_whole = is_whole and (cut.kind == "cut-out" or looks_like_a_garment(mask, spread, len(pieces)))
    if choice == "auto" and not is_whole:
        raise _unknown_kind("a garment that fills the photo or extends beyond it, or only a part of one")
    turns = turns_of_garment(mask) if is_whole else 0
    if turns:
        turned = {1: "by 90 degrees to the left", 2: "upside down", 3: "by 90 degrees to the right"}[turns]
        notes += (f"the garment does not stand upright in its photo: it was turned {turned}",)
    mask = np.rot90(without_hook(mask) if not turns else mask, turns)
    white = np.rot90(onto_white(cut.pixels, np.rot90(mask, -turns), cut.background), turns)
    category = CATEGORY_NAMES.get(choice, "upper_body")
    if is_whole:
        words = garment_words(Image.fromarray(np.ascontiguousarray(white)), np.ascontiguousarray(mask))
        category = words.category
        if choice == "auto" and words.confidence < SURE:
            notes += (f"the garment looks like {word_of(category)}, but not surely: --category says what it is",)
    return _framed(
        np.ascontiguousarray(white), np.ascontiguousarray(mask), category, cut.kind, cut.source, cut.notes + notes
    )


def on_white(picture: Image.Image, category: Category) -> Image.Image:
    """A data set's product picture as a try-on sees it: cut out, framed, on white, of the same size.

    Args:
        picture: RGB, upright, 3:4, without a wearer.
        category: which part of the body it dresses.

    Returns:
        The picture itself where no garment stands out.
    """
    try:
        found = prepare_garment(picture, category, lambda _: (), lambda pixels, _: np.zeros(pixels.shape[:2], np.uint8))
    except PreparationError:
        return picture
    return found.image.resize(picture.size, Image.Resampling.LANCZOS)


def _cut(pixels: Photo, alpha: NDArray[np.uint8] | None) -> _Cut:
    """The cut-out by the photo's own transparency, or by its background."""
    if alpha is not None:
        share = alpha[..., None].astype(np.float32) / 255
        pixels = np.rint(share * pixels + (1 - share) * 255).astype(np.uint8)
        opaque = mask_of_alpha(alpha)
        if opaque is not None:
            return _Cut(pixels, opaque, None, "cut-out", "the photo's transparency")
    pixels = without_frame(pixels)
    mask, background = cut_out(pixels)
    source = "border colour + GrabCut"
    if background.is_plain:
        return _Cut(pixels, mask, background, "plain background", source)
    if not _is_plausible(mask):
        note = "the garment's background is not plain and could not be removed: the whole photo is used"
        return _Cut(pixels, np.ones_like(mask), None, "busy background", source, (note,), is_sure=False)
    note = "the garment's background is not plain: check the cut-out in garment.png"
    return _Cut(pixels, mask, None, "busy background", source, (note,))


def _from_wearer(pixels: Photo, choice: str, labels: Labels) -> GarmentPicture:
    seen = categories_of_labels(labels)
    category = seen[0] if choice == "auto" and seen else CATEGORY_NAMES.get(choice, "upper_body")
    mask = _solid(where(labels, clothes_of(category)))
    if mask.mean() < _SMALLEST:
        names = ", ".join(sorted({ATR_LABELS[number] for number in np.unique(labels) if 0 < number < len(ATR_LABELS)}))
        raise _no_garment(f"a person on whom no such garment is seen (labels found: {names or 'none'})")
    notes = ["a person wears the garment: it was cut out of that photo, without what arms and hair hide"]
    others = [word_of(each) for each in seen if each != category]
    if choice == "auto" and others:
        also = " and ".join(f"--category {each}" for each in others)
        notes.append(f"of the wearer's clothes the {word_of(category)} garment was taken; for the other one: {also}")
    return _framed(onto_white(pixels, mask, None), mask, category, "worn", WORN_SOURCE, tuple(notes))


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


def _is_plausible(mask: Mask) -> bool:
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


def _unknown_kind(got: str) -> PreparationError:
    return PreparationError(
        "it is not clear what kind of garment this is",
        got=got,
        expected="the whole garment before a plain background, or a picture with a transparent background",
        fix="say what it is (--category upper, lower or dress), or give a photo that shows all of it",
    )


def _no_garment(got: str) -> PreparationError:
    return PreparationError(
        "there is no garment in the garment photo",
        got=got,
        expected="one garment: alone before a plain background, or worn by a person",
        fix="give another photo of the garment",
    )
