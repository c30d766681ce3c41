"""A person as the published demo reads them, with the three published networks."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from idmvton.errors import ConfigError, NoPersonError
from idmvton.images import ImageInput
from idmvton.images.densepose import parts_of
from idmvton.prepare import demo
from idmvton.prepare.backends.densepose.backend import DensePoseBody
from idmvton.prepare.backends.openpose.decoding import published_points
from idmvton.prepare.backends.openpose.estimator import OpenPose
from idmvton.prepare.backends.protocols import Pose
from idmvton.prepare.backends.schp.backends import SchpLabels
from idmvton.prepare.garment import GarmentPicture
from idmvton.prepare.person_maps import Backends, PersonMaps, timed
from idmvton.types import Category

SCALE: Final = demo.DEMO_SIZE.height // demo.NETWORK_SIZE.height
"""Pixels of what the try-on reads for each that the networks read."""
_NOBODY_DRAWN: Final = (
    "DensePose finds nobody: the body map is black (the published demo takes the grey photo itself for one)"
)


def read_person(backends: Backends, person: ImageInput, crop: bool) -> PersonMaps:
    """Reads one person: the first that OpenPose begins, with the demo's own order of joints.

    Args:
        backends: the published ones.
        person: the photo.
        crop: see :func:`idmvton.prepare.demo.read_photo`.

    Raises:
        InputError: a picture that cannot be used.
        NoPersonError: OpenPose finds nobody.
        ConfigError: other backends.
        WeightsError: a backend's weights are not on the disk.
    """
    pose, labels, body = _networks(backends)
    timings: dict[str, float] = {}
    notes: list[str] = []
    with timed(timings, "reading"):
        photo = demo.read_photo(person, crop)
    small = np.asarray(photo.small)
    with timed(timings, "pose"):
        points = _points(pose, small)
    with timed(timings, "parsing"):
        found = demo.enlarged(labels.reader.networks(small, as_published=True))
    with timed(timings, "body"):
        parts = body.demo_parts(np.asarray(photo.for_body_map))
    if parts is None:
        notes.append(_NOBODY_DRAWN)
    body_map = demo.body_map(np.zeros(demo.NETWORK_SIZE, np.uint8) if parts is None else parts)
    keypoints = (points * SCALE).astype(np.float32)
    return PersonMaps(
        photo=photo.photo,
        framing=photo.framing,
        person=photo.person,
        labels=found,
        parts=parts_of(body_map)[0],
        silhouette=np.where(found > 0, np.uint8(255), np.uint8(0)),
        keypoints=keypoints,
        mask=None,
        pose=Pose(keypoints, np.any(keypoints != 0, axis=1).astype(np.float32), pose.name),
        warnings=tuple(notes),
        sources={
            "keypoints": f"{pose.name}, as published",
            "silhouette": labels.name,
            "labels": f"{labels.name}, as published",
            "densepose": f"{body.name}, as published",
        },
        timings=timings,
        body_map=body_map,
    )


def _networks(backends: Backends) -> tuple[OpenPose, SchpLabels, DensePoseBody]:
    """The published networks.

    Raises:
        ConfigError: the backends are others.
    """
    pose, labels, body = backends.pose, backends.labels, backends.body
    if not isinstance(pose, OpenPose) or not isinstance(labels, SchpLabels) or not isinstance(body, DensePoseBody):
        raise ConfigError(
            "the published demo's way needs its networks",
            got=f"pose {pose.name}, labels {labels.name}, body {body.name}",
            expected="openpose, schp, densepose",
        )
    return pose, labels, body


def make_mask(maps: PersonMaps, category: Category, arm_width: int | None) -> NDArray[np.bool_]:
    """The demo's mask of a person that :func:`read_person` read: bool (1024, 768)."""
    return demo.make_mask(maps.labels[::SCALE, ::SCALE], maps.keypoints / SCALE, category, arm_width)


def read_garment(garment: ImageInput, category: Category) -> GarmentPicture:
    """A garment as the demo takes it, see :func:`idmvton.prepare.demo.read_garment`.

    Raises:
        InputError: a picture that cannot be used.
    """
    picture = demo.read_garment(garment)
    everywhere = np.ones((picture.height, picture.width), bool)
    return GarmentPicture(picture, everywhere, category, "plain background", "as it is, squashed to 1024x768", ())


def _points(pose: OpenPose, small: NDArray[np.uint8]) -> NDArray[np.float64]:
    found = pose.decode(small)
    if not len(found.people):
        raise NoPersonError(
            "OpenPose finds no person in the photo",
            expected="a photo that shows a person from the head to the hips or further",
            fix="use another photo, or leave --as-published out",
        )
    return published_points(found)
