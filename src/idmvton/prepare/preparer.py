"""From two photos to everything that a try-on reads: the stages, in order.

read -> find people -> choose one -> frame -> outline -> label clothes and body parts -> garment -> category -> mask.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from idmvton.errors import ConfigError, PreparationError
from idmvton.images import ImageInput, load_layers
from idmvton.images.framing import BLACK, Framing
from idmvton.options import BackendOptions, PrepareOptions, describe
from idmvton.prepare import demo_person
from idmvton.prepare.backends.protocols import (
    BodyParser,
    LabelParser,
    Labels,
    PersonOutliner,
    Photo,
    Pose,
    PoseEstimator,
)
from idmvton.prepare.backends.registry import (
    BODY_BACKENDS,
    EMBEDDED,
    LABELS_BACKENDS,
    OUTLINE_BACKENDS,
    POSE_BACKENDS,
)
from idmvton.prepare.backends.segmenter.backend import SegmenterLabels
from idmvton.prepare.category import CATEGORY_NAMES, choose_category, expected_category, word_of
from idmvton.prepare.choice import check_files, for_model, resolve
from idmvton.prepare.demo import Demo
from idmvton.prepare.exposure import match_scene
from idmvton.prepare.garment import GarmentPicture, prepare_garment
from idmvton.prepare.maps import Given, PathOrArray, frame_pose, pose_of_keypoints
from idmvton.prepare.mask_making import PersonSeen
from idmvton.prepare.new_garment import mask_for
from idmvton.prepare.person_maps import PersonMaps, load_on_white, read_person, shrunk, timed
from idmvton.prepare.record import Prepared
from idmvton.types import BackendSet, Category, CategoryChoice, MaskShape, Size

DEFAULTS: Final = PrepareOptions()
GARMENT_SIDE: Final = 2048  # pixels: garments are cut out of a photo of at most this side


class Preparer:
    """Prepares photos with one set of backends, which are loaded once, when they are first needed.

    Args:
        pose, outline, labels, body: names of registered backends, or backends.
        demo: prepare as the published demo does; see :mod:`idmvton.prepare.demo`. ``"cropped"`` uses the largest 3:4
            part in the photo's middle.

    Raises:
        ConfigError: an unknown name.
    """

    def __init__(
        self,
        pose: str | PoseEstimator = EMBEDDED,
        outline: str | PersonOutliner = EMBEDDED,
        labels: str | LabelParser = EMBEDDED,
        body: str | BodyParser = EMBEDDED,
        *,
        demo: Demo = "no",
    ) -> None:
        POSE_BACKENDS.check(pose)
        OUTLINE_BACKENDS.check(outline)
        LABELS_BACKENDS.check(labels)
        BODY_BACKENDS.check(body)
        self._pose, self._outline, self._labels, self._body = pose, outline, labels, body
        self._demo: Demo = demo
        self._named: Mapping[str, Any] = {}
        self._notes: tuple[str, ...] = ()

    @classmethod
    def unshared(cls, options: BackendOptions = DEFAULTS) -> Self:
        """A preparer whose backends are its own: for a thread beside others, because backends are not thread-safe.

        Raises:
            ConfigError: an unknown name.
            WeightsError: a backend's weights are not on the disk.
        """
        chosen = resolve(options)
        check_files(chosen)
        own = SegmenterLabels(Path(chosen.segmenter)) if chosen.segmenter else None
        return cls(
            POSE_BACKENDS.make(chosen.pose_backend),
            OUTLINE_BACKENDS.make(chosen.outline_backend),
            own or LABELS_BACKENDS.make(chosen.labels_backend),
            BODY_BACKENDS.make(chosen.body_backend),
        )

    def named(self, options: PrepareOptions, notes: tuple[str, ...] = ()) -> Self:
        """The same preparer; what it makes records how its backends were chosen.

        Args:
            options: with every backend named.
            notes: what the user should know about the choice.
        """
        twin = copy.copy(self)
        names = [each.name for each in describe(BackendOptions)]
        twin._named = {name: getattr(options, name) for name in (*names, "as_published", "demo_crop")}
        twin._notes = notes
        return twin

    def load(self) -> None:
        """Loads the backends now, which are otherwise loaded when they are first needed."""
        _ = self.pose, self.outline, self.labels, self.body

    @property
    def pose(self) -> PoseEstimator:
        """The backend that finds people."""
        return POSE_BACKENDS.get(self._pose)

    @property
    def outline(self) -> PersonOutliner:
        """The backend that outlines a person."""
        return OUTLINE_BACKENDS.get(self._outline)

    @property
    def labels(self) -> LabelParser:
        """The backend that labels clothes and skin."""
        return LABELS_BACKENDS.get(self._labels)

    @property
    def body(self) -> BodyParser:
        """The backend that labels the parts of the body."""
        return BODY_BACKENDS.get(self._body)

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
            options: the names of backends in it are ignored.

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
            with timed(timings, "garment"):
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
        notes = [*self._notes, *maps.warnings, *(picture.warnings if picture else ())]
        category, about = choose_category(
            options.category, picture.category if picture else None, maps.labels, maps.keypoints
        )
        notes += about
        sources = dict(maps.sources)
        with timed(timings, "mask"):
            mask = maps.mask
            if mask is None:
                mask, sources["mask"], about = self._mask(maps, picture, category, options)
                notes += about
        if not mask.any():
            raise _nothing_to_repaint(category)
        garment = None
        if picture is not None and self._demo != "no":
            garment = picture.image
        elif picture is not None:
            garment, about = match_scene(picture.image, picture.mask, np.asarray(maps.person))
            notes += about
        return Prepared(
            photo=maps.photo,
            framing=maps.framing,
            person=maps.person,
            mask=mask,
            parts=maps.parts,
            labels=maps.labels,
            keypoints=maps.keypoints,
            silhouette=maps.silhouette,
            category=category,
            options=dataclasses.replace(options, **self._named),
            garment=garment,
            garment_mask=picture.mask if picture else None,
            warnings=tuple(notes),
            sources=sources | ({"garment": picture.source} if picture else {}),
            timings=timings,
            body_map=maps.body_map,
        )

    def _mask(
        self, maps: PersonMaps, picture: GarmentPicture | None, category: Category, options: PrepareOptions
    ) -> tuple[NDArray[np.bool_], str, tuple[str, ...]]:
        """The mask, which rules made it, and what to say about it."""
        if self._demo != "no":
            mask = demo_person.make_mask(maps, category, options.arm_width)
            return mask, "rules of idmvton.prepare.mask, as published", ()
        person = PersonSeen(maps.labels, maps.parts, maps.silhouette, maps.keypoints)
        mask, notes = mask_for(person, picture.mask if picture else None, category, options)
        return mask, "rules of idmvton.prepare.mask", notes

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
            PreparationError: nobody, or nobody usable, in the photo.
            WeightsError: a backend's weights are not on the disk.
        """
        if self._demo == "no":
            photo, notes = load_on_white(person)
            maps = read_person(self, photo, given or Given(), number, category)
            return dataclasses.replace(maps, warnings=(*maps.warnings, *notes))
        if given is not None and given.names():
            raise ConfigError(
                "maps are given, and the published demo makes its own",
                got=", ".join(given.names()),
                fix="leave them out, or --as-published",
            )
        return demo_person.read_person(self, person, crop=self._demo == "cropped")

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
        if self._demo != "no":
            return demo_person.read_garment(garment, CATEGORY_NAMES.get(category, "upper_body"))
        photo, alpha = load_layers(garment, what="garment", least_side=GARMENT_SIDE)
        photo = shrunk(photo, GARMENT_SIDE)
        if alpha is not None:
            alpha = np.asarray(shrunk(Image.fromarray(alpha), GARMENT_SIDE))
        return prepare_garment(
            photo, category, lambda pixels: self.pose(pixels), self._parse, alpha=alpha, number=number
        )

    def read_result(self, picture: Image.Image, prepared: Prepared) -> Labels:
        """What a try-on's result shows of a prepared person.

        Args:
            picture: RGB of a working size.
            prepared: who it shows, in another garment.

        Returns:
            The label map, of the picture's size.
        """
        framing = Framing.fit(prepared.size, Size(picture.height, picture.width))
        pose = frame_pose(pose_of_keypoints(prepared.keypoints, "the photo's"), framing)
        person = np.where(prepared.mask, np.uint8(255), prepared.silhouette)
        outline = framing.apply(Image.fromarray(person), resample="photo", fill=BLACK)
        return self.labels(np.asarray(picture), pose, np.asarray(outline, np.float32) / np.float32(255))

    def _parse(self, pixels: Photo, pose: Pose) -> Labels:
        return self.labels(pixels, pose, self.outline(pixels, pose))


