"""From two photos to everything that a try-on reads: the stages, in order.

read -> find people -> choose one -> frame -> outline -> tell clothes and body parts -> garment -> category -> mask.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import time
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from idmvton.errors import PreparationError
from idmvton.images import ImageInput, load_image, load_layers
from idmvton.images.framing import Framing
from idmvton.options import CategoryChoice, MaskShape, PrepareOptions
from idmvton.prepare.backends.blazepose.landmarks import openpose_from_landmarks
from idmvton.prepare.backends.protocols import Parsing, PersonParser, PersonSegmenter, Photo, Pose, PoseEstimator
from idmvton.prepare.backends.registry import OUTLINE_BACKENDS, PARSER_BACKENDS, POSE_BACKENDS
from idmvton.prepare.category import choose_category, expected_category, word_of
from idmvton.prepare.densepose import colour_parts, parts_of
from idmvton.prepare.frame import frame_person
from idmvton.prepare.garment import GarmentPicture, prepare_garment
from idmvton.prepare.maps import Given, GivenMaps, PathOrArray, corrected_pose, frame_pose, pose_of_keypoints
from idmvton.prepare.mask_making import make_mask
from idmvton.prepare.person_check import check_person
from idmvton.prepare.record import Prepared
from idmvton.prepare.repair_labels import repair_parsing
from idmvton.types import Category, Size

DEFAULTS: Final = PrepareOptions()
DETECTION_SIDE: Final = 2048  # pixels: people are looked for in a photo of at most this side
GARMENT_SIDE: Final = 1536  # pixels: garments are cut out of a photo of at most this side


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class PersonMaps:
    """What is known of a person before a garment is chosen; everything of the framed picture's size (H, W).

    Attributes:
        photo, framing, person, labels, silhouette, keypoints, densepose: as in
            :class:`idmvton.prepare.record.Prepared`.
        parts: uint8 (H, W), body parts 1 to 24, 0 elsewhere.
        mask: bool (H, W), where the caller gave one.
        pose: the whole skeleton, in pixels of the framed picture.
        warnings, sources, timings: likewise.
    """

    photo: Image.Image
    framing: Framing
    person: Image.Image
    labels: NDArray[np.uint8]
    silhouette: NDArray[np.uint8]
    keypoints: NDArray[np.float32]
    densepose: Image.Image
    parts: NDArray[np.uint8]
    mask: NDArray[np.bool_] | None
    pose: Pose
    warnings: tuple[str, ...]
    sources: Mapping[str, str]
    timings: Mapping[str, float]


class Preparer:
    """Prepares photos with one set of backends, which are loaded once, when they are first needed.

    Args:
        pose, outline, parser: names of registered backends, or backends.

    Raises:
        ConfigError: an unknown name.
    """

    def __init__(
        self,
        pose: str | PoseEstimator = DEFAULTS.pose_backend,
        outline: str | PersonSegmenter = DEFAULTS.outline_backend,
        parser: str | PersonParser = DEFAULTS.parser_backend,
    ) -> None:
        POSE_BACKENDS.check(pose)
        OUTLINE_BACKENDS.check(outline)
        PARSER_BACKENDS.check(parser)
        self._pose, self._outline, self._parser = pose, outline, parser

    @classmethod
    def unshared(cls, options: PrepareOptions = DEFAULTS) -> Self:
        """A preparer whose backends are its own: for a thread beside others, because backends are not thread-safe.

        Raises:
            ConfigError: an unknown name.
            WeightsError: a backend's weights are not on the disk.
        """
        return cls(
            POSE_BACKENDS.make(options.pose_backend),
            OUTLINE_BACKENDS.make(options.outline_backend),
            PARSER_BACKENDS.make(options.parser_backend),
        )

    @property
    def pose(self) -> PoseEstimator:
        """The backend that finds people."""
        return POSE_BACKENDS.get(self._pose)

    @property
    def outline(self) -> PersonSegmenter:
        """The backend that outlines a person."""
        return OUTLINE_BACKENDS.get(self._outline)

    @property
    def parser(self) -> PersonParser:
        """The backend that tells clothes and body parts."""
        return PARSER_BACKENDS.get(self._parser)

    def __call__(
        self,
        person: ImageInput,
        garment: ImageInput | GarmentPicture | None = None,
        *,
        given: Given | None = None,
        options: PrepareOptions = DEFAULTS,
    ) -> Prepared:
        """Prepares a person photo, and a garment photo if there is one.

        Args:
            person: the photo, of any size.
            garment: a product picture, a photo of somebody who wears the garment, or what :meth:`read_garment` made
                of one.
            given: maps of the photo that need not be found.
            options: of these, the names of the backends are not looked at.

        Raises:
            InputError: a picture or map that cannot be used.
            PreparationError: nobody, or nobody usable, in the photo; no garment in the garment photo; nothing to
                repaint.
            WeightsError: a backend's weights are not on the disk.
        """
        timings: dict[str, float] = {}
        picture = None
        if isinstance(garment, GarmentPicture):
            picture = garment
        elif garment is not None:
            with _timed(timings, "garment"):
                picture = self.read_garment(garment, category=options.category, number=options.garment_number)
        expected = expected_category(options.category, picture.category if picture else None)
        maps = self.read_person(person, given=given, number=options.person_number, category=expected)
        return self.join(maps, picture, options, timings)

    def join(
        self,
        maps: PersonMaps,
        picture: GarmentPicture | None,
        options: PrepareOptions = DEFAULTS,
        more_timings: Mapping[str, float] = MappingProxyType({}),
    ) -> Prepared:
        """What a garment adds to what is known of a person: the category, and the mask for it.

        Args:
            maps: from :meth:`read_person`; they serve many garments.
            picture: from :meth:`read_garment`, if there is one.
            options: those of the mask are used, and the category.
            more_timings: seconds of stages that came before.

        Raises:
            PreparationError: nothing to repaint.
        """
        timings = {**maps.timings, **more_timings}
        notes = [*maps.warnings, *(picture.warnings if picture else ())]
        category, about = choose_category(
            options.category, picture.category if picture else None, maps.labels, maps.keypoints
        )
        notes += about
        sources = dict(maps.sources)
        with _timed(timings, "mask"):
            mask = maps.mask
            if mask is None:
                mask = make_mask(maps.labels, maps.parts, maps.silhouette, maps.keypoints, category, options)
                sources["mask"] = "rules of idmvton.prepare.mask"
        if not mask.any():
            raise _nothing_to_repaint(category)
        return Prepared(
            photo=maps.photo,
            framing=maps.framing,
            person=maps.person,
            mask=mask,
            densepose=maps.densepose,
            labels=maps.labels,
            keypoints=maps.keypoints,
            silhouette=maps.silhouette,
            category=category,
            options=options,
            garment=picture.image if picture else None,
            garment_mask=picture.mask if picture else None,
            warnings=tuple(notes),
            sources=sources | ({"garment": picture.source} if picture else {}),
            timings=timings,
        )

    def read_person(
        self,
        person: ImageInput,
        *,
        given: Given | None = None,
        number: int = 1,
        category: Category | None = None,
    ) -> PersonMaps:
        """Everything about a person that no garment is needed for.

        Args:
            person: the photo, of any size.
            given: maps that need not be found.
            number: which person, counted from the largest.
            category: what will be exchanged, where that is known: the photo must show that part of the body.

        Raises:
            InputError: a picture or map that cannot be used.
            PreparationError: nobody, or nobody usable, in the photo; a map that no backend makes.
            WeightsError: a backend's weights are not on the disk.
        """
        timings: dict[str, float] = {}
        with _timed(timings, "reading"):
            photo = load_image(person, what="person")
            size = Size(photo.height, photo.width)
            maps = (given or Given()).read(size)
        with _timed(timings, "pose"):
            found, notes = self._find(photo, maps, number, category)
        with _timed(timings, "framing"):
            everywhere = np.ones(size, np.float32) if found.segmentation is None else None
            framing = frame_person(size, found, everywhere)  # joints alone do not tell where the person ends
            picture = framing.apply(photo, resample="photo", fill="edge")
            pose, maps = frame_pose(found, framing), maps.framed(framing)
        pixels = np.asarray(picture)
        points = maps.keypoints
        if points is None:
            points = openpose_from_landmarks(pose, framing.size)
        sources = {"keypoints": pose.source} | dict(maps.sources)
        needs_parser = maps.labels is None or maps.densepose is None
        with _timed(timings, "outline"):
            silhouette, sources["silhouette"] = self._outlined(pixels, pose, maps, needs_parser)
        parsing = Parsing()
        if needs_parser:
            with _timed(timings, "parsing"):
                parsing = repair_parsing(pixels, self.parser(pixels, pose, silhouette), pose)
        labels, parts = self._complete(maps, parsing, sources)
        return PersonMaps(
            photo=photo,
            framing=framing,
            person=picture,
            labels=labels,
            silhouette=np.rint(silhouette * 255).astype(np.uint8),
            keypoints=points,
            densepose=maps.densepose or colour_parts(parts),
            parts=parts,
            mask=maps.mask,
            pose=pose,
            warnings=notes,
            sources=sources,
            timings=timings,
        )

    def read_garment(
        self, garment: ImageInput, *, category: CategoryChoice = "auto", number: int | None = None
    ) -> GarmentPicture:
        """Cuts a garment out of its photo and puts it on white; see :mod:`idmvton.prepare.garment`.

        Args:
            garment: a product picture, or a photo of somebody who wears the garment.
            category: of a worn garment, which one is meant.
            number: which garment, where the photo shows several; see
                :func:`idmvton.prepare.garments_found.choose_garment`.

        Raises:
            InputError: a picture that cannot be used.
            PreparationError: no garment in it.
        """
        photo, alpha = load_layers(garment, what="garment", least_side=GARMENT_SIDE)
        photo = _shrunk(photo, GARMENT_SIDE)
        if alpha is not None:
            alpha = np.asarray(_shrunk(Image.fromarray(alpha), GARMENT_SIDE))
        return prepare_garment(
            photo, category, lambda pixels: self.pose(pixels), self._parse, alpha=alpha, number=number
        )

    def _find(
        self, photo: Image.Image, maps: GivenMaps, number: int, category: Category | None
    ) -> tuple[Pose, tuple[str, ...]]:
        """The person, in pixels of the photo, and what the caller should know."""
        known = None
        if maps.keypoints is not None:
            outline = None if maps.labels is None else (maps.labels > 0).astype(np.float32)
            known = pose_of_keypoints(maps.keypoints, maps.sources["keypoints"], outline)
            if outline is not None:
                return known, ()
        small = _shrunk(photo, DETECTION_SIDE)
        pixels = np.asarray(small)
        pose, notes = check_person(pixels, self.pose(pixels), number, category)
        pose = _enlarged(pose, max(photo.size) / max(small.size), photo.size)
        return pose if known is None else corrected_pose(pose, known), notes

    def _outlined(
        self, pixels: Photo, pose: Pose, maps: GivenMaps, needs_parser: bool
    ) -> tuple[NDArray[np.float32], str]:
        if maps.labels is not None and not needs_parser:
            return (maps.labels > 0).astype(np.float32), maps.sources["labels"]
        backend = self.outline
        return backend(pixels, pose), backend.name

    def _complete(
        self, maps: GivenMaps, parsing: Parsing, sources: dict[str, str]
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Labels and body parts: what was given, and what the parser found."""
        labels, parts = maps.labels, parsing.parts
        if labels is None:
            labels = parsing.labels
            sources["labels"] = self.parser.name
        if maps.densepose is not None:
            parts = parts_of(maps.densepose)[0]
        else:
            sources["densepose"] = self.parser.name
        if labels is None or parts is None:
            raise PreparationError(
                "the parser does not make every map",
                got=f"{self.parser.name}: no {'label map' if labels is None else 'body parts'}",
                expected="labels and body parts",
                fix="choose another parser backend, or give the map that is missing",
            )
        return labels, parts

    def _parse(self, pixels: Photo, pose: Pose) -> Parsing:
        return repair_parsing(pixels, self.parser(pixels, pose, self.outline(pixels, pose)), pose)


