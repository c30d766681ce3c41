"""Sharpens the network's coarse maps with what this one photo shows.

The network is unsure along borders and where a photo differs from what it was trained on. The photo itself knows
better there: a colour model of each material, learned from the pixels that the network is sure of, moves the borders
to where the colours change, and an edge-preserving filter draws them along the photo's edges.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from idmvton.prepare.backends.studio_net.colours import colour_codes, smooth_counts
from idmvton.prepare.mask import ATR_LABELS, NECK

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]

_BINS: Final = (12, 16, 16)  # of :func:`colour_codes`
_BLUR: Final = 0.8
_TRUST: Final = 0.6  # weight of the colours' evidence
_STRONGEST: Final = 3.0  # natural logarithm of the largest factor that a colour can claim
_SURE: Final = 0.6  # pixels above this share teach the colour model
_RARE: Final = 2e-4  # classes with less of the crop are dropped


def _materials() -> NDArray[np.intp]:
    """Label -> material; skin is one material, and so is a pair of shoes."""
    table = np.arange(NECK + 1)
    skin = [ATR_LABELS.index(name) for name in ("head", "left_leg", "right_leg", "left_arm", "right_arm")]
    table[[*skin, NECK]] = skin[0]
    table[ATR_LABELS.index("right_shoe")] = ATR_LABELS.index("left_shoe")
    return table


MATERIALS: Final = _materials()


def present_classes(shares: Floats) -> NDArray[np.intp]:
    """The classes, background first, that a map of shares (C, H, W) holds more than a trace of."""
    winners = np.bincount(shares.argmax(0).ravel(), minlength=len(shares)) / shares[0].size
    winners[0] = 1.0
    return np.flatnonzero(winners > _RARE)


def colour_evidence(picture: Bytes, shares: Floats, materials: NDArray[np.intp]) -> Floats:
    """Corrects shares by what the colours of each material look like in this photo.

    Args:
        picture: uint8 (H, W, 3) RGB.
        shares: float32 (C, H, W), probabilities of the classes.
        materials: (C,), classes with an equal number share a colour model.

    Returns:
        float32 (C, H, W), probabilities.
    """
    codes = colour_codes(picture, _BINS, _BLUR)
    sure = shares.max(0) > _SURE
    winners = materials[shares.argmax(0)]
    evidence = np.log(shares + np.float32(1e-6))
    for material in np.unique(materials):
        own = sure & (winners == material)
        histogram = np.bincount(codes[own], minlength=int(np.prod(_BINS))).astype(np.float32).reshape(_BINS)
        seen = float(histogram.sum())
        if seen == 0:
            continue
        smooth = smooth_counts(histogram / seen) + np.float32(1e-5)
        claim = np.log(smooth).ravel()[codes]
        evidence[materials == material] += _TRUST * claim
    return _softmax(_bounded(evidence, np.log(shares + np.float32(1e-6))))


def _bounded(evidence: Floats, prior: Floats) -> Floats:
    """Limits how far evidence moves each class against the best claim of its pixel."""
    moved = evidence - prior
    return prior + np.maximum(moved - moved.max(0, keepdims=True), -_STRONGEST)


def _softmax(scores: Floats) -> Floats:
    scores = np.exp(scores - scores.max(0, keepdims=True))
    return scores / scores.sum(0, keepdims=True)


def guided_filter(picture: Bytes, planes: Floats, radius: int, smoothness: float) -> Floats:
    """Redraws planes so that their edges follow the picture's (He et al., guided image filtering, colour guide).

    Args:
        picture: uint8 (H, W, 3).
        planes: float32 (C, H, W).
        radius: half side of the window in pixels.
        smoothness: colour variance, of colours from 0 to 1, below which a window counts as flat.

    Returns:
        float32 (C, H, W).
    """
    side = (2 * radius + 1, 2 * radius + 1)

    def mean(values: Floats) -> Floats:
        return np.asarray(cv2.blur(values, side, borderType=cv2.BORDER_REFLECT), np.float32)

    guide = picture.astype(np.float32) / np.float32(255)
    average = mean(guide)
    r, g, b = cv2.split(guide)
    mr, mg, mb = cv2.split(average)
    rr, gg, bb = (mean(value * value) - m * m + smoothness for value, m in ((r, mr), (g, mg), (b, mb)))
    rg, rb, gb = (mean(p * q) - mp * mq for p, q, mp, mq in ((r, g, mr, mg), (r, b, mr, mb), (g, b, mg, mb)))
    # The inverse of the symmetric covariance, by cofactors.
    irr, irg, irb = gg * bb - gb * gb, gb * rb - rg * bb, rg * gb - gg * rb
    igg, igb, ibb = rr * bb - rb * rb, rb * rg - rr * gb, rr * gg - rg * rg
    scale = 1 / (irr * rr + irg * rg + irb * rb)
    result = np.empty_like(planes)
    for number, plane in enumerate(planes):
        m = mean(plane)
        cr, cg, cb = cv2.split(mean(guide * plane[..., None]) - average * m[..., None])
        ar = (irr * cr + irg * cg + irb * cb) * scale
        ag = (irg * cr + igg * cg + igb * cb) * scale
        ab = (irb * cr + igb * cg + ibb * cb) * scale
        offset = m - ar * mr - ag * mg - ab * mb
        slopes = mean(cv2.merge([ar, ag, ab, offset]))
        result[number] = slopes[..., 0] * r + slopes[..., 1] * g + slopes[..., 2] * b + slopes[..., 3]
    return result
