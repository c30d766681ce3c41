"""Hair: a cap that grows from the scalp, hanging lengths, buns and tails; strands are the shader's work."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from idmvton.studio.bodies import load_anatomy
from idmvton.studio.fabrics import noise_texture
from idmvton.studio.people import Look
from idmvton.studio.renderer import Item, Mesh
from idmvton.studio.shells import PosedBody, grid_faces, grid_normals

Floats = NDArray[np.floating[Any]]

# The hairline: elevation by azimuth from the front (radians).
LINE_AZIMUTH: Final = (0.0, 0.45, 0.80, 1.02, 1.22, 1.50, 1.75, 2.10, 3.15)
_LINE_ELEVATION: Final = (0.41, 0.41, 0.32, 0.12, -0.20, -0.12, -0.10, -0.58, -0.85)
HANGING: Final = {"bob": (0.11, 0.15), "shoulder": (0.19, 0.25), "long": (0.32, 0.46)}
VOLUME: Final = {
    "afro": 0.055,
    "quiff": 0.022,
    "short": 0.014,
    "crop": 0.006,
    "bun": 0.007,
    "ponytail": 0.007,
}


def hairline(look: Look) -> tuple[float, ...]:
    """Elevations of the hairline at :data:`LINE_AZIMUTH`."""
    shift = 0.06 * (look.hair_shape[3] - 0.5)
    return tuple(
        height + shift * float(np.cos(azimuth)) for azimuth, height in zip(LINE_AZIMUTH, _LINE_ELEVATION, strict=True)
    )


def hair_items(posed: PosedBody, look: Look) -> list[Item]:
    """Meshes of a hairstyle, nothing for a bald head."""
    if look.hair == "bald":
        return []
    uniforms = {
        "hair_colour": look.hair_colour,
        "tip_colour": look.tip_colour,
        "hair_shape": (
            10.0 + 6.0 * look.hair_shape[0],
            4.0 if look.hair == "afro" else 1.5 * look.hair_shape[1],
            0.15 if look.hair == "afro" else 0.5 + 0.5 * look.hair_shape[2],
            0.030 if look.hair != "afro" else 0.05,
        ),
        "noise": noise_texture(),
    }
    meshes = [_cap(posed, look)]
    if look.hair in ("bun", "ponytail"):
        meshes.append(_knot(posed, look))
    if look.hair == "ponytail":
        meshes.append(_tail(posed, look))
    return [Item(mesh, "hair", uniforms, shadow_faces=_grown(mesh)) for mesh in meshes]


def _grown(mesh: Mesh) -> NDArray[np.int32]:
    """Triangles within the hairline."""
    return mesh.faces[(mesh.where[:, 4] > 0)[mesh.faces].all(1)]


def _scalp(posed: PosedBody) -> tuple[Floats, Floats]:
    """Grid of scalp points at rest (rows, columns, 3), and the head's centre."""
    anatomy = posed.body.anatomy
    grid = anatomy.hair
    corners = posed.body.vertices[grid["indices"].astype(int)]
    points = (corners * grid["weights"].astype(np.float32)[..., None]).sum(2)
    head = anatomy.bone("head")
    centre = grid["centre"] + posed.body.joints[head] - anatomy.joints[head]
    for _ in range(3):  # ears and other steps are evened out
        points = (points + np.roll(points, 1, 1) + np.roll(points, -1, 1)) / 3
    return points, np.asarray(centre, np.float32)


