"""What the skeleton and the colours of this one photo know better than a parser: faces, hair, hands and shoes.

A network that reads a whole person puts borders where they mostly are. Near the joints the skeleton says what a pixel
may be, and the colours of what is surely hair, skin, shoe or cloth say which of two neighbours it belongs to.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from idmvton.images.densepose import HANDS
from idmvton.prepare.backends.blazepose.landmarks import HIPS, SHOULDERS, Landmark, Landmarks
from idmvton.prepare.backends.protocols import MIN_VISIBILITY, Labels, Parts, Photo
from idmvton.prepare.backends.studio_net.colours import colour_codes
from idmvton.prepare.backends.studio_net.face import face_region
from idmvton.prepare.backends.studio_net.outfit import BINS, BLUR, histogram
from idmvton.prepare.mask import ATR_LABELS, NECK

Mask = NDArray[np.bool_]
Codes = NDArray[np.intp]

_HEAD, _HAIR = ATR_LABELS.index("head"), ATR_LABELS.index("hair")
_CLOTHES: Final = tuple(ATR_LABELS.index(name) for name in ("upper_clothes", "dress", "skirt", "pants", "scarf"))
_LEGS: Final = tuple(ATR_LABELS.index(name) for name in ("left_leg", "right_leg"))
_ARMS: Final = tuple(ATR_LABELS.index(name) for name in ("left_arm", "right_arm"))
_SKIN: Final = (*_ARMS, _HEAD, NECK)
_SHOES: Final = tuple(ATR_LABELS.index(name) for name in ("left_shoe", "right_shoe"))
_HAND_JOINTS: Final = (
    (Landmark.LEFT_ELBOW, Landmark.LEFT_WRIST, Landmark.LEFT_PINKY, Landmark.LEFT_INDEX, _ARMS[0], HANDS[1]),
    (Landmark.RIGHT_ELBOW, Landmark.RIGHT_WRIST, Landmark.RIGHT_PINKY, Landmark.RIGHT_INDEX, _ARMS[1], HANDS[0]),
)
_FOOT_JOINTS: Final = (
    (Landmark.LEFT_ANKLE, Landmark.LEFT_HEEL, Landmark.LEFT_FOOT, _SHOES[0]),
    (Landmark.RIGHT_ANKLE, Landmark.RIGHT_HEEL, Landmark.RIGHT_FOOT, _SHOES[1]),
)
_FINGERS: Final = 2.1  # of the way from the wrist to the knuckles: where fingertips lie
_PALM: Final = 0.34  # of a hand's length: half its width, with spread fingers
_LEAST_HAND: Final = 0.3  # of the torso: knuckles that nearly meet the wrist are seen from the front or wrong
_MOST_HAND: Final = 0.45
_REACH: Final = 1.1  # of a hand's length from the wrist
_BEFORE_WRIST: Final = 0.1
_AROUND_WRIST: Final = 0.45  # of the torso: how far from its wrist a hidden hand may be
_CRUMB: Final = 0.02  # of the place around the wrist: smaller pieces are no hand
_AROUND: Final = 0.5  # of the head's height: how far from known hair more of it is looked for
_FEW: Final = 12  # pixels: fewer teach no colours
_UNSEEN: Final = np.float32(1e-3)
_CLEAR: Final = 1.0  # natural logarithm of how much likelier a colour must be
_HAIR_CLAIM: Final = 0.3
_HIDDEN_CLAIM: Final = 2.0  # and where nothing beside it is labelled so


def repair(photo: Photo, labels: Labels, parts: Parts, pose: Landmarks) -> tuple[Labels, Parts]:
    """Corrects labels, and with them hands among the parts.

    Args:
        photo: uint8 (H, W, 3).
        labels, parts: what the network found.
        pose: the skeleton, pixels of the photo.

    Returns:
        New maps of the same size.
    """
    labels, parts = labels.copy(), parts.copy()
    codes = colour_codes(photo, BINS, BLUR)
    labels[(labels == NECK) & face_region(pose, labels.shape)] = _HEAD
    _find_hair(codes, labels)
    if pose.visibility[[*SHOULDERS, *HIPS]].min() <= 0:
        return labels, parts  # nothing tells how large the person is
    for elbow, wrist, pinky, index, arm, hand in _HAND_JOINTS:
        found = _find_hand(codes, labels, _hand_place(pose, (elbow, wrist, pinky, index), labels.shape))
        labels[found & ~np.isin(labels, _ARMS)] = arm
        parts[found] = hand
    for ankle, heel, toes, shoe in _FOOT_JOINTS:
        region = _foot_region(pose, (ankle, heel, toes), labels.shape)
        if region is not None and region.any():  # a skeleton goes on beyond the picture
            labels[_find_shoe(codes, labels, region)] = shoe
    return labels, parts


def _find_hair(codes: Codes, labels: Labels) -> None:
    """Hair that was taken for neck or cloth, in place: near hair, and of its colour rather than of the other."""
    hair = labels == _HAIR
    rows = np.flatnonzero((hair | (labels == _HEAD)).any(1))
    if hair.sum() < _FEW:
        return
    head = max(int(np.ptp(rows)), 1)
    window = _window(hair, round(_AROUND * head))
    around = cv2.dilate(hair[window].astype(np.uint8), _disc(round(_AROUND * head / 2))) > 0
    own, colours = labels[window], codes[window]
    core = cv2.erode((own == _HAIR).astype(np.uint8), _disc(max(head // 60, 1))) > 0
    for others in ((NECK,), _CLOTHES):
        other = np.isin(own, others)
        rival = other | ((own == _HEAD) if others == (NECK,) else False)
        claim = _claim(colours, core, cv2.erode(rival.astype(np.uint8), _disc(max(head // 30, 1))) > 0)
        if claim is None:
            continue
        won = around & other & (claim > _HAIR_CLAIM)
        own[touching(won, own == _HAIR)] = _HAIR


class _Hand(NamedTuple):
    """Where a hand may be.

    Attributes:
        beyond: bool (H, W), everything beyond the wrist within a hand's reach: skin there is the hand.
        near: bool (H, W), around the hand's bones: what has the skin's colour rather than another is the hand there.
        around: bool (H, W), within reach of the wrist: what clearly has the skin's colour, in a piece that is large
            enough, is a hand that the skeleton did not find.
    """

    beyond: Mask
    near: Mask
    around: Mask


def _hand_place(pose: Landmarks, joints: Sequence[Landmark], shape: tuple[int, ...]) -> _Hand:
    elbow, wrist, pinky, index = joints
    if pose.visibility[[elbow, wrist]].min() <= 0:
        nowhere = np.zeros(shape, bool)
        return _Hand(nowhere, nowhere, nowhere)
    torso = pose.torso
    start = pose.points[wrist]
    forearm = start - pose.points[elbow]
    forearm = forearm / max(float(np.hypot(*forearm)), 1e-6)
    way = _FINGERS * (pose.points[[pinky, index]].mean(0) - start)
    length = float(np.hypot(*way))
    is_known = pose.visibility[[pinky, index]].min() >= MIN_VISIBILITY and length > _LEAST_HAND * torso / 2
    along = way / length if is_known else forearm
    length = float(np.clip(length, _LEAST_HAND * torso, _MOST_HAND * torso))
    y, x = np.ogrid[: shape[0], : shape[1]]
    across, down = x + 0.5 - start[0], y + 0.5 - start[1]
    far = np.hypot(across, down)
    ahead = np.maximum(across * along[0] + down * along[1], across * forearm[0] + down * forearm[1])
    beyond = (far < _REACH * length) & (ahead > -_BEFORE_WRIST * length)
    around = far < _AROUND_WRIST * torso
    if pose.visibility[wrist] < MIN_VISIBILITY:
        return _Hand(beyond, np.zeros(shape, bool), around)
    end = start + (1 - _PALM) * length * along
    return _Hand(beyond, _capsule(start - 0.1 * length * along, end, _PALM * length, shape), around)


def _find_hand(codes: Codes, labels: Labels, place: _Hand) -> Mask:
    """The skin of a hand: what is labelled so, and what has the skin's colour rather than that of what is around."""
    result = np.zeros(labels.shape, bool)
    window = _window(place.around | place.beyond, 4)
    own, colours, near, around = labels[window], codes[window], place.near[window], place.around[window]
    if not own.size:
        return result
    found = np.isin(own, _ARMS) & place.beyond[window]
    skin = _histogram_of(codes, cv2.erode(np.isin(labels, _SKIN).astype(np.uint8), _disc(1)) > 0)
    for others in (_CLOTHES, _LEGS, (0,)):
        other = np.isin(own, others)
        rival = (
            _histogram_of(codes, np.isin(labels, others))
            if others == _CLOTHES
            else _histogram_of(colours, other & ~near)
        )
        if skin is None or rival is None:
            continue
        claim = _smoothed(np.log(skin + _UNSEEN)[colours] - np.log(rival + _UNSEEN)[colours])
        found |= touching(other & near & (claim > _CLEAR), found)
        if others == _CLOTHES:
            found |= _without_crumbs(other & around & (claim > _HIDDEN_CLAIM), around)
    result[window] = found
    return result


