"""Whether a try-on can work on the people found in a photo, in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from idmvton.errors import NoPersonError, SeveralPeopleError, UnusablePersonError
from idmvton.prepare.backends.protocols import HIPS, SHOULDERS, Joint, Photo, Pose
from idmvton.prepare.orientation import check_upright
from idmvton.types import Category, Size

UNSURE: Final = 0.65
"""A pose less sure than this may be wrong: people whose head is cut off."""
MIN_TORSO: Final = 30.0
"""Pixels from shoulders to hips below which nothing can be told of a garment."""
SMALL_TORSO: Final = 76.0
"""Below this the result is blurred: the person is enlarged more than three times."""
TOO_DARK: Final = 20.0
"""Brightness (0 to 255) that the lightest twentieth of the photo must reach; below 15 skeletons go wrong."""
DARK: Final = 60.0
"""Below this brightness colours are uncertain."""
MIN_TRUNK: Final = 0.26
"""Share of the line from shoulders to hips that must lie in the photo to exchange an upper garment or dress."""
WHOLE_TRUNK: Final = 0.74
MIN_THIGH: Final = 0.24
"""Share of the line from hips to knees that must lie in the photo to exchange a lower garment."""
FOLDED: Final = 0.6
"""A thigh that goes down by less than this share of the torso is folded; standing people have 0.8 to 0.97."""
TURNED: Final = 0.12
"""Shoulders that are this much of the torso apart in the wrong order show the back."""

_FACE: Final = (Joint.NOSE, Joint.LEFT_EYE, Joint.RIGHT_EYE, Joint.LEFT_EAR, Joint.RIGHT_EAR)
_KNEES: Final = (Joint.LEFT_KNEE, Joint.RIGHT_KNEE)
_THIGH: Final = 0.9  # of the torso, of a person who stands
_LIGHTEST: Final = 95  # per cent


def check_person(
    photo: Photo, poses: Sequence[Pose], person: int = 1, category: Category | None = None
) -> tuple[Pose, tuple[str, ...]]:
    """Chooses a person and says what speaks against a good result.

    Args:
        photo: uint8 (H, W, 3).
        poses: the people in it, the largest first.
        person: which of them, from 1; 0: the only one.
        category: what is exchanged; ``None`` where it is not known yet: what depends on it is not checked.

    Returns:
        The person's pose, and what the user should know: one sentence each.

    Raises:
        NoPersonError: nobody in the photo, or not so many people.
        SeveralPeopleError: there is more than one, and ``person`` is 0.
        UnusablePersonError: a try-on cannot work on this person: too small, too dark, not upright, or the part of the
            body that the garment covers is not in the photo.
    """
    light = _brightness(photo)
    if not poses:
        raise _nobody(light)
    if person == 0 and len(poses) > 1:
        raise SeveralPeopleError(
            f"there are {len(poses)} people in the photo",
            got="no word on which one is meant",
            expected=f"person_number, from 1 (the largest) to {len(poses)}",
            fix="set it (--person N), or crop the photo to one person",
        )
    person = person or 1
    if not 1 <= person <= len(poses):
        raise NoPersonError(
            f"there is no person {person} in the photo",
            got=f"{len(poses)} {'person' if len(poses) == 1 else 'people'}",
            expected=f"a number from 1 (the largest) to {len(poses)}",
        )
    pose = poses[person - 1]
    size = Size(*photo.shape[:2])
    notes = []
    if len(poses) > 1:
        which = "the largest was taken" if person == 1 else f"number {person} from the largest was taken"
        notes.append(f"there are {len(poses)} people in the photo: {which}; choose another: --person N")
    check_upright(pose)
    notes += _check_confidence(pose)
    notes += _check_size(pose)
    notes += _check_light(light)
    notes += _check_view(pose)
    notes += _check_parts(pose, size, category)
    return pose, tuple(notes)


def _nobody(light: float) -> NoPersonError:
    dark = light < DARK
    return NoPersonError(
        "no person was found in the photo" + (", which is very dark" if dark else ""),
        got=f"brightness {light:.0f} of 255" if dark else None,
        expected="a photo that shows a person from the head to the hips or further",
        fix="use a lighter photo"
        if dark
        else "turn the photo if it is upside down, use another one, or give the keypoints and maps yourself",
    )


def _check_confidence(pose: Pose) -> list[str]:
    if pose.confidence < UNSURE:
        return ["it is not certain that the pose is right (is the head in the photo?): look at the overlay"]
    return []


def _check_size(pose: Pose) -> list[str]:
    torso = pose.torso
    if not torso:
        raise UnusablePersonError(
            "the person's shoulders were not found",
            expected="a photo that shows a person from the head to the hips or further",
            fix="use another photo, or give the keypoints yourself",
        )
    if torso < MIN_TORSO:
        raise UnusablePersonError(
            "the person is too small",
            got=f"{torso:.0f} pixels from the shoulders to the hips",
            expected=f"at least {MIN_TORSO:.0f}, better {SMALL_TORSO:.0f}",
            fix="use a larger photo, or one taken closer to the person",
        )
    if torso < SMALL_TORSO:
        return [f"the person is small ({torso:.0f} pixels from the shoulders to the hips): the result will be blurred"]
    return []


def _brightness(photo: Photo) -> float:
    """What the lightest twentieth of the photo reaches, from 0 to 255."""
    step = max(max(photo.shape[:2]) // 256, 1)
    return float(np.percentile(photo[::step, ::step] @ np.array([0.299, 0.587, 0.114]), _LIGHTEST))


def _check_light(light: float) -> list[str]:
    if light < TOO_DARK:
        raise UnusablePersonError(
            "the photo is too dark",
            got=f"brightness {light:.0f} of 255",
            expected=f"at least {TOO_DARK:.0f}, better {DARK:.0f}",
            fix="use a lighter photo",
        )
    if light < DARK:
        return ["the photo is dark: colours and edges are uncertain"]
    return []


def _check_view(pose: Pose) -> list[str]:
    if shows_back(pose):
        return ["the person is seen from behind: garments are put on as from the front, so this will look wrong"]
    return []


def shows_back(pose: Pose) -> bool:
    """Whether shoulders, and hips where they are known, have their left on the photo's left."""
    shoulders, hips = pose.known(SHOULDERS), pose.known(HIPS)
    if len(shoulders) < 2:
        return False
    apart = float(shoulders[0, 0] - shoulders[1, 0]) / max(pose.torso, 1e-6)
    return apart < -TURNED and (len(hips) < 2 or bool(hips[0, 0] < hips[1, 0]))


