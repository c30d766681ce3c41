"""Whether somebody wears the garment in a garment photo."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from idmvton.prepare.backends.protocols import SHOULDERS, Joint, Photo, Pose

Mask = NDArray[np.bool_]
FindPeople = Callable[[Photo], "tuple[Pose, ...]"]

_SKIN_SHARE: Final = 0.015  # of the foreground: with less skin than this nobody is looked for
_PATCH: Final = 0.02  # of the photo's shorter side: skin comes in patches at least this broad
_HEAD_WIDTH: Final = 1.0  # of the shoulders: a printed face has cloth beside it, a head has not
_SEEN: Final = 0.7  # visibility of joints that are seen for sure
_FACE: Final = (Joint.NOSE, Joint.LEFT_EYE, Joint.RIGHT_EYE)
_LIMB_ENDS: Final = (
    Joint.LEFT_WRIST,
    Joint.RIGHT_WRIST,
    Joint.LEFT_KNEE,
    Joint.RIGHT_KNEE,
    Joint.LEFT_ANKLE,
    Joint.RIGHT_ANKLE,
)


def find_wearer(pixels: Photo, foreground: Mask, find_people: FindPeople) -> Pose | None:
    """The person who wears the garment; ``None`` for a product picture, also of a mannequin without skin.

    Pose networks see people in clothes without anybody in them. What counts is skin where the skeleton says that
    skin is: in a face that stands free above the shoulders, or at two ends of limbs.

    Args:
        pixels: uint8 (H, W, 3).
        foreground: bool (H, W), what stands before the background.
        find_people: the pose backend.
    """
    skin = _skin(pixels) & foreground
    brush = np.ones((max(3, round(_PATCH * min(skin.shape))),) * 2, np.uint8)
    patches = cv2.morphologyEx(skin.astype(np.uint8), cv2.MORPH_OPEN, brush)
    if patches.sum() < _SKIN_SHARE * max(int(foreground.sum()), 1):
        return None
    people = find_people(pixels)
    return next((pose for pose in people[:1] if _has_face(pose, skin, foreground) or _has_limbs(pose, skin)), None)


def _skin(pixels: Photo) -> Mask:
    luma, red, blue = np.moveaxis(cv2.cvtColor(pixels, cv2.COLOR_RGB2YCrCb), -1, 0)
    return (red >= 135) & (red <= 178) & (blue >= 80) & (blue <= 127) & (luma > 25)


def _has_face(pose: Pose, skin: Mask, foreground: Mask) -> bool:
    shoulders = pose.known(SHOULDERS)
    if pose.visibility[list(_FACE)].min() < _SEEN or len(shoulders) < 2:
        return False
    nose, eyes = pose.points[_FACE[0]], pose.points[list(_FACE[1:])]
    span = float(np.hypot(*(shoulders[0] - shoulders[1])))
    radius = max(2.0, 0.08 * span)
    if not all(_share(skin, point, radius) > 0.5 for point in (nose, *eyes)):
        return False
    if nose[1] >= shoulders[:, 1].min():
        return False
    row = foreground[int(nose[1])]
    right, left = row[int(nose[0]) :], row[: int(nose[0]) + 1][::-1]
    width = sum(int(np.argmin(part)) if not part.all() else len(part) for part in (right, left))
    return width < _HEAD_WIDTH * span or bool(foreground.all())


def _has_limbs(pose: Pose, skin: Mask) -> bool:
    shoulders = pose.known(SHOULDERS)
    if len(shoulders) < 2:
        return False
    span = float(np.hypot(*(shoulders[0] - shoulders[1])))
    ends = [
        number
        for number in _LIMB_ENDS
        if pose.visibility[number] >= _SEEN and _share(skin, pose.points[number], max(2.0, 0.06 * span)) > 0.6
    ]
    return len(ends) >= 2


def _share(region: Mask, point: NDArray[np.float32], radius: float) -> float:
    """How much of a square around a point is in a region; 0 outside the picture."""
    height, width = region.shape
    x, y = float(point[0]), float(point[1])
    if not (0 <= x < width and 0 <= y < height):
        return 0.0
    window = region[
        max(0, int(y - radius)) : int(y + radius) + 1,
        max(0, int(x - radius)) : int(x + radius) + 1,
    ]
    return float(window.mean())