def _cap(posed: PosedBody, look: Look) -> Mesh:
    anatomy = posed.body.anatomy
    points, centre = _scalp(posed)
    azimuth, elevation = anatomy.hair["azimuth"], anatomy.hair["elevation"]
    azimuth = np.append(azimuth, np.pi)
    points = np.concatenate([points, points[:, :1]], 1)
    line = np.interp(np.abs(azimuth), LINE_AZIMUTH, hairline(look))
    above = elevation[:, None] - line[None]
    volume = VOLUME.get(look.hair, 0.012) * (0.8 + 0.5 * look.hair_shape[4])
    rise = np.clip(above / 0.35, 0, 1) ** 0.6
    top = 0.55 + 0.45 * np.clip(np.sin(elevation), 0, 1)[:, None]
    thickness = 0.0025 + volume * rise * (top if look.hair in ("quiff", "short") else 1.0)
    parting = (look.hair_shape[5] - 0.5) * 1.2
    groove = np.exp(-((np.sin(azimuth) * np.cos(elevation)[:, None] - parting * 0.5) ** 2) / 0.0008)
    front = np.clip(np.cos(azimuth), 0, 1) * np.clip(np.sin(elevation)[:, None] + 0.2, 0, 1)
    if look.hair in HANGING:
        thickness -= groove * 0.006 * front
    if look.hair == "quiff":
        thickness += 0.03 * front * np.clip(above, 0, 1) ** 0.5
    waves = np.sin(azimuth * 13 + look.hair_shape[6] * 6) * np.sin(elevation[:, None] * 9 + azimuth * 2)
    thickness += waves * (0.008 if look.hair == "afro" else 0.0012) * rise
    outward = points - centre
    outward /= np.linalg.norm(outward, axis=2, keepdims=True)
    cap: Floats = points + outward * thickness[..., None]
    inside: Floats = above * 0.1
    rows = len(elevation)
    strand: Floats = np.broadcast_to(np.linspace(0, 0.55, rows)[:, None], above.shape)
    if look.hair in HANGING:
        cap, inside, strand = _let_down(cap, centre, azimuth, elevation, inside, strand, look)
    head = posed.transforms[anatomy.bone("head")]
    step = 2 if anatomy.coarse else 1
    cap, inside, strand = cap[::step, ::step], inside[::step, ::step], strand[::step, ::step]
    vertices = cap.reshape(-1, 3) @ head[:, :3].T + head[:, 3]
    return _mesh(vertices, azimuth[::step], inside, strand)


def _let_down(
    cap: Floats,
    centre: Floats,
    azimuth: Floats,
    elevation: Floats,
    inside: Floats,
    strand: Floats,
    look: Look,
) -> tuple[Floats, Floats, Floats]:
    """Bends the lower rows of sides and back into hanging lengths."""
    shortest, longest = HANGING[look.hair]
    length = shortest + (longest - shortest) * look.hair_shape[0]
    side = np.clip((np.abs(azimuth) - 1.02) / 0.16, 0, 1)
    start = 0.12
    last = int(np.argmin(np.abs(elevation - start)))
    rows = 26
    share = np.linspace(0, 1, rows + 1)[1:, None]
    base = cap[last]
    flat = base[:, :2] - centre[:2]
    flat /= np.linalg.norm(flat, axis=1, keepdims=True)
    curve = 0.012 * np.sin(np.pi * np.clip(share * length / 0.22, 0, 1)) * (1 - 0.3 * share)
    backward = np.clip((share * length - 0.10) / 0.12, 0, 1) ** 1.5 * np.array(0.050)
    hang = np.zeros((rows, len(azimuth), 3), np.float32)
    end = length * (1 + 0.04 * np.sin(azimuth * 7 + look.hair_shape[6] * 9))
    hang[..., :2] = base[None, :, :2] + flat[None] * curve[..., None]
    hang[..., 1] += backward * (0.35 + 0.65 * np.clip(-np.cos(azimuth), 0, 1))
    hang[..., 0] -= np.sin(azimuth) * 0.030 * np.clip(share * length - 0.05, 0, 0.12) / 0.12
    hang[..., 2] = base[None, :, 2] - share * end[None]
    wave = np.sin(share * length * 55 + azimuth * 5) * 0.005 * look.hair_shape[1]
    hang[..., :2] += flat[None] * wave[..., None]
    cover = np.broadcast_to((side - 0.5) * 0.06, (rows, len(azimuth)))
    bottom = (1 - share) * length
    cover = np.minimum(cover, bottom * 0.8 + 0.008)
    upper = np.maximum(
        inside[: last + 1], (side - 0.5)[None] * 0.06 * (elevation[: last + 1, None] < start + 0.3) - 0.02
    )
    return (
        np.concatenate([cap[: last + 1], hang]),
        np.concatenate([upper, cover]),
        np.concatenate([strand[: last + 1] * 0.6, 0.35 + 0.65 * np.broadcast_to(share, cover.shape)]),
    )