@functools.lru_cache(maxsize=4)
def _shared(pose: str, outline: str, labels: str, body: str, segmenter: str | None, demo: Demo) -> Preparer:
    return Preparer(pose, outline, SegmenterLabels(Path(segmenter)) if segmenter else labels, body, demo=demo)


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
    backend: BackendSet = DEFAULTS.backend,
    pose_backend: str = DEFAULTS.pose_backend,
    outline_backend: str = DEFAULTS.outline_backend,
    labels_backend: str = DEFAULTS.labels_backend,
    body_backend: str = DEFAULTS.body_backend,
    segmenter: str | None = DEFAULTS.segmenter,
    as_published: bool = DEFAULTS.as_published,
    demo_crop: bool = DEFAULTS.demo_crop,
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


def preparer_for(options: PrepareOptions, model: str | None = None) -> Preparer:
    """The preparer with the backends that the options name; they are loaded once for the same names.

    Args:
        options: where they leave the set of backends to the model, published weights get the published ones.
        model: the model that the photos are prepared for, where there is one.

    Raises:
        ConfigError: an unknown name, or choices that contradict each other.
        WeightsError: the published set is chosen and files of it are missing.
    """
    options, notes = (options, ()) if model is None else for_model(options, model)
    chosen = resolve(options)
    check_files(chosen)
    demo: Demo = "no" if not chosen.as_published else "cropped" if chosen.demo_crop else "whole"
    names = (chosen.pose_backend, chosen.outline_backend, chosen.labels_backend, chosen.body_backend)
    return _shared(*names, chosen.segmenter, demo).named(chosen, notes)


def _nothing_to_repaint(category: Category) -> PreparationError:
    return PreparationError(
        "there is nothing to repaint",
        got=f"category {word_of(category)}, and no such garment on the person",
        expected="a person who wears what is to be exchanged",
        fix="choose another --category, or draw the mask yourself (--mask)",
    )