@functools.lru_cache(maxsize=4)
def _shared(pose: str, outline: str, parser: str) -> Preparer:
    return Preparer(pose, outline, parser)


def prepare(
    person: ImageInput,
    garment: ImageInput | None = None,
    category: CategoryChoice = DEFAULTS.category,
    *,
    mask: PathOrArray | None = None,
    densepose: ImageInput | None = None,
    labels: PathOrArray | None = None,
    keypoints: PathOrArray | None = None,
    person_number: int = DEFAULTS.person_number,
    garment_number: int | None = DEFAULTS.garment_number,
    mask_grow: int = DEFAULTS.mask_grow,
    mask_feather: int = DEFAULTS.mask_feather,
    mask_shape: MaskShape = DEFAULTS.mask_shape,
    keep_hands: bool = DEFAULTS.keep_hands,
    cover_old_garment: bool = DEFAULTS.cover_old_garment,
    arm_width: int | None = DEFAULTS.arm_width,
    pose_backend: str = DEFAULTS.pose_backend,
    outline_backend: str = DEFAULTS.outline_backend,
    parser_backend: str = DEFAULTS.parser_backend,
) -> Prepared:
    """Prepares a person photo, and a garment photo if there is one, for a try-on.

    Backends are loaded at the first call and kept. The options are described in
    :class:`idmvton.options.PrepareOptions`.

    Args:
        person: the photo, of any size.
        garment: a product picture, or a photo of somebody who wears the garment.
        category: what is exchanged.
        mask, densepose, labels, keypoints: maps of the photo that need not be found; see
            :class:`idmvton.prepare.maps.Given`.

    Raises:
        ConfigError: an option out of range, or an unknown backend.
        InputError: a picture or map that cannot be used.
        PreparationError: nobody usable in the photo; no garment in the garment photo; nothing to repaint.
        WeightsError: a backend's weights are not on the disk.
    """
    values = locals()
    options = PrepareOptions.from_mapping({name: values[name] for name in DEFAULTS.to_dict()})
    given = Given(mask=mask, densepose=densepose, labels=labels, keypoints=keypoints)
    return preparer_for(options)(person, garment, given=given, options=options)


