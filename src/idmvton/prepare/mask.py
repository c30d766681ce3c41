"""The agnostic mask: which pixels of a person photo are repainted.

The rules are tables of label names. A category says which labels it repaints, which labels it never touches,
and whether the arms are repainted along with it; everything else follows from three steps:

1. grow the repainted labels by a fixed band, so that the old garment's outline does not leak;
2. where sleeves may change, add thick strokes shoulder - elbow - wrist, leaving the hands out;
3. take away what is kept (face, hair, shoes, bag, hands, the other garment), close the holes, drop specks.

Lengths are stated for a picture 512 pixels high, the size at which the published rules work, and scale with
it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from idmvton.errors import InputError
from idmvton.types import Category

ATR_LABELS: Final[tuple[str, ...]] = (
    "background",
    "hat",
    "hair",
    "sunglasses",
    "upper_clothes",
    "skirt",
    "pants",
    "dress",
    "belt",
    "left_shoe",
    "right_shoe",
    "head",
    "left_leg",
    "right_leg",
    "left_arm",
    "right_arm",
    "bag",
    "scarf",
)
"""The 18 classes of a parsed person, in the order of their numbers."""
NECK: Final = 18
"""One class more that published label maps have: bare skin of neck and trunk, which necklines bare or cover."""

OTHER_LABEL: Final = np.arange(NECK + 1, dtype=np.uint8)
"""Label -> the label that a mirror makes of it."""
for _pair in (["left_shoe", "right_shoe"], ["left_leg", "right_leg"], ["left_arm", "right_arm"]):
    _left, _right = (ATR_LABELS.index(_name) for _name in _pair)
    OTHER_LABEL[[_left, _right]] = _right, _left

REFERENCE_HEIGHT: Final = 512
_GARMENT_BAND: Final = 10  # pixels that the repainted labels grow by
_NECK_BAND: Final = 2  # pixels that bare neck and trunk grow by
_ARM_BAND: Final = 8  # pixels that the arm strokes grow by
_FOREARM_REACH: Final = 1.2  # the stroke ends this far along elbow -> wrist: cuffs lie beyond the wrist point
_SPECK: Final = 0.0005  # parts smaller than this share of the picture are not worth a repaint


@dataclass(frozen=True, slots=True)
class MaskRule:
    """What one category repaints and keeps.

    Attributes:
        repaint: labels whose pixels, grown by a band, are repainted.
        keep: labels that stay as they are, besides those of :data:`ALWAYS_KEPT`.
        arms: whether arms and bare neck are repainted too, because sleeves and necklines may change.
    """

    repaint: tuple[str, ...]
    keep: tuple[str, ...]
    arms: bool


ALWAYS_KEPT: Final = ("hat", "hair", "sunglasses", "head", "left_shoe", "right_shoe", "bag")
RULES: Final[dict[str, MaskRule]] = {
    "upper_body": MaskRule(repaint=("upper_clothes", "dress"), keep=("skirt", "pants"), arms=True),
    "lower_body": MaskRule(
        repaint=("pants", "skirt", "left_leg", "right_leg"),
        keep=("upper_clothes", "left_arm", "right_arm"),
        arms=False,
    ),
    "dresses": MaskRule(repaint=("dress", "upper_clothes", "skirt", "pants"), keep=(), arms=True),
}
_HAIR: Final = ATR_LABELS.index("hair")
# OpenPose order: the points of one arm from the shoulder down, and the label of its skin.
_ARMS: Final = (((2, 3, 4), "right_arm"), ((5, 6, 7), "left_arm"))


def agnostic_mask(
    labels: NDArray[np.uint8],
    keypoints: NDArray[np.floating],
    category: Category,
    arm_width: int = 60,
    as_published: bool = False,
) -> NDArray[np.uint8]:
    """Says which pixels of a person photo are repainted for a garment of ``category``.

    Args:
        labels: uint8 (H, W), the classes of :data:`ATR_LABELS`, and :data:`NECK` where a parser knows it.
        keypoints: float (18, 2), OpenPose points x, y in pixels of ``labels``; (0, 0) is a missing point.
        category: what is to be exchanged.
        arm_width: width of the arm strokes in pixels of a picture 512 high; the published values are 60 for
            photos of the VITON-HD kind (half body) and 45 for the DressCode kind (full body).
        as_published: the published code's mask to the pixel, with what is mended otherwise: only the largest outline
            stays, filled (open jackets and arms apart from the body are lost), and arm strokes repaint the hair that
            they cross.

    Returns:
        uint8 (H, W): 255 is repainted, 0 is kept.

    Raises:
        InputError: a shape, type or category that cannot be used.
    """
    rule = _check(labels, keypoints, category)
    points = np.asarray(keypoints, dtype=np.float64)
    height = labels.shape[0]
    scale = height / REFERENCE_HEIGHT
    kept = where(labels, (*ALWAYS_KEPT, *rule.keep))
    region = _grow(where(labels, rule.repaint), round(_GARMENT_BAND * scale)) & ~kept
    if rule.arms:
        hands, arms = _hands_and_arms(labels, points, int(arm_width * scale), as_published)
        spared = kept & (labels != _HAIR) if as_published else kept
        region |= _grow(arms, round(_ARM_BAND * scale)) & ~spared
        region |= _grow(labels == NECK, round(_NECK_BAND * scale)) & ~kept
        region &= ~hands
        kept |= hands
    if not as_published:
        return _drop_specks(_fill_holes(region), kept)
    region[[0, -1]] = region[:, [0, -1]] = False  # the published rules leave a border of one pixel
    return _largest_outline(_fill_holes(region))


def _hands_and_arms(
    labels: NDArray[np.uint8], points: NDArray[np.float64], thickness: int, as_published: bool
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Skin of the arms beyond their strokes, and the strokes; an arm without a wrist is its skin."""
    hands, arms = np.zeros(labels.shape, bool), np.zeros(labels.shape, bool)
    for joints, skin in _ARMS:
        arm_skin = where(labels, (skin,))
        path = _arm_path(points[list(joints)])
        stroke = arm_skin
        if path is not None:
            is_turned = as_published and skin == "left_arm"  # a line of even width lies to one side of its points
            line = np.trunc(path) if as_published else path
            stroke = _stroke(line[::-1] if is_turned else line, path[0], labels.shape, thickness)
        hands |= arm_skin & ~stroke  # the hand, and what sticks out of the stroke
        arms |= stroke
    return hands, arms


