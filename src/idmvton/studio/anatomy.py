"""Where on the body a vertex lies, in coordinates that do not change with shape or pose.

Everything that is painted, cut or labelled (hems, necklines, sleeves, body parts, fabric) is a smooth function of
these coordinates, so it stays exact on every person and costs the renderer nothing. They are measured on the mean
body in its rest pose: metres, x to the person's left, -y forward, z up.

Fabric coordinates are arc lengths from the front middle of the torso, an arm or a leg. Behind the side seams they
run back to zero, so a surface has no jump anywhere; a seam shows the fabric mirrored, as a sewn one may.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

ARM_RADIUS: Final = 0.052
LEG_RADIUS: Final = 0.088
TORSO_WIDTH: Final = 0.160  # half axes of the mean torso
TORSO_DEPTH: Final = 0.112
ARMPIT: Final = (0.158, 0.545)  # x, z
SHOULDER_POINT: Final = (0.188, 0.70)


@dataclass(frozen=True, slots=True)
class Coordinates:
    """One row a vertex. ``pack`` gives them in the order that the shaders read.

    Attributes:
        place: float (V, 3), position on the mean body.
        arm_seam: signed distance from the armhole, positive on the arm.
        arm_along: 0 shoulder, 1 elbow, 2 wrist.
        arm_around, torso_around, leg_around: fabric arc length, metres.
        arm_front, torso_front, leg_front: positive in front.
        leg_along: 0 hip, 1 knee, 2 ankle.
    """

    place: Floats
    arm_seam: Floats
    arm_along: Floats
    arm_around: Floats
    arm_front: Floats
    torso_around: Floats
    torso_front: Floats
    leg_along: Floats
    leg_around: Floats
    leg_front: Floats

    def pack(self) -> Floats:
        """Float (V, 12): three vectors of four."""
        return np.column_stack(
            [
                self.place,
                self.arm_seam,
                self.arm_along,
                self.arm_around,
                self.torso_around,
                self.torso_front,
                self.leg_along,
                self.leg_around,
                self.leg_front,
                self.arm_front,
            ]
        ).astype(np.float32)


def measure(place: Floats, joints: dict[str, Floats], shell: Floats) -> Coordinates:
    """Measures the coordinates.

    Args:
        place: float (V, 3), vertices of the mean body at rest.
        joints: rest positions by bone name; the left side is used for both.
        shell: float (S, 3), the tights vertices, whose outline defines the torso.
    """
    side = np.where(place[:, 0] < 0, -1.0, 1.0)
    left = place * np.stack([side, np.ones_like(side), np.ones_like(side)], 1)
    arm = [joints[name] for name in ("upperarm01.L", "lowerarm01.L", "wrist.L")]
    leg = [joints[name] for name in ("upperleg02.L", "lowerleg01.L", "foot.L")]
    arm_along, arm_angle = _limb(left, arm)
    leg_along, leg_angle = _limb(left, leg)
    torso_around, torso_front = _torso(place, shell)
    return Coordinates(
        place=place,
        arm_seam=_armhole(left),
        arm_along=arm_along,
        arm_around=(side * _mirrored(arm_angle) * ARM_RADIUS).astype(np.float32),
        arm_front=np.cos(arm_angle).astype(np.float32),
        torso_around=torso_around,
        torso_front=torso_front,
        leg_along=leg_along,
        leg_around=(_mirrored(leg_angle) * LEG_RADIUS).astype(np.float32),
        leg_front=np.cos(leg_angle).astype(np.float32),
    )


def _mirrored(angle: Floats) -> Floats:
    """Runs back to zero behind the side seams."""
    return np.where(np.abs(angle) <= np.pi / 2, angle, np.sign(angle) * (np.pi - np.abs(angle))).astype(np.float32)


def _armhole(left: Floats) -> Floats:
    """The armhole is a near-vertical plane through the shoulder point; below the armpit, arm and side part."""
    (px, pz), (sx, sz) = ARMPIT, SHOULDER_POINT
    along = np.array([sx - px, sz - pz])
    normal = np.array([along[1], -along[0]]) / np.hypot(*along)
    plane = (left[:, 0] - px) * normal[0] + (left[:, 2] - pz) * normal[1]
    parting = (left[:, 0] - px) * 0.93 + (left[:, 2] - pz) * 0.37
    return np.minimum(plane, parting).astype(np.float32)


def _limb(points: Floats, joints: list[Floats]) -> tuple[Floats, Floats]:
    """Position along start - middle - end (0, 1, 2), blended at the bend, and the angle from the front."""
    start, middle, end = (np.asarray(joint, np.float64) for joint in joints)
    upper, lower = middle - start, end - middle
    lengths = np.linalg.norm(upper), np.linalg.norm(lower)
    upper, lower = upper / lengths[0], lower / lengths[1]
    bend = (points - middle) @ ((upper + lower) / np.linalg.norm(upper + lower))
    blend = _smoothstep(-0.05, 0.05, bend)
    first = (points - start) @ upper
    second = (points - middle) @ lower
    along = (1 - blend) * first / lengths[0] + blend * (1 + second / lengths[1])
    axis = (1 - blend)[:, None] * upper + blend[:, None] * lower
    axis /= np.linalg.norm(axis, axis=1, keepdims=True)
    centre = (1 - blend)[:, None] * (start + first[:, None] * upper)
    centre += blend[:, None] * (middle + second[:, None] * lower)
    front = np.array([0.0, -1.0, 0.0]) - (axis @ np.array([0.0, -1.0, 0.0]))[:, None] * axis
    front /= np.linalg.norm(front, axis=1, keepdims=True)
    outward = np.cross(front, axis)
    offset = points - centre
    angle = np.arctan2((offset * outward).sum(1), (offset * front).sum(1))
    return along.astype(np.float32), angle.astype(np.float32)


def _torso(place: Floats, shell: Floats) -> tuple[Floats, Floats]:
    heights = np.linspace(-0.05, 0.85, 46)
    body = shell[np.abs(shell[:, 0]) < 0.2]
    wide, deep, middle = [], [], []
    for height in heights:
        slab = body[np.abs(body[:, 2] - height) < 0.025]
        central = slab[np.abs(slab[:, 0]) < 0.07]
        wide.append(np.abs(slab[:, 0]).max(initial=0.0))
        central = central if len(central) else np.zeros((1, 3))
        middle.append((central[:, 1].max() + central[:, 1].min()) / 2)
        deep.append((central[:, 1].max() - central[:, 1].min()) / 2)
    wide_curve = np.where(heights > 0.50, TORSO_WIDTH, np.clip(wide, 0.13, 0.2))
    deep_curve = np.clip(np.where(heights > 0.55, TORSO_DEPTH, deep), 0.09, 0.15)
    middle_curve = np.convolve(np.pad(middle, 2, mode="edge"), np.full(5, 0.2), "valid")
    z = place[:, 2]
    a, b = np.interp(z, heights, wide_curve), np.interp(z, heights, deep_curve)
    forward = np.interp(z, heights, middle_curve) - place[:, 1]
    across = place[:, 0] / a
    depth = np.maximum(np.abs(forward) / b, np.sqrt(np.maximum(0.0, 1 - across**2)))
    angle = np.arctan2(across, np.maximum(depth, 1e-3))
    steps = np.linspace(0, np.pi / 2, 65)
    speed = np.hypot(TORSO_WIDTH * np.cos(steps), TORSO_DEPTH * np.sin(steps))
    length = np.concatenate([[0], np.cumsum((speed[1:] + speed[:-1]) / 2 * np.diff(steps))])
    around = np.sign(angle) * np.interp(np.abs(angle), steps, length)
    return around.astype(np.float32), forward.astype(np.float32)


def _smoothstep(low: float, high: float, value: Floats) -> Floats:
    t = np.clip((value - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)
