"""Photos, or what was prepared before -> a person and a garment as the pipeline takes them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from idmvton.errors import ConfigError, InputError
from idmvton.images import ImageInput, load_image
from idmvton.options import PrepareOptions, describe
from idmvton.prepare.category import mismatch_notes
from idmvton.prepare.exposure import match_scene
from idmvton.prepare.garment import GarmentPicture
from idmvton.prepare.maps import Given
from idmvton.prepare.person_maps import PersonMaps
from idmvton.prepare.preparer import Preparer
from idmvton.prepare.record import Prepared, read_prepared
from idmvton.types import Category

USEFUL = ("backend", "garment_number")
"""Ends of the names of options that do something for a prepared person, too: they read the garment."""


@dataclass(frozen=True, slots=True, eq=False)
class Ready:
    """A person and a garment as the pipeline takes them.

    Attributes:
        person: prepared, or a photo that has its maps beside it.
        garment: RGB, on white where it was prepared.
        category: what is exchanged, where that is known.
        notes: what preparation has to say, in words.
        mask, densepose: of a photo, of its size.
    """

    person: Prepared | ImageInput
    garment: Image.Image
    category: Category | None = None
    notes: tuple[str, ...] = ()
    mask: ImageInput | None = None
    densepose: ImageInput | None = None

    @property
    def prepared(self) -> Prepared | None:
        """The person, where preparation made it."""
        return self.person if isinstance(self.person, Prepared) else None

    def about(self) -> dict[str, Any]:
        """For the result: what preparation found, and how; nothing where there was none."""
        if self.prepared is None:
            return {}
        sources = dict(self.prepared.sources)
        return {"preparation": {"category": self.prepared.category, "sources": sources, "warnings": [*self.notes]}}


def make_ready(
    preparer: Preparer,
    person: ImageInput | Prepared,
    garment: ImageInput | None,
    given: Given,
    options: PrepareOptions,
) -> Ready:
    """Prepares what is not prepared yet.

    Args:
        preparer: with its backends.
        person: a photo, a prepared person, or the folder of one.
        garment: a photo; None takes the garment that was prepared with the person.
        given: maps of the photo. With a mask and a body map nothing is prepared, the garment neither.
        options: of the preparation.

    Raises:
        InputError: a picture or map that cannot be used, or no garment.
        ConfigError: maps or options that would do nothing.
        PreparationError: nobody usable in the photo, no garment in the garment's photo, nothing to repaint.
        WeightsError: a backend's weights are not on the disk.
    """
    if isinstance(person, str | os.PathLike) and Path(person).is_dir():
        return _with_prepared(preparer, read_prepared(person), garment, given, options, str(person))
    if isinstance(person, Prepared):
        return _with_prepared(preparer, person, garment, given, options, "the person")
    if garment is None:
        raise InputError("no garment was given", expected="idmvton try-on PERSON GARMENT -o OUT.png")
    if given.mask is not None and given.densepose is not None:
        if useless := [f"--{name}" for name in ("labels", "keypoints") if getattr(given, name) is not None]:
            raise ConfigError(
                "maps are given that nothing reads",
                got=", ".join(useless),
                expected="with --mask and --densepose no other map is needed",
            )
        _refuse_set(options, "--mask and --densepose are given: nothing is prepared")
        picture = load_image(garment, what="garment")
        return Ready(person, picture, mask=given.mask, densepose=given.densepose)
    prepared = preparer(person, garment, given=given, options=options)
    assert prepared.garment is not None
    return Ready(prepared, prepared.garment, prepared.category, prepared.warnings)


def _with_prepared(
    preparer: Preparer,
    prepared: Prepared,
    garment: ImageInput | None,
    given: Given,
    options: PrepareOptions,
    where: str,
) -> Ready:
    """A prepared person, with the garment of then or another one."""
    names = ("mask", "densepose", "labels", "keypoints")
    if maps := [f"--{name}" for name in names if getattr(given, name) is not None]:
        raise ConfigError(
            "maps are given beside a prepared folder",
            got=", ".join(maps),
            expected="the folder alone",
            fix=f"change mask.png in {where}",
        )
    _refuse_set(options, f"{where} is prepared already", useful=USEFUL)
    if garment is None and prepared.garment is None:
        raise InputError("no garment was given", got=f"{where}, which holds none", expected="a garment's photo")
    picture = None
    if garment is not None:
        picture = preparer.read_garment(garment, category=prepared.category, number=options.garment_number)
    return with_prepared(prepared, picture)


def with_prepared(prepared: Prepared, picture: GarmentPicture | None) -> Ready:
    """A prepared person, with another garment, or with the one that it was prepared with."""
    if picture is None:
        assert prepared.garment is not None
        return Ready(prepared, prepared.garment, prepared.category, prepared.warnings)
    lit: Image.Image = picture.image
    about: tuple[str, ...] = ()
    if not prepared.options.as_published:
        lit, about = match_scene(picture.image, picture.mask, np.asarray(prepared.person))
    notes = picture.warnings + mismatch_notes(prepared.category, picture.category) + about
    return Ready(prepared, lit, picture.category, (*prepared.warnings, *notes))


def joined(preparer: Preparer, maps: PersonMaps, picture: GarmentPicture, options: PrepareOptions) -> Ready:
    """A person who was read, with a garment that was read: both serve other pairs too.

    Raises:
        PreparationError: nothing to repaint.
    """
    prepared = preparer.join(maps, picture, options)
    return Ready(prepared, prepared.garment or picture.image, prepared.category, prepared.warnings)


def changed_options(options: PrepareOptions, useful: tuple[str, ...] = ()) -> list[str]:
    """The flags of options that are not at their defaults, but those whose names end in one of ``useful``."""
    return [
        f"--{each.flag}"
        for each in describe(PrepareOptions)
        if getattr(options, each.name) != each.default and not each.name.endswith(useful)
    ]


def _refuse_set(options: PrepareOptions, why: str, useful: tuple[str, ...] = ()) -> None:
    """Makes sure that options which would do nothing are at their defaults.

    Args:
        options: as the user set them.
        why: what makes them useless.
        useful: ends of the names of options that do something all the same.

    Raises:
        ConfigError: an option is set.
    """
    if changed := changed_options(options, useful):
        raise ConfigError("options are set that would do nothing", got=", ".join(changed), fix=f"leave them out: {why}")
