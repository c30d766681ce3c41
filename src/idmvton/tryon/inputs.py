"""What a caller hands in -> checked people, garments and pairs."""

from __future__ import annotations

import dataclasses
import hashlib
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from idmvton.captions.templates import DEFAULT_CAPTION
from idmvton.errors import InputError
from idmvton.images import ImageInput, load_image, load_mask
from idmvton.images.framing import Framing
from idmvton.options import JobOptions, TryOnOptions, describe
from idmvton.prepare.mask_making import complete_labels
from idmvton.prepare.record import Prepared
from idmvton.types import Size

Pictures: TypeAlias = "ImageInput | Sequence[ImageInput]"
People: TypeAlias = "ImageInput | Prepared | Sequence[ImageInput | Prepared]"
Garments: TypeAlias = "ImageInput | Prepared | Sequence[ImageInput | Prepared]"
Seeds: TypeAlias = "int | Sequence[int] | NDArray[np.integer[Any]]"
Labels: TypeAlias = "NDArray[np.uint8] | Sequence[NDArray[np.uint8] | None]"
Generators: TypeAlias = "torch.Generator | Sequence[torch.Generator]"

LARGEST = 2048
"""Pixels: garments' photos are read at most this large."""
_CAPTION = next(option for option in describe(JobOptions) if option.name == "caption")
_SEED = next(option for option in describe(TryOnOptions) if option.name == "seed")


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """What a caller of the pipeline hands in: one or a list of each; one goes with all of the others.

    Attributes:
        person: photos, or prepared people, who bring their own maps.
        garment: pictures, or prepared people whose garment is meant; None takes what prepared people bring.
        mask, densepose: for each person, or one for all.
        caption: the phrase [V] for each garment, or one for all.
        seed: for each pair, or one for all; None draws one.
        generator: instead of seeds: one for each pair, or one from which all draw in turn.
        latents: float (pairs, C, h, w), the initial noise; None draws it.
        labels: for each person who is not prepared, what the photo shows, or one for all; uint8 (H, W) of its size.
    """

    person: People
    garment: Garments | None = None
    mask: Pictures | None = None
    densepose: Pictures | None = None
    caption: str | Sequence[str] | None = None
    seed: Seeds | None = None
    generator: Generators | None = None
    latents: torch.Tensor | None = None
    labels: Labels | None = None


@dataclass(frozen=True)
class Person:
    """A person at working size, and the way back to the photo.

    Attributes:
        photo: RGB, as it was handed in.
        photo_mask: bool (H, W) at the photo's size, True = repaint.
        framing: photo -> working size.
        image, densepose: RGB at working size.
        labels: uint8 (H, W) at the photo's size, what it shows (:data:`idmvton.prepare.mask.ATR_LABELS`), where known.
        mask: bool at working size.
    """

    photo: Image.Image
    photo_mask: NDArray[np.bool_]
    framing: Framing
    image: Image.Image
    mask: NDArray[np.bool_]
    densepose: Image.Image
    labels: NDArray[np.uint8] | None = None


@dataclass(frozen=True)
class Garment:
    """A garment at working size, its caption [V], and a key that equal garments share.

    Attributes:
        photo: RGB, as it was handed in, and ``framing`` from it to the working size.
    """

    image: Image.Image
    caption: str
    key: str
    photo: Image.Image
    framing: Framing


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
    def persons(self) -> list[Person]:
        """The person of each pair."""
        return [self.people[row] for row in self.person_rows]

    @property
    def distinct(self) -> list[tuple[int, int]]:
        """Person and garment of each pair that is not only another seed of one before."""
        return list(dict.fromkeys(zip(self.person_rows, self.garment_rows, strict=True)))

    @property
    def distinct_rows(self) -> list[int]:
        """For each pair, which of the distinct ones it is."""
        distinct = self.distinct
        return [distinct.index(pair) for pair in zip(self.person_rows, self.garment_rows, strict=True)]


