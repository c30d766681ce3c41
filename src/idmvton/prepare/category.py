"""What is exchanged, by the garment's outline and by how much of the person is seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from idmvton.errors import ConfigError
from idmvton.prepare.mask import ATR_LABELS, RULES
from idmvton.types import Category

Mask = NDArray[np.bool_]

CATEGORY_NAMES: Final[Mapping[str, Category]] = {
    "upper": "upper_body",
    "lower": "lower_body",
    "dress": "dresses",
    "upper_body": "upper_body",
    "lower_body": "lower_body",
    "dresses": "dresses",
}
"""Every accepted word -> the category."""

_KNEES_AND_ANKLES: Final = [9, 10, 12, 13]
_BELOW_WAIST: Final = ("skirt", "pants", "left_leg", "right_leg", "dress")
_LEGS_SHARE: Final = 0.15  # of the person, below the waist: less than this is no more than a waistband
_WORN_SHARE: Final = 0.12  # of all clothes in a photo: less of a kind is an error of the parser
_SURE_DRESS: Final = 2.05  # length / width from which an outline without legs is a dress
_LONG: Final = 1.5  # from here on it is one if it is narrow too
_NARROW: Final = 2.2  # length / width of the lower part
_LEG_ROWS: Final = 0.6  # share of the lower rows that show two legs


def choose_category(
    choice: str,
    garment: Category | None,
    labels: NDArray[np.uint8],
    keypoints: NDArray[np.floating],
) -> tuple[Category, tuple[str, ...]]:
    """What is exchanged.

    Args:
        choice: a word of :data:`CATEGORY_NAMES`, or ``"auto"``.
        garment: what the garment's picture shows, where there is one.
        labels: uint8 (H, W), the person's.
        keypoints: float (18, 2), (0, 0) missing.

    Returns:
        The category, and notes about it.

    Raises:
        ConfigError: an unknown word.
    """
    if choice != "auto":
        if choice not in CATEGORY_NAMES:
            raise ConfigError("unknown category", got=repr(choice), expected="auto, " + ", ".join(CATEGORY_NAMES))
        return CATEGORY_NAMES[choice], mismatch_notes(CATEGORY_NAMES[choice], garment)
    legs = shows_legs(labels, keypoints)
    if garment is None:
        dress, upper = (int((labels == ATR_LABELS.index(name)).sum()) for name in ("dress", "upper_clothes"))
        return ("dresses" if legs and dress > upper else "upper_body"), ()
    if garment == "dresses" and not legs:
        note = "the garment looks like a dress, but the photo ends above the legs: the upper body is exchanged"
        return "upper_body", (note,)
    return garment, ()


def expected_category(choice: str, garment: Category | None) -> Category | None:
    """What surely will be exchanged, before the person is looked at: what was asked for, or trousers and skirts."""
    if choice != "auto":
        return CATEGORY_NAMES.get(choice)
    return garment if garment == "lower_body" else None


def mismatch_notes(category: Category, garment: Category | None) -> tuple[str, ...]:
    """A warning where trousers or skirts meet another category; tops and dresses are too alike in outline."""
    if garment is None or category == garment or "lower_body" not in (category, garment):
        return ()
    return (f"the garment looks like {word_of(garment)}, but {word_of(category)} is exchanged",)


def word_of(category: Category) -> str:
    """The short word for a category: upper, lower or dress."""
    return next(word for word, name in CATEGORY_NAMES.items() if name == category)


def shows_legs(labels: NDArray[np.uint8], keypoints: NDArray[np.floating]) -> bool:
    """Whether the photo shows the person below the waist."""
    if np.any(keypoints[_KNEES_AND_ANKLES] > 0):
        return True
    below = np.isin(labels, [ATR_LABELS.index(name) for name in _BELOW_WAIST])
    return bool(below.sum() > _LEGS_SHARE * max(int((labels > 0).sum()), 1))


def categories_of_labels(labels: NDArray[np.uint8]) -> tuple[Category, ...]:
    """Which garments somebody wears, the one that is most likely meant first: a dress, an upper garment, a lower one.

    Args:
        labels: uint8 (H, W), the wearer's.
    """
    area = {name: int(np.count_nonzero(labels == number)) for number, name in enumerate(ATR_LABELS)}
    areas: dict[Category, int] = {
        "upper_body": area["upper_clothes"],
        "lower_body": area["pants"] + area["skirt"],
        "dresses": area["dress"],
    }
    least = _WORN_SHARE * max(sum(areas.values()), 1)
    order: list[Category] = ["upper_body", "lower_body"]
    order.insert(0 if areas["dresses"] == max(areas.values()) else 2, "dresses")
    return tuple(name for name in order if areas[name] >= least)


def clothes_of(category: Category) -> tuple[str, ...]:
    """The labels that a garment of this category may have on its wearer."""
    return tuple(name for name in RULES[category].repaint if name not in ("left_leg", "right_leg"))


def category_of_outline(mask: Mask) -> Category:
    """What a garment alone is, by its outline: two legs, a waistband without a neckline, a long body, or none of it.

    Args:
        mask: bool (H, W), the garment, upright.
    """
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return "upper_body"
    outline = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    if has_legs(outline) or _is_skirt(outline):
        return "lower_body"
    return "dresses" if _is_dress(outline) else "upper_body"


def _runs(row: Mask) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], row.astype(np.int8), [0]])))
    return [(int(start), int(end)) for start, end in zip(edges[::2], edges[1::2], strict=True)]


def has_legs(outline: Mask) -> bool:
    """Whether most lower rows of an outline are two broad runs side by side, and the rows at the top are one."""
    height, width = outline.shape
    split, whole = [], []
    for share in np.linspace(0.6, 0.95, 15):
        runs = [run for run in _runs(outline[int(share * height)]) if run[1] - run[0] > 0.02 * width]
        is_pair = len(runs) == 2 and min(end - start for start, end in runs) > 0.18 * width
        split.append(is_pair and runs[1][0] - runs[0][1] < 0.45 * width)
    for share in np.linspace(0.03, 0.3, 10):
        runs = _runs(outline[int(share * height)])
        whole.append(len([run for run in runs if run[1] - run[0] > 0.05 * width]) == 1)
    return float(np.mean(split)) >= _LEG_ROWS and float(np.mean(whole)) >= _LEG_ROWS


def _is_dress(outline: Mask) -> bool:
    """A long body; straps do not count."""
    height, width = outline.shape
    areas = outline.sum(1)
    length = int((areas > 0.35 * width).sum())
    below = float(np.median(areas[int(0.6 * height) :]))
    return length >= _SURE_DRESS * width or (length >= _LONG * width and length >= _NARROW * below)


def _is_skirt(outline: Mask) -> bool:
    """One run from a straight waistband, which is the narrowest place, down to the hem."""
    height, width = outline.shape
    filled = [np.flatnonzero(outline[int(share * height)]) for share in np.linspace(0.04, 0.96, 24)]
    widths = np.array([each[-1] - each[0] + 1 if len(each) else 0 for each in filled]) / width
    solid = np.array([len(each) for each in filled]) / width
    top = np.array([np.argmax(column) if column.any() else height for column in outline.T])
    middle = top[int(0.5 * width) - max(1, width // 20) : int(0.5 * width) + max(1, width // 20)]
    waist = _runs(outline[int(0.04 * height)])
    is_one = bool((solid > 0.9 * widths).all()) and len(waist) == 1
    is_waistband = is_one and float(np.median(middle)) < 0.05 * height and widths[0] > 0.4
    grows = bool((np.diff(widths) > -0.03).all()) and widths[0] <= widths.min() + 0.05
    return is_waistband and grows and height < 2.2 * width
