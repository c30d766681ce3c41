"""The agnostic mask with what a user can change about it; every step is a pure function."""

from __future__ import annotations

from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from idmvton.images.densepose import HANDS
from idmvton.options import PrepareOptions
from idmvton.prepare.backends.protocols import HIPS, SHOULDERS, Joint
from idmvton.prepare.mask import ALWAYS_KEPT, NECK, REFERENCE_HEIGHT, RULES, agnostic_mask, box_of, where
from idmvton.types import Category, MaskShape

Mask = NDArray[np.bool_]
_KNEES_AND_ANKLES: Final = (9, 10, 12, 13)
_ARM_WIDTH_HALF, _ARM_WIDTH_FULL = 60, 45  # the published values for half-body and full-body photos
_REACH: Final = 24  # pixels of a picture 512 high: unlabelled pixels of the person so near to clothes belong to them
_RIM: Final = 2.5  # pixels of a picture 512 high
_SPECK: Final = 0.004  # share of the picture: clothes smaller than this inside others are taken for a part of them
_CRUMB: Final = 0.04  # of the largest piece of the mask: an open jacket's halves are larger
_SLIVER: Final = 0.0002  # share of the picture
_HAND: Final = 0.45  # of the torso: so far from the wrist fingers reach
_BEFORE_WRIST: Final = 0.04  # of the torso
_FORESHORTENED: Final = 0.3  # of the torso: shorter forearms
_BESIDE_CLOTHES: Final = 6  # pixels of a picture 512 high
_FOREARMS: Final = ((Joint.RIGHT_ELBOW, Joint.RIGHT_WRIST), (Joint.LEFT_ELBOW, Joint.LEFT_WRIST))
_CLOTHES: Final = ("upper_clothes", "dress", "skirt", "pants", "belt", "scarf")
_ARMS: Final = ("left_arm", "right_arm")


class PersonSeen(NamedTuple):
    """What the mask is made from; maps of one size (H, W).

    Attributes:
        labels: uint8, see :func:`idmvton.prepare.mask.agnostic_mask`.
        parts: uint8, body parts 1 to 24.
        silhouette: uint8, how much of each pixel is the person, 255 is all.
        keypoints: float (18, 2), pixels, (0, 0) missing.
    """

    labels: NDArray[np.uint8]
    parts: NDArray[np.uint8]
    silhouette: NDArray[np.uint8]
    keypoints: NDArray[np.float32]


def make_mask(person: PersonSeen, category: Category, options: PrepareOptions, room: Mask | None = None) -> Mask:
    """The mask of a prepared photo.

    Args:
        person: what is seen of the person.
        category: what is to be exchanged.
        options: those of the mask.
        room: bool (H, W), where the new garment may reach beyond the old one.

    Returns:
        bool (H, W), True = repaint.

    Raises:
        InputError: maps that cannot be used.
    """
    labels, parts, silhouette, keypoints = person
    if options.cover_old_garment:
        labels = complete_labels(labels, silhouette, category)
    width = options.arm_width or auto_arm_width(keypoints)
    mask = without_crumbs(agnostic_mask(labels, keypoints, category, width) > 0)
    if room is not None and mask.any():
        mask |= room & ~where(labels, (*ALWAYS_KEPT, *RULES[category].keep))
    beyond = beyond_wrists(keypoints, labels.shape)
    hands = find_hands(labels, parts, mask & ~beyond)
    if RULES[category].arms:
        slivers = _slivers(hands, beyond | np.isin(parts, HANDS))
        hands, mask = hands & ~slivers, mask | slivers
        mask = mask & ~hands & ~_beside_hands(labels, beyond, category) if options.keep_hands else mask | hands
    if options.mask_shape == "box":
        mask = in_shape(mask, "box")
    mask = grow(mask, options.mask_grow)
    kept = ALWAYS_KEPT if options.mask_grow > 0 else (*ALWAYS_KEPT, *RULES[category].keep)
    mask = mask & ~where(labels, kept)
    if options.keep_hands:
        mask &= ~hands
    return mask & ~_rim_of_kept(labels, hands if options.keep_hands else np.zeros_like(hands))


