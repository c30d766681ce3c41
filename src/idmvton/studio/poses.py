"""Poses of fashion photos, said as limb directions and hand places instead of joint angles.

Directions live in the frame of the trunk part that the limb hangs on: x to the person's left, -y forward, z up. Hands
that touch the body (hip, crossed arms, pocket) are placed by two-bone inverse kinematics from measured widths, so
they fit every shape.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from idmvton.studio.bodies import Body, forward_kinematics, load_anatomy
from idmvton.studio.chance import choose

Floats = NDArray[np.floating[Any]]
Vector = tuple[float, float, float]
SIDES: Final = {"L": 1.0, "R": -1.0}


@dataclass(frozen=True, slots=True)
class Arm:
    """One arm, as seen on the left side (x positive is away from the body).

    Attributes:
        upper, lower: directions of upper arm and forearm, chest frame.
        hand: place of the wrist instead: in units of the body's (half width, half depth, trunk height) from the
            pelvis; ``pole`` then says where the elbow points.
        curl: bend of the fingers, radians a joint.
    """

    upper: Vector = (0.16, 0.04, -1.0)
    lower: Vector = (0.10, -0.20, -1.0)
    hand: Vector | None = None
    pole: Vector = (1.0, 0.5, -0.3)
    curl: float = 0.25


@dataclass(frozen=True, slots=True)
class Leg:
    """One leg, as seen on the left side, pelvis frame."""

    upper: Vector = (0.05, -0.02, -1.0)
    lower: Vector = (0.03, 0.06, -1.0)


@dataclass(frozen=True, slots=True)
class BodyPose:
    """A whole pose; angles in radians.

    Attributes:
        name: what a person would call it.
        turn: of the whole body to its left.
        lean, sway, twist: of the spine: forward, to the left, to the left.
        look, nod, tip: of the head: to the left, down, to the left shoulder.
    """

    name: str
    turn: float = 0.0
    lean: float = 0.0
    sway: float = 0.0
    twist: float = 0.0
    look: float = 0.0
    nod: float = 0.0
    tip: float = 0.0
    arms: dict[str, Arm] = field(default_factory=lambda: {"L": Arm(), "R": Arm()})
    legs: dict[str, Leg] = field(default_factory=lambda: {"L": Leg(), "R": Leg()})


def product_pose(spread: int) -> BodyPose:
    """How a product picture's mannequin stands, with its arms ``spread`` degrees from the trunk."""
    upper, lower = (math.radians(angle) for angle in (spread, 0.87 * spread))
    return BodyPose(
        "product",
        arms={
            side: Arm(
                upper=(math.sin(upper), 0.0, -math.cos(upper)), lower=(math.sin(lower), 0.0, -math.cos(lower)), curl=0.0
            )
            for side in SIDES
        },
        legs={side: Leg(upper=(0.03, 0.0, -1.0), lower=(0.03, 0.0, -1.0)) for side in SIDES},
    )


def rotation(axis: Vector | Floats, angle: float) -> Floats:
    """Rotation matrix (3, 3) about an axis."""
    x, y, z = (float(value) for value in axis)
    length = math.sqrt(x * x + y * y + z * z)
    x, y, z = x / length, y / length, z / length
    sine, cosine = math.sin(angle), math.cos(angle)
    rest = 1 - cosine
    return np.array(
        [
            [cosine + x * x * rest, x * y * rest - z * sine, x * z * rest + y * sine],
            [y * x * rest + z * sine, cosine + y * y * rest, y * z * rest - x * sine],
            [z * x * rest - y * sine, z * y * rest + x * sine, cosine + z * z * rest],
        ],
        np.float32,
    )


def _cross(first: Floats, second: Floats) -> Floats:
    ax, ay, az = first
    bx, by, bz = second
    return np.array([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx])


def align(source: Floats, target: Floats) -> Floats:
    """The smallest rotation that takes one direction to another."""
    source, target = source / np.linalg.norm(source), target / np.linalg.norm(target)
    axis = _cross(source, target)
    sine, cosine = float(np.linalg.norm(axis)), float(source @ target)
    if sine < 1e-6:
        return np.eye(3, dtype=np.float32) if cosine > 0 else rotation((1.0, 0.0, 0.0), np.pi)
    return rotation(axis, float(np.arctan2(sine, cosine)))


