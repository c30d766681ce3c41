"""What a person wears as a whole, decided on this one photo: dress or two garments, where they meet, where skin begins.

Where a network reads pixels, a skirt is easily half skirt and half dress, and a high waist is put where it mostly is.
A person wears one or the other, two garments mostly differ in colour, and both differ from skin: the colours of each,
learned where the network is right almost surely, away from its borders, move the borders to where they belong.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from idmvton.prepare.backends.studio_net.colours import Codes, colour_codes, smooth_counts
from idmvton.prepare.mask import ATR_LABELS, NECK

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

_UPPER: Final = ATR_LABELS.index("upper_clothes")
_LOWER: Final = np.array([ATR_LABELS.index(name) for name in ("skirt", "pants")])
_DRESS: Final = ATR_LABELS.index("dress")
_HEAD: Final = ATR_LABELS.index("head")
_SKIN: Final = np.array(
    [NECK, *(ATR_LABELS.index(f"{side}_{limb}") for side in ("left", "right") for limb in ("arm", "leg"))]
)
BINS: Final = (8, 12, 12)  # of :func:`colour_codes`
BLUR: Final = 1.5
_NEEDED: Final = (0.4, 0.6)  # share of dress that a dress needs; and so much more if the two halves differ fully
_FEW: Final = 1e-3  # of the crop: fewer pixels are no garment
_TINY: Final = np.float32(1e-6)
_ROUNDS: Final = 2
_BORDER_ZONE: Final = 0.3  # of a region's depth: so near the border its colours are not learned
_CLAIM: Final = 4.0  # logarithm of the largest factor that a colour can claim
_FIRM: Final = 30.0  # the network's claim, at one picture height from the border
_UNSEEN: Final = np.float32(1e-3)


def settle_outfit(picture: NDArray[np.uint8], shares: Floats) -> Floats:
    """Corrects the labels of clothes and skin.

    Args:
        picture: uint8 (H, W, 3) RGB.
        shares: float32 (19, H, W), probabilities of the labels.

    Returns:
        float32 (19, H, W), probabilities: of dress, skirt and trousers at most one remains, a jacket may be worn over a
        dress.
    """
    codes = colour_codes(picture, BINS, BLUR)
    dress, upper, lower = shares[_DRESS], shares[_UPPER], shares[_LOWER].sum(0)
    clothes = dress + upper + lower
    below = (clothes > 0.5) & (lower > upper)
    above = (clothes > 0.5) & ~below
    settled = shares.copy()
    settled[_DRESS] = settled[_LOWER] = 0
    if wears_dress(codes, shares, above, below):
        jacket = above & (upper > 2 * dress)
        settled[_UPPER] = upper * jacket
        settled[_DRESS] = _in_one_piece(dress + lower + upper * ~jacket)
    else:
        share = (upper + _TINY) / (upper + lower + 2 * _TINY)
        for _ in range(_ROUNDS):
            share = move_border(codes, share, clothes > 0.5)
        settled[_UPPER] = clothes * share
        settled[_LOWER[shares[_LOWER].sum((1, 2)).argmax()]] = clothes * (1 - share)
    for garment in (_UPPER, _DRESS):
        _uncover_skin(codes, settled, garment)
    return settled / np.maximum(settled.sum(0), _TINY)


def wears_dress(codes: Codes, shares: Floats, above: Mask, below: Mask) -> bool:
    """Whether one garment covers the pixels ``above`` and ``below``, which would be two garments otherwise."""
    dress, upper, lower = shares[_DRESS], shares[_UPPER], shares[_LOWER].sum(0)
    if min(above.sum(), below.sum()) < _FEW * above.size:
        return bool(dress.sum() > (upper + lower).sum())
    share_above = float((dress[above] / (dress + upper + _TINY)[above]).mean())
    share_below = float((dress[below] / (dress + lower + _TINY)[below]).mean())
    needed, more = _NEEDED
    return (share_above + share_below) / 2 > needed + more * colour_difference(codes, above, below)


def move_border(codes: Codes, first: Floats, region: Mask, sure_second: Mask | None = None) -> Floats:
    """Puts the border between two materials where the colours change.

    Near the border that the network drew the colours decide, far from it the network does.

    Args:
        codes: :func:`colour_codes` of the picture.
        first: float32 (H, W), how likely a pixel of ``region`` is the first material.
        region: bool (H, W), where it is one of the two.
        sure_second: bool (H, W), what is surely of the second material's colour, also outside the region.

    Returns:
        float32 (H, W), like ``first``.
    """
    one, other = region & (first > 0.5), region & (first <= 0.5)
    if min(one.sum(), other.sum()) < _FEW * one.size:
        return first
    inward, cores = zip(*(_core(own, opposite) for own, opposite in ((one, other), (other, one))), strict=True)
    if sure_second is not None:
        cores[1][sure_second] = 1
    colours = [np.log(histogram(codes, core)[codes] + _UNSEEN) for core in cores]
    depth = np.where(one, inward[0], -inward[1]) * region
    claim = cv2.GaussianBlur(colours[0] - colours[1], (0, 0), first.shape[0] / 170)
    return np.asarray(1 / (1 + np.exp(-(depth * _FIRM + np.clip(claim, -_CLAIM, _CLAIM)))), np.float32)


def _core(own: Mask, opposite: Mask) -> tuple[Floats, Floats]:
    """Distance of each pixel to the opposite region in picture heights, and how far it is inside its own, 0 to 1."""
    inward = cv2.distanceTransform((~opposite).astype(np.uint8), cv2.DIST_L2, 3) / np.float32(own.shape[0])
    inside = np.clip(inward / np.quantile(inward[own], 0.9) - _BORDER_ZONE, 0, 1) * own
    return np.asarray(inward, np.float32), np.asarray(inside, np.float32)


def _uncover_skin(codes: Codes, shares: Floats, garment: int) -> None:
    """Moves the border of a garment to bare skin (sleeve ends, neckline, hem), in place."""
    skin, cloth = shares[_SKIN].sum(0), shares[garment]
    both = skin + cloth
    face = shares[_HEAD] > 0.8
    share = move_border(codes, (cloth + _TINY) / (both + 2 * _TINY), both > 0.5, face)
    shares[_SKIN] *= both * (1 - share) / np.maximum(skin, _TINY)
    shares[garment] = both * share


def _in_one_piece(dress: Floats) -> Floats:
    """Takes away what is apart from the rest: bare or stockinged legs below the hem."""
    count, pieces, stats, _ = cv2.connectedComponentsWithStats((dress > 0.5).astype(np.uint8), connectivity=4)
    if count <= 2:
        return dress
    largest = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    return np.where((pieces == 0) | (pieces == largest), dress, np.float32(0))


def colour_difference(codes: Codes, first: Mask, second: Mask) -> float:
    """Hellinger distance, from 0 to 1, of the colours in two regions, away from the border between them."""
    one, other = (histogram(codes, _core(*pair)[1]) for pair in ((first, second), (second, first)))
    return float(np.sqrt(max(1 - np.sqrt(one * other).sum(), 0)))


def histogram(codes: Codes, weights: Floats) -> Floats:
    """Shares of the bins, each blurred a little into its neighbours: float32 (bins,)."""
    counts: Floats = np.bincount(codes.ravel(), weights.ravel(), int(np.prod(BINS))).astype(np.float32).reshape(BINS)
    counts = smooth_counts(counts)
    return np.asarray(counts.ravel() / max(float(counts.sum()), 1e-6), np.float32)
