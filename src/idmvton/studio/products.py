"""Product pictures: a garment alone, and where it shows what a photo shows."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from idmvton.studio import dressing
from idmvton.studio.bodies import Anatomy, shape_body
from idmvton.studio.camera import orthographic
from idmvton.studio.poses import product_pose, solve
from idmvton.studio.renderer import Item, View
from idmvton.studio.shells import PosedBody, pose_body
from idmvton.studio.shots import detail, rendered_size, renderer, shoot
from idmvton.studio.wardrobe import Clothing

Floats = NDArray[np.floating[Any]]
Bytes = NDArray[np.uint8]

PRODUCT_DEPTH: Final = 8.0  # metres between the near and the far plane of product pictures
SPREADS: Final = {30: 0.25, 10: 0.3, 18: 0.25, 45: 0.2}  # degrees between sleeves and trunk -> how often
_SAME_SPOT: Final = 0.012 / PRODUCT_DEPTH  # how far from what the product picture shows fabric counts as shown


@functools.lru_cache(maxsize=32)
def mannequin(female: bool, anatomy: Anatomy, spread: int) -> PosedBody:
    """The body that product pictures are worn by and do not show; see :func:`product_pose`."""
    same = (anatomy.gender > 0.5) == female
    coefficients = anatomy.cast[same].mean(0)
    body = shape_body(anatomy, coefficients, female=female, age=0.7, weight=0.5)
    return pose_body(body, solve(body, product_pose(spread)))


def product_view(posed: PosedBody, items: list[Item]) -> View:
    """A camera from the front that frames the garment."""
    extent = np.concatenate([item.mesh.vertices[_visible(item)] for item in items])
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
        orthographic(eye, target, half * 0.75, half, PRODUCT_DEPTH),
        orthographic(target + key * 3, target, span, span),
        uniforms,
        2 * half,
    )


def _visible(item: Item) -> NDArray[np.bool_]:
    """Which vertices of an item its cut leaves, roughly; for framing only."""
    where = item.mesh.where
    cut = item.uniforms["garment"]
    kind = int(cut[2][0])
    used = np.zeros(len(where), bool)
    used[item.mesh.faces] = True
    if kind == 1:
        sleeve = np.where(where[:, 3] > 0, where[:, 4] < max(float(cut[0][3]), 0.0), where[:, 2] > cut[0][0])
        return np.asarray(used & sleeve & (where[:, 2] < 0.78))
    if kind == 2:
        return np.asarray(used & (where[:, 2] < cut[0][1]) & (where[:, 8] < cut[0][2]) & (where[:, 3] < 0))
    return used


@dataclass(frozen=True, slots=True)
class Product:
    """A product picture.

    Attributes:
        garment: what it shows; ``female``, ``spread``: on which mannequin it was shaped.
        picture: uint8 (H, W, 3), on white or light grey with a soft shadow; ``mask``: uint8 (H, W).
        view: the camera; ``depth``: float (h, w) in [0, 1] along it, as rendered, or ``None``.
    """

    garment: Clothing
    female: bool
    spread: int
    picture: Bytes
    mask: Bytes
    view: View
    depth: Floats | None


def photograph_product(garment: Clothing, size: tuple[int, int], rng: np.random.Generator, *, depth: bool) -> Product:
    """Shows a garment alone; ``depth``: whether to keep what :func:`garment_flow` needs."""
    female = bool(garment.kind in ("skirt", "dress") or rng.random() < 0.5)
    shade = int(rng.integers(238, 256)) if rng.random() < 0.5 else 255
    spread = int(rng.choice(list(SPREADS), p=list(SPREADS.values())))
    posed = mannequin(female, detail("product", size), spread)
    items = dressing.garment_alone(posed, garment)
    view = product_view(posed, items)
    frame = shoot(items, view, size, np.full((2, 2, 3), shade, np.uint8))
    distances = renderer().depth(rendered_size(size)) if depth else None
    inside = frame.truth[..., 0] > 0
    mask = np.where(inside, np.uint8(255), np.uint8(0))
    sigma = size[0] / 60
    soft = cv2.GaussianBlur(inside.astype(np.float32), (0, 0), sigma)
    soft = np.roll(soft, (int(sigma * 0.8), int(sigma * 0.3)), (0, 1)) * ~inside
    picture = frame.picture * (1 - np.float32(0.22) * soft[..., None])
    return Product(garment, female, spread, picture.round().astype(np.uint8), mask, view, distances)


def garment_flow(items: list[Item], anatomy: Anatomy, view: View, product: Product, size: tuple[int, int]) -> Floats:
    """Where the product picture shows what a photo shows of the garment: float32 (H, W, 2), see :class:`StudioSample`.

    Args:
        items: what the photo shows.
        anatomy: the person's level of detail.
        view: the photo's camera.
        product: the product picture of the garment in question.
        size: (height, width) of both pictures.
    """
    alone = dressing.garment_alone(mannequin(product.female, anatomy, product.spread), product.garment)
    traced = dressing.with_flow(items, alone, product.view.view_projection)
    frame = renderer().render(traced, view, size, np.zeros((2, 2, 3), np.uint8), mode=3)
    words = np.concatenate([frame.picture, frame.truth[..., :2]], 2).astype(np.float32)
    x, y, z = (words[..., high] * 256 + words[..., high + 1] for high in (0, 2, 4))
    x, y, z = x / 65535, 1 - y / 65535, z / 65535
    assert product.depth is not None
    rows, columns = product.depth.shape
    nearest = product.depth[
        np.minimum((y * rows).astype(int), rows - 1), np.minimum((x * columns).astype(int), columns - 1)
    ]
    seen, shown = frame.truth[..., 2] > 0, np.abs(z - nearest) <= _SAME_SPOT
    places = np.stack([x * size[1], y * size[0]], 2).astype(np.float32)
    places[~shown] = np.inf
    return np.where(seen[..., None], places, np.float32(np.nan))