def _mesh(vertices: Floats, azimuth: Floats, inside: Floats, strand: Floats) -> Mesh:
    rows, columns = inside.shape
    faces = grid_faces(rows, columns)
    where = np.zeros((rows, columns, 12), np.float32)
    where[..., 0] = azimuth
    where[..., 4] = inside
    paint = np.zeros((rows, columns, 4), np.float32)
    paint[..., 1] = strand
    vertices = np.asarray(vertices, np.float32)
    return Mesh(vertices, grid_normals(vertices, rows, columns), where.reshape(-1, 12), paint.reshape(-1, 4), faces)


def _round(centre: Floats, radii: Floats, frame: Floats, rows: int = 16, columns: int = 33) -> Mesh:
    """An ellipsoid in the head's frame."""
    elevation = np.linspace(np.pi / 2, -np.pi / 2, rows)
    azimuth = np.linspace(-np.pi, np.pi, columns)
    ball = np.stack(
        [
            np.outer(np.cos(elevation), np.sin(azimuth)),
            -np.outer(np.cos(elevation), np.cos(azimuth)),
            np.broadcast_to(np.sin(elevation)[:, None], (rows, columns)),
        ],
        2,
    )
    local = (centre + ball * radii).reshape(-1, 3)
    strand = np.broadcast_to(np.linspace(0, 0.6, rows)[:, None], (rows, columns))
    return _mesh(local @ frame[:, :3].T + frame[:, 3], azimuth, np.ones((rows, columns)), strand)


def _knot_place(posed: PosedBody, look: Look) -> Floats:
    _, centre = _scalp(posed)
    high = 0.09 if look.hair_shape[3] > 0.5 else 0.02
    return centre + np.array([0.0, 0.105 - 0.035 * (high > 0.05), high], np.float32)


def _knot(posed: PosedBody, look: Look) -> Mesh:
    size = 0.030 + 0.014 * look.hair_shape[4] if look.hair == "bun" else 0.017
    frame = posed.transforms[load_anatomy().bone("head")]
    return _round(_knot_place(posed, look), np.array([size, size * 0.9, size], np.float32), frame)


def _tail(posed: PosedBody, look: Look) -> Mesh:
    frame = posed.transforms[load_anatomy().bone("head")]
    start = frame[:, :3] @ _knot_place(posed, look) + frame[:, 3]
    back = frame[:, :3] @ np.array([0.0, 1.0, 0.0], np.float32)
    rows, columns = 22, 25
    share = np.linspace(0, 1, rows)
    length = 0.22 + 0.16 * look.hair_shape[0]
    spine = start + np.outer(0.055 * np.sqrt(share) + 0.02 * share, back)
    spine[:, 2] -= length * share**1.2
    width = 0.013 + 0.022 * np.sin(np.pi * np.clip(share * 0.9 + 0.05, 0, 1))
    azimuth = np.linspace(-np.pi, np.pi, columns)
    ring = np.stack([np.sin(azimuth), -np.cos(azimuth), np.zeros(columns)], 1)
    vertices = spine[:, None] + width[:, None, None] * ring[None]
    inside = np.broadcast_to(np.minimum(0.03, (1 - share) * 0.2 + 0.002)[:, None], (rows, columns))
    strand = np.broadcast_to((0.4 + 0.6 * share)[:, None], (rows, columns))
    return _mesh(vertices.reshape(-1, 3), azimuth, inside, strand)