def _check(labels: NDArray[np.uint8], keypoints: NDArray[np.floating], category: str) -> MaskRule:
    if labels.ndim != 2 or labels.dtype != np.uint8:
        raise InputError(
            "the label map cannot be used",
            got=f"{labels.dtype} {labels.shape}",
            expected="uint8 (height, width) with the 18 ATR classes",
        )
    if labels.size == 0 or int(labels.max()) > NECK:
        raise InputError(
            "the label map holds unknown classes",
            got=f"values up to {labels.max() if labels.size else 'none'}",
            expected=f"0 to {NECK}",
            fix="store label numbers, not colours or grey levels",
        )
    if np.shape(keypoints) != (18, 2) or not np.isfinite(keypoints).all():
        raise InputError(
            "the keypoints cannot be used",
            got=f"shape {np.shape(keypoints)}",
            expected="18 finite points (x, y) in OpenPose order, (0, 0) where missing",
        )
    if category not in RULES:
        raise InputError("unknown category", got=repr(category), expected="one of " + ", ".join(RULES))
    return RULES[category]


def where(labels: NDArray[np.uint8], names: Iterable[str]) -> NDArray[np.bool_]:
    """Where a label map holds one of the named classes: bool (H, W)."""
    table = np.zeros(256, bool)
    table[[ATR_LABELS.index(name) for name in names]] = True
    return table[labels]


def box_of(mask: NDArray[np.bool_]) -> tuple[int, int, int, int] | None:
    """Left, top, right, bottom of what is True in a mask (H, W), pixels; ``None`` where nothing is."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return None
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _grow(region: NDArray[np.bool_], radius: int) -> NDArray[np.bool_]:
    kernel = np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)
    return cv2.dilate(region.astype(np.uint8), kernel).astype(bool)


def _arm_path(joints: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Shoulder, elbow and a place beyond the wrist (3, 2), or without the shoulder (2, 2); ``None`` without a wrist."""
    shoulder, elbow, wrist = joints
    if np.all(wrist <= 1):
        return None
    bend = elbow if np.any(elbow > 1) else (shoulder + wrist) / 2
    path = [bend, bend + _FOREARM_REACH * (wrist - bend)]
    return np.array([shoulder, *path] if np.any(shoulder > 1) else path)


def _stroke(
    line: NDArray[np.float64], start: NDArray[np.float64], size: tuple[int, ...], thickness: int
) -> NDArray[np.bool_]:
    """A thick line (N, 2), with a disc at its start."""
    canvas = Image.new("L", (size[1], size[0]))
    draw = ImageDraw.Draw(canvas)
    draw.line([(float(x), float(y)) for x, y in line], fill=255, width=max(thickness, 1), joint="curve")
    (x, y), radius = start, thickness // 2
    draw.ellipse([float(x) - radius, float(y) - radius, float(x) + radius, float(y) + radius], fill=255)
    return np.asarray(canvas) > 0


def _fill_holes(mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Closes what cannot be reached from outside the picture."""
    padded = np.pad(mask.astype(np.uint8), 1) * 255
    outside = padded.copy()
    cv2.floodFill(outside, None, (0, 0), 255)
    filled: NDArray[np.uint8] = padded | ~outside
    return np.ascontiguousarray(filled[1:-1, 1:-1])


def _largest_outline(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    outlines, _ = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_TC89_L1)
    result = np.zeros_like(mask)
    if outlines:
        areas = [cv2.contourArea(outline, True) for outline in outlines]
        cv2.drawContours(result, outlines, int(np.argmax(np.abs(areas))), 255, -1)
    return result


def _drop_specks(mask: NDArray[np.uint8], kept: NDArray[np.bool_]) -> NDArray[np.uint8]:
    mask = np.where(kept, np.uint8(0), mask)  # a hand or a strap inside the region is no hole to close
    count, parts, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    large = stats[:, cv2.CC_STAT_AREA] >= _SPECK * mask.size
    large[0] = False
    return np.where(large[parts], np.uint8(255), np.uint8(0)) if count > 1 else mask
