"""Which way is up: people who lie on their side in a photo, garments that are turned."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from idmvton.errors import PreparationError, UnusablePersonError
from idmvton.prepare.backends.protocols import HIPS, SHOULDERS, Joint, Pose
from idmvton.prepare.category import has_legs

Mask = NDArray[np.bool_]

_WEIGHTS: Final = Path(__file__).parent / "assets" / "upright.npy"  # made by tools/train_upright.py
LEANING: Final = 50.0
"""Degrees by which a trunk may lean before the photo counts as turned."""
_HEAD: Final = (Joint.NOSE, Joint.LEFT_EYE, Joint.RIGHT_EYE, Joint.LEFT_EAR, Joint.RIGHT_EAR)
END_SHAPE: Final = (10, 10)
"""Rows of each half, and columns of each side, in which the ends of an outline are compared."""
MARGIN: Final = 1.25
"""Logarithm of the odds from which the ends' shapes are believed: to turn an upright garment is the worse error."""
_SYMMETRIC: Final = 0.86  # overlap of an outline with its mirror image
_CLEARLY: Final = 0.12  # by which one mirror axis must beat the other
_NOTCH: Final = 0.035  # depth of a neckline, share of the garment's height
_NOTCH_WIDTH: Final = (0.12, 0.4)  # of the garment's width
_SLOPING: Final = 0.7  # of the width at the sleeves: how broad shoulders and neck are at their very end
_STRAIGHT: Final = 0.025  # of the garment's height: how far a hem is off a line
_FULL_WIDTH: Final = 0.8  # of the width of the upper third: a hem begins so broad, shoulders slope
_BROAD_END: Final = 1.15  # the end with the sleeves is broader than the other one by this


def check_upright(pose: Pose) -> None:
    """Makes sure that a person stands or sits upright in the photo.

    Raises:
        UnusablePersonError: the photo is turned; the message says by how much to turn it back.
    """
    angle = trunk_angle(pose)
    if angle is None or abs(angle) < LEANING:
        return
    quarter = round(angle / 90) % 4
    how = {1: "90 degrees to the left", 2: "180 degrees", 3: "90 degrees to the right"}.get(quarter, "until it stands")
    raise UnusablePersonError(
        "the person is not upright in the photo",
        got=f"the head points {abs(angle):.0f} degrees away from up, to the {'right' if angle > 0 else 'left'}",
        expected="a head above the hips",
        fix=f"turn the photo by {how}",
    )


def trunk_angle(pose: Pose) -> float | None:
    """The direction from the hips to the shoulders, or to the head: degrees from up, clockwise, -180 to 180.

    ``None`` where too little of the trunk is known.
    """
    hips, shoulders, head = pose.known(HIPS), pose.known(SHOULDERS), pose.known(_HEAD)
    below = hips if len(hips) else shoulders
    above = shoulders if len(hips) and len(shoulders) else head
    if not len(below) or not len(above):
        return None
    across, down = (above.mean(0) - below.mean(0)).tolist()
    return float(np.degrees(np.arctan2(across, -down)))


def turns_of_garment(mask: Mask) -> int:
    """By how many quarters, counter-clockwise, a garment's photo must be turned to stand upright; mostly 0.

    Trousers are told by their legs. Other garments are symmetric from left to right; where they are symmetric from
    top to bottom instead, they lie on their side. The shapes of both ends tell which is the upper one, or a neckline
    at the lower one.

    Args:
        mask: bool (H, W), one garment.

    Raises:
        PreparationError: it lies on its side, and its outline does not tell which end is the upper one.
    """
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return 0
    outline = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    if has_legs(outline):
        return 0
    for turns in (2, 1, 3):
        if has_legs(np.rot90(outline, turns)):
            return turns
    level, upright = _overlap(outline, outline[::-1]), _overlap(outline, outline[:, ::-1])
    if level > _SYMMETRIC and level > upright + _CLEARLY:
        wrong = [is_upside_down(np.rot90(outline, turns)) for turns in (1, 3)]
        if wrong[0] == wrong[1]:
            raise PreparationError(
                "the garment lies on its side in its photo",
                expected="a garment that stands upright, or a photo that says how it was held (EXIF)",
                fix="turn the photo by 90 degrees",
            )
        return 3 if wrong[0] else 1
    return 2 if is_upside_down(outline) else 0


def is_upside_down(outline: Mask) -> bool:
    """Whether the lower end has the sleeves and shoulders or a neckline, and the upper end is a hem.

    Args:
        outline: bool (H, W), one garment that fills its box.
    """
    if float(end_features(outline) @ _end_weights()) < -MARGIN:
        return True
    third = max(len(outline) // 3, 1)
    upper, lower = int(outline[:third].any(0).sum()), int(outline[-third:].any(0).sum())
    if lower < _BROAD_END * max(upper, 1):
        return False
    shoulders_slope = outline[-max(len(outline) // 50, 1) :].any(0).sum() < _SLOPING * lower
    return bool((shoulders_slope and _is_hem(outline)) or (_notch(outline[::-1]) and not _notch(outline)))


def end_features(outline: Mask) -> NDArray[np.float32]:
    """How the two ends of an outline differ: float32 (F,), negative of itself for the outline upside down.

    Args:
        outline: bool (H, W), one garment that fills its box.
    """
    rows, columns = END_SHAPE
    small = cv2.resize(outline.astype(np.float32), (2 * columns, 2 * rows), interpolation=cv2.INTER_AREA)
    half = ((small + small[:, ::-1]) / 2)[:, :columns]
    return np.asarray((half - half[::-1])[:rows].ravel(), np.float32)


@functools.cache
def _end_weights() -> NDArray[np.float32]:
    return np.asarray(np.load(_WEIGHTS, allow_pickle=False), np.float32).ravel()


def _is_hem(outline: Mask) -> bool:
    """Whether the upper edge is straight, and there at its full width."""
    third, start = max(len(outline) // 3, 1), max(round(_STRAIGHT * len(outline)), 1)
    if outline[:start].any(0).sum() < _FULL_WIDTH * outline[:third].any(0).sum():
        return False
    top = np.where(outline.any(0), outline.argmax(0), len(outline))
    columns = np.flatnonzero(outline[: max(len(outline) // 3, 1)].any(0))
    low, high = np.percentile(columns, [12, 88]).astype(int)
    edge = top[low : high + 1].astype(float)
    slope = np.polyfit(np.arange(len(edge)), edge, 1) if len(edge) > 2 else np.zeros(2)
    return bool(np.abs(edge - np.polyval(slope, np.arange(len(edge)))).max() < _STRAIGHT * len(outline))


def _notch(outline: Mask) -> bool:
    """Whether the upper edge dips in the middle between two higher shoulders."""
    height, width = outline.shape
    top = np.where(outline.any(0), outline.argmax(0), height)
    middle = float(np.median(top[int(0.46 * width) : int(0.54 * width) + 1]))
    left, right = top[: width // 2].min(), top[width // 2 :].min()
    depth = middle - max(int(left), int(right))
    if depth < _NOTCH * height:
        return False
    dips = np.flatnonzero(top[int(0.1 * width) : int(0.9 * width)] > max(int(left), int(right)) + depth / 2)
    low, high = _NOTCH_WIDTH
    return bool(len(dips) and low * width < np.ptp(dips) + 1 < high * width)


def _overlap(first: Mask, second: Mask) -> float:
    return float((first & second).sum() / max(int((first | second).sum()), 1))
