"""Everything about a person that no garment is needed for: what is given is taken, what is missing is found."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from idmvton.images import ImageInput, load_layers
from idmvton.images.framing import WHITE, Framing
from idmvton.prepare.backends.protocols import (
    BodyParser,
    LabelParser,
    Outline,
    PersonOutliner,
    Photo,
    Pose,
    PoseEstimator,
)
from idmvton.prepare.frame import frame_person
from idmvton.prepare.maps import Given, GivenMaps, corrected_pose, frame_pose, pose_of_keypoints
from idmvton.prepare.person_check import check_person
from idmvton.types import Category, Size

DETECTION_SIDE: Final = 2048  # pixels: people are looked for in a photo of at most this side


class Backends(Protocol):
    """One backend for each signal."""

    @property
    def pose(self) -> PoseEstimator:
        """Finds people and their joints."""

    @property
    def outline(self) -> PersonOutliner:
        """Outlines one person."""

    @property
    def labels(self) -> LabelParser:
        """Tells clothes and skin."""

    @property
    def body(self) -> BodyParser:
        """Tells the parts of the body."""


@dataclass(frozen=True, slots=True, eq=False)
class PersonMaps:
    """What is known of a person before a garment is chosen; everything of the framed picture's size (H, W).

    Attributes:
        photo, framing, person, labels, parts, silhouette, keypoints: as in
            :class:`idmvton.prepare.record.Prepared`.
        mask: bool (H, W), where the caller gave one.
        pose: the whole skeleton, in pixels of the framed picture.
        warnings, sources, timings, body_map: likewise.
    """

    photo: Image.Image
    framing: Framing
    person: Image.Image
    labels: NDArray[np.uint8]
    silhouette: NDArray[np.uint8]
    keypoints: NDArray[np.float32]
    parts: NDArray[np.uint8]
    mask: NDArray[np.bool_] | None
    pose: Pose
    warnings: tuple[str, ...]
    sources: Mapping[str, str]
    timings: Mapping[str, float]
    body_map: Image.Image | None = None


def load_on_white(person: ImageInput) -> tuple[Image.Image, tuple[str, ...]]:
    """A person's photo, on white where it is transparent, and what to say about that."""
    photo, alpha = load_layers(person, what="person")
    if alpha is None:
        return photo, ()
    flat = Image.new("RGB", photo.size, WHITE)
    flat.paste(photo, mask=Image.fromarray(alpha))
    return flat, ("the person's photo is transparent in places: it was put on white, and so is the result",)


def read_person(
    backends: Backends, photo: Image.Image, given: Given, number: int, category: Category | None
) -> PersonMaps:
    """Finds, frames and reads one person.

    Args:
        backends: only those are used whose maps are not given.
        photo: RGB, upright.
        given: maps that need not be found.
        number: which person, counted from the largest.
        category: what will be exchanged, where that is known: the photo must show that part of the body.

    Raises:
        InputError: a map that cannot be used.
        PreparationError: nobody, or nobody usable, in the photo.
        WeightsError: a backend's weights are not on the disk.
    """
    timings: dict[str, float] = {}
    size = Size(photo.height, photo.width)
    with timed(timings, "reading"):
        there = given.read(size)
    with timed(timings, "pose"):
        found, notes = _find(backends, photo, there, number, category)
    with timed(timings, "framing"):
        everywhere = np.ones((1, 1), np.float32) if found.outline is None else None
        framing = frame_person(size, found, everywhere)  # joints alone do not tell where the person ends
        picture = framing.apply(photo, resample="photo", fill="edge")
        pose, there = frame_pose(found, framing), there.framed(framing)
    pixels = np.asarray(picture)
    sources = {"keypoints": pose.source} | dict(there.sources)
    with timed(timings, "outline"):
        outline, sources["silhouette"] = _outline(backends, pixels, pose, there)
    labels, parts = there.labels, there.parts
    with timed(timings, "parsing"):
        if labels is None:
            labels, sources["labels"] = backends.labels(pixels, pose, outline), backends.labels.name
        if parts is None:
            parts, sources["densepose"] = backends.body(pixels, pose, outline), backends.body.name
    return PersonMaps(
        photo=photo,
        framing=framing,
        person=picture,
        labels=labels,
        parts=parts,
        silhouette=np.rint(outline * 255).astype(np.uint8),
        keypoints=pose.keypoints(framing.size) if there.keypoints is None else there.keypoints,
        mask=there.mask,
        pose=pose,
        warnings=notes,
        sources=sources,
        timings=timings,
    )


def _find(
    backends: Backends, photo: Image.Image, given: GivenMaps, number: int, category: Category | None
) -> tuple[Pose, tuple[str, ...]]:
    """The person, in pixels of the photo, and what the caller should know.

    Keypoints and labels that are given tell the whole person. Keypoints alone correct the pose that is found.
    """
    known = None
    if given.keypoints is not None:
        outline = None if given.labels is None else (given.labels > 0).astype(np.float32)
        known = pose_of_keypoints(given.keypoints, given.sources["keypoints"], outline)
        if outline is not None:
            return known, ()
    small = shrunk(photo, DETECTION_SIDE)
    pixels = np.asarray(small)
    pose, notes = check_person(pixels, backends.pose(pixels), number, category)
    scale = np.float32(max(photo.size) / max(small.size))
    if scale > 1:  # the outline stays as it was found
        pose = pose.mapped(lambda points: points * scale, pose.outline)
    return pose if known is None else corrected_pose(pose, known), notes


def _outline(backends: Backends, pixels: Photo, pose: Pose, given: GivenMaps) -> tuple[Outline, str]:
    """The person's outline, and where it comes from: labels that are given have it, unless a body map must be found."""
    if given.labels is not None and given.parts is not None:
        return (given.labels > 0).astype(np.float32), given.sources["labels"]
    return backends.outline(pixels, pose), backends.outline.name


def shrunk(photo: Image.Image, side: int) -> Image.Image:
    """The photo with sides of at most ``side`` pixels."""
    scale = max(photo.size) / side
    if scale <= 1:
        return photo
    return photo.resize((round(photo.width / scale), round(photo.height / scale)), Image.Resampling.BOX)


@contextlib.contextmanager
def timed(timings: dict[str, float], stage: str) -> Iterator[None]:
    """Adds the seconds of a stage."""
    start = time.perf_counter()
    yield
    timings[stage] = time.perf_counter() - start