def _rim_of_kept(labels: NDArray[np.uint8], hands: Mask) -> Mask:
    """A narrow band of background and neck around what is kept: outlines of fingers, hair and shoes are never exact."""
    kept = hands | where(labels, ALWAYS_KEPT)
    near = grow(kept, round(_RIM * labels.shape[0] / REFERENCE_HEIGHT))
    return (near & ((labels == 0) | (labels == NECK))) | kept


def auto_arm_width(keypoints: NDArray[np.floating]) -> int:
    """45 where knees or ankles are seen (a full-body photo), else 60; pixels of a picture 512 high."""
    seen = np.any(keypoints[list(_KNEES_AND_ANKLES)] > 0)
    return _ARM_WIDTH_FULL if seen else _ARM_WIDTH_HALF


def complete_labels(labels: NDArray[np.uint8], silhouette: NDArray[np.uint8], category: Category) -> NDArray[np.uint8]:
    """Gives the old garment what the parser left out.

    Two things are repaired. Pixels of the person without a label take the nearest label, within a short reach.
    Small pieces of other clothes whose neighbours are mostly the garment are parts of it.

    Args:
        labels: uint8 (H, W).
        silhouette: uint8 (H, W), from 128 on the person.
        category: its rule says which clothes are the old garment.

    Returns:
        uint8 (H, W), a new map.
    """
    result = _without_specks(labels, category)
    unknown = (silhouette >= 128) & (result == 0)
    if not unknown.any() or not result.any():
        return result
    distance, nearest = cv2.distanceTransformWithLabels(
        (result == 0).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    numbers = np.zeros(int(nearest.max()) + 1, np.uint8)
    known = result > 0
    numbers[nearest[known]] = result[known]
    fill = unknown & (distance <= _REACH * labels.shape[0] / REFERENCE_HEIGHT)
    result[fill] = numbers[nearest[fill]]
    return result


def _without_specks(labels: NDArray[np.uint8], category: Category) -> NDArray[np.uint8]:
    """Small pieces of other clothes become the garment, where it is most of what surrounds them."""
    result = labels.copy()
    own = [name for name in RULES[category].repaint if name in _CLOTHES]
    garment = where(labels, own)
    for name in (each for each in _CLOTHES if each not in own):
        pieces = where(labels, (name,)).astype(np.uint8)
        count, parts, stats, _ = cv2.connectedComponentsWithStats(pieces, connectivity=8)
        for part in range(1, count):
            left, top, width, height, area = stats[part]
            if area > _SPECK * labels.size:
                continue
            window = np.s_[max(top - 2, 0) : top + height + 2, max(left - 2, 0) : left + width + 2]
            piece = parts[window] == part
            around = (cv2.dilate(piece.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0) & ~piece
            if garment[window][around].mean() > 0.5:
                result[window][piece] = _commonest(labels[window][around & garment[window]])
    return result


def _commonest(values: NDArray[np.uint8]) -> int:
    return int(np.bincount(values).argmax())


def without_crumbs(mask: Mask) -> Mask:
    """Drops pieces that are small beside the largest one: single wrong labels far from the garment."""
    count, parts, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    if count <= 2:
        return mask
    large = stats[:, cv2.CC_STAT_AREA] >= _CRUMB * stats[1:, cv2.CC_STAT_AREA].max()
    large[0] = False
    return large[parts]


def find_hands(labels: NDArray[np.uint8], parts: NDArray[np.uint8], mask: Mask) -> Mask:
    """Bare hands: skin of the arms that the body map calls a hand, or that the rules leave out of the mask.

    The rules' arm strokes end beyond the wrist and cover about half of each hand; the body map shows the hands.
    """
    skin = where(labels, _ARMS)
    return skin & (np.isin(parts, HANDS) | ~mask)


def _slivers(hands: Mask, place: Mask) -> Mask:
    """Small pieces of skin that are no hand: where an arm is wider than its stroke, far from the place of hands."""
    _, pieces, stats, _ = cv2.connectedComponentsWithStats(hands.astype(np.uint8), connectivity=8)
    small = stats[:, cv2.CC_STAT_AREA] < _SLIVER * hands.size
    small[0] = False
    small[np.unique(pieces[place])] = False
    return np.asarray(small[pieces], np.bool_)


def beyond_wrists(keypoints: NDArray[np.floating], shape: tuple[int, ...]) -> Mask:
    """Where hands are: half discs beyond the wrists, as the forearms point. Sleeves end there.

    Args:
        keypoints: float (18, 2), pixels, (0, 0) missing.
        shape: height and width of the picture.
    """
    result = np.zeros(shape, bool)
    shoulders, hips = (keypoints[list(joints)] for joints in (SHOULDERS, HIPS))
    if not (shoulders > 0).all() or not (hips > 0).all():
        return result
    torso = float(np.hypot(*(shoulders.mean(0) - hips.mean(0))))
    y, x = np.ogrid[: shape[0], : shape[1]]
    for elbow, wrist in _FOREARMS:
        if not (keypoints[[elbow, wrist]] > 0).all():
            continue
        forearm = keypoints[wrist] - keypoints[elbow]
        length = float(np.hypot(*forearm))
        across, down = x + 0.5 - keypoints[wrist][0], y + 0.5 - keypoints[wrist][1]
        far = np.hypot(across, down)
        if length < _FORESHORTENED * torso:  # it points at the camera, and the hand is before it
            result |= far < _FORESHORTENED * torso
        else:
            ahead = (across * forearm[0] + down * forearm[1]) / length
            result |= (far < _HAND * torso) & (ahead > -_BEFORE_WRIST * torso)
    return result


def _beside_hands(labels: NDArray[np.uint8], beyond: Mask, category: Category) -> Mask:
    """Background beyond the wrists, where unlabelled fingers may be; not that next to clothes, which may be theirs."""
    near = round(_BESIDE_CLOTHES * labels.shape[0] / REFERENCE_HEIGHT)
    return beyond & (labels == 0) & ~grow(where(labels, RULES[category].repaint), near)


def grow(mask: Mask, pixels: int) -> Mask:
    """Grows a mask by a round brush; shrinks it with a negative number. Nothing shrinks from the border inward."""
    if pixels == 0:
        return mask
    radius = abs(pixels)
    brush = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    operation = cv2.dilate if pixels > 0 else cv2.erode
    return operation(mask.astype(np.uint8), brush) > 0


def in_shape(mask: Mask, shape: MaskShape) -> Mask:
    """``outline`` leaves the mask, ``box`` fills the rectangle around it."""
    box = box_of(mask)
    if shape == "outline" or box is None:
        return mask
    left, top, right, bottom = box
    filled = np.zeros_like(mask)
    filled[top:bottom, left:right] = True
    return filled


def feather(mask: Mask, pixels: int) -> NDArray[np.uint8]:
    """The mask as a grey picture with a soft edge; from 128 on it is the mask itself.

    Args:
        mask: bool (H, W).
        pixels: width of the edge from black to white; half of it lies inside.

    Returns:
        uint8 (H, W), 0 to 255.
    """
    hard = np.where(mask, np.uint8(255), np.uint8(0))
    if pixels == 0 or mask.all() or not mask.any():
        return hard
    inside = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE) - 0.5
    outside = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE) - 0.5
    ramp = 0.5 + (inside * mask - outside * ~mask) / pixels
    soft = np.rint(np.clip(ramp, 0, 1) * 255)
    return np.where(mask, np.maximum(soft, 128), np.minimum(soft, 127)).astype(np.uint8)