def solve(body: Body, pose: BodyPose) -> Floats:
    """Bone transforms (B, 3, 4) of a body in a pose, standing on z = 0, pelvis over the origin."""
    anatomy = load_anatomy()
    rest = body.joints
    turns: dict[str, Floats] = {"root": rotation((0, 0, 1), pose.turn)}
    for name, share in (
        ("spine05", 0.1),
        ("spine04", 0.2),
        ("spine03", 0.3),
        ("spine02", 0.3),
        ("spine01", 0.1),
    ):
        turns[name] = (
            rotation((1, 0, 0), pose.lean * share)
            @ rotation((0, 1, 0), pose.sway * share)
            @ rotation((0, 0, 1), pose.twist * share)
        )
    for name, share in (("neck01", 0.2), ("neck02", 0.2), ("neck03", 0.2), ("head", 0.4)):
        turns[name] = (
            rotation((0, 0, 1), pose.look * share)
            @ rotation((1, 0, 0), pose.nod * share)
            @ rotation((0, 1, 0), pose.tip * share)
        )
    trunk = forward_kinematics(rest, turns)
    for side, sign in SIDES.items():
        _place_leg(turns, trunk, rest, pose.legs[side], side, sign)
        _place_arm(turns, trunk, body, pose.arms[side], side, sign)
    transforms = forward_kinematics(rest, turns)
    soles = [anatomy.bone(name) for name in ("foot.L", "foot.R")]
    lowest = min(_sole_height(body, transforms, bone) for bone in soles)
    pelvis = transforms[anatomy.bone("root")]
    centre = pelvis[:, :3] @ rest[anatomy.bone("root")] + pelvis[:, 3]
    transforms[:, :, 3] -= np.array([centre[0], centre[1], lowest], np.float32)
    return transforms


def _sole_height(body: Body, transforms: Floats, foot: int) -> float:
    anatomy = body.anatomy
    part = anatomy.skin_weights[:, foot] > 0.9
    part[anatomy.shell_start :] = False
    return float((body.vertices[part] @ transforms[foot, 2, :3] + transforms[foot, 2, 3]).min())


def _mirror(vector: Vector, sign: float) -> Floats:
    return np.array([vector[0] * sign, vector[1], vector[2]], np.float64)


def _place_leg(turns: dict[str, Floats], trunk: Floats, rest: Floats, leg: Leg, side: str, sign: float) -> None:
    anatomy = load_anatomy()
    hip, knee, ankle = (anatomy.bone(f"{name}.{side}") for name in ("upperleg01", "lowerleg01", "foot"))
    frame = trunk[anatomy.bone("root"), :, :3]
    upper, lower = frame @ _mirror(leg.upper, sign), frame @ _mirror(leg.lower, sign)
    above: Floats = frame
    turns[f"upperleg01.{side}"] = align(rest[knee] - rest[hip], above.T @ upper)
    above = above @ turns[f"upperleg01.{side}"]
    turns[f"lowerleg01.{side}"] = align(rest[ankle] - rest[knee], above.T @ lower)
    above = above @ turns[f"lowerleg01.{side}"]
    flat = frame @ rotation((0, 0, 1), 0.15 * sign)
    turns[f"foot.{side}"] = above.T @ (0.65 * flat + 0.35 * above)
    u, _, vt = np.linalg.svd(turns[f"foot.{side}"])
    turns[f"foot.{side}"] = np.asarray(u @ vt, np.float32)


def _place_arm(turns: dict[str, Floats], trunk: Floats, body: Body, arm: Arm, side: str, sign: float) -> None:
    anatomy, rest = load_anatomy(), body.joints
    clavicle, shoulder, elbow, wrist = (
        anatomy.bone(f"{name}.{side}") for name in ("clavicle", "upperarm01", "lowerarm01", "wrist")
    )
    chest = trunk[anatomy.bone("spine01"), :, :3]
    first, second = rest[elbow] - rest[shoulder], rest[wrist] - rest[elbow]
    if arm.hand is None:
        directions: tuple[Floats, Floats] = (chest @ _mirror(arm.upper, sign), chest @ _mirror(arm.lower, sign))
    else:
        directions = _reach(trunk, body, arm, side, sign)
    upper, lower = directions
    raised = float(np.clip((upper / np.linalg.norm(upper))[2] + 0.55, 0, 1.5))
    lift = rotation((0, 1, 0), -0.28 * sign * raised)
    turns[f"clavicle.{side}"] = lift
    above = trunk[anatomy.parents[clavicle], :, :3] @ lift
    turns[f"upperarm01.{side}"] = align(first, above.T @ upper)
    above = above @ turns[f"upperarm01.{side}"]
    turns[f"lowerarm01.{side}"] = align(second, above.T @ lower)
    _curl_fingers(turns, rest, arm.curl, side)


