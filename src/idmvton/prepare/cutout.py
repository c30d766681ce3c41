"""Cuts a garment out of a plain background.

The background is a plane of colour fitted to the picture's border. It is followed inward as far as nothing stands
out from it, over a barrier that closes gaps in faint outlines: so a white shirt on white stays whole. GrabCut then
decides the rim, where soft shadows lie, but only where garment and background really differ.

Colours are CIE L*a*b*, in which a distance of about 2 can just be seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

WORKING_SIDE: Final = 640  # pixels: outlines are found at this size
_RING: Final = 0.03  # width of the border that is looked at, share of the shorter side
_PLAIN_SHARE: Final = 0.6  # of the border must agree with the plane; garments may touch the rest
_PLAIN_SPREAD: Final = 9.0  # a border pixel agrees within this colour distance
_FAINT: Final = 0.8  # colour distance that stands out from a clean background
_GAP: Final = 5  # pixels: half the width of a gap in an outline that is closed
_SPECK: Final = 0.0015  # share of the picture: foreground smaller than this is dust or a label's shadow
_MORE: Final = 0.03  # share of the garment: broad faint parts beyond this may be cloth
_FLAT: Final = 0.4  # cloth varies by more than this, pasted patches of background do not
_HALO: Final = 6  # pixels: compression blurs a strong outline this far
_NARROW: Final = 2.0  # pixels: half the width of the narrowest gap that is found between sleeve and trunk
_EQUAL: Final = 0.3  # colour distance from a background without noise
_RINGING: Final = 1.0  # likewise beside strong edges, after JPEG
_EVEN: Final = 0.235  # deviation of the lightness: cloth that looks like the background varies by more
_FIRM: Final = 4.0  # colour distance beyond compression noise
_HALO_SHARE: Final = 0.4  # a rim pixel with less than this share of the contrast beside it is background
_SHADOW_CHROMA: Final = 5.0  # a shadow keeps the background's hue within this
_SHADOW_DROP: Final = 45.0  # and is darker than it by at most this
_MOSTLY: Final = 0.5  # share of a garment that must be distinct, so that the garment counts as distinct
_SHADOW_DEPTH: Final = 6.0  # a shadow is darker than the background by this on the average
_FADING: Final = 0.65  # and at its outer edge by at most this share of that
_FRAMES: Final = (0.02, 0.04, 0.06)  # of the shorter side: how far in a frame may lie
_OPAQUE: Final = 0.98  # share of a picture: with more opaque pixels its transparency cuts nothing out
_RECTANGLE: Final = 0.985  # share of its box: more of it is a photo on a transparent canvas, not a garment
_DISTINCT: Final = 18.0  # colour distance from which garment and background are told apart safely


@dataclass(frozen=True, slots=True, eq=False)
class Background:
    """What the border says about the background.

    Attributes:
        is_plain: whether one smooth colour covers most of the border.
        colour: float32 (H, W, 3), L*a*b*, the background everywhere if nothing stood before it.
        spread: colour distance that three quarters of the border's background stay within.
    """

    is_plain: bool
    colour: Floats
    spread: float


def without_frame(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture, with a printed frame along its border painted over by what lies just inside it.

    Args:
        picture: uint8 RGB (H, W, 3).
    """
    height, width = picture.shape[:2]
    scale = WORKING_SIDE / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    lab = to_lab(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))
    if look_at_border(lab).is_plain:
        return picture
    for share in _FRAMES:
        inset = round(share * min(lab.shape[:2]))
        if look_at_border(lab[inset:-inset, inset:-inset]).is_plain:
            edge = round(share * min(height, width))
            return np.pad(picture[edge:-edge, edge:-edge], ((edge, edge), (edge, edge), (0, 0)), mode="edge")
    return picture


def mask_of_alpha(alpha: NDArray[np.uint8]) -> Mask | None:
    """What a transparent background leaves: the garment, cut out by whoever made the picture.

    Args:
        alpha: uint8 (H, W), 255 is opaque.

    Returns:
        bool (H, W), or ``None`` where the transparency cuts nothing out: next to none, or only around a rectangle.
    """
    opaque = alpha > min(127, int(alpha.max()) // 2)  # soft shadows are less, sheer cloth is not
    rows, columns = np.flatnonzero(opaque.any(1)), np.flatnonzero(opaque.any(0))
    box = (rows[-1] - rows[0] + 1) * (columns[-1] - columns[0] + 1)
    if opaque.mean() > _OPAQUE or opaque.sum() > _RECTANGLE * box:
        return None
    return opaque


def to_lab(picture: NDArray[np.uint8]) -> Floats:
    """RGB uint8 (H, W, 3) -> L*a*b* float32, L from 0 to 100."""
    return cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)


