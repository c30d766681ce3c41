"""The studio's cameras as matrices from the world to OpenGL's clip space; z is up, lengths are metres."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]


def perspective(
    eye: Floats, target: Floats, field_of_view: float, aspect: float, roll: float = 0.0, near: float = 0.3
) -> Floats:
    """View-projection matrix (4, 4) of a camera; the field of view is vertical, radians."""
    far = 12.0
    scale = 1 / np.tan(field_of_view / 2)
    projection = np.array(
        [
            [scale / aspect, 0, 0, 0],
            [0, scale, 0, 0],
            [0, 0, (far + near) / (near - far), 2 * far * near / (near - far)],
            [0, 0, -1, 0],
        ]
    )
    return np.asarray(projection @ look_at(eye, target, roll), np.float32)


def orthographic(eye: Floats, target: Floats, half_width: float, half_height: float, depth: float = 8.0) -> Floats:
    """View-projection matrix (4, 4) without perspective."""
    projection = np.diag([1 / half_width, 1 / half_height, -2 / depth, 1.0])
    projection[2, 3] = -1.0
    return np.asarray(projection @ look_at(eye, target), np.float32)


def look_at(eye: Floats, target: Floats, roll: float = 0.0) -> Floats:
    """World to camera (4, 4); z is up."""
    forward = target - eye
    forward = forward / np.linalg.norm(forward)
    up = np.array([0.0, 0.0, 1.0]) if abs(forward[2]) < 0.99 else np.array([0.0, 1.0, 0.0])
    right = np.cross(forward, up)
    right /= np.linalg.norm(right)
    up = np.cross(right, forward)
    cosine, sine = np.cos(roll), np.sin(roll)
    right, up = cosine * right + sine * up, cosine * up - sine * right
    matrix = np.eye(4)
    matrix[:3, :3] = np.stack([right, up, -forward])
    matrix[:3, 3] = -matrix[:3, :3] @ eye
    return np.asarray(matrix, np.float32)
