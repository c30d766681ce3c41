"""What a caller hands in -> checked people, garments and pairs."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image

from idmvton.captions.templates import DEFAULT_CAPTION
from idmvton.errors import InputError
from idmvton.images import load_image, load_mask
from idmvton.images.framing import Framing
from idmvton.options import TryOnOptions, describe
from idmvton.prepare.record import Prepared
from idmvton.types import Size

_SEED = next(option for option in describe(TryOnOptions) if option.name == "seed")


@dataclass(frozen=True)
class Person:
    """A person at working size, and the way back to the photo.

    Attributes:
        photo: RGB, as it was handed in.
        photo_mask: bool (H, W) at the photo's size, True = repaint.
        framing: photo -> working size.
        image, densepose: RGB at working size.
        mask: bool at working size.
    """

    photo: Image.Image
    photo_mask: np.ndarray
    framing: Framing
    image: Image.Image
    mask: np.ndarray
    densepose: Image.Image


@dataclass(frozen=True)
class Garment:
    """A garment at working size, its caption [V], and a key that equal garments share."""

    image: Image.Image
    caption: str
    key: str


@dataclass(frozen=True)
class Pairs:
    """P distinct people, G distinct garments, and B pairs of them.

    Attributes:
        person_rows, garment_rows: for each pair, which person wears which garment.
        seeds: for each pair.
    """

    people: list[Person]
    garments: list[Garment]
    person_rows: list[int]
    garment_rows: list[int]
    seeds: list[int]

    @property
    def distinct(self) -> list[tuple[int, int]]:
        """Person and garment of each pair that is not only another seed of one before."""
        return list(dict.fromkeys(zip(self.person_rows, self.garment_rows, strict=True)))

    @property
    def distinct_rows(self) -> list[int]:
        """For each pair, which of the distinct ones it is."""
        distinct = self.distinct
        return [distinct.index(pair) for pair in zip(self.person_rows, self.garment_rows, strict=True)]


def gather_pairs(
    person: Any,
    garment: Any,
    mask: Any,
    densepose: Any,
    caption: Any,
    seed: Any,
    size: Size,
    options: TryOnOptions,
) -> Pairs:
    """Checks and frames what a caller handed in; one of a kind is broadcast to all of the other.

    Args:
        person, mask, densepose: one or a list of each; a mask and a body map for each person, or one for all. A
            prepared person brings its own.
        garment, caption: one or a list of each; a caption for each garment, or one for all.
        seed: one for all pairs, or a list; None draws one.
        size: the working size.
        options: of these, ``mask_threshold`` is used.

    Raises:
        InputError: counts that do not match, or a picture that cannot be used.
        ConfigError: a seed out of range.
    """
    is_prepared = all(isinstance(each, Prepared) for each in _as_list(person))
    needed = ("person",) if is_prepared else ("person", "mask", "densepose")
    persons = _columns({"person": person, "mask": mask, "densepose": densepose}, required=needed)
    garments = _columns({"garment": garment, "caption": caption or DEFAULT_CAPTION}, required=("garment",))
    drawn = random.SystemRandom().getrandbits(32)
    seeds = [_SEED.checked(each) for each in _as_list(drawn if seed is None else seed)]
    num_pairs = max(len(persons), len(garments), len(seeds))
    for name, values in (("person", persons), ("garment", garments), ("seed", seeds)):
        if len(values) not in (1, num_pairs):
            raise InputError(
                f"{len(values)} times {name} cannot be paired",
                got=f"{len(persons)} people, {len(garments)} garments, {len(seeds)} seeds",
                expected="equal numbers, or one for all",
            )
    people = [
        _frame_prepared(photo, photo_mask, body_map, size, options.mask_threshold)
        if isinstance(photo, Prepared)
        else _frame_person(
            photo, photo_mask, body_map, size, options.mask_threshold, _numbered("", index, len(persons))
        )
        for index, (photo, photo_mask, body_map) in enumerate(persons)
    ]
    dressed = [
        _frame_garment(picture, phrase, size, _numbered("garment", index, len(garments)))
        for index, (picture, phrase) in enumerate(garments)
    ]
    distinct = {each.key: each for each in dressed}
    position = {key: index for index, key in enumerate(distinct)}
    pairs = range(num_pairs)
    return Pairs(
        people=people,
        garments=list(distinct.values()),
        person_rows=[pair if len(people) > 1 else 0 for pair in pairs],
        garment_rows=[position[dressed[pair if len(dressed) > 1 else 0].key] for pair in pairs],
        seeds=[seeds[pair if len(seeds) > 1 else 0] for pair in pairs],
    )


def _frame_person(
    person: Any, mask: Any, densepose: Any, size: Size, mask_threshold: int | None, number: str
) -> Person:
    photo = load_image(person, what=f"person{number}")
    photo_size = Size(photo.height, photo.width)
    photo_mask = load_mask(mask, size=photo_size, threshold=mask_threshold, what=f"mask{number}")
    body_map = load_image(densepose, what=f"densepose{number}", background=(0, 0, 0))
    if body_map.size != photo.size:
        raise InputError(
            f"the densepose{number} is not of the photo's size",
            got=Size(body_map.height, body_map.width),
            expected=photo_size,
            fix="resize it with nearest neighbour, or make it from this photo",
        )
    framing = Framing.fit(photo_size, size)
    return Person(
        photo=photo,
        photo_mask=photo_mask,
        framing=framing,
        image=framing.apply(photo, resample="photo", fill="edge"),
        mask=framing.apply_mask(photo_mask),
        densepose=framing.apply(body_map, resample="labels", fill=(0, 0, 0)),
    )


def _frame_prepared(prepared: Prepared, mask: Any, densepose: Any, size: Size, mask_threshold: int | None) -> Person:
    """A prepared person; a mask or body map given beside it, of the framed picture's size, goes before its own."""
    own = prepared.mask
    if mask is not None:
        own = load_mask(mask, size=prepared.size, threshold=mask_threshold)
    body_map = prepared.densepose if densepose is None else load_image(densepose, background=(0, 0, 0))
    inner = Framing.fit(prepared.size, size)
    return Person(
        photo=prepared.photo,
        photo_mask=prepared.framing.invert_labels(own),
        framing=prepared.framing.then(inner),
        image=inner.apply(prepared.person, resample="photo", fill="edge"),
        mask=inner.apply_mask(own),
        densepose=inner.apply(body_map, resample="labels", fill=(0, 0, 0)),
    )