def look_at_border(lab: Floats) -> Background:
    """Fits the background's colour, which may slope, to the picture's border; what touches the border is left out.

    Args:
        lab: float32 (H, W, 3), L*a*b*.
    """
    height, width = lab.shape[:2]
    ring = max(2, round(_RING * min(height, width)))
    y, x = np.mgrid[:height, :width].astype(np.float32)
    y, x = y / height - 0.5, x / width - 0.5
    at_border = np.ones((height, width), bool)
    at_border[ring:-ring, ring:-ring] = False
    colours = lab[at_border]
    terms = np.stack([np.ones(len(colours), np.float32), x[at_border], y[at_border]], 1)
    used = _distance(colours, _commonest(colours)) < 0.5 * _PLAIN_SPREAD
    plane = np.zeros((3, 3), np.float32)
    share, spread = 0.0, 0.0
    for _ in range(5):
        plane = np.linalg.lstsq(terms[used], colours[used], rcond=None)[0].astype(np.float32)
        off = _distance(colours, terms @ plane)
        share = float((off < _PLAIN_SPREAD).mean())
        spread = float(np.percentile(off[off < _PLAIN_SPREAD], 75)) if share else _PLAIN_SPREAD
        used = off < min(_PLAIN_SPREAD, max(1.0, 3 * spread))
        if used.mean() < 0.1:
            break
    field = plane[0] + x[..., None] * plane[1] + y[..., None] * plane[2]
    return Background(share >= _PLAIN_SHARE, field.astype(np.float32), spread)


def _commonest(colours: Floats) -> Floats:
    """The colour that most of the border has, within coarse cells."""
    lightness, a, b = np.floor(colours / 6).astype(np.int64).T
    cells = (lightness << 16) + (a << 8) + b  # one number each: they are sorted ten times as fast as rows
    values, counts = np.unique(cells, return_counts=True)
    return np.median(colours[cells == values[counts.argmax()]], axis=0).astype(np.float32)


def _distance(first: Floats, second: Floats) -> Floats:
    return np.asarray(np.linalg.norm(first - second, axis=-1), np.float32)


def cut_out(picture: NDArray[np.uint8]) -> tuple[Mask, Background]:
    """Finds what stands before a plain background.

    Args:
        picture: uint8 RGB (H, W, 3).

    Returns:
        bool (H, W), True on the garment, all False where nothing stands out; and the background that was assumed,
        at the working size. Where the background is not plain, the mask is GrabCut's guess.
    """
    height, width = picture.shape[:2]
    scale = WORKING_SIDE / max(height, width)
    resampling = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    small = cv2.resize(picture, (max(1, round(width * scale)), max(1, round(height * scale))), interpolation=resampling)
    lab = to_lab(small)
    background = look_at_border(lab)
    if background.is_plain:
        mask = _firm_where_complete(lab, background)
        mask = _without_specks(_without_shadow(small, lab, background, mask))
        mask = _without_specks(_without_halo(mask, _distance(lab, background.colour)))
        mask = _without_specks(_without_shadow(small, lab, background, mask))  # what the halo had joined
    else:
        mask = _without_specks(_guess(small))
    resampling = cv2.INTER_CUBIC if scale < 1 else cv2.INTER_AREA
    return cv2.resize(mask.astype(np.float32), (width, height), interpolation=resampling) > 0.5, background