def preparer_for(options: PrepareOptions) -> Preparer:
    """The preparer with the backends that the options name; the same one for the same names.

    Raises:
        ConfigError: an unknown name.
    """
    return _shared(options.pose_backend, options.outline_backend, options.parser_backend)


@contextlib.contextmanager
def _timed(timings: dict[str, float], stage: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    timings[stage] = time.perf_counter() - start


def _shrunk(photo: Image.Image, side: int) -> Image.Image:
    """The photo with sides of at most ``side`` pixels."""
    scale = max(photo.size) / side
    if scale <= 1:
        return photo
    return photo.resize((round(photo.width / scale), round(photo.height / scale)), Image.Resampling.BOX)


def _enlarged(pose: Pose, scale: float, size: tuple[int, int]) -> Pose:
    """A pose found in the reduced photo, in pixels of the photo of this width and height."""
    outline = pose.segmentation
    if outline is not None and scale != 1.0:
        grey = Image.fromarray((outline * 255 + 0.5).astype(np.uint8)).resize(size, Image.Resampling.BILINEAR)
        outline = np.asarray(grey).astype(np.float32) / np.float32(255)
    return dataclasses.replace(pose, landmarks=pose.landmarks * np.float32(scale), segmentation=outline)


def _nothing_to_repaint(category: Category) -> PreparationError:
    return PreparationError(
        "there is nothing to repaint",
        got=f"category {word_of(category)}, and no such garment on the person",
        expected="a person who wears what is to be exchanged",
        fix="choose another --category, or draw the mask yourself (--mask)",
    )