def _frame_garment(garment: Any, caption: str, size: Size, what: str) -> Garment:
    if not isinstance(caption, str):
        raise InputError("a caption must be a text", got=type(caption).__name__, expected="str")
    photo = load_image(garment, what=what)
    framing = Framing.fit(Size(photo.height, photo.width), size)
    image = framing.apply(photo, resample="photo", fill=(255, 255, 255))
    content = hashlib.blake2b(np.asarray(image).tobytes(), digest_size=16)
    content.update(repr((image.size, caption)).encode())
    return Garment(image, caption, content.hexdigest())


def _columns(columns: dict[str, Any], required: Sequence[str]) -> list[tuple[Any, ...]]:
    """Lists side by side -> rows; a column of one is broadcast."""
    lists = {name: _as_list(values) for name, values in columns.items()}
    for name in required:
        if columns[name] is None or not lists[name]:
            raise InputError(f"no {name} was given", expected=f"{name}=: a picture or a list of them")
    length = max(map(len, lists.values()))
    for name, values in lists.items():
        if len(values) not in (1, length):
            counts = ", ".join(f"{len(each)} {name}" for name, each in lists.items())
            raise InputError(f"{name} cannot be paired", got=counts, expected="equal numbers, or one for all")
    return [tuple(values[index if len(values) > 1 else 0] for values in lists.values()) for index in range(length)]


def _as_list(value: Any) -> list[Any]:
    """One or many -> a list; of arrays, a row of numbers and a batch (four dimensions) count as many."""
    if isinstance(value, list | tuple | range):
        return list(value)
    if isinstance(value, np.ndarray | torch.Tensor) and value.ndim in (1, 4):
        return list(value)
    return [value]


def _numbered(what: str, index: int, count: int) -> str:
    return f"{what} {index}".rstrip() if count > 1 else what


def match_generators(generator: Any, seed: Any, pairs: Pairs) -> torch.Generator | list[torch.Generator]:
    """A generator for each pair, or one from which all draw in turn.

    Args:
        generator: what the caller gave: None, one, or one for each pair.
        seed: what the caller gave beside it.
        pairs: with their seeds.

    Raises:
        InputError: both a generator and a seed, or another number of generators.
    """
    if generator is None:
        return [torch.Generator("cpu").manual_seed(each) for each in pairs.seeds]
    if seed is not None:
        raise InputError("a seed and a generator were given", expected="one of them")
    generators = _as_list(generator)
    are_generators = all(isinstance(each, torch.Generator) for each in generators)
    if len(generators) not in (1, len(pairs.seeds)) or not are_generators:
        raise InputError(
            "the generators do not fit",
            got=f"{len(generators)} of type {', '.join(sorted({type(each).__name__ for each in generators}))}",
            expected=f"one torch.Generator, or {len(pairs.seeds)}: one for each pair",
        )
    return generators[0] if len(generators) == 1 else generators
