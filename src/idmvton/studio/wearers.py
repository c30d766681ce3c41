"""One garment on several people, with exact truth: how well it is known from one of them shows on the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from idmvton.images.densepose import part_colours
from idmvton.prepare.mask import agnostic_mask
from idmvton.studio import scene, wardrobe
from idmvton.studio.products import Product, garment_flow, photograph_product
from idmvton.studio.sampling import (
    Sitting,
    Split,
    check_request,
    draw_body_map,
    draw_companion,
    draw_person,
    outfit_with,
    overflow,
    sit_for,
    stream,
)
from idmvton.types import Category, Size

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]
_SIZE: Final = Size(512, 384)
_TRIES: Final = 4  # old garments that are tried: the new one should stay within their mask
_DRAWS: Final = 12  # people that are drawn until one is of the garment's sex


@dataclass(frozen=True, slots=True)
class Wearer:
    """Somebody in an old garment, and the same in the garment that all wear.

    Attributes:
        old: uint8 (H, W, 3), in the old garment.
        new: uint8 (H, W, 3), in the other one: same pose, light and camera, the same picture outside the mask.
        mask: uint8 (H, W), 255 is repainted, by the rules, for the old garment.
        labels: uint8 (H, W), ATR classes of ``old``; ``new_labels``: of ``new``.
        densepose: uint8 (H, W, 3), body parts in the published colours.
        flow: float32 (H, W, 2), where the product picture shows what a pixel of ``new`` shows of the garment, as
            :class:`idmvton.studio.sampling.StudioSample` has it.
        overflow: how much of the new garment was cut off because it lies outside the mask, as a share of it.
    """

    old: Bytes
    new: Bytes
    mask: Bytes
    labels: Bytes
    new_labels: Bytes
    densepose: Bytes
    flow: Floats
    overflow: float


@dataclass(frozen=True, slots=True)
class Worn:
    """A garment and who wears it.

    Attributes:
        garment: uint8 (H, W, 3), the product picture.
        caption: what it is.
        attributes: every choice about it.
        category: what it dresses.
        wearers: different people.
    """

    garment: Bytes
    caption: str
    attributes: dict[str, Any]
    category: Category
    wearers: list[Wearer]


def draw_garment(seed: int, index: int, split: Split, category: Category) -> wardrobe.Clothing:
    """The garment alone; nothing is rendered."""
    rng = stream(seed, split, index, "garment of many")
    return wardrobe.sample_garment(rng, category, female=bool(rng.random() < 0.5) or category == "dresses")


def many_in_one(
    seed: int,
    index: int,
    count: int,
    split: Split = "wild",
    category: Category = "upper_body",
    size: Size = _SIZE,
) -> Worn:
    """Photographs several people in one garment; equal arguments give equal bytes on the same machine.

    Args:
        seed, split, category: as :func:`idmvton.studio.sampling.sample` has them.
        index: which garment.
        count: people.
        size: (height, width), divisible by 8.

    Raises:
        InputError: a split, category, size or index that cannot be used.
        ConfigError: no renderer.
    """
    check_request(index, split, category, size)
    garment = draw_garment(seed, index, split, category)
    rng = stream(seed, split, index, "garment of many")
    female = bool(rng.random() < 0.5) or category == "dresses"
    product = photograph_product(garment, size, stream(seed, split, index, "product of many"), depth=True)
    wearers = [
        _photograph(stream(seed, split, index, f"wearer {number}"), product, female, split, size)
        for number in range(count)
    ]
    return Worn(product.picture, garment.caption(), garment.attributes(), category, wearers)


def _photograph(rng: np.random.Generator, product: Product, female: bool, split: Split, size: Size) -> Wearer:
    garment = product.garment
    crop = scene.sample_crop(rng, garment.category)
    for _ in range(_DRAWS):
        body, posed, look = draw_person(rng, garment.category, crop, size, wild=split == "wild")
        if body.female == female:
            break
    place = scene.sample_scene(rng, posed, crop, wild=split == "wild")
    companion = draw_companion(rng, garment.category, body.female)
    sitting = sit_for(posed, look, place, size)
    items, new = sitting.shoot(outfit_with(garment, companion, rng))
    points = scene.keypoints(posed, place.view, size)
    over, old, mask = min(
        (_old_garment(rng, sitting, garment, companion, new.truth, points) for _ in range(_TRIES)),
        key=lambda tried: tried[0],
    )
    person, repainted = place.lens.apply(old.picture), mask > 0
    iuv = draw_body_map(posed, place, size)
    return Wearer(
        old=person,
        new=np.where(repainted[..., None], place.lens.apply(new.picture), person),
        mask=mask,
        labels=np.ascontiguousarray(old.truth[..., 0]),
        new_labels=np.where(repainted, new.truth[..., 0], old.truth[..., 0]),
        densepose=part_colours()[iuv[..., 0]],
        flow=garment_flow(items, posed.body.anatomy, place.view, product, size),
        overflow=over,
    )


def _old_garment(
    rng: np.random.Generator,
    sitting: Sitting,
    garment: wardrobe.Clothing,
    companion: wardrobe.Clothing | None,
    new: Bytes,
    points: NDArray[np.floating[Any]],
) -> tuple[float, Any, Bytes]:
    """An old garment: how much of the new one lies outside its mask, its picture, and the mask."""
    worn = wardrobe.sample_garment(rng, garment.category, female=sitting.posed.body.female)
    _, frame = sitting.shoot(outfit_with(worn, companion, rng))
    width = 60 if sitting.place.crop == "half" else 45
    labels = np.ascontiguousarray(frame.truth[..., 0])
    mask = np.asarray(agnostic_mask(labels, points, garment.category, arm_width=width))
    return overflow(frame.truth, new, mask), frame, mask