def _without_crumbs(region: Mask, place: Mask) -> Mask:
    """Without pieces that are too small to be a hand."""
    count, parts, stats, _ = cv2.connectedComponentsWithStats(region.astype(np.uint8), connectivity=8)
    large = stats[:, cv2.CC_STAT_AREA] > _CRUMB * place.sum()
    large[0] = False
    return large[parts] if count > 1 else region


def _foot_region(pose: Landmarks, joints: Sequence[Landmark], shape: tuple[int, ...]) -> Mask | None:
    ankle, heel, toes = joints
    if pose.visibility[[ankle, toes]].min() < MIN_VISIBILITY:
        return None
    points = pose.points[[ankle, heel, toes]]
    torso = pose.torso
    start, end = points[:2].mean(0), points[2]
    return _capsule(start, end + 0.3 * (end - start), 0.14 * torso, shape)


def _find_shoe(codes: Codes, labels: Labels, region: Mask) -> Mask:
    """More of a shoe, taken for leg, trousers or background: beside the shoe and of its colour."""
    window = _window(region, 8)
    own, colours, inside = labels[window], codes[window], region[window]
    shoe = np.isin(own, _SHOES)
    won = np.zeros(own.shape, bool)
    core = cv2.erode(shoe.astype(np.uint8), _disc(1)) > 0
    for others in (_LEGS, _CLOTHES, (0,)):
        other = np.isin(own, others)
        claim = _claim(colours, core, cv2.erode((other & ~inside | other).astype(np.uint8), _disc(3)) > 0)
        if claim is not None:
            won |= touching(other & inside & (claim > _CLEAR), shoe)
    result = np.zeros(labels.shape, bool)
    result[window] = won
    return result