def unpacked(request: Request) -> Request:
    """With generators made into lists, and the garments that prepared people bring where none is given.

    Raises:
        InputError: no garment at all.
    """
    lists: dict[str, Any] = {
        name: list(value) if isinstance(value, Iterator) else value
        for name in ("person", "garment", "mask", "densepose", "labels", "caption", "seed", "generator")
        if (value := getattr(request, name)) is not None
    }
    people = _as_list(lists.get("person"))
    if "garment" not in lists:
        own = [each.garment if isinstance(each, Prepared) else None for each in people]
        if not own or any(garment is None for garment in own):
            raise InputError(
                "no garment was given",
                got="people who bring none" if any(isinstance(each, Prepared) for each in people) else None,
                expected="garment=: a picture or a list of them, or people who were prepared with a garment",
            )
        lists["garment"] = own
    return dataclasses.replace(request, **lists)


def gather_pairs(request: Request, size: Size, mask_threshold: int | None = None) -> Pairs:
    """Checks and frames what a caller handed in; one of a kind is broadcast to all of the other.

    Args:
        request: what the caller handed in.
        size: the working size.
        mask_threshold: 1 to 255: values of grey masks from this on are repainted; None refuses grey masks.

    Raises:
        InputError: counts that do not match, or a picture that cannot be used.
        ConfigError: a seed out of range.
    """
    people = _gather_people(request, size, mask_threshold)
    garments = _gather_garments(request, size)
    drawn = random.SystemRandom().getrandbits(32)
    seeds = [_SEED.checked(each) for each in _as_list(drawn if request.seed is None else request.seed)]
    num_pairs = max(len(people), len(garments), len(seeds))
    for name, count in (("person", len(people)), ("garment", len(garments)), ("seed", len(seeds))):
        if count not in (1, num_pairs):
            raise InputError(
                f"{count} times {name} cannot be paired",
                got=f"{len(people)} people, {len(garments)} garments, {len(seeds)} seeds",
                expected="equal numbers, or one for all",
            )
    distinct = {each.key: each for each in garments}
    position = {key: index for index, key in enumerate(distinct)}
    pairs = range(num_pairs)
    return Pairs(
        people=people,
        garments=list(distinct.values()),
        person_rows=[pair if len(people) > 1 else 0 for pair in pairs],
        garment_rows=[position[garments[pair if len(garments) > 1 else 0].key] for pair in pairs],
        seeds=[seeds[pair if len(seeds) > 1 else 0] for pair in pairs],
    )


def _gather_people(request: Request, size: Size, mask_threshold: int | None) -> list[Person]:
    is_prepared = all(isinstance(each, Prepared) for each in _as_list(request.person))
    rows = _columns(
        {"person": request.person, "mask": request.mask, "densepose": request.densepose, "labels": request.labels},
        required=("person",) if is_prepared else ("person", "mask", "densepose"),
    )
    return [
        _frame_prepared(photo, mask, body_map, size, mask_threshold)
        if isinstance(photo, Prepared)
        else _with_labels(
            _frame_person(photo, mask, body_map, size, mask_threshold, _numbered("", index, len(rows))), labels
        )
        for index, (photo, mask, body_map, labels) in enumerate(rows)
    ]


def _gather_garments(request: Request, size: Size) -> list[Garment]:
    columns = {"garment": request.garment, "caption": request.caption or DEFAULT_CAPTION}
    rows = _columns(columns, required=("garment",))
    return [
        _frame_garment(picture, caption, size, _numbered("garment", index, len(rows)))
        for index, (picture, caption) in enumerate(rows)
    ]


