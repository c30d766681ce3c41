"""One studio sample: a person, a garment, the truth about both, and the same person in another garment."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from idmvton.data.synthetic import dressing, scene, wardrobe
from idmvton.data.synthetic.bodies import Body, load_anatomy, sample_body, shape_body
from idmvton.data.synthetic.people import Look, sample_look
from idmvton.data.synthetic.poses import PRODUCT_POSE, sample_pose, solve
from idmvton.data.synthetic.renderer import Frame, Item, Renderer, View, orthographic
from idmvton.data.synthetic.shells import PosedBody, pose_body
from idmvton.errors import InputError
from idmvton.prepare.densepose import part_colours
from idmvton.prepare.mask import agnostic_mask

Floats = NDArray[np.floating[Any]]
Bytes = NDArray[np.uint8]
Category = wardrobe.Category
Split = Literal["train", "test", "wild"]
CategoryChoice = Literal["upper_body", "lower_body", "dresses", "mixed"]

SPLITS: Final[dict[str, int]] = {"train": 0, "test": 1, "wild": 2}
CATEGORIES: Final[tuple[Category, ...]] = ("upper_body", "lower_body", "dresses")
SUPERSAMPLING: Final = 1.5
_DIFFERENT: Final = 24  # grey levels by which two pictures differ by more than noise
_OVERFLOW: Final = 0.015  # share of the other garment that may lie outside the mask; it is cut off there


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


@functools.lru_cache(maxsize=1)
def renderer() -> Renderer:
    """The renderer of this process."""
    return Renderer()


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
    category: CategoryChoice = "mixed",
    size: tuple[int, int] = (512, 384),
) -> StudioSample:
    """Makes one sample; equal arguments give equal bytes on the same machine.

    Args:
        seed: the data set's seed. Train, test and wild draw from disjoint streams of it.
        index: the number of the sample.
        split: ``train``, ``test`` (garments that never occur in train) or ``wild`` (free poses and places).
        category: part of the body, or ``mixed``.
        size: (height, width), divisible by 8.

    Raises:
        InputError: a split, category, size or index that cannot be used.
        ConfigError: no renderer.
    """
    check_request(index, split, category, size)
    rng = _stream(seed, split, index, "person")
    kind = CATEGORIES[index % 3] if category == "mixed" else category
    body, posed, look = _person(rng, kind, wild=split == "wild")
    place = scene.sample_scene(rng, posed, kind, wild=split == "wild")
    target = wardrobe.sample_garment(_stream(seed, split, index, "garment"), kind, female=body.female)
    companion = _companion(rng, kind, body.female)
    outfit = _outfit(target, companion, rng)
    frame = _photograph(posed, look, outfit, place, size)
    labels = np.ascontiguousarray(frame.truth[..., 0])
    points = scene.keypoints(posed, place.view, size)
    mask = agnostic_mask(labels, points, kind, arm_width=60 if place.crop == "half" else 45)
    other, unpaired, over = _another(
        _stream(seed, split, index, "other garment"), posed, look, outfit, place, frame, mask, size
    )
    person = place.lens.apply(frame.picture)
    repainted = mask > 0
    iuv = _body_map(posed, place, size)
    worn = _worn(target, companion, kind, _stream(seed, split, index, "worn"), size, wild=split == "wild")
    words = {"crop": place.crop, "place": place.place, "hair": look.hair, "female": body.female, "overflow": over}
    return StudioSample(
        person=person,
        garment_worn=worn,
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
        **_about(target, "", _product(target, size, _stream(seed, split, index, "product"))),
        **_about(other, "other_", _product(other, size, _stream(seed, split, index, "other product"))),
        tags=target.tags(),
    )


def _about(garment: wardrobe.Garment, prefix: str, product: tuple[Bytes, Bytes]) -> dict[str, Any]:
    """The fields that say what one of the two garments is."""
    return {
        f"{prefix}garment": product[0],
        f"{prefix}garment_mask": product[1],
        f"{prefix}attributes": garment.attributes(),
        f"{prefix}caption": garment.caption(),
        f"{prefix}naive_caption": garment.caption(detailed=False),
    }


def _stream(seed: int, split: str, index: int, purpose: str) -> np.random.Generator:
    """An independent random state for each seed, split, sample and purpose."""
    words = [seed & 0xFFFFFFFF, (seed >> 32) & 0xFFFFFFFF, SPLITS[split], index]
    return np.random.default_rng([*words, *purpose.encode()])


def _person(rng: np.random.Generator, category: Category, *, wild: bool) -> tuple[Body, PosedBody, Look]:
    body = sample_body(rng)
    while category == "dresses" and not body.female:
        body = sample_body(rng)
    pose = sample_pose(rng, wild=wild)
    return body, pose_body(body, solve(body, pose)), sample_look(rng, body)


def _companion(rng: np.random.Generator, category: Category, female: bool) -> wardrobe.Garment | None:
    """What is worn besides the garment in question."""
    if category == "dresses":
        return None
    part: Category = "lower_body" if category == "upper_body" else "upper_body"
    garment = wardrobe.sample_garment(rng, part, female=female)
    while garment.opening > 0:
        garment = wardrobe.sample_garment(rng, part, female=female)
    return garment


def _outfit(target: wardrobe.Garment, companion: wardrobe.Garment | None, rng: np.random.Generator) -> dressing.Outfit:
    inner = wardrobe.make_garment(rng, "t-shirt", calm=True) if target.opening > 0 else None
    if target.category == "lower_body":
        assert companion is not None
        return dressing.Outfit(companion, target, None, target)
    return dressing.Outfit(target, companion, inner, target)


def _photograph(
    posed: PosedBody, look: Look, outfit: dressing.Outfit, place: scene.Scene, size: tuple[int, int]
) -> Frame:
    items = dressing.dress(posed, look, outfit, _cell(place, size))
    items += [scene.ground_item()] if place.ground else []
    return _shoot(items, place.view, size, place.backdrop)


def _shoot(items: list[Item], view: View, size: tuple[int, int], backdrop: Bytes, mode: int = 0) -> Frame:
    """Renders supersampled and reduces: colours by area, labels by the middle sample."""
    large = (round(size[0] * SUPERSAMPLING), round(size[1] * SUPERSAMPLING))
    frame = renderer().render(items, view, large, backdrop, mode=mode)
    picture = cv2.resize(frame.picture, (size[1], size[0]), interpolation=cv2.INTER_AREA)
    row, column = (((np.arange(count) + 0.5) * SUPERSAMPLING).astype(int) for count in size)
    return Frame(picture, frame.truth[row[:, None], column[None]])


def _another(
    rng: np.random.Generator, posed: PosedBody, look: Look, outfit: dressing.Outfit, place: scene.Scene,
    frame: Frame, mask: Bytes, size: tuple[int, int],
) -> tuple[wardrobe.Garment, Frame, float]:  # fmt: skip
    """Another garment on the same person, whose outline the mask covers; the last try changes the fabric only."""
    for attempt in range(3):
        if attempt < 2:
            other = wardrobe.sample_within(rng, outfit.target, female=posed.body.female)
        else:
            other = wardrobe.recolour(outfit.target, rng)
        if outfit.target.category == "lower_body":
            changed = dressing.Outfit(outfit.top, other, None, other)
        else:
            inner = outfit.inner
            if other.opening > 0 and inner is None:
                inner = wardrobe.make_garment(rng, "t-shirt", calm=True)
            changed = dressing.Outfit(other, outfit.bottom, inner if other.opening > 0 else None, other)
        picture = _photograph(posed, look, changed, place, size)
        over = overflow(frame.truth, picture.truth, mask)
        if over <= _OVERFLOW:
            break
    return other, picture, over


def overflow(first: Bytes, second: Bytes, mask: Bytes) -> float:
    """The pixels outside the mask whose label the other garment changes, as a share of that garment."""
    changed = (first[..., 0] != second[..., 0]) & (mask == 0)
    return float(changed.sum() / max(int((second[..., 1] > 0).sum()), 1))


def covered_share(first: Bytes, second: Bytes, mask: Bytes) -> float:
    """The share of the visibly different pixels that lies inside the mask."""
    different = np.abs(first.astype(np.int16) - second).max(2) > _DIFFERENT
    count = int(different.sum())
    return 1.0 if count == 0 else float((different & (mask > 0)).sum() / count)


def _body_map(posed: PosedBody, place: scene.Scene, size: tuple[int, int]) -> Bytes:
    mesh = dressing.skin_mesh(posed, [], _cell(place, size))
    return np.ascontiguousarray(renderer().body_map(mesh, place.view, size)[..., :3])


def _cell(place: scene.Scene, size: tuple[int, int]) -> float:
    """Details that a rendering of this size cannot show, in metres."""
    pixel = place.height / (size[0] * SUPERSAMPLING)
    return next((cell for cell in (0.006, 0.004, 0.0025) if 1.6 * pixel >= cell), 0.0)


@functools.lru_cache(maxsize=2)
def mannequin(female: bool) -> PosedBody:
    """The body that product pictures are worn by and do not show."""
    anatomy = load_anatomy()
    same = (anatomy.gender > 0.5) == female
    coefficients = anatomy.cast[same].mean(0)
    body = shape_body(coefficients, female=female, age=0.7, weight=0.5)
    return pose_body(body, solve(body, PRODUCT_POSE))


def product_view(posed: PosedBody, items: list[Item]) -> View:
    """A camera from the front that frames the garment."""
    extent = np.concatenate([item.mesh.vertices[np.unique(item.mesh.faces)] for item in items])
    keep = np.concatenate([_visible(item) for item in items])
    extent = extent[keep]
    low, high = extent.min(0), extent.max(0)
    target = (low + high) / 2
    half = max((high[2] - low[2]) / 2, (high[0] - low[0]) / 2 / 0.75) * 1.12
    eye = target + np.array([0.0, -4.0, 0.25 * half])
    key = np.array([-0.35, -0.8, 0.75])
    key /= np.linalg.norm(key)
    uniforms: dict[str, Any] = {
        "eye": tuple(eye.tolist()),
        "key_direction": tuple(key.tolist()),
        "key_colour": (0.85, 0.85, 0.85),
        "fill_direction": (0.6, -0.75, 0.2),
        "fill_colour": (0.35, 0.35, 0.36),
        "rim_direction": (0.0, 0.8, 0.6),
        "rim_colour": (0.1, 0.1, 0.1),
        "sky_colour": (0.50, 0.50, 0.51),
        "ground_colour": (0.34, 0.34, 0.34),
        "shadow_softness": 8.0,
        "shadow_depth": 0.0,
    }
    span = half * 1.3
    return View(
        orthographic(eye, target, half * 0.75, half),
        orthographic(target + key * 3, target, span, span),
        uniforms,
    )


def _visible(item: Item) -> NDArray[np.bool_]:
    """Which vertices of an item its cut leaves, roughly; for framing only."""
    where = item.mesh.where[np.unique(item.mesh.faces)]
    cut = item.uniforms["garment"]
    kind = int(cut[2][0])
    if kind == 1:
        sleeve = np.where(where[:, 3] > 0, where[:, 4] < max(float(cut[0][3]), 0.0), where[:, 2] > cut[0][0])
        return np.asarray(sleeve & (where[:, 2] < 0.78))
    if kind == 2:
        return np.asarray((where[:, 2] < cut[0][1]) & (where[:, 8] < cut[0][2]) & (where[:, 3] < 0))
    return np.ones(len(where), bool)


def _product(garment: wardrobe.Garment, size: tuple[int, int], rng: np.random.Generator) -> tuple[Bytes, Bytes]:
    """The garment alone on white or light grey with a soft shadow, and its mask."""
    posed = mannequin(garment.kind in ("skirt", "dress") or rng.random() < 0.5)
    items = dressing.garment_alone(posed, garment, 0.006 if size[0] <= 320 else 0.0)
    shade = int(rng.integers(238, 256)) if rng.random() < 0.5 else 255
    frame = _shoot(items, product_view(posed, items), size, np.full((2, 2, 3), shade, np.uint8))
    inside = frame.truth[..., 0] > 0
    mask = np.where(inside, np.uint8(255), np.uint8(0))
    sigma = size[0] / 60
    soft = cv2.GaussianBlur(inside.astype(np.float32), (0, 0), sigma)
    soft = np.roll(soft, (int(sigma * 0.8), int(sigma * 0.3)), (0, 1)) * (1 - inside)
    picture = frame.picture * (1 - 0.22 * soft[..., None])
    return picture.round().astype(np.uint8), mask


def _worn(
    garment: wardrobe.Garment, companion: wardrobe.Garment | None, category: Category, rng: np.random.Generator,
    size: tuple[int, int], *, wild: bool,
) -> Bytes:  # fmt: skip
    """The garment on somebody else, somewhere else."""
    body, posed, look = _person(rng, category if garment.kind != "skirt" else "dresses", wild=wild)
    place = scene.sample_scene(rng, posed, category, wild=wild)
    other = _companion(rng, category, body.female) if companion is not None else None
    frame = _photograph(posed, look, _outfit(garment, other, rng), place, size)
    return place.lens.apply(frame.picture)
