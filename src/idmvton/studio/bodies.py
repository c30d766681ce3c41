"""Adult bodies: shapes from a compact basis, a skeleton, linear blend skinning. Numpy only.

The vertex set holds, in this order, skin, eyes, lashes and the *shell* (a smooth suit from neck to feet that follows
every shape; garments are cut from it). See `assets/LICENSE.md`: the data is CC0.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, fields, replace
from importlib import resources
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from idmvton.errors import InputError
from idmvton.studio import anatomy

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.signedinteger[Any]]


COARSE: Final = 0.0035  # details of this size in metres allow the shell without its subdivision


@dataclass(frozen=True, slots=True, eq=False)
class Anatomy:
    """The assets, unpacked once a process, at one level of detail. Compared by identity.

    Attributes:
        cell: details smaller than this many metres are merged; 0 has all of them.
        mean, basis: float (V, 3) and (K, V, 3): vertices = mean + coefficients @ basis.
        joints, joint_basis: the same for the B joints.
        cast: float (P, K), coefficients of sampled adults; ``gender`` (1 female), ``age``, ``weight``: their traits.
        bones, parents: names and parent numbers, parents first.
        skin_weights: float (V, B).
        coordinates: where each vertex lies.
        masks: float (V, 5) in [0, 1]: lips, eyelids, ears, nails, face.
        faces: int (F, 3) by part: ``skin``, ``eyes``, ``lashes``, ``shell``; ``dark`` is skin for shadows.
        shell_start: number of the first shell vertex.
        hair: the grid over the head (indices, weights, azimuth, elevation, centre).
    """

    cell: float
    mean: Floats
    basis: Floats
    joints: Floats
    joint_basis: Floats
    cast: Floats
    gender: Floats
    age: Floats
    weight: Floats
    bones: tuple[str, ...]
    parents: tuple[int, ...]
    skin_weights: Floats
    coordinates: anatomy.Coordinates
    masks: Floats
    faces: dict[str, Ints]
    shell_start: int
    hair: dict[str, Any]

    @property
    def coarse(self) -> bool:
        """Whether small parts are left out."""
        return self.cell >= COARSE

    def bone(self, name: str) -> int:
        """The number of a bone."""
        return self.bones.index(name)


@functools.lru_cache(maxsize=8)
def load_anatomy(cell: float = 0.0) -> Anatomy:
    """Reads the packaged assets.

    Args:
        cell: merge details of the skin smaller than this many metres, and leave out what is then not needed.

    Raises:
        InputError: the file is missing or damaged.
    """
    whole = _read_anatomy()
    return whole if cell <= 0 else _simplify(whole, cell)


@functools.lru_cache(maxsize=1)
def _read_anatomy() -> Anatomy:
    source = resources.files("idmvton.studio") / "assets" / "body.npz"
    try:
        with resources.as_file(source) as path, np.load(path) as archive:
            raw = {name: archive[name] for name in archive.files}
    except (OSError, ValueError) as error:
        raise InputError(
            "the studio's body assets cannot be read", got=str(error), fix="reinstall the package idmvton"
        ) from error
    mean = raw["mean"]
    weights = np.zeros((len(mean), len(raw["bones"])), np.float32)
    np.add.at(weights, (np.arange(len(mean))[:, None], raw["weight_bones"]), raw["weights"].astype(np.float32))
    shell_start = int(raw["counts"][:3].sum())
    names = tuple(str(name) for name in raw["bones"])
    joints = dict(zip(names, raw["joints"], strict=True))
    faces = {
        part: raw[f"{name}_faces"].astype(np.int32)
        for part, name in (("skin", "skin"), ("eyes", "eye"), ("lashes", "lash"), ("shell", "shell"))
    }
    return Anatomy(
        cell=0.0,
        mean=mean,
        basis=raw["basis"].astype(np.float32),
        joints=raw["joints"],
        joint_basis=raw["joint_basis"],
        cast=raw["cast"].astype(np.float32),
        gender=raw["gender"].astype(np.float32),
        age=raw["age"].astype(np.float32),
        weight=raw["weight"].astype(np.float32),
        bones=names,
        parents=tuple(int(parent) for parent in raw["parents"]),
        skin_weights=weights,
        coordinates=anatomy.measure(mean, joints, mean[shell_start:]),
        masks=raw["masks"].astype(np.float32) / 255,
        faces={**faces, "dark": faces["skin"]},
        shell_start=shell_start,
        hair={name[5:]: value for name, value in raw.items() if name.startswith("hair_")},
    )


def _simplify(whole: Anatomy, cell: float) -> Anatomy:
    """Fewer triangles, and the vertices that these and the hair need."""
    place, along = whole.mean, whole.coordinates
    size = np.full(len(place), 1.6 * cell)
    size[along.arm_along > 2] = 2.2 * cell
    size[along.leg_along > 1.97] = 2.0 * cell
    size[place[:, 2] > 0.78] = cell
    skin_faces = _merge(whole.mean, whole.faces["skin"], size)
    shell = whole.faces["shell"]
    if cell >= COARSE:  # quads were split in four; the first corners of the parts are the original's
        corners = shell[: len(shell) // 2, 0].reshape(-1, 4)
        shell = np.stack([corners[:, [0, 1, 2]], corners[:, [0, 2, 3]]], 1).reshape(-1, 3)
    faces = {
        "skin": skin_faces,
        "eyes": whole.faces["eyes"],
        "lashes": whole.faces["lashes"],
        "shell": shell,
        "dark": _merge(whole.mean, skin_faces, np.full(len(place), max(0.02, cell))),
    }
    grid = whole.hair["indices"].astype(np.int32)
    kept = np.unique(np.concatenate([grid.ravel(), *(part.ravel() for part in faces.values())]))
    number = np.full(len(place), -1, np.int32)
    number[kept] = np.arange(len(kept), dtype=np.int32)
    return replace(
        whole,
        cell=cell,
        mean=place[kept],
        basis=np.ascontiguousarray(whole.basis[:, kept]),
        skin_weights=whole.skin_weights[kept],
        coordinates=replace(along, **{entry.name: getattr(along, entry.name)[kept] for entry in fields(along)}),
        masks=whole.masks[kept],
        faces={part: number[numbers] for part, numbers in faces.items()},
        shell_start=int((kept < whole.shell_start).sum()),
        hair={**whole.hair, "indices": number[grid]},
    )


def _merge(mean: Floats, faces: Ints, size: Floats) -> Ints:
    """Triangles after merging vertices that share a cell of ``size`` (V,) metres and face the same way."""
    normals = vertex_normals(mean, faces)
    place = np.floor(mean / size[:, None]).astype(np.int64) + 2048
    octant = ((normals > 0) @ np.array([1, 2, 4])).astype(np.int64)
    key = ((place[:, 0] * 4096 + place[:, 1]) * 4096 + place[:, 2]) * 8 + octant
    used = np.unique(faces)
    _, first, inverse = np.unique(key[used], return_index=True, return_inverse=True)
    merged = np.arange(len(mean), dtype=np.int32)
    merged[used] = used[first[inverse.ravel()]]
    a, b, c = merged[faces].T
    return np.asarray(merged[faces][(a != b) & (b != c) & (a != c)], np.int32)


@dataclass(frozen=True, slots=True)
class Body:
    """One person's shape at rest.

    Attributes:
        anatomy: the level of detail.
        vertices: float (V, 3), rest positions in metres, feet not yet on the ground.
        joints: float (B, 3).
        female: how the cast member was sampled; decides hair and garment odds only.
        age, weight: traits of the cast member, in [0, 1].
    """

    anatomy: Anatomy
    vertices: Floats
    joints: Floats
    female: bool
    age: float
    weight: float


def sample_body(rng: np.random.Generator, anatomy_: Anatomy | None = None, *, women: bool = False) -> Body:
    """Draws an adult: a blend of two members of the cast of the same gender; ``women``: of women only."""
    anatomy_ = anatomy_ or load_anatomy()
    first = int(rng.choice(np.flatnonzero(anatomy_.gender > 0.5)) if women else rng.integers(len(anatomy_.cast)))
    same = np.flatnonzero((anatomy_.gender > 0.5) == (anatomy_.gender[first] > 0.5))
    second, mix = int(rng.choice(same)), float(rng.uniform(0, 0.5))
    blend = [1 - mix, mix]
    coefficients = blend[0] * anatomy_.cast[first] + blend[1] * anatomy_.cast[second]
    return shape_body(
        anatomy_,
        coefficients,
        female=bool(anatomy_.gender[first] > 0.5),
        age=float(np.dot(blend, anatomy_.age[[first, second]])),
        weight=float(np.dot(blend, anatomy_.weight[[first, second]])),
    )


def shape_body(anatomy_: Anatomy, coefficients: Floats, *, female: bool, age: float, weight: float) -> Body:
    """Builds the rest shape from its coefficients (K,)."""
    count = len(anatomy_.mean)
    vertices = anatomy_.mean + (coefficients @ anatomy_.basis.reshape(len(coefficients), -1)).reshape(count, 3)
    joints = anatomy_.joints + np.tensordot(coefficients, anatomy_.joint_basis, 1)
    return Body(anatomy_, vertices.astype(np.float32), joints.astype(np.float32), female, age, weight)


def forward_kinematics(joints: Floats, rotations: dict[str, Floats]) -> Floats:
    """World transforms of the bones.

    Args:
        joints: float (B, 3), rest positions.
        rotations: bone name -> (3, 3), the bone's own turn about its joint, in the axes of its turned parent.

    Returns:
        float (B, 3, 4): maps a rest point to its posed place.
    """
    anatomy_ = load_anatomy()
    linear = np.zeros((len(joints), 3, 3))
    shift = np.zeros((len(joints), 3))
    for index, (name, parent) in enumerate(zip(anatomy_.bones, anatomy_.parents, strict=True)):
        own = rotations.get(name)
        above = linear[parent] if parent >= 0 else np.eye(3)
        linear[index] = above if own is None else above @ own
        place = above @ joints[index] + (shift[parent] if parent >= 0 else 0)
        shift[index] = place - linear[index] @ joints[index]
    return np.concatenate([linear, shift[:, :, None]], 2).astype(np.float32)


def skin(vertices: Floats, transforms: Floats, weights: Floats) -> Floats:
    """Linear blend skinning: float (V, 3) posed vertices."""
    blended = (weights @ transforms.reshape(len(transforms), 12)).reshape(-1, 3, 4)
    return apply_blend(blended, vertices)


def apply_blend(blended: Floats, vertices: Floats) -> Floats:
    """Moves each vertex (V, 3) by its own transform (V, 3, 4)."""
    x, y, z = (vertices[:, axis, None] for axis in range(3))
    moved = blended[:, :, 0] * x + blended[:, :, 1] * y + blended[:, :, 2] * z + blended[:, :, 3]
    return np.asarray(moved, np.float32)


def corner_table(faces: Ints, count: int) -> Ints:
    """Which triangles (F, 3) meet at each of ``count`` vertices: int (K, count), F where there are no more."""
    flat = faces.ravel()
    order = np.argsort(flat, kind="stable")
    number = np.bincount(flat, minlength=count)
    rank = np.arange(len(flat)) - np.repeat(np.cumsum(number) - number, number)
    table = np.full((int(number.max(initial=1)), count), len(faces), np.int32)
    table[rank, flat[order]] = order // 3
    return table


def vertex_normals(vertices: Floats, faces: Ints, table: Ints | None = None) -> Floats:
    """Unit normals, area weighted; float (V, 3). ``table``: of :func:`corner_table`, for triangles used again."""
    planes = np.ascontiguousarray(vertices.T, np.float32)
    a, b, c = np.ascontiguousarray(faces.T)
    ax, ay, az = planes.take(b, 1) - planes.take(a, 1)
    bx, by, bz = planes.take(c, 1) - planes.take(a, 1)
    normals = np.zeros((3, len(faces) + 1), np.float32)
    normals[:, :-1] = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
    table = corner_table(faces, len(vertices)) if table is None else table
    summed = np.stack([plane.take(table).sum(0) for plane in normals])
    summed /= np.sqrt(np.maximum((summed * summed).sum(0), 1e-20))
    return np.ascontiguousarray(summed.T)
