"""What the page tells before a run: who was found, what changes, the mask, the caption, what speaks against it."""

from __future__ import annotations

import dataclasses
import functools
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image

from idmvton.captions.templates import DEFAULT_CAPTION
from idmvton.engine.service.readings import Reading, ReadingKey, garment_key, person_key
from idmvton.errors import PreparationError
from idmvton.images import load_image
from idmvton.options import PrepareOptions
from idmvton.prepare.backends.protocols import SHOULDERS, Pose
from idmvton.prepare.category import expected_category
from idmvton.prepare.garment import GarmentPicture
from idmvton.prepare.person_maps import DETECTION_SIDE, PersonMaps, shrunk
from idmvton.prepare.record import Prepared
from idmvton.resume import digest
from idmvton.types import Category, CategoryChoice
from idmvton.web.masks import Edits, Mask, shown_mask

if TYPE_CHECKING:
    from idmvton.prepare.preparer import Preparer

MINI: Final = "mini"
_KEPT: Final = 8  # as many as lanes are told of: what is kept holds its photo


@dataclass(frozen=True, slots=True)
class _File:
    """A photo; two with the same content are equal."""

    sha256: str
    path: Path = field(compare=False)


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a person of the photo is: shares of its width and height."""

    x: float
    y: float


@dataclass(frozen=True, slots=True, eq=False)
class Understood:
    """What is known of a person, and of a garment if there is one.

    Attributes:
        prepared: mask and maps.
        people: everybody in the photo, the largest first.
        mask: bool (H, W), what the rules found, at the size that is shown.
        about_person, about_garment: what the visitor should know, in the library's words.
        category: what is exchanged.
    """

    prepared: Prepared
    people: tuple[Spot, ...]
    mask: Mask
    about_person: tuple[str, ...]
    about_garment: tuple[str, ...]

    @property
    def category(self) -> Category:
        """What is exchanged."""
        return self.prepared.category

    def photo_mask(self, edits: Edits) -> Image.Image:
        """The corrected mask as a picture of the photo's own size, white = repaint."""
        return Image.fromarray(edits.apply_to_photo(self.prepared.photo_mask))


class Reader:
    """Reads photos with one set of networks, one at a time; what was read is kept.

    Args:
        model: the model that the photos are read for.
        offer: is given what was read, for lanes that would read it again.
    """

    def __init__(self, model: str, offer: Callable[[ReadingKey, Reading], None] = lambda *_: None) -> None:
        self.model, self._offer = model, offer
        self._lock = threading.Lock()
        self._maps = functools.lru_cache(_KEPT)(self._read_person)
        self._poses = functools.lru_cache(_KEPT)(self._find_people)
        self._pictures = functools.lru_cache(_KEPT)(self._read_garment)
        self._captions = functools.lru_cache(4 * _KEPT)(self._describe)

    def person(self, path: Path, garment: Path | None, options: PrepareOptions) -> Understood:
        """Everything about a person, for a garment if there is one.

        Args:
            path: the person's photo.
            garment: the garment's photo.
            options: of the preparation.

        Raises:
            InputError, PreparationError, WeightsError: as of :class:`idmvton.prepare.preparer.Preparer`.
        """
        with self._lock:
            preparer = self._preparer(options)
            picture = None if garment is None else self._picture(garment, options)
            expected = expected_category(options.category, picture.category if picture else None)
            file = _file(path)
            small, poses = self._poses(file)
            maps = self._maps(file, options.person_number, expected)
            alone = dataclasses.replace(maps, warnings=())
            unlit = None if picture is None else dataclasses.replace(picture, warnings=())
            prepared = preparer.join(alone, unlit, options)
        size = (small.shape[1], small.shape[0])
        return Understood(
            prepared=prepared,
            people=tuple(_spot(each, size) for each in poses),
            mask=shown_mask(prepared.photo_mask),
            about_person=(*maps.warnings, *prepared.warnings),
            about_garment=picture.warnings if picture else (),
        )

    def garment(self, path: Path, options: PrepareOptions) -> GarmentPicture:
        """A garment, cut out.

        Raises:
            InputError, PreparationError, WeightsError: as of :class:`idmvton.prepare.preparer.Preparer`.
        """
        with self._lock:
            return self._picture(path, options)

    def caption(self, path: Path, options: PrepareOptions, category: Category) -> str | None:
        """What the garment is, in words that mini knows; None for other models, which describe it when they run."""
        if self.model != MINI:
            return None
        with self._lock:
            return self._captions(_file(path), options.category, options.garment_number, category)

    def forget(self) -> None:
        """Drops everything that was read."""
        with self._lock:
            for cache in (self._maps, self._poses, self._pictures, self._captions):
                cache.cache_clear()

    def load(self) -> None:
        """Loads the networks, so that the first photo does not wait for them."""
        with self._lock:
            self._preparer(PrepareOptions()).load()

    def _preparer(self, options: PrepareOptions) -> Preparer:
        from idmvton.prepare.preparer import preparer_for  # loads torch: the page is drawn meanwhile

        return preparer_for(options, self.model)

    def _picture(self, path: Path, options: PrepareOptions) -> GarmentPicture:
        return self._pictures(_file(path), options.category, options.garment_number)

    def _read_person(self, file: _File, number: int, expected: Category | None) -> PersonMaps:
        maps = self._preparer(PrepareOptions()).read_person(file.path, number=number, category=expected)
        self._offer(person_key(file.sha256, number, expected), maps)
        return maps

    def _find_people(self, file: _File) -> tuple[np.ndarray, tuple[Pose, ...]]:
        small = np.asarray(shrunk(load_image(file.path, what="person"), DETECTION_SIDE))
        return small, tuple(self._preparer(PrepareOptions()).pose(small))

    def _read_garment(self, file: _File, category: CategoryChoice, number: int | None) -> GarmentPicture:
        picture = self._preparer(PrepareOptions()).read_garment(file.path, category=category, number=number)
        self._offer(garment_key(file.sha256, category, number), picture)
        return picture

    def _describe(self, file: _File, choice: CategoryChoice, number: int | None, category: Category) -> str:
        from idmvton.prepare.garment_words import garment_words

        try:
            return garment_words(self._pictures(file, choice, number).image, category=category).caption
        except PreparationError:
            return DEFAULT_CAPTION


def _file(path: Path) -> _File:
    return _File(digest(path), path)


def _spot(pose: Pose, size: tuple[int, int]) -> Spot:
    """The middle of the shoulders; of all that is known, where no shoulder is."""
    shoulders = pose.known(SHOULDERS)
    x, y = (shoulders if len(shoulders) else pose.points[pose.visibility > 0]).mean(0)
    width, height = size
    return Spot(float(np.clip(x / width, 0.04, 0.96)), float(np.clip(y / height, 0.04, 0.96)))