def sits(pose: Pose) -> bool:
    """Whether both thighs that are seen are folded: the knees are hardly below the hips."""
    drops = [
        float(pose.points[knee, 1] - pose.points[hip, 1]) / max(pose.torso, 1e-6)
        for hip, knee in zip(HIPS, _KNEES, strict=True)
        if pose.seen([knee])[0] and pose.visibility[hip] > 0
    ]
    return bool(drops) and max(drops) < FOLDED


def _middle(pose: Pose, joints: Sequence[int], otherwise: np.ndarray) -> np.ndarray:
    """Midway between two joints, the known one of them, or another place where neither is known."""
    places = pose.known(joints)
    return places.mean(0) if len(places) else otherwise


def _check_parts(pose: Pose, size: Size, category: Category | None) -> list[str]:
    shoulders = pose.known(SHOULDERS).mean(0)
    hips = _middle(pose, HIPS, shoulders + np.array([0, pose.torso]))
    knees = _middle(pose, _KNEES, hips + np.array([0, _THIGH * pose.torso]))
    trunk, thigh = _share_inside(shoulders, hips, size), _share_inside(hips, knees, size)
    notes: list[str] = []
    if category != "lower_body" and trunk < MIN_TRUNK:
        face = bool(pose.seen(_FACE).mean() > 0.5)
        raise UnusablePersonError(
            "the photo shows only the face" if face else "the photo shows too little of the upper body",
            got=f"{trunk:.0%} of the trunk",
            expected=f"at least {MIN_TRUNK:.0%}, better all of it",
            fix="use a photo that shows the person from the head to the hips or further",
        )
    if category != "lower_body" and trunk < WHOLE_TRUNK:
        notes.append(f"the photo shows only {trunk:.0%} of the trunk: the garment will be cut off")
    if category == "lower_body" and thigh < MIN_THIGH:
        raise UnusablePersonError(
            "the legs are not in the photo",
            got=f"{thigh:.0%} of the thighs",
            expected=f"at least {MIN_THIGH:.0%}, better the whole legs",
            fix="use a photo that shows the legs, or exchange an upper garment",
        )
    if category == "dresses" and thigh < MIN_THIGH:
        notes.append("the legs are not in the photo: the dress will be cut off")
    if category in ("lower_body", "dresses") and sits(pose):
        notes.append("the person sits, or the legs are folded: lower garments and dresses may come out badly")
    return notes


def _share_inside(start: np.ndarray, end: np.ndarray, size: Size) -> float:
    """The share of a line that lies in the photo."""
    steps = start + (end - start) * np.linspace(0, 1, 101)[:, None]
    inside = (steps >= 0).all(1) & (steps[:, 0] <= size.width) & (steps[:, 1] <= size.height)
    return float(inside.mean())