def _claim(codes: Codes, first: Mask, second: Mask) -> NDArray[np.float32] | None:
    """How much likelier each colour is in the first region than in the second: natural logarithm, (H, W)."""
    one, other = _histogram_of(codes, first), _histogram_of(codes, second)
    if one is None or other is None:
        return None
    return _smoothed(np.log(one + _UNSEEN)[codes] - np.log(other + _UNSEEN)[codes])


def _histogram_of(codes: Codes, region: Mask) -> NDArray[np.float32] | None:
    if region.sum() < _FEW:
        return None
    return histogram(codes, region.astype(np.float32))


def _smoothed(claim: NDArray[np.floating]) -> NDArray[np.float32]:
    return cv2.blur(np.asarray(claim, np.float32), (3, 3))


def touching(region: Mask, seeds: Mask) -> Mask:
    """The parts of a region that touch a seed."""
    _, parts = cv2.connectedComponents(region.astype(np.uint8), connectivity=8)
    near = cv2.dilate(seeds.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    wanted = np.zeros(int(parts.max()) + 1, bool)
    wanted[np.unique(parts[near])] = True
    wanted[0] = False
    return wanted[parts]


def _capsule(start: NDArray[np.float32], end: NDArray[np.float32], radius: float, shape: tuple[int, ...]) -> Mask:
    canvas = np.zeros(shape, np.uint8)
    (x, y), (right, bottom) = (tuple(round(float(value)) for value in point) for point in (start, end))
    cv2.line(canvas, (x, y), (right, bottom), 1, max(round(2 * radius), 1))
    return canvas > 0


def _disc(radius: int) -> NDArray[np.uint8]:
    radius = max(radius, 1)
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1)), np.uint8)


def _window(region: Mask, margin: int) -> tuple[slice, slice]:
    """The box of a region with a margin, inside the picture."""
    rows, columns = np.flatnonzero(region.any(1)), np.flatnonzero(region.any(0))
    if not len(rows):
        return slice(0, 0), slice(0, 0)
    return (
        slice(max(int(rows[0]) - margin, 0), int(rows[-1]) + 1 + margin),
        slice(max(int(columns[0]) - margin, 0), int(columns[-1]) + 1 + margin),
    )