def _reach(trunk: Floats, body: Body, arm: Arm, side: str, sign: float) -> tuple[Floats, Floats]:
    """Directions of upper arm and forearm that bring the wrist to ``arm.hand``."""
    anatomy, rest = load_anatomy(), body.joints
    shoulder, elbow, wrist = (anatomy.bone(f"{name}.{side}") for name in ("upperarm01", "lowerarm01", "wrist"))
    lengths = (
        float(np.linalg.norm(rest[elbow] - rest[shoulder])),
        float(np.linalg.norm(rest[wrist] - rest[elbow])),
    )
    width, depth, height = trunk_size(body)
    assert arm.hand is not None
    chest, pelvis = trunk[anatomy.bone("spine02")], trunk[anatomy.bone("root")]
    share = float(np.clip(arm.hand[2], 0, 1))
    frame = (1 - share) * pelvis + share * chest
    base = rest[anatomy.bone("root")]
    local = base + np.array([sign * arm.hand[0] * width, arm.hand[1] * depth, arm.hand[2] * height])
    target = frame[:, :3] @ local + frame[:, 3]
    parent = trunk[anatomy.parents[shoulder]]
    start = parent[:, :3] @ rest[shoulder] + parent[:, 3]
    toward = target - start
    distance = float(np.clip(np.linalg.norm(toward), abs(lengths[0] - lengths[1]) + 0.02, sum(lengths) - 0.005))
    toward = toward / np.linalg.norm(toward)
    pole = chest[:, :3] @ _mirror(arm.pole, sign)
    pole = pole - (pole @ toward) * toward
    pole = pole / max(float(np.linalg.norm(pole)), 1e-6)
    cosine = (lengths[0] ** 2 + distance**2 - lengths[1] ** 2) / (2 * lengths[0] * distance)
    upper = cosine * toward + np.sqrt(max(0.0, 1 - cosine**2)) * pole
    lower = distance * toward - lengths[0] * upper
    return upper, lower


def trunk_size(body: Body) -> Vector:
    """Half width at the hips, half depth at the waist, height from pelvis to neck; metres."""
    anatomy = body.anatomy
    shell = body.vertices[anatomy.shell_start :]
    place = anatomy.coordinates.place[anatomy.shell_start :]
    hips = shell[(np.abs(place[:, 2] - 0.16) < 0.03)]
    waist = shell[(np.abs(place[:, 2] - 0.36) < 0.03) & (np.abs(place[:, 0]) < 0.12)]
    height = body.joints[anatomy.bone("neck01"), 2] - body.joints[anatomy.bone("root"), 2]
    return (
        float(np.abs(hips[:, 0]).max()),
        float(np.ptp(waist[:, 1]) / 2),
        float(height),
    )


def _curl_fingers(turns: dict[str, Floats], rest: Floats, curl: float, side: str) -> None:
    anatomy = load_anatomy()

    def joint(finger: int, knuckle: int) -> Floats:
        return rest[anatomy.bone(f"finger{finger}-{knuckle}.{side}")]

    wrist = rest[anatomy.bone(f"wrist.{side}")]
    palm = _cross(joint(2, 1) - wrist, joint(5, 1) - wrist) * SIDES[side]
    for finger in range(2, 6):
        axis = _cross(joint(finger, 2) - joint(finger, 1), palm)
        for knuckle in range(1, 4):
            amount = curl * (0.8 + 0.1 * finger)
            turns[f"finger{finger}-{knuckle}.{side}"] = rotation(axis, amount)


def _vary(rng: np.random.Generator, vector: Vector, spread: float) -> Vector:
    x, y, z = np.asarray(vector) + rng.normal(0, spread, 3)
    return float(x), float(y), float(z)


def _relaxed(rng: np.random.Generator) -> Arm:
    return Arm(
        upper=_vary(rng, (0.26, 0.06, -1.0), 0.05),
        lower=_vary(rng, (0.16, -0.18, -1.0), 0.06),
        curl=float(rng.uniform(0.15, 0.4)),
    )


def _hand_on_hip(rng: np.random.Generator) -> Arm:
    return Arm(hand=_vary(rng, (1.12, -0.25, 0.22), 0.04), pole=(1.0, 0.55, 0.0), curl=0.45)


def _crossed(rng: np.random.Generator, front: bool) -> Arm:
    return Arm(hand=(-0.42, -1.75 if front else -1.5, 0.50 if front else 0.44), pole=(1.0, -0.15, -0.75), curl=0.3)


