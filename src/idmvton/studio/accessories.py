"""Bags and glasses."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from idmvton.studio.bodies import load_anatomy
from idmvton.studio.fabrics import noise_texture
from idmvton.studio.people import Look
from idmvton.studio.renderer import Item, Mesh
from idmvton.studio.shells import PosedBody, grid_faces, grid_normals

Floats = NDArray[np.floating[Any]]


def accessory_items(posed: PosedBody, look: Look) -> list[Item]:
    """What the person carries or wears besides clothes."""
    items: list[Item] = []
    if look.bag is not None:
        uniforms = {
            "plain_colour": look.bag,
            "plain_finish": (0.2, 30.0, 16.0, 1.0),
            "noise": noise_texture(),
        }
        items += [Item(mesh, "plain", uniforms) for mesh in _bag(posed, look.bag_side)]
    if look.glasses is not None:
        uniforms = {
            "plain_colour": look.glasses,
            "plain_finish": (0.6, 80.0, 3.0, 0.0),
            "noise": noise_texture(),
        }
        items += [Item(mesh, "plain", uniforms) for mesh in _glasses(posed)]
    return items


def _grid_mesh(points: Floats) -> Mesh:
    rows, columns = points.shape[:2]
    vertices = np.asarray(points.reshape(-1, 3), np.float32)
    faces = grid_faces(rows, columns)
    where = np.zeros((rows, columns, 12), np.float32)
    where[..., 0] = np.linspace(0, 1, columns)
    where[..., 1] = np.linspace(0, 1, rows)[:, None]
    return Mesh(
        vertices,
        grid_normals(vertices, rows, columns),
        where.reshape(-1, 12),
        np.zeros((rows * columns, 4), np.float32),
        faces,
    )


def _tube(path: Floats, radius: float, sides: int = 9) -> Mesh:
    """A pipe along a path (N, 3)."""
    along = np.gradient(path, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    reference = np.where(np.abs(along[:, 2:]) < 0.9, [[0.0, 0.0, 1.0]], [[1.0, 0.0, 0.0]])
    first = np.cross(along, reference)
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    second = np.cross(along, first)
    angle = np.linspace(0, 2 * np.pi, sides)
    ring = np.cos(angle)[:, None] * first[:, None] + np.sin(angle)[:, None] * second[:, None]
    return _grid_mesh(path[:, None] + radius * ring)


def _bag(posed: PosedBody, side: str) -> list[Mesh]:
    """A handbag that hangs from the hand."""
    anatomy = load_anatomy()
    bone = anatomy.bone(f"finger3-1.{side}")
    transform = posed.transforms[bone]
    grip = transform[:, :3] @ posed.body.joints[bone] + transform[:, 3] - np.array([0, 0, 0.02])
    root = posed.transforms[anatomy.bone("root"), :, :3]
    rows, columns = 20, 41
    elevation, azimuth = np.linspace(np.pi / 2, -np.pi / 2, rows), np.linspace(-np.pi, np.pi, columns)

    def box(value: Floats) -> Floats:
        return np.asarray(np.sign(value) * np.abs(value) ** 0.35)

    shape = np.stack(
        [
            0.045 * np.outer(box(np.cos(elevation)), box(np.sin(azimuth))),
            -0.13 * np.outer(box(np.cos(elevation)), box(np.cos(azimuth))),
            np.broadcast_to(0.09 * box(np.sin(elevation))[:, None], (rows, columns)),
        ],
        2,
    )
    body = shape @ root.T + grip - np.array([0, 0, 0.20])
    arc = np.linspace(0, np.pi, 24)
    handle = np.stack([np.zeros(24), -0.075 * np.cos(arc), 0.115 * np.sin(arc) - 0.115], 1) @ root.T + grip
    return [_grid_mesh(body), _tube(handle, 0.006)]


def _glasses(posed: PosedBody) -> list[Mesh]:
    """Sunglasses: two lenses, a bridge and temples."""
    anatomy = load_anatomy()
    head = anatomy.bone("head")
    frame = posed.transforms[head]
    shift = posed.body.joints[head] - anatomy.joints[head]
    meshes = []
    angle = np.linspace(-np.pi, np.pi, 33)
    for sign in (-1.0, 1.0):
        rings = []
        for size in (0.0, 0.6, 1.0, 1.08):
            x = sign * 0.034 + 0.026 * size * np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** 0.7
            z = 0.889 + 0.020 * size * np.sign(np.sin(angle)) * np.abs(np.sin(angle)) ** 0.7
            y = -0.168 + 4.5 * (x - 0) ** 2 + (0.004 if size > 1 else 0.0)
            rings.append(np.stack([x, y, z], 1))
        meshes.append(np.stack(rings)[:, ::-1])
    bridge = np.stack([np.linspace(-0.012, 0.012, 8), np.full(8, -0.170), np.full(8, 0.893)], 1)
    result = []
    for mesh in meshes:
        result.append(_grid_mesh((mesh + shift) @ frame[:, :3].T + frame[:, 3]))
    result.append(_tube((bridge + shift) @ frame[:, :3].T + frame[:, 3], 0.0022))
    for sign in (-1.0, 1.0):
        temple = np.linspace([sign * 0.060, -0.150, 0.897], [sign * 0.076, -0.035, 0.893], 12)
        result.append(_tube((temple + shift) @ frame[:, :3].T + frame[:, 3], 0.0022))
    return result