def _frame_person(
    person: ImageInput, mask: ImageInput, densepose: ImageInput, size: Size, mask_threshold: int | None, number: str
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


def _with_labels(person: Person, labels: NDArray[np.uint8] | None) -> Person:
    if labels is not None and (labels.shape != person.photo_mask.shape or labels.dtype != np.uint8):
        raise InputError(
            "the label map does not fit the photo",
            got=f"{labels.dtype} {labels.shape}",
            expected=f"uint8 {person.photo_mask.shape}",
        )
    return dataclasses.replace(person, labels=labels)


def _frame_prepared(
    prepared: Prepared, mask: ImageInput | None, densepose: ImageInput | None, size: Size, mask_threshold: int | None
) -> Person:
    """A prepared person; a mask or body map given beside it, of the framed picture's size, goes before its own."""
    own = prepared.mask
    if mask is not None:
        own = load_mask(mask, size=prepared.size, threshold=mask_threshold)
    body_map = prepared.densepose if densepose is None else load_image(densepose, background=(0, 0, 0))
    inner = Framing.fit(prepared.size, size)
    labels = None  # what somebody drew is repainted as drawn: nothing in it is kept
    if mask is None and not prepared.has_own_mask:
        whole = complete_labels(prepared.labels, prepared.silhouette, prepared.category)
        labels = prepared.framing.invert_labels(whole)
    return Person(
        photo=prepared.photo,
        photo_mask=prepared.framing.invert_labels(own),
        framing=prepared.framing.then(inner),
        image=inner.apply(prepared.person, resample="photo", fill="edge"),
        mask=inner.apply_mask(own),
        densepose=inner.apply(body_map, resample="labels", fill=(0, 0, 0)),
        labels=labels,
    )


def _frame_garment(garment: ImageInput | Prepared, caption: str, size: Size, what: str) -> Garment:
    if isinstance(garment, Prepared):
        if garment.garment is None:
            raise InputError(f"the {what} is a person who was prepared without one", expected="a garment's picture")
        garment = garment.garment
    if not isinstance(caption, str):
        raise InputError("a caption must be a text", got=type(caption).__name__, expected="str")
    _CAPTION.checked(caption)
    photo = load_image(garment, what=what)
    photo.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
    framing = Framing.fit(Size(photo.height, photo.width), size)
    image = framing.apply(photo, resample="photo", fill=(255, 255, 255))
    content = hashlib.blake2b(np.asarray(image).tobytes(), digest_size=16)
    content.update(repr((image.size, caption)).encode())
    return Garment(image, caption, content.hexdigest(), photo, framing)


def _columns(columns: Mapping[str, object], required: Sequence[str]) -> list[tuple[Any, ...]]:
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


def _as_list(value: object) -> list[Any]:
    """One or many -> a list; of arrays, a row of numbers and a batch (four dimensions) count as many.

    Raises:
        InputError: a list in a list.
    """
    if isinstance(value, list | tuple | range):
        if nested := [each for each in value if isinstance(each, list | tuple | Iterator)]:
            raise InputError(
                "a list lies in a list", got=type(nested[0]).__name__, expected="one flat list, an entry a pair"
            )
        return list(value)
    if isinstance(value, np.ndarray | torch.Tensor) and value.ndim in (1, 4):
        return list(value)
    return [value]


def _numbered(what: str, index: int, count: int) -> str:
    return f"{what} {index}".rstrip() if count > 1 else what


def match_generators(request: Request, pairs: Pairs) -> torch.Generator | list[torch.Generator]:
    """A generator for each pair, or one from which all draw in turn.

    Args:
        request: what the caller handed in: seeds or generators.
        pairs: made of it.

    Raises:
        InputError: both a generator and a seed, or another number of generators.
    """
    if request.generator is None:
        return [torch.Generator("cpu").manual_seed(each) for each in pairs.seeds]
    if request.seed is not None:
        raise InputError("a seed and a generator were given", expected="one of them")
    generators = _as_list(request.generator)
    are_generators = all(isinstance(each, torch.Generator) for each in generators)
    if len(generators) not in (1, len(pairs.seeds)) or not are_generators:
        raise InputError(
            "the generators do not fit",
            got=f"{len(generators)} of type {', '.join(sorted({type(each).__name__ for each in generators}))}",
            expected=f"one torch.Generator, or {len(pairs.seeds)}: one for each pair",
        )
    return generators[0] if len(generators) == 1 else generators
