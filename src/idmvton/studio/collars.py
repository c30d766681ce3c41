"""Collars and hoods: strips that stand on the neckline and fold over."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from idmvton.studio.bodies import load_anatomy, skin
from idmvton.studio.renderer import Mesh
from idmvton.studio.shells import PosedBody, grid_faces, grid_normals

Floats = NDArray[np.floating[Any]]

# Profiles from the neckline up and over: outward and upward in metres, at the back and at the front.
PROFILES: Final[dict[str, tuple[list[tuple[float, float]], list[tuple[float, float]]]]] = {
    "shirt": (
        [(0.000, 0.000), (0.002, 0.022), (0.006, 0.036), (0.013, 0.034), (0.022, 0.014), (0.030, -0.006)],
        [(0.000, 0.004), (0.002, 0.016), (0.006, 0.022), (0.014, 0.018), (0.026, -0.012), (0.036, -0.044)],
    ),
    "hood": (
        [(0.004, 0.000), (0.012, 0.034), (0.034, 0.056), (0.062, 0.040), (0.074, -0.010), (0.056, -0.070)],
        [(0.002, 0.006), (0.006, 0.016), (0.014, 0.022), (0.024, 0.018), (0.030, 0.006), (0.026, -0.008)],
    ),
    "turtle": (
        [(0.002, -0.004), (0.005, 0.020), (0.008, 0.040), (0.013, 0.042), (0.014, 0.024), (0.012, 0.006)],
        [(0.002, -0.004), (0.005, 0.016), (0.008, 0.034), (0.013, 0.036), (0.014, 0.020), (0.012, 0.004)],
    ),
}
GAPS: Final = {"shirt": 0.10, "hood": 0.16, "turtle": 0.0}


def collar_mesh(posed: PosedBody, style: str, width: float, offset: float, opening: float = 0.0) -> Mesh:
    """A strip around the neck.

    Args:
        posed: the wearer.
        style: ``shirt``, ``hood`` or ``turtle``.
        width: half width of the neckline, metres.
        offset: the garment's distance from the skin.
        opening: half width of an open front, metres.
    """
    anatomy_ = load_anatomy()
    columns = 72
    gap = max(GAPS[style], opening / 0.10)
    angle = np.linspace(-np.pi, np.pi, columns) if style == "turtle" else np.linspace(gap, 2 * np.pi - gap, columns)
    ring = _neck_ring(posed, angle, width, style)
    facing = 0.5 + 0.5 * np.cos(angle)  # 1 in front
    facing = facing**3
    back, front = (np.array(profile) for profile in PROFILES[style])
    profile = back[:, None] * (1 - facing)[None, :, None] + front[:, None] * facing[None, :, None]
    outward = np.stack([np.sin(angle), -np.cos(angle), np.zeros_like(angle)], 1)
    rest = ring + outward * (profile[..., :1] + offset) + np.array([0, 0, 1.0]) * profile[..., 1:]
    rows = len(back)
    names = ("spine01", "neck01", "neck02")
    shares = {"turtle": (0.3, 0.4, 0.3), "shirt": (0.75, 0.25, 0.0), "hood": (0.9, 0.1, 0.0)}[style]
    weights = np.zeros((rows * columns, len(anatomy_.bones)), np.float32)
    for name, share in zip(names, shares, strict=True):
        weights[:, anatomy_.bone(name)] = share
    vertices = skin(np.asarray(rest.reshape(-1, 3), np.float32), posed.transforms, weights)
    faces = grid_faces(rows, columns)
    where = np.zeros((rows, columns, 12), np.float32)
    along = np.linspace(0, 0.09, rows)[:, None]
    where[..., 0] = np.sin(angle) * 0.06
    where[..., 1] = -np.cos(angle) * 0.06
    where[..., 2] = 0.70 + along
    where[..., 3] = -1.0
    where[..., 6] = np.where(np.abs(np.sin(angle / 2)) < 2, (angle - np.pi) * 0.06, 0)
    where[..., 7] = 0.05
    paint = np.zeros((rows, columns, 4), np.float32)
    paint[..., 1] = along / 0.09 * 0.97
    normals = grid_normals(vertices, rows, columns)
    return Mesh(vertices, normals, where.reshape(-1, 12), paint.reshape(-1, 4), faces)


def _neck_ring(posed: PosedBody, angle: Floats, width: float, style: str) -> Floats:
    """Points of the neckline at rest, by angle from the front; a tilted ellipse around the neck's root."""
    anatomy_ = posed.body.anatomy
    rest, place = posed.body.vertices, anatomy_.coordinates.place
    start = anatomy_.shell_start
    low, high = (0.722, 0.748) if style != "turtle" else (0.770, 0.792)
    slab = (place[start:, 2] > low) & (place[start:, 2] < high) & (np.abs(place[start:, 0]) < 0.085)
    neck = rest[start:][slab]
    centre = (neck.max(0) + neck.min(0)) / 2
    half_width = float(np.abs(neck[:, 0]).max())
    half_width = half_width if style == "turtle" else max(half_width * 0.9, width)
    half_depth = float(np.ptp(neck[:, 1]) / 2) + 0.004
    tilt = 0.035 if style != "turtle" else 0.02
    return np.stack(
        [
            np.sin(angle) * half_width,
            centre[1] - np.cos(angle) * half_depth,
            np.full_like(angle, centre[2] - 0.012) - np.cos(angle) * tilt,
        ],
        1,
    )