def _clasped(rng: np.random.Generator) -> Arm:
    return Arm(hand=_vary(rng, (0.14, -2.15, 0.06), 0.02), pole=(1.0, 0.5, -0.2), curl=0.5)


def _pocket(rng: np.random.Generator) -> Arm:
    return Arm(hand=_vary(rng, (1.02, -0.55, 0.06), 0.02), pole=(1.0, 0.7, 0.0), curl=0.2)


def _raised_a_little(rng: np.random.Generator) -> Arm:
    return Arm(upper=_vary(rng, (0.75, -0.1, -0.65), 0.1), lower=_vary(rng, (0.6, -0.45, -0.4), 0.12))


def _forearm_forward(rng: np.random.Generator) -> Arm:
    return Arm(upper=_vary(rng, (0.25, 0.1, -1.0), 0.05), lower=_vary(rng, (0.25, -0.9, -0.1), 0.15), curl=0.5)


def _high(rng: np.random.Generator) -> Arm:
    return Arm(upper=_vary(rng, (0.8, -0.1, 0.45), 0.12), lower=_vary(rng, (0.25, -0.1, 1.0), 0.25))


def _wide(rng: np.random.Generator) -> Arm:
    return Arm(upper=_vary(rng, (0.95, -0.15, -0.1), 0.12), lower=_vary(rng, (0.8, -0.3, 0.2), 0.3))


def _standing(rng: np.random.Generator) -> dict[str, Leg]:
    """Weight on one leg, the other eased."""
    eased = "L" if rng.random() < 0.5 else "R"
    legs = {side: Leg(upper=(0.06, 0.0, -1.0), lower=(0.02, 0.03, -1.0)) for side in SIDES}
    bend, out = float(rng.uniform(0.0, 0.28)), float(rng.uniform(0.05, 0.16))
    legs[eased] = Leg(upper=(out, -bend, -1.0), lower=(out * 0.6, bend * 0.8, -1.0))
    return legs


def _stride(rng: np.random.Generator, size: float) -> dict[str, Leg]:
    ahead = "L" if rng.random() < 0.5 else "R"
    legs = {side: Leg(upper=(0.02, size * 0.6, -1.0), lower=(0.02, size * 1.3, -1.0)) for side in SIDES}
    legs[ahead] = Leg(upper=(0.02, -size, -1.0), lower=(0.02, -size * 0.35, -1.0))
    return legs


Maker = Callable[[np.random.Generator], Arm]
FASHION: Final[dict[str, tuple[Maker, Maker]]] = {
    "standing": (_relaxed, _relaxed),
    "hand on hip": (_hand_on_hip, _relaxed),
    "hands on hips": (_hand_on_hip, _hand_on_hip),
    "arms crossed": (lambda rng: _crossed(rng, True), lambda rng: _crossed(rng, False)),
    "hands clasped": (_clasped, _clasped),
    "hand in pocket": (_pocket, _relaxed),
    "arms raised a little": (_raised_a_little, _raised_a_little),
    "forearm forward": (_forearm_forward, _relaxed),
}
WILD: Final[dict[str, tuple[Maker, Maker]]] = {
    **FASHION,
    "waving": (_high, _relaxed),
    "arms up": (_high, _high),
    "arms wide": (_wide, _wide),
    "reaching": (_wide, _forearm_forward),
    "dancing": (_high, _wide),
}


def sample_pose(rng: np.random.Generator, *, wild: bool = False) -> BodyPose:
    """Draws a pose: of fashion photos, or of photos in the wild."""
    choices = WILD if wild else FASHION
    name = choose(rng, list(choices), (3.0 if name == "standing" else 1.0 for name in choices))
    makers = choices[name] if rng.random() < 0.5 else choices[name][::-1]
    strength = 1.8 if wild else 1.0
    walking = rng.random() < (0.4 if wild else 0.2)
    return BodyPose(
        name=name,
        turn=float(np.clip(rng.normal(0, 0.3 * strength), -0.95, 0.95)),
        lean=float(rng.normal(0.03, 0.05 * strength)),
        sway=float(rng.normal(0, 0.05 * strength)),
        twist=float(rng.normal(0, 0.10 * strength)),
        look=float(rng.normal(0, 0.18 * strength)),
        nod=float(rng.normal(0.03, 0.07 * strength)),
        tip=float(rng.normal(0, 0.06 * strength)),
        arms={"L": makers[0](rng), "R": makers[1](rng)},
        legs=_stride(rng, float(rng.uniform(0.15, 0.4 * strength**0.5))) if walking else _standing(rng),
    )
