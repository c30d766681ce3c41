"""A rough outline of a person of whom only the skeleton is known: a stick figure with flesh and clothes on it."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from idmvton.prepare.backends.protocols import HIPS, SHOULDERS, Joint, Outline, Pose

_LIMBS: Final = (
    (Joint.RIGHT_SHOULDER, Joint.RIGHT_ELBOW, 0.13),
    (Joint.LEFT_SHOULDER, Joint.LEFT_ELBOW, 0.13),
    (Joint.RIGHT_ELBOW, Joint.RIGHT_WRIST, 0.1),
    (Joint.LEFT_ELBOW, Joint.LEFT_WRIST, 0.1),
    (Joint.RIGHT_HIP, Joint.RIGHT_KNEE, 0.18),
    (Joint.LEFT_HIP, Joint.LEFT_KNEE, 0.18),
    (Joint.RIGHT_KNEE, Joint.RIGHT_ANKLE, 0.13),
    (Joint.LEFT_KNEE, Joint.LEFT_ANKLE, 0.13),
    (Joint.NOSE, Joint.NECK, 0.15),
)
"""From, to, half the width; in torsos."""
_LEGS: Final = ((Joint.RIGHT_KNEE, Joint.RIGHT_ANKLE), (Joint.LEFT_KNEE, Joint.LEFT_ANKLE))
_UNSEEN: Final = 2.0  # in torsos: how far a leg that is not seen may reach
_SKIRT: Final = 0.3  # in torsos: half the width of what may hide it
_TRUNK: Final = 0.16  # in torsos: how far the trunk reaches beyond its four joints
_HEAD: Final = (0.22, 0.3)  # in torsos: the head's radius, and how far its middle lies above the nose
_BEYOND: Final = 0.3  # of a forearm or shin: hand and foot
_SURE, _POSSIBLE = 0.5, 2.0  # of these widths: person for sure, and nobody beyond
_SOFT: Final = 0.04  # in torsos


def outline_of_skeleton(pose: Pose, height: int, width: int) -> Outline:
    """How likely each pixel is the person: 1 near the bones, 0.5 where flesh and clothes may be, 0 farther away.

    Args:
        pose: at least both shoulders are known.
        height, width: of the photo, pixels.

    Returns:
        float32 (H, W); all 0 where the shoulders are unknown.
    """
    torso = pose.torso
    if not torso:
        return np.zeros((height, width), np.float32)
    figures = [_figure(pose, torso, scale, height, width) for scale in (_SURE, _POSSIBLE)]
    return np.asarray(cv2.GaussianBlur((figures[0] + figures[1]) / 2, (0, 0), max(_SOFT * torso, 0.5)), np.float32)


def _figure(pose: Pose, torso: float, scale: float, height: int, width: int) -> NDArray[np.float32]:
    """1 on the figure whose flesh is ``scale`` times as thick as usual."""
    canvas = np.zeros((height, width), np.uint8)

    def thick(share: float) -> int:
        return max(round(2 * share * scale * torso), 1)

    trunk = _trunk(pose, torso)
    if scale > 1:  # legs that are not seen may be below: under a dress, or beyond the photo's edge
        for side, hip in enumerate(trunk[2:]):
            knee, ankle = _LEGS[side]
            if pose.visibility[ankle] <= 0:
                start = pose.points[knee] if pose.visibility[knee] > 0 else hip
                cv2.line(canvas, _pixel(start), _pixel(start + np.array([0, _UNSEEN * torso])), 1, thick(_SKIRT))
    for first, second, share in _LIMBS:
        if min(pose.visibility[first], pose.visibility[second]) > 0:
            start, end = pose.points[first], pose.points[second]
            if second in (Joint.LEFT_WRIST, Joint.RIGHT_WRIST, Joint.LEFT_ANKLE, Joint.RIGHT_ANKLE):
                end = end + _BEYOND * (end - start)
            cv2.line(canvas, _pixel(start), _pixel(end), 1, thick(share))
    cv2.fillConvexPoly(canvas, cv2.convexHull(np.array([_pixel(each) for each in trunk], np.int32)), 1)
    cv2.polylines(canvas, [np.array([_pixel(each) for each in trunk], np.int32)], True, 1, thick(_TRUNK))
    if pose.visibility[Joint.NOSE] > 0:
        radius, above = _HEAD
        up = np.array([0, above * torso * (1 if scale > 1 else 0.3)], np.float32)
        cv2.circle(canvas, _pixel(pose.points[Joint.NOSE] - up), round(radius * torso * max(scale * 0.7, 0.6)), 1, -1)
    return canvas.astype(np.float32)


def _trunk(pose: Pose, torso: float) -> list[NDArray[np.float32]]:
    """Shoulders, then hips; hips that are not known lie below the shoulders."""
    corners = [pose.points[each] for each in SHOULDERS]
    for shoulder, hip in zip(SHOULDERS[::-1], HIPS[::-1], strict=True):
        below = pose.points[shoulder] + np.array([0, torso], np.float32)
        corners.append(pose.points[hip] if pose.visibility[hip] > 0 else below)
    return corners


def _pixel(point: NDArray[np.float32]) -> tuple[int, int]:
    x, y = np.clip(np.rint(point), -10_000, 10_000).astype(int)
    return int(x), int(y)
