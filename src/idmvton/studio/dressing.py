"""Puts garments, hair and accessories on a posed body: a list of things to draw."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from idmvton.prepare.mask import ATR_LABELS
from idmvton.studio import accessories, collars, cuts, hair
from idmvton.studio.bodies import Anatomy
from idmvton.studio.fabrics import Fabric, noise_texture
from idmvton.studio.people import Look
from idmvton.studio.renderer import Item, Mesh
from idmvton.studio.shells import (
    Fit,
    PosedBody,
    shell_mesh,
    skin_coordinates,
    skirt_mesh,
)
from idmvton.studio.wardrobe import Clothing

Floats = NDArray[np.floating[Any]]
Cover = tuple[Floats, float]

UNDER: Final = 0.003  # distance from the skin of what is tucked into a waistband, metres
LABELS: Final = {name: float(number) for number, name in enumerate(ATR_LABELS)}
_NO_PRINT: Final = np.zeros((4, 4, 4), np.uint8)
_NO_PRINT.flags.writeable = False


@dataclass(frozen=True, slots=True)
class Outfit:
    """What a person wears.

    Attributes:
        top, bottom: separates; a dress is a ``top`` without a ``bottom``.
        inner: a top under an open jacket.
        target: which of them the sample is about.
    """

    top: Clothing
    bottom: Clothing | None
    inner: Clothing | None
    target: Clothing


def belongings(posed: PosedBody, look: Look) -> list[Item]:
    """What a person shows whatever the clothes: shoes, hair, accessories."""
    return [_shoes(posed, look), *hair.hair_items(posed, look), *accessories.accessory_items(posed, look)]


def dress(posed: PosedBody, look: Look, outfit: Outfit, kept: list[Item] | None = None) -> list[Item]:
    """Everything that a person shows: clothes, belongings, skin; what covers comes first.

    ``kept``: from :func:`belongings`, when it is there already.
    """
    items = _clothes(posed, outfit) + (belongings(posed, look) if kept is None else kept)
    covers = [*_skin_covers(outfit), (look.shoe_cut, 0.012)]
    uniforms = {**look.skin_uniforms(), "noise": noise_texture()}
    uniforms["scalp"] = (*look.hair_colour, 0.0 if look.hair == "bald" else 0.9)
    uniforms["hairline"] = hair.hairline(look)
    mesh = skin_mesh(posed, covers)
    dark = posed.body.anatomy.faces["dark"]
    dark = dark[~hidden(mesh.where, covers)[dark].all(1)]
    items.append(Item(mesh, "skin", uniforms, closed=True, shadow_faces=dark))
    return items


def garment_alone(posed: PosedBody, garment: Clothing) -> list[Item]:
    """A garment as a ghost mannequin wears it."""
    return _garment_items(posed, garment, target=True, covers=[], lift=0.0)


def with_flow(worn: list[Item], alone: list[Item], camera: Floats) -> list[Item]:
    """The items that a person wears, each vertex of the garment with its place in the product picture.

    Args:
        worn: from :func:`dress`.
        alone: from :func:`garment_alone`, on a body of the same level of detail: the same vertices in another pose.
        camera: view-projection matrix (4, 4) of the product picture, without perspective.
    """
    twins = iter(alone)
    items = []
    for item in worn:
        if item.material == "cloth" and item.uniforms["label_and_target"][2] > 0:
            places = next(twins).mesh.vertices @ camera[:3, :3].T + camera[:3, 3]
            items.append(replace(item, flow=places))
        else:
            items.append(item)
    return items


@functools.lru_cache(maxsize=8)
def _skin_parts(anatomy: Anatomy) -> tuple[Floats, NDArray[np.int32]]:
    """Paint and faces of skin, eyes and lashes; read-only."""
    paint = np.zeros((anatomy.shell_start, 4), np.float32)
    paint[:, :3] = anatomy.masks[: anatomy.shell_start, [0, 1, 3]]
    paint[np.unique(anatomy.faces["eyes"]), 3] = 1
    paint[np.unique(anatomy.faces["lashes"]), 3] = 2
    paint.flags.writeable = False
    return paint, np.concatenate([anatomy.faces[part] for part in ("skin", "eyes", "lashes")])


def skin_mesh(posed: PosedBody, covers: list[Cover]) -> Mesh:
    """The bare body, eyes and lashes; triangles that clothes hide entirely are left out."""
    anatomy = posed.body.anatomy
    where = skin_coordinates(anatomy)
    paint, faces = _skin_parts(anatomy)
    faces = faces[~hidden(where, covers)[faces].all(1)]
    return Mesh(posed.vertices[: anatomy.shell_start], posed.normals, where, paint, faces)


def _cover(garment: Clothing, margin: float) -> Cover:
    if garment.skirt is not None and garment.kind == "skirt":
        waist = np.array([[0, garment.skirt.top, garment.skirt.end, -1], [0] * 4, [2, 0, 0, 0]], np.float32)
        return waist, margin
    return garment.cut, margin


def _skin_covers(outfit: Outfit) -> list[Cover]:
    worn = [garment for garment in (outfit.top, outfit.inner, outfit.bottom) if garment is not None]
    return [(garment.cut, 0.010 + 1.2 * garment.fit_shape.offset) for garment in worn if garment.kind != "skirt"]


def _clothes(posed: PosedBody, outfit: Outfit) -> list[Item]:
    top, bottom, inner = outfit.top, outfit.bottom, outfit.inner
    items: list[Item] = []
    if bottom is not None:
        worn_over = [] if top.tucked else [_cover(top, 0.020)]
        items += _garment_items(posed, bottom, bottom is outfit.target, worn_over, 0.0)
        if top.tucked:
            top = _tucked_into(top, bottom)
    if inner is not None:
        under = [_cover(top, 0.030)] + ([_cover(bottom, 0.014)] if bottom is not None else [])
        items += _garment_items(posed, inner, False, under, 0.0)
    items += _garment_items(posed, top, outfit.top is outfit.target, [], 0.006 if inner is not None else 0.0)
    return items


def _tucked_into(top: Clothing, bottom: Clothing) -> Clothing:
    """The top, ending just below the waistband."""
    waist = bottom.skirt.top if bottom.skirt is not None else float(bottom.cut[0][1])
    cut = top.cut.copy()
    cut[0][0] = max(float(cut[0][0]), waist - 0.018)
    return replace(top, cut=cut)


def _garment_items(posed: PosedBody, garment: Clothing, target: bool, covers: list[Cover], lift: float) -> list[Item]:
    uniforms = cloth_uniforms(garment, target)
    fit = garment.fit_shape
    if garment.tucked:  # stays inside the waistband
        fit = Fit(UNDER, 0.08 * fit.drape, 0.08 * fit.fall, fit.sleeve, fit.leg)
    fit = replace(fit, offset=fit.offset + lift)
    items: list[Item] = []
    if garment.kind in ("top", "dress"):
        mesh = shell_mesh(posed, "top", fit, garment.wobble)
        items.append(_shell_item(mesh, garment.cut, uniforms, covers))
    if garment.kind == "bottom":
        items.append(_shell_item(shell_mesh(posed, "bottom", fit, garment.wobble), garment.cut, uniforms, covers))
    if garment.skirt is not None:
        tube = {**uniforms, "garment": _tube_cut(garment)}
        mesh = skirt_mesh(posed, garment.skirt)
        visible = mesh.faces[~hidden(mesh.where, covers)[mesh.faces].all(1)]
        items.append(Item(replace(mesh, faces=visible), "cloth", tube))
    if garment.collar:
        width = float(garment.cut[1][1])
        strip = {**uniforms, "garment": _tube_cut(garment), "print_place": (0.0, 0.0, 0.0, 0.0)}
        strip |= {"folds": (0.25 * garment.folds[0], *garment.folds[1:]), "block_shape": (0.0, 0.0, 0.0, 0.0)}
        strip |= {"trim": (0.0, 0.0, 0.0, 0.0), "detail": (0.0, 1.0, 0.5, garment.fabric.weave)}
        mesh = collars.collar_mesh(posed, garment.collar, width, fit.offset, garment.opening)
        items.append(Item(mesh, "cloth", strip))
    return items


def _shell_item(
    mesh: Mesh, cut: Floats, uniforms: dict[str, Any], covers: list[Cover], *, closed: bool = False
) -> Item:  # fmt: skip
    """Leaves out triangles that the cut removes or that other clothes hide; the shadow has the whole ones."""
    inside = cuts.distance(cut, mesh.where)
    kept = mesh.faces[(inside > -0.03)[mesh.faces].any(1)]
    under = hidden(mesh.where, covers)[kept]
    kept = kept[~under.all(1)]
    whole = kept[(inside > 0.0)[kept].all(1)]
    return Item(replace(mesh, faces=kept), "cloth", uniforms, closed=closed, shadow_faces=whole)


def hidden(where: Floats, covers: list[Cover]) -> NDArray[np.bool_]:
    """Which vertices lie deeper under other clothes than the margin of these."""
    under = np.zeros(len(where), bool)
    for cut, margin in covers:
        under |= cuts.distance(cut, where) > margin
    return under


def _tube_cut(garment: Clothing) -> Floats:
    cut = garment.cut.copy()
    cut[2] = [4, 0, 0, 0]
    return cut


def cloth_uniforms(garment: Clothing, target: bool) -> dict[str, Any]:
    """Shader parameters of a garment (see ``cloth.frag``)."""
    fabric: Fabric = garment.fabric
    label = LABELS[{"top": "upper_clothes", "bottom": "pants", "skirt": "skirt", "dress": "dress"}[garment.kind]]
    width, height = fabric.print_size
    closing = {"": 0.0, "buttons": 1.0, "zip": 2.0}[garment.closing]
    light = sum(fabric.main) > 1.5
    return {
        "garment": garment.cut,
        "label_and_target": (label, label, 1.0 if target else 0.0, 0.0),
        "fabric": fabric.tile,
        "print_": fabric.print_ if fabric.print_ is not None else _NO_PRINT,
        "fabric_scale": (fabric.period, 0.5, 0.5, 0.0),
        "print_place": (0.0, 0.50 if height < 0.1 else 0.46, width, height),
        "block_colour": garment.block_colour,
        "block_shape": garment.block,
        "trim_colour": garment.trim_colour,
        "trim": garment.trim,
        "detail": (closing, 0.085, 0.75, fabric.weave),
        "detail_colour": (0.85, 0.83, 0.78) if not light else (0.30, 0.27, 0.24),
        "folds": garment.folds,
        "finish": (fabric.shine, fabric.gloss, fabric.sheen, 0.0),
        "noise": noise_texture(),
    }


def _shoes(posed: PosedBody, look: Look) -> Item:
    fit = Fit(offset=0.007, drape=0.0, fall=0.0)
    uniforms = {
        "garment": look.shoe_cut,
        "label_and_target": (LABELS["left_shoe"], LABELS["right_shoe"], 0.0, 0.0),
        "fabric": look.shoe_tile(),
        "print_": _NO_PRINT,
        "fabric_scale": (0.2, 0.0, 0.0, 0.0),
        "print_place": (0.0, 0.0, 0.0, 0.0),
        "block_colour": look.sole_colour,
        "block_shape": (0.0, 0.0, 0.0, 0.0),
        "trim_colour": look.shoe_colour,
        "trim": (0.0, 0.0, 0.0, 0.0),
        "detail": (1.0 if look.shoe == "sneakers" else 0.0, 1.0, 0.3, 0.3),
        "detail_colour": (0.9, 0.9, 0.88),
        "folds": (0.2, 0.0, 0.0, 1.0),
        "finish": (0.18, 26.0, 0.03, 0.0),
        "noise": noise_texture(),
    }
    closed = look.shoe in ("sneakers", "ankle boots")
    return _shell_item(shell_mesh(posed, "feet", fit), look.shoe_cut, uniforms, [], closed=closed)
