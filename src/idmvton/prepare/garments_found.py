"""Which of the things that stand before the background is the garment.

A product photo may show a garment twice (front and back), several garments, a banner with text, a frame, a hanger's
hook. Everything here works on outlines: bool (H, W), True on what stands out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from idmvton.errors import PreparationError
from idmvton.prepare.category import CATEGORY_NAMES, category_of_outline

Mask = NDArray[np.bool_]

_ANOTHER: Final = 0.25  # of the largest piece: from this area on a piece is a garment of its own
_ALIKE: Final = 0.75  # of the largest piece: front and back differ by less
_FRAME_FILL: Final = 0.3  # share of its box that a frame or a thin line covers at most
_FRAME_BOX: Final = 0.7  # share of the photo's side that a frame spans
_BANNER_FILL: Final = 0.93  # share of its box that a printed bar covers at least
_BANNER_ASPECT: Final = 2.5
_BESIDE: Final = 0.03  # of the garment's longer side: pieces nearer to it than this are parts of it
_HOOK_WIDTH: Final = 0.035  # of the garment's width: a hanger's hook is thinner
_HOOK_OFF: Final = 0.12  # of the garment's width: and this near to the middle
_HOOK_ROWS: Final = 0.5  # share of the rows above the garment that show one thin line
_HALF, _WHOLE = 0.7, 0.8  # symmetry of half a garment at most, and of both halves together at least
_ONE_PIECE: Final = 0.85  # share of a guess that is one piece
_SYMMETRY_BUSY: Final = 0.75  # garments have 0.8 to 0.98, the prints of close-ups mostly less than 0.65
_SYMMETRY_PLAIN: Final = 0.6
_SYMMETRY_ROUGH: Final = 0.79
_FEW: Final = 2
_SMOOTH: Final = 1.2  # colour distance: cloth that fills a photo is rougher, studio backgrounds mostly are not
_CUT_WHOLLY: Final = 0.85  # of one border
_CUT_SHARE: Final = 0.4  # of a border of the photo: a garment that covers more goes on beyond it


def garment_pieces(mask: Mask) -> list[Mask]:
    """The garments, the largest first: each with the small parts that lie inside its hull or close to it.

    Frames, banners and letters that lie apart from every garment belong to none.

    Args:
        mask: bool (H, W), everything that stands out.
    """
    count, numbers, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    parts = [number for number in range(1, count) if not _is_frame(stats[number], mask.shape)]
    cloth = [number for number in parts if not _is_banner(stats[number])] or parts
    cloth.sort(key=lambda number: -stats[number, cv2.CC_STAT_AREA])
    if not cloth:
        return []
    least = _ANOTHER * stats[cloth[0], cv2.CC_STAT_AREA]
    owners = [number for number in cloth if stats[number, cv2.CC_STAT_AREA] >= least]
    hulls = [_hull(numbers == number) for number in owners]
    owners, hulls = _outermost(owners, hulls, numbers)
    owners, hulls = _joined_halves(owners, hulls, numbers)
    pieces = [numbers == number for number in owners]
    for number in parts:
        part = numbers == number
        if number in owners or not part.any():  # halves that were joined have one number
            continue
        inside = [float(hull[part].mean()) for hull in hulls]
        best = int(np.argmax(inside))
        if inside[best] > 0.5:
            pieces[best] |= part
    return pieces


def choose_garment(pieces: Sequence[Mask], choice: str, number: int | None) -> tuple[Mask, tuple[str, ...]]:
    """One of the garments, and what to say about it.

    Args:
        pieces: from :func:`garment_pieces`, at least one.
        choice: the category that was asked for, or ``"auto"``.
        number: which one, counted from 1 in reading order; ``None``: the one of the category that was asked for; of
            garments of about one size the first in reading order, otherwise the largest.

    Raises:
        PreparationError: there is no such number.
    """
    ordered = [pieces[row] for row in _reading_order(pieces)]
    if number is not None and number > len(ordered):
        raise PreparationError(
            f"there is no garment {number} in the garment photo",
            got=f"{len(ordered)} {'garment' if len(ordered) == 1 else 'garments'}",
            expected=f"a number from 1 to {len(ordered)}, counted from the left and from the top",
        )
    if len(ordered) == 1:
        return ordered[0], ()
    fitting = ordered
    if choice != "auto":
        fitting = [each for each in ordered if category_of_outline(each) == CATEGORY_NAMES.get(choice)] or ordered
    largest = max(each.sum() for each in fitting)
    taken = ordered[number - 1] if number else next(each for each in fitting if each.sum() >= _ALIKE * largest)
    row = next(row for row, each in enumerate(ordered, 1) if each is taken)
    note = f"the garment photo shows {len(ordered)} garments: number {row} from the left was taken"
    return taken, (f"{note}; choose another with --garment-number",)


def without_hook(mask: Mask) -> Mask:
    """Takes off a hanger's hook: one thin line that rises from the middle above the garment."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return mask
    width = int(columns[-1] - columns[0] + 1)
    radius = max(round(_HOOK_WIDTH * width / 2), 1)
    brush = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    solid = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, brush) > 0
    if not solid.any():
        return mask
    middle = (columns[0] + columns[-1]) / 2
    near = abs(np.arange(mask.shape[1]) - middle) < _HOOK_OFF * width
    body_top = int(np.flatnonzero((solid & near).any(1))[0]) if (solid & near).any() else int(rows[0])
    above = mask[rows[0] : body_top]
    is_single = [_is_one_line(row, near, 2 * radius + 1) for row in above]
    if len(above) < 0.02 * len(rows) or np.mean(is_single) < _HOOK_ROWS:
        return mask
    hook = np.zeros_like(mask)
    hook[rows[0] : body_top] = (mask & ~solid)[rows[0] : body_top] & near
    return mask & ~hook