def _standing_out(lab: Floats, background: Background, least: float) -> Mask:
    """Everything that the background, followed from the border, does not reach; holes in it are looked at too.

    Args:
        lab: float32 (H, W, 3).
        background: what is followed.
        least: the colour distance that stands out, if the background is not rougher than that.
    """
    off = _distance(lab, background.colour)
    limit = max(least, 3 * background.spread)
    steps = cv2.morphologyEx(cv2.GaussianBlur(lab, (0, 0), 0.8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    edges = np.linalg.norm(steps, axis=-1) > limit
    barrier = (off > limit) | edges
    wide = cv2.morphologyEx(
        np.pad(barrier.astype(np.uint8), _GAP),
        cv2.MORPH_CLOSE,
        cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * _GAP + 1, 2 * _GAP + 1)),
    )[_GAP:-_GAP, _GAP:-_GAP]
    _, parts = cv2.connectedComponents(1 - wide, connectivity=4)
    at_border = np.zeros(parts.max() + 1, bool)
    at_border[np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]])] = True
    at_border[0] = False
    reached = at_border[parts]
    # what closing added beside the reached background is background again
    near = cv2.dilate(reached.astype(np.uint8), np.ones((2 * _GAP + 3, 2 * _GAP + 3), np.uint8)) > 0
    outside = reached | (near & ~barrier & _joined(reached | (near & ~barrier), reached))
    return ~outside & ~_holes(lab[..., 0], off, barrier, ~outside, background.spread)


def _joined(region: Mask, seeds: Mask) -> Mask:
    """The parts of a region that hold a seed."""
    _, parts = cv2.connectedComponents(region.astype(np.uint8), connectivity=4)
    wanted = np.zeros(parts.max() + 1, bool)
    wanted[np.unique(parts[seeds])] = True
    wanted[0] = False
    return wanted[parts]


def _holes(lightness: Floats, off: Floats, barrier: Mask, inside: Mask, background_spread: float) -> Mask:
    """Background that the garment encloses: exactly the background's colour, behind a rim of strong contrast.

    Narrow ones, as between sleeve and trunk, are flat too: white stripes and prints have folds and weave.
    """
    count, parts, stats, _ = cv2.connectedComponentsWithStats((inside & ~barrier).astype(np.uint8), connectivity=4)
    holes = np.zeros(count, bool)
    for part in range(1, count):
        left, top, width, height, area = stats[part]
        if area < 30:
            continue
        window = np.s_[max(top - 9, 0) : top + height + 9, max(left - 9, 0) : left + width + 9]
        hole = parts[window] == part
        rim = (cv2.dilate(hole.astype(np.uint8), np.ones((17, 17), np.uint8)) > 0) & ~hole
        depth = cv2.distanceTransform(hole.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_3).max()
        core = cv2.erode(hole.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        is_flat = depth >= _NARROW and lightness[window][core].std() < _EVEN
        if is_flat:
            is_background = np.median(off[window][core]) < _RINGING + background_spread
        else:
            is_background = depth >= _HALO and np.median(off[window][hole]) < _EQUAL + background_spread
        holes[part] = is_background and np.percentile(off[window][rim], 70) > _DISTINCT
    return holes[parts]


def _firm_where_complete(lab: Floats, background: Background) -> Mask:
    """What stands out firmly; with the faint parts too where these are cloth.

    They are, where they are broad, not of one flat colour, and most of the garment is not distinct from the background
    either: beside a distinct garment they are its shadow.
    """
    firm, faint = (_standing_out(lab, background, limit) for limit in (_FIRM, _FAINT))
    brush = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * _HALO + 1, 2 * _HALO + 1))
    more = cv2.morphologyEx((faint & ~firm).astype(np.uint8), cv2.MORPH_OPEN, brush) > 0
    if more.sum() <= _MORE * faint.sum():
        return firm
    off = _distance(lab, background.colour)
    is_pale = not firm.any() or (off[firm] > _DISTINCT).mean() < _MOSTLY
    return faint if is_pale and off[more].std() > _FLAT else firm


def _without_halo(mask: Mask, off: Floats) -> Mask:
    """Moves the rim to where the contrast that stands beside it has risen by a good part; faint rims stay."""
    brush = np.ones((2 * _HALO + 1, 2 * _HALO + 1), np.uint8)
    beside = cv2.dilate(cv2.GaussianBlur(off, (0, 0), 1.0), brush)
    near = cv2.dilate((~mask).astype(np.uint8), brush) > 0
    rim = mask & near & (off < _HALO_SHARE * beside) & (beside > _DISTINCT)
    rim &= _joined(rim | ~mask, ~mask)
    return cv2.medianBlur((mask & ~rim).astype(np.uint8), 3) > 0


