"""Interim: replaced by the pose branch's framing and checks."""

from idmvton.errors import PreparationError
from idmvton.framing import Framing
from idmvton.types import Size


def choose_person(poses, photo, number):
    if len(poses) < number:
        raise PreparationError(
            "there is no such person in the photo", got=f"{len(poses)} people", expected=f"person {number}"
        )
    notes = () if len(poses) == 1 or number != 1 else (f"{len(poses)} people in the photo: the largest was taken",)
    return poses[number - 1], notes


def frame_person(pose, photo):
    height = max(photo.height, round(photo.width * 4 / 3))
    size = Size(1024, 768) if height >= 1024 else Size(max(256, height // 32 * 32), max(192, height // 32 * 24))
    return Framing.fit(photo, size)
