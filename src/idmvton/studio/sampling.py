"""One studio sample: a person, a garment, the truth about both, and the same person in another garment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from idmvton.errors import InputError
from idmvton.images.densepose import part_colours
from idmvton.prepare.mask import agnostic_mask
from idmvton.studio import dressing, scene, wardrobe
from idmvton.studio.bodies import Body, sample_body
from idmvton.studio.people import Look, sample_look
from idmvton.studio.poses import sample_pose, solve
from idmvton.studio.products import Product, garment_flow, photograph_product
from idmvton.studio.renderer import Frame, Item
from idmvton.studio.shells import PosedBody, pose_body
from idmvton.studio.shots import detail, renderer, shoot
from idmvton.types import Category, RenderedCategory

Floats = NDArray[np.floating[Any]]
Bytes = NDArray[np.uint8]
Split = Literal["train", "test", "wild"]

SPLITS: Final[dict[str, int]] = {"train": 0, "test": 1, "wild": 2}
CATEGORIES: Final[tuple[Category, ...]] = ("upper_body", "lower_body", "dresses")
TRIES: Final = 3  # other cuts that are tried before the same cut is taken in another fabric
_DIFFERENT: Final = 24  # grey levels by which two pictures differ by more than noise
MOST_OVERFLOW: Final = 0.015  # share of the other garment that may lie outside the mask; it is cut off there


@dataclass(frozen=True, slots=True)
class StudioSample:
    """A pair with everything that is known about it.

    Attributes:
        person: uint8 (H, W, 3), the person in the garment.
        garment: uint8 (H, W, 3), the product picture; ``garment_mask``: uint8 (H, W), 255 on the garment.
        garment_worn: uint8 (H, W, 3), the garment on another person.
        unpaired: uint8 (H, W, 3), the same person in the other garment: same pose, light and camera. Outside the
            mask it is the same picture: what little differs there (mixed edge pixels, soft shadow) is taken over.
        other_garment, other_garment_mask: the product picture of that one.
        mask: uint8 (H, W), 255 is repainted, from the exact labels by the project's rules.
        labels: uint8 (H, W), ATR classes (18: bare neck and trunk). ``unpaired_labels``: of ``unpaired``.
        densepose: uint8 (H, W, 3), parts in the published colours on black.
        iuv: uint8 (H, W, 3): part 0 to 24, U, V.
        keypoints: float (18, 2), pixels, OpenPose order, (0, 0) missing.
        category, split, seed, index: what was asked for.
        attributes, other_attributes: every choice about the garments; ``caption``, ``other_caption``: in words;
            ``naive_caption``, ``other_naive_caption``: the item alone; ``tags``: the published form.
        scene: crop, place and traits of the person; ``overflow``: how much of the other garment was cut off because
            it lies outside the mask, as a share of it.
        flow: float32 (H, W, 2), only when asked for: where ``garment`` shows the spot of fabric that a pixel of
            ``person`` shows, as (x, y) in pixels from the outer edge of the first; NaN where the garment is not
            seen, infinite where the product picture does not show that spot.
        unpaired_flow: the same for ``unpaired`` and ``other_garment``.
    """

    person: Bytes
    garment: Bytes
    garment_mask: Bytes
    garment_worn: Bytes
    unpaired: Bytes
    other_garment: Bytes
    other_garment_mask: Bytes
    mask: Bytes
    labels: Bytes
    unpaired_labels: Bytes
    densepose: Bytes
    iuv: Bytes
    keypoints: Floats
    category: Category
    split: Split
    seed: int
    index: int
    attributes: dict[str, Any]
    other_attributes: dict[str, Any]
    caption: str
    other_caption: str
    naive_caption: str
    other_naive_caption: str
    tags: str
    scene: dict[str, Any]
    flow: Floats | None = None
    unpaired_flow: Floats | None = None


def check_request(index: int, split: str, category: str, size: tuple[int, int]) -> None:
    """Raises :class:`InputError` for a request that cannot be met."""
    if split not in SPLITS:
        raise InputError("unknown split", got=repr(split), expected="one of " + ", ".join(SPLITS))
    if category not in (*CATEGORIES, "mixed"):
        raise InputError("unknown category", got=repr(category), expected=", ".join(CATEGORIES) + " or mixed")
    height, width = size
    if height % 8 or width % 8 or not (64 <= height <= 2048 and 48 <= width <= 2048):
        raise InputError(
            "the size cannot be used",
            got=f"{height}x{width}",
            expected="height x width, both divisible by 8, from 64x48 to 2048x2048",
        )
    if index < 0:
        raise InputError("a sample's index cannot be negative", got=index)


def sample(
    seed: int,
    index: int,
    split: Split = "train",
    category: RenderedCategory = "mixed",
    size: tuple[int, int] = (512, 384),
    *,
    flow: bool = False,
    worn: bool = True,
) -> StudioSample:
    """Makes one sample; equal arguments give equal bytes on the same machine.

    Args:
        seed: the data set's seed. Train, test and wild draw from disjoint streams of it.
        index: the number of the sample.
        split: ``train``, ``test`` (garments that never occur in train) or ``wild`` (free poses and places).
        category: part of the body, or ``mixed``.
        size: (height, width), divisible by 8.
        flow: whether to make ``flow`` and ``unpaired_flow``.
        worn: whether to make ``garment_worn``, which takes a fifth of the time; otherwise it is the product picture.

    Raises:
        InputError: a split, category, size or index that cannot be used.
        ConfigError: no renderer.
    """
    check_request(index, split, category, size)
    rng = stream(seed, split, index, "person")
    kind = CATEGORIES[index % 3] if category == "mixed" else category
    crop = scene.sample_crop(rng, kind)
    body, posed, look = draw_person(rng, kind, crop, size, wild=split == "wild")
    place = scene.sample_scene(rng, posed, crop, wild=split == "wild")
    target = wardrobe.sample_garment(stream(seed, split, index, "garment"), kind, female=body.female)
    companion = draw_companion(rng, kind, body.female)
    outfit = outfit_with(target, companion, rng)
    sitting = sit_for(posed, look, place, size)
    items, frame = sitting.shoot(outfit)
    labels = np.ascontiguousarray(frame.truth[..., 0])
    points = scene.keypoints(posed, place.view, size)
    mask = agnostic_mask(labels, points, kind, arm_width=60 if place.crop == "half" else 45)
    rng = stream(seed, split, index, "other garment")
    other, others, unpaired, over = _another(rng, sitting, outfit, frame, mask)
    person = place.lens.apply(frame.picture)
    repainted = mask > 0
    iuv = draw_body_map(posed, place, size)
    product = photograph_product(target, size, stream(seed, split, index, "product"), depth=flow)
    other_product = photograph_product(other, size, stream(seed, split, index, "other product"), depth=flow)
    own_flow = crossed_flow = None
    if flow:
        own_flow = garment_flow(items, posed.body.anatomy, place.view, product, size)
        crossed_flow = garment_flow(others, posed.body.anatomy, place.view, other_product, size)
        crossed_flow[~repainted] = np.nan
    elsewhere = product.picture
    if worn:
        elsewhere = _worn(target, companion, kind, stream(seed, split, index, "worn"), size, wild=split == "wild")
    words = {"crop": place.crop, "place": place.place, "hair": look.hair, "female": body.female, "overflow": over}
    return StudioSample(
        person=person,
        garment_worn=elsewhere,
        unpaired=np.where(repainted[..., None], place.lens.apply(unpaired.picture), person),
        mask=mask,
        labels=labels,
        unpaired_labels=np.where(repainted, unpaired.truth[..., 0], labels),
        densepose=part_colours()[iuv[..., 0]],
        iuv=iuv,
        keypoints=points,
        category=kind,
        split=split,
        seed=seed,
        index=index,
        scene=words,
        **_about(target, "", product),
        **_about(other, "other_", other_product),
        flow=own_flow,
        unpaired_flow=crossed_flow,
        tags=target.tags(),
    )


def _about(garment: wardrobe.Clothing, prefix: str, product: Product) -> dict[str, Any]:
    """The fields that say what one of the two garments is."""
    return {
        f"{prefix}garment": product.picture,
        f"{prefix}garment_mask": product.mask,
        f"{prefix}attributes": garment.attributes(),
        f"{prefix}caption": garment.caption(),
        f"{prefix}naive_caption": garment.caption(detailed=False),
    }


def stream(seed: int, split: str, index: int, purpose: str) -> np.random.Generator:
    """An independent random state for each seed, split, sample and purpose."""
    words = [seed & 0xFFFFFFFF, (seed >> 32) & 0xFFFFFFFF, SPLITS[split], index]
    return np.random.default_rng([*words, *purpose.encode()])


def draw_person(
    rng: np.random.Generator, category: Category, crop: str, size: tuple[int, int], *, wild: bool
) -> tuple[Body, PosedBody, Look]:
    """Somebody in a pose; ``wild``: a free one."""
    body = sample_body(rng, detail(crop, size), women=category == "dresses")
    pose = sample_pose(rng, wild=wild)
    return body, pose_body(body, solve(body, pose)), sample_look(rng, body)


def draw_companion(rng: np.random.Generator, category: Category, female: bool) -> wardrobe.Clothing | None:
    """What is worn besides the garment in question."""
    if category == "dresses":
        return None
    part: Category = "lower_body" if category == "upper_body" else "upper_body"
    garment = wardrobe.sample_garment(rng, part, female=female)
    while garment.opening > 0:
        garment = wardrobe.sample_garment(rng, part, female=female)
    return garment


def outfit_with(
    target: wardrobe.Clothing, companion: wardrobe.Clothing | None, rng: np.random.Generator
) -> dressing.Outfit:
    """A garment with what is worn besides it; under an open one, a top."""
    inner = wardrobe.sample_inner(rng) if target.opening > 0 else None
    if target.category == "lower_body":
        assert companion is not None
        return dressing.Outfit(companion, target, None, target)
    return dressing.Outfit(target, companion, inner, target)


@dataclass(frozen=True, slots=True)
class Sitting:
    """A person in front of a camera, to be photographed in several outfits; ``kept``: what stays on."""

    posed: PosedBody
    look: Look
    place: scene.Scene
    kept: list[Item]
    size: tuple[int, int]

    def shoot(self, outfit: dressing.Outfit) -> tuple[list[Item], Frame]:
        """Photographs the person in an outfit: what is drawn, and the picture."""
        items = dressing.dress(self.posed, self.look, outfit, self.kept)
        return items, shoot(items, self.place.view, self.size, self.place.backdrop)


def sit_for(posed: PosedBody, look: Look, place: scene.Scene, size: tuple[int, int]) -> Sitting:
    """A person in a place, ready to be photographed."""
    ground = [scene.ground_item()] if place.ground else []
    return Sitting(posed, look, place, dressing.belongings(posed, look) + ground, size)


def _another(
    rng: np.random.Generator, sitting: Sitting, outfit: dressing.Outfit, frame: Frame, mask: Bytes
) -> tuple[wardrobe.Clothing, list[Item], Frame, float]:
    """Another garment on the same person, whose outline the mask covers; the last try changes the fabric only."""
    for attempt in range(TRIES + 1):
        if attempt < TRIES:
            other = wardrobe.sample_within(rng, outfit.target, female=sitting.posed.body.female)
        else:
            other = wardrobe.recolour(outfit.target, rng)
        if outfit.target.category == "lower_body":
            changed = dressing.Outfit(outfit.top, other, None, other)
        else:
            inner = outfit.inner
            if other.opening > 0 and inner is None:
                inner = wardrobe.sample_inner(rng)
            changed = dressing.Outfit(other, outfit.bottom, inner if other.opening > 0 else None, other)
        items, picture = sitting.shoot(changed)
        over = overflow(frame.truth, picture.truth, mask)
        if over <= MOST_OVERFLOW:
            break
    return other, items, picture, over


def overflow(first: Bytes, second: Bytes, mask: Bytes) -> float:
    """The pixels outside the mask whose label the other garment changes, as a share of that garment."""
    changed = (first[..., 0] != second[..., 0]) & (mask == 0)
    return float(changed.sum() / max(int((second[..., 1] > 0).sum()), 1))


def covered_share(first: Bytes, second: Bytes, mask: Bytes) -> float:
    """The share of the visibly different pixels that lies inside the mask."""
    different = np.abs(first.astype(np.int16) - second).max(2) > _DIFFERENT
    count = int(different.sum())
    return 1.0 if count == 0 else float((different & (mask > 0)).sum() / count)


def draw_body_map(posed: PosedBody, place: scene.Scene, size: tuple[int, int]) -> Bytes:
    """The body map: uint8 (H, W, 3), part 0 to 24, U, V."""
    mesh = dressing.skin_mesh(posed, [])
    return np.ascontiguousarray(renderer().body_map(mesh, place.view, size)[..., :3])


def _worn(
    garment: wardrobe.Clothing, companion: wardrobe.Clothing | None, category: Category, rng: np.random.Generator,
    size: tuple[int, int], *, wild: bool,
) -> Bytes:  # fmt: skip
    """The garment on somebody else, somewhere else."""
    crop = scene.sample_crop(rng, category)
    body, posed, look = draw_person(rng, category if garment.kind != "skirt" else "dresses", crop, size, wild=wild)
    place = scene.sample_scene(rng, posed, crop, wild=wild)
    other = draw_companion(rng, category, body.female) if companion is not None else None
    _, frame = sit_for(posed, look, place, size).shoot(outfit_with(garment, other, rng))
    return place.lens.apply(frame.picture)