def _without_shadow(picture: NDArray[np.uint8], lab: Floats, background: Background, mask: Mask) -> Mask:
    """Takes soft shadows off the rim where the garment is distinct from the background."""
    change = lab - background.colour
    drop = -change[..., 0]
    in_hue = np.hypot(change[..., 1], change[..., 2]) < _SHADOW_CHROMA
    may_be_shadow = mask & in_hue & (drop > 0) & (drop < _SHADOW_DROP)
    distinct = mask & (_distance(lab, background.colour) > _DISTINCT) & ~may_be_shadow
    if distinct.sum() < _MOSTLY * mask.sum():
        return mask  # too much like the background: every cut would eat the garment
    rim = _shady_parts(may_be_shadow & _joined(may_be_shadow | ~mask, ~mask), drop, ~mask)
    if not rim.any():
        return mask
    states = np.where(mask, np.uint8(cv2.GC_FGD), np.uint8(cv2.GC_BGD))
    states[rim] = cv2.GC_PR_BGD
    size = round(mask.shape[1] / 2), round(mask.shape[0] / 2)
    small = cv2.resize(states, size, interpolation=cv2.INTER_NEAREST)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)
    halved = cv2.resize(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), size, interpolation=cv2.INTER_AREA)
    cv2.grabCut(halved, small, None, *models, 2, cv2.GC_INIT_WITH_MASK)
    kept = cv2.resize(small, mask.shape[::-1], interpolation=cv2.INTER_NEAREST)
    return mask & ~(rim & ((kept == cv2.GC_BGD) | (kept == cv2.GC_PR_BGD)))


def _shady_parts(rim: Mask, drop: Floats, outside: Mask) -> Mask:
    """The parts that are dark enough on the whole and fade out: white cloth on white does neither."""
    count, parts = cv2.connectedComponents(rim.astype(np.uint8), connectivity=4)

    def average(where: Mask) -> Floats:
        area = np.maximum(np.bincount(parts[where], minlength=count), 1)
        return np.asarray(np.bincount(parts[where], weights=drop[where], minlength=count) / area, np.float32)

    whole, edge = average(rim), average(rim & (cv2.dilate(outside.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0))
    shady = (whole > _SHADOW_DEPTH) & (edge < _FADING * whole)
    shady[0] = False
    return shady[parts]


def _guess(picture: NDArray[np.uint8]) -> Mask:
    """Before a busy background: what differs from the border's colours, by GrabCut."""
    height, width = picture.shape[:2]
    edge = max(2, round(_RING * min(height, width)))
    states = np.full((height, width), cv2.GC_PR_FGD, np.uint8)
    states[:edge] = states[-edge:] = states[:, :edge] = states[:, -edge:] = cv2.GC_BGD
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)
    cv2.grabCut(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), states, None, *models, 3, cv2.GC_INIT_WITH_MASK)
    return states == cv2.GC_PR_FGD


def _without_specks(mask: Mask) -> Mask:
    count, parts, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    large = stats[:, cv2.CC_STAT_AREA] >= _SPECK * mask.size
    large &= stats[:, cv2.CC_STAT_HEIGHT] > _RING * mask.shape[0]  # not a strip along the picture's edge
    large &= stats[:, cv2.CC_STAT_WIDTH] > _RING * mask.shape[1]
    large[0] = False
    return large[parts] if count > 1 else mask


def onto_white(picture: NDArray[np.uint8], mask: Mask, background: Background | None) -> NDArray[np.uint8]:
    """The cut-out on white, with a soft edge of a pixel that does not carry the old background's colour.

    Args:
        picture: uint8 RGB (H, W, 3).
        mask: bool (H, W).
        background: what stood behind it, of any size, where that is known.
    """
    alpha = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 0.8)[..., None]
    behind = np.full(picture.shape, 255, np.float32)
    if background is not None:
        colour = cv2.cvtColor(background.colour, cv2.COLOR_LAB2RGB) * 255
        behind = cv2.resize(colour, picture.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    pixels = picture.astype(np.float32)
    mixed = pixels + (1 - alpha) * (255 - behind) if background is not None else alpha * pixels + (1 - alpha) * 255
    outside = cv2.dilate(mask.astype(np.uint8), np.ones((5, 5), np.uint8)) == 0
    mixed[outside] = 255
    return np.clip(np.rint(mixed), 0, 255).astype(np.uint8)
