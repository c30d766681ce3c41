"""Geometry of garments: the body's smooth shell, loosened, and tubes for skirts, collars and hoods.

The shell keeps the body's coordinates, so cuts and fabric are the shader's work; here only its distance from the
skin is decided. Skirts are rings around whatever the legs do: convex outlines of the posed body, let down to the hem.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from idmvton.studio import anatomy
from idmvton.studio.bodies import Anatomy, Body, apply_blend, corner_table, vertex_normals
from idmvton.studio.renderer import Mesh

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.signedinteger[Any]]

NUM_DIRECTIONS: Final = 64
WAISTBAND: Final = 0.005  # distance of trousers and skirts from the skin at the hips, metres
_DIRECTIONS: Final = np.arange(NUM_DIRECTIONS) * (2 * np.pi / NUM_DIRECTIONS)
# Rings are numbered by angle from the front (-y), growing toward the person's left (+x).
_NORMALS: Final = np.stack([np.sin(_DIRECTIONS), -np.cos(_DIRECTIONS)], 1)
_TURNS: Final = np.cos(_DIRECTIONS[:, None] - _DIRECTIONS[None])


@dataclass(frozen=True, slots=True)
class Fit:
    """How a garment sits.

    Attributes:
        offset: distance from the skin, metres.
        drape: how far the torso bridges hollows, 0 to 1.
        fall: how straight the torso hangs down from the chest, 0 to 1.
        sleeve: additional width of the sleeves, metres.
        leg: additional width of the legs at the hem, metres.
    """

    offset: float = 0.006
    drape: float = 0.3
    fall: float = 0.2
    sleeve: float = 0.0
    leg: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class PosedBody:
    """A body in a pose with what garments need of it. Compared by identity.

    Attributes:
        body: the rest shape.
        transforms: float (B, 3, 4).
        vertices: float (V, 3), posed; ``normals``: of those that are not the shell.
        rest_normals: float (S, 3), of the shell at rest.
        shell_blend: float (S, 3, 4), the blended transforms of the shell.
    """

    body: Body
    transforms: Floats
    vertices: Floats
    normals: Floats
    rest_normals: Floats
    shell_blend: Floats


@functools.lru_cache(maxsize=8)
def skin_coordinates(anatomy_: Anatomy) -> Floats:
    """The packed coordinates of skin, eyes and lashes; read-only, so that the renderer keeps them."""
    packed = np.ascontiguousarray(anatomy_.coordinates.pack()[: anatomy_.shell_start])
    packed.flags.writeable = False
    return packed


@dataclass(frozen=True, slots=True)
class ShellPart:
    """A part of the shell: ``vertices`` are numbers within the shell, ``faces`` count those; see ``corner_table``."""

    vertices: Ints
    faces: Ints
    corners: Ints
    where: Floats
    paint: Floats


@functools.lru_cache(maxsize=24)
def shell_part(anatomy_: Anatomy, part: str) -> ShellPart:
    """``top``, ``bottom`` or ``feet``; arrays are read-only, so that the renderer keeps them."""
    where = anatomy_.coordinates
    faces = anatomy_.faces["shell"]
    height, along = where.place[faces, 2], where.leg_along[faces]
    arm = where.arm_seam[faces].min(1) > -0.02
    keep = {
        "top": (height.max(1) > -0.06) & ((np.abs(where.place[faces, 0]).max(1) < 0.4) | arm),
        "bottom": (height.min(1) < 0.42) & ~arm,
        "feet": along.max(1) > 1.5,
    }[part]
    used, local = np.unique(faces[keep], return_inverse=True)
    packed = anatomy_.coordinates.pack()[used]
    paint = np.zeros((len(used), 4), np.float32)
    packed.flags.writeable = paint.flags.writeable = False
    numbers = (used - anatomy_.shell_start).astype(np.int32)
    local = local.reshape(-1, 3).astype(np.int32)
    return ShellPart(numbers, local, corner_table(local, len(used)), packed, paint)


@functools.lru_cache(maxsize=8)
def _all_faces(anatomy_: Anatomy) -> tuple[Ints, Ints, Ints, Ints]:
    skin = np.concatenate([anatomy_.faces[part] for part in ("skin", "eyes", "lashes")])
    shell = anatomy_.faces["shell"] - anatomy_.shell_start
    start = anatomy_.shell_start
    return skin, corner_table(skin, start), shell, corner_table(shell, len(anatomy_.mean) - start)


def pose_body(body: Body, transforms: Floats) -> PosedBody:
    """Skins a body and computes its normals."""
    anatomy_ = body.anatomy
    blend = (anatomy_.skin_weights @ transforms.reshape(len(transforms), 12)).reshape(-1, 3, 4)
    vertices = apply_blend(blend, body.vertices)
    start = anatomy_.shell_start
    skin_faces, skin_corners, shell_faces, shell_corners = _all_faces(anatomy_)
    normals = vertex_normals(vertices[:start], skin_faces, skin_corners)
    rest_normals = vertex_normals(body.vertices[start:], shell_faces, shell_corners)
    return PosedBody(body, transforms, vertices, normals, rest_normals, blend[anatomy_.shell_start :])


@functools.lru_cache(maxsize=8)
def shell_mesh(posed: PosedBody, part: str, fit: Fit, wobble: tuple[float, ...] | None = None) -> Mesh:
    """The shell, loosened at rest and then posed; the last few are kept for the next picture of the same person.

    Args:
        posed: the wearer.
        part: which triangles, see :func:`shell_part`.
        fit: how loose.
        wobble: four phases of soft waves in a loose garment.
    """
    anatomy_ = posed.body.anatomy
    chosen = shell_part(anatomy_, part)
    numbers, where = chosen.vertices, chosen.where
    rest = posed.body.vertices[anatomy_.shell_start :][numbers]
    seam, height, along = where[:, 3], where[:, 2], where[:, 4]
    leg_along, around = where[:, 8], where[:, 6]
    offset = np.full(len(rest), fit.offset, np.float32)
    if part == "bottom":  # over what is tucked in, under what hangs over
        offset += (WAISTBAND - fit.offset) * _smooth(-0.10, 0.10, height)
    offset += fit.sleeve * _smooth(0.0, 0.08, seam) * (0.75 + 0.25 * np.clip(along, 0, 1))
    crotch = _smooth(0.015, 0.07, np.abs(where[:, 0])) + _smooth(0.3, 0.8, leg_along)
    offset += fit.leg * _smooth(0.05, 1.8, leg_along) * np.clip(crotch, 0, 1)
    offset *= np.where(height < 0.02, np.clip(0.35 + crotch, 0, 1), 1.0)
    if wobble is not None:
        wave = np.sin(around * 21 + wobble[0] + height * 5 * np.sin(wobble[1]))
        wave += 0.6 * np.sin(around * 37 + wobble[2] + height * 9)
        below = (0.5, 0.1) if part == "top" else (0.1, -0.1)  # trousers stay under a top's hem
        looseness = fit.fall * _smooth(*below, height) * 0.006 + fit.sleeve * 0.12 * _smooth(0, 0.05, seam)
        offset += wave * looseness
    moved = rest + posed.rest_normals[numbers] * offset[:, None]
    if part == "top" and (fit.drape > 0 or fit.fall > 0):
        moved = _drape(moved, seam, height, fit)
    vertices = apply_blend(posed.shell_blend[numbers], moved)
    normals = vertex_normals(vertices, chosen.faces, chosen.corners)
    return Mesh(vertices, normals, where, chosen.paint, chosen.faces)


def _drape(moved: Floats, seam: Floats, height: Floats, fit: Fit) -> Floats:
    """Pushes the torso out to its convex outline, and lets it hang from the chest."""
    torso = (seam < 0.01) & (height > 0.0) & (height < 0.64)
    points = moved[torso]
    middle = np.array([0.0, float(points[:, 1].mean())])
    flat = points[:, :2] - middle
    rows = 26
    row = np.clip((height[torso] / 0.64 * rows).astype(int), 0, rows - 1)
    support = _highest(flat @ _NORMALS.T, row, rows)
    for below in range(rows - 2, -1, -1):  # row 0 is the lowest
        chest = support[below + 1]
        hanging = (1 - fit.fall) * support[below] + fit.fall * chest
        support[below] = np.maximum(support[below], hanging)
    kernel = np.array([0.25, 0.5, 0.25])
    padded = np.pad(support, ((1, 1), (0, 0)), mode="edge")
    support = np.maximum(support, sum(weight * padded[i : i + rows] for i, weight in enumerate(kernel)))
    radius = outline_radius(support)
    angle = np.arctan2(flat[:, 0], -flat[:, 1])
    position = (height[torso] / 0.64 * rows - 0.5).clip(0, rows - 1.001)
    target = _bilinear(radius, position, angle)
    own = np.linalg.norm(flat, axis=1)
    share = fit.drape * _smooth(0.64, 0.50, height[torso]) * _smooth(0.02, -0.02, seam[torso])
    push = 1 + np.maximum(target - own, 0) * share / np.maximum(own, 1e-6)
    result = moved.copy()
    result[torso, :2] = middle + flat * push[:, None]
    return result


def _highest(values: Floats, row: Ints, rows: int) -> Floats:
    """Row-wise maximum of ``values`` (N, directions); empty rows are -1."""
    order = np.argsort(row, kind="stable")
    present, starts = np.unique(row[order], return_index=True)
    result = np.full((rows, values.shape[1]), -1.0)
    result[present] = np.maximum.reduceat(values[order], starts)
    return result


def outline_radius(support: Floats) -> Floats:
    """Polar radius (rows, directions) of the convex outlines with the given support in each direction."""
    with np.errstate(divide="ignore"):
        reach = np.where(_TURNS > 0.05, 1 / np.maximum(_TURNS, 0.05), np.inf)
    return (np.maximum(support, 1e-3)[:, None, :] * reach[None]).min(2)


def _bilinear(table: Floats, row: Floats, angle: Floats) -> Floats:
    column = (angle / (2 * np.pi) * NUM_DIRECTIONS) % NUM_DIRECTIONS
    r0, c0 = row.astype(int), column.astype(int) % NUM_DIRECTIONS
    r1, c1 = np.minimum(r0 + 1, len(table) - 1), (c0 + 1) % NUM_DIRECTIONS
    fr, fc = row - r0, column - np.floor(column)
    upper = table[r0, c0] * (1 - fc) + table[r0, c1] * fc
    lower = table[r1, c0] * (1 - fc) + table[r1, c1] * fc
    return np.asarray(upper * (1 - fr) + lower * fr)


@dataclass(frozen=True, slots=True)
class Skirt:
    """A tube from the waist (or below it) down.

    Attributes:
        top: height of its upper edge on the mean body (where-coordinates).
        end: where it ends, as ``leg_along`` (0 hip, 1 knee, 2 ankle).
        flare: how much wider it gets on its way down, metres a metre.
        offset: distance from the skin.
        pleats, depth: number of waves around the hem, and their size in metres.
        phase: where the waves start.
    """

    top: float
    end: float
    flare: float
    offset: float
    pleats: int
    depth: float
    phase: float


@functools.lru_cache(maxsize=4)
def skirt_mesh(posed: PosedBody, skirt: Skirt, rows: int = 36) -> Mesh:
    """Rings around the posed hips and legs, never inside them."""
    anatomy_ = posed.body.anatomy
    start = anatomy_.shell_start
    rows = rows // 2 if anatomy_.coarse else rows
    where = anatomy_.coordinates
    place, seam = where.place[start:], where.arm_seam[start:]
    shell = posed.vertices[start:]
    root = anatomy_.bone("root")
    yaw = posed.transforms[root, :, :3]
    heading = np.arctan2(yaw[1, 0], yaw[0, 0])
    turn = np.array([[np.cos(heading), np.sin(heading)], [-np.sin(heading), np.cos(heading)]])
    lower = (seam < -0.02) & (place[:, 2] < skirt.top + 0.03)
    if not anatomy_.coarse:
        lower[::2] = False  # every other point is enough for an outline
    points = shell[lower]
    centre = points[place[lower][:, 2] > skirt.top - 0.1][:, :2].mean(0)
    flat = (points[:, :2] - centre) @ turn.T
    top = float(np.median(points[np.abs(place[lower][:, 2] - skirt.top) < 0.02][:, 2]))
    drop = _skirt_drop(anatomy_, posed.body.joints, skirt)
    levels = top - drop * np.linspace(0, 1, rows)
    support = np.full((rows, NUM_DIRECTIONS), np.nan)
    dots = flat @ _NORMALS.T
    for index, level in enumerate(levels):
        slab = np.abs(points[:, 2] - level) < 0.032
        if slab.any():
            support[index] = dots[slab].max(0) + skirt.offset
    for index in range(1, rows):
        step = skirt.flare * (levels[index - 1] - levels[index])
        ease = min(1.0, 0.25 + 4.5 * index / rows)
        hang = support[index - 1] + step * ease - 0.432 / rows * max(0.0, 0.25 - skirt.flare)
        support[index] = np.fmax(support[index], hang)
    radius = outline_radius(np.asarray(support, np.float64))
    smooth = np.array([0.25, 0.5, 0.25])
    for _ in range(2):
        radius = sum(w * np.roll(radius, s, 1) for w, s in zip(smooth, (-1, 0, 1), strict=True))
    return _tube(radius, levels, centre, turn, skirt, _skirt_drop(anatomy_, anatomy_.joints, skirt))


def _skirt_drop(anatomy_: Anatomy, joints: Floats, skirt: Skirt) -> float:
    """Length of a skirt on a body with these joints, metres."""
    leg = joints[anatomy_.bone("upperleg02.L"), 2] - joints[anatomy_.bone("foot.L"), 2]
    return float(skirt.top - 0.05 + skirt.end * leg / 2)


def _tube(radius: Floats, levels: Floats, centre: Floats, turn: Floats, skirt: Skirt, drop: float) -> Mesh:
    """Doubles the directions for fine pleats and closes the ring.

    The fabric's coordinates depend on the skirt alone (``drop`` is its length on the mean body): whoever wears it,
    the same vertex is the same spot of fabric.
    """
    rows, columns = len(radius), 2 * NUM_DIRECTIONS
    fine = np.empty((rows, columns))
    fine[:, ::2], fine[:, 1::2] = radius, (radius + np.roll(radius, -1, 1)) / 2
    angle = np.linspace(-np.pi, np.pi, columns + 1)
    ring = np.roll(fine, columns // 2, 1)
    ring = np.concatenate([ring, ring[:, :1]], 1)
    share = np.linspace(0, 1, rows)[:, None]
    wave = np.sin(angle * skirt.pleats + skirt.phase) + 0.5 * np.sin(angle * (skirt.pleats * 2 + 1) + skirt.phase * 3)
    ring = ring + np.maximum(share, 0.02) ** 1.3 * skirt.depth * (wave + 0.8)
    flat = np.stack([np.sin(angle) * ring, -np.cos(angle) * ring], 2) @ turn
    vertices = np.concatenate(
        [flat + centre, np.broadcast_to(levels[:, None, None], (rows, columns + 1, 1))], 2
    ).reshape(-1, 3)
    faces = grid_faces(rows, columns + 1)
    where = np.zeros((rows, columns + 1, 12), np.float32)
    where[..., 0] = np.sin(angle) * anatomy.TORSO_WIDTH
    where[..., 1] = -np.cos(angle) * anatomy.TORSO_DEPTH
    where[..., 2] = skirt.top - drop * share
    where[..., 3] = -1.0
    wider = skirt.flare * drop * share + 0.8 * skirt.depth * share**1.3 + 0.015 * _smooth(0.0, 0.15, drop * share)
    where[..., 6] = _fabric_around(angle) * (1 + wider / 0.155)
    where[..., 7] = np.cos(angle) * 0.1
    where[..., 8] = skirt.end
    paint = np.zeros((rows, columns + 1, 4), np.float32)
    paint[..., 0], paint[..., 1] = angle, share
    vertices = np.asarray(vertices, np.float32)
    return Mesh(vertices, grid_normals(vertices, rows, columns + 1), where.reshape(-1, 12), paint.reshape(-1, 4), faces)


def _fabric_around(angle: Floats) -> Floats:
    steps = np.linspace(0, np.pi / 2, 65)
    speed = np.hypot(anatomy.TORSO_WIDTH * np.cos(steps), anatomy.TORSO_DEPTH * np.sin(steps))
    length = np.concatenate([[0], np.cumsum((speed[1:] + speed[:-1]) / 2 * np.diff(steps))])
    folded = np.where(np.abs(angle) <= np.pi / 2, np.abs(angle), np.pi - np.abs(angle))
    return np.asarray(np.sign(angle) * np.interp(folded, steps, length), np.float32)


@functools.lru_cache(maxsize=32)
def grid_faces(rows: int, columns: int) -> Ints:
    """Triangles of a (rows, columns) grid of vertices, facing outward when rows run down and columns leftward."""
    index = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = (part.ravel() for part in (index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]))
    return np.stack([a, b, c, a, c, d], 1).reshape(-1, 3).astype(np.int32)


@functools.lru_cache(maxsize=32)
def _grid_corners(rows: int, columns: int) -> Ints:
    return corner_table(grid_faces(rows, columns), rows * columns)


def grid_normals(vertices: Floats, rows: int, columns: int) -> Floats:
    """Normals of a grid's vertices (rows * columns, 3)."""
    return vertex_normals(vertices, grid_faces(rows, columns), _grid_corners(rows, columns))


def _smooth(low: float, high: float, value: Floats) -> Floats:
    t = np.clip((value - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)