def looks_like_a_garment(mask: Mask, background_spread: float | None, num_pieces: int = 1) -> bool:
    """Whether an outline is plausible: one piece that is fairly symmetric, as prints and guesses are not.

    Args:
        mask: bool (H, W), everything that was cut out.
        background_spread: how rough the plain background is, as a colour distance; ``None``: it is busy.
        num_pieces: how many garments seem to be in the photo: on cloth the letters of a print are many.
    """
    count, _, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    if count < 2:
        return False
    areas = stats[1:, cv2.CC_STAT_AREA]
    if background_spread is None:
        return bool(areas.max() > _ONE_PIECE * areas.sum()) and symmetry(mask) > _SYMMETRY_BUSY
    if background_spread < _SMOOTH:
        return symmetry(mask) > _SYMMETRY_PLAIN
    return num_pieces <= _FEW and symmetry(mask) > _SYMMETRY_ROUGH


def symmetry(mask: Mask) -> float:
    """Overlap (IoU) of an outline with its mirror image, from left to right or from top to bottom."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    outline = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return max(_mirrored(outline), _mirrored(outline.T))


def is_cut_off(mask: Mask) -> bool:
    """Whether the garment goes on beyond the photo, on one whole side or two: its outline tells nothing of its kind."""
    borders = (mask[0], mask[-1], mask[:, 0], mask[:, -1])
    shares = [float(border.mean()) for border in borders]
    return max(shares) > _CUT_WHOLLY or sum(share > _CUT_SHARE for share in shares) >= 2


def _is_frame(stats: NDArray[np.int32], shape: tuple[int, ...]) -> bool:
    _, _, width, height, area = (int(value) for value in stats)
    spans = width > _FRAME_BOX * shape[1] and height > _FRAME_BOX * shape[0]
    return spans and area < _FRAME_FILL * width * height


def _is_banner(stats: NDArray[np.int32]) -> bool:
    _, _, width, height, area = (int(value) for value in stats)
    return area > _BANNER_FILL * width * height and width > _BANNER_ASPECT * height


def _hull(piece: Mask) -> Mask:
    """The convex hull with some room."""
    points = np.argwhere(piece)[:, ::-1].astype(np.int32)
    canvas = np.zeros(piece.shape, np.uint8)
    cv2.fillConvexPoly(canvas, cv2.convexHull(points), 1)
    room = max(round(_BESIDE * float(np.ptp(points, axis=0).max())), 1)
    return cv2.dilate(canvas, np.ones((2 * room + 1, 2 * room + 1), np.uint8)) > 0


def _outermost(owners: list[int], hulls: list[Mask], numbers: NDArray[np.int32]) -> tuple[list[int], list[Mask]]:
    """Without pieces that mostly lie inside a larger one's hull: they are parts of it."""
    kept: list[int] = []
    for row, number in enumerate(owners):
        part = numbers == number
        if all(hulls[other][part].mean() < 0.5 for other in kept):
            kept.append(row)
    return [owners[row] for row in kept], [hulls[row] for row in kept]


def _joined_halves(owners: list[int], hulls: list[Mask], numbers: NDArray[np.int32]) -> tuple[list[int], list[Mask]]:
    """The two halves of an open jacket as one: neither is symmetric, both together are."""
    if len(owners) != 2:
        return owners, hulls
    first, second = (numbers == number for number in owners)
    alone = max(_mirrored(first), _mirrored(second))
    if alone > _HALF or _mirrored(first | second) < _WHOLE:
        return owners, hulls
    numbers[second] = owners[0]
    return owners[:1], [_hull(first | second)]


def _mirrored(mask: Mask) -> float:
    """Overlap (IoU) of an outline with its mirror image from left to right."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    outline = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return float((outline & outline[:, ::-1]).sum() / (outline | outline[:, ::-1]).sum())


def _reading_order(pieces: Sequence[Mask]) -> list[int]:
    """From the left to the right; of pieces above each other the upper one first."""
    centres = [np.argwhere(piece).mean(0) for piece in pieces]
    widths = [int(np.ptp(np.flatnonzero(piece.any(0)))) + 1 for piece in pieces]
    step = max(min(widths) / 2, 1)
    return sorted(range(len(pieces)), key=lambda row: (round(centres[row][1] / step), centres[row][0]))


def _is_one_line(row: Mask, near: Mask, widest: int) -> bool:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], (row & near).astype(np.int8), [0]])))
    runs = edges[1::2] - edges[::2]
    return len(runs) == 1 and int(runs.sum()) <= widest
