"""Camera, light and lens: how a dressed person becomes a photo."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from idmvton.studio.backdrops import make_backdrop
from idmvton.studio.bodies import load_anatomy
from idmvton.studio.camera import orthographic, perspective
from idmvton.studio.chance import choose
from idmvton.studio.renderer import Item, Mesh, View
from idmvton.studio.shells import PosedBody

Floats = NDArray[np.floating[Any]]
Bytes = NDArray[np.uint8]
Size = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything about a photo but the people in it.

    Attributes:
        view: camera and light.
        backdrop: uint8 (h, w, 3); ``place``: its name.
        crop: ``half``, ``three-quarter`` or ``full``.
        lens: what the camera does to the picture.
        ground: whether the floor takes a shadow.
    """

    view: View
    backdrop: Bytes
    place: str
    crop: str
    lens: Lens
    ground: bool


@dataclass(frozen=True, slots=True)
class Lens:
    """Camera faults: blur (pixels at 512 high), noise, exposure, warmth, vignette, JPEG quality, noise seed."""

    blur: float
    noise: float
    exposure: float
    warmth: float
    vignette: float
    quality: int
    seed: int

    def apply(self, picture: Bytes) -> Bytes:
        """Degrades uint8 (H, W, 3); the same picture gives the same bytes."""
        height, width = picture.shape[:2]
        value = picture * np.float32(1 / 255)
        blur = self.blur * height / 512
        value = cv2.GaussianBlur(value, (0, 0), blur) if blur > 0.25 else value
        gain = self.exposure * (1 - self.vignette * _from_centre(height, width))
        tint = np.array([1 + self.warmth, 1.0, 1 - self.warmth], np.float32)
        value *= gain[..., None] * tint
        grain = _grain(self.seed, height, width) * np.float32(self.noise)
        value += grain[..., None] * (1 - np.float32(0.6) * value)
        result = (np.clip(value, 0, 1, out=value) * 255 + np.float32(0.5)).astype(np.uint8)
        done, data = cv2.imencode(".jpg", result[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, self.quality])
        assert done
        decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
        assert decoded is not None
        return np.ascontiguousarray(decoded[..., ::-1], np.uint8)


@functools.lru_cache(maxsize=4)
def _from_centre(height: int, width: int) -> Floats:
    """Squared distance from the middle of the picture, whose sides are 1 long; float32 (H, W)."""
    y, x = (((np.arange(count, dtype=np.float32)) / count - 0.5) ** 2 for count in (height, width))
    return np.asarray(y[:, None] + x, np.float32)


@functools.lru_cache(maxsize=2)
def _grain(seed: int, height: int, width: int) -> Floats:
    """Normal noise, float32 (H, W); kept for the second picture with the same lens."""
    return np.random.default_rng(seed).standard_normal((height, width), np.float32)


def sample_lens(rng: np.random.Generator, *, wild: bool) -> Lens:
    """Draws a camera; worse ones in the wild."""
    worse = 2.0 if wild else 1.0
    return Lens(
        blur=float(rng.uniform(0.0, 0.45 * worse)),
        noise=float(rng.uniform(0.0, 0.010 * worse)),
        exposure=float(np.exp(rng.normal(0, 0.06 * worse))),
        warmth=float(rng.normal(0, 0.02 * worse)),
        vignette=float(rng.uniform(0, 0.2 * worse)),
        quality=int(rng.integers(70 if wild else 88, 97)),
        seed=int(rng.integers(2**31)),
    )


def sample_scene(rng: np.random.Generator, posed: PosedBody, crop: str, *, wild: bool) -> Scene:
    """Draws camera, light, backdrop and lens around a posed person."""
    low, high = _vertical_range(posed, crop)
    height = (high - low) * float(rng.uniform(1.06, 1.22))
    middle = (high + low) / 2 + float(rng.normal(0, 0.012)) * height
    distance = float(rng.uniform(2.4, 4.2)) * (0.75 if crop == "half" else 1.0)
    field = 2 * np.arctan(height / 2 / distance)
    level = middle * 0.6 + 0.4 * float(rng.uniform(0.9, 1.5)) + (float(rng.normal(0, 0.25)) if wild else 0.0)
    around = float(rng.normal(0, 0.12 if wild else 0.04))
    centre = posed.vertices[:, 0]
    target = np.array([float(np.median(centre)) * 0.7 + float(rng.normal(0, 0.03)), 0.0, middle])
    eye = target + np.array([np.sin(around) * distance, -np.cos(around) * distance, level - middle])
    roll = float(rng.normal(0, 0.035 if wild else 0.008))
    camera = perspective(eye, target, float(field), 0.75, roll)
    light, uniforms = _sample_light(rng, wild)
    key = np.array(uniforms["key_direction"])
    span = 0.62 * max(height, 1.1)
    shadow = orthographic(target + key * 4, np.array([0, 0, middle]), span, span)
    uniforms |= {"eye": tuple(float(value) for value in eye), "shadow_softness": light}
    horizon = 0.5 - float((camera @ np.array([0, 1.6, 0, 1.0]))[1] / (camera @ np.array([0, 1.6, 0, 1.0]))[3]) / 2
    place, backdrop = make_backdrop(rng, horizon, wild=wild)
    return Scene(
        View(camera, shadow, uniforms, height),
        backdrop,
        place,
        crop,
        sample_lens(rng, wild=wild),
        crop == "full",
    )


def sample_crop(rng: np.random.Generator, category: str) -> str:
    """Draws how much of a person is seen: ``half``, ``three-quarter`` or ``full``."""
    odds = {
        "upper_body": (0.55, 0.30, 0.15),
        "lower_body": (0.0, 0.30, 0.70),
        "dresses": (0.0, 0.30, 0.70),
    }[category]
    return choose(rng, ("half", "three-quarter", "full"), odds)


def _vertical_range(posed: PosedBody, crop: str) -> tuple[float, float]:
    anatomy = posed.body.anatomy
    along, place = anatomy.coordinates.leg_along, anatomy.coordinates.place
    top = float(posed.vertices[: anatomy.shell_start, 2].max()) + 0.05
    if crop == "full":
        return -0.04, top
    level = 0.35 if crop == "half" else 1.05
    ring = (np.abs(along - level) < 0.08) & (place[:, 2] < 0.1)
    return float(posed.vertices[ring, 2].mean()), top


def _sample_light(rng: np.random.Generator, wild: bool) -> tuple[float, dict[str, Any]]:
    side = choose(rng, (-1.0, 1.0)) * float(rng.uniform(0.2, 1.0 if wild else 0.7))
    key = np.array([side, -1.0, float(rng.uniform(0.45, 1.3))])
    key /= np.linalg.norm(key)
    warmth = float(rng.normal(0, 0.06))
    strength = float(rng.uniform(0.75, 1.25))
    ambient = float(rng.uniform(0.32, 0.55))
    softness = float(rng.uniform(1.0, 7.0)) if wild else float(rng.uniform(3.0, 8.0))

    def tint(value: float, warm: float) -> tuple[float, float, float]:
        return value * (1 + warm), value, value * (1 - warm)

    return softness, {
        "key_direction": tuple(key.tolist()),
        "key_colour": tint(strength, warmth),
        "fill_direction": (-0.75 * np.sign(side), -0.6, 0.28),
        "fill_colour": tint(float(rng.uniform(0.12, 0.35)), -warmth),
        "rim_direction": (-0.5 * np.sign(side), 0.75, 0.43),
        "rim_colour": tint(float(rng.uniform(0.1, 0.7)), 0.0),
        "sky_colour": tint(ambient, -0.5 * warmth),
        "ground_colour": tint(ambient * 0.5, 0.08),
        "shadow_depth": float(rng.uniform(0.5, 1.0)),
    }


def ground_item() -> Item:
    """The floor around the person."""
    vertices = np.array([[-4, -3, 0], [4, -3, 0], [4, 1.6, 0], [-4, 1.6, 0]], np.float32)
    up = np.tile(np.array([[0, 0, 1]], np.float32), (4, 1))
    where, paint = np.zeros((4, 12), np.float32), np.zeros((4, 4), np.float32)
    faces = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    return Item(Mesh(vertices, up, where, paint, faces), "ground", shadow=False, over=True)


def project(points: Floats, view: View, size: Size) -> Floats:
    """Pixels (N, 2) of world points (N, 3)."""
    clip = np.concatenate([points, np.ones((len(points), 1))], 1) @ view.view_projection.T
    ndc = clip[:, :2] / clip[:, 3:4]
    return np.stack([(ndc[:, 0] * 0.5 + 0.5) * size[1], (0.5 - ndc[:, 1] * 0.5) * size[0]], 1)


# OpenPose's 18 points: joints where the skeleton has them, else places on the mean head.
_JOINTS = {
    2: "upperarm01.R", 3: "lowerarm01.R", 4: "wrist.R", 5: "upperarm01.L", 6: "lowerarm01.L", 7: "wrist.L",
    8: "upperleg01.R", 9: "lowerleg01.R", 10: "foot.R", 11: "upperleg01.L", 12: "lowerleg01.L", 13: "foot.L",
}  # fmt: skip
_FACE = {
    0: (0.0, -0.176, 0.862),
    14: (-0.031, -0.149, 0.888),
    15: (0.031, -0.149, 0.888),
    16: (-0.078, -0.028, 0.885),
    17: (0.078, -0.028, 0.885),
}


def keypoints(posed: PosedBody, view: View, size: Size) -> Floats:
    """18 OpenPose points in pixels, float (18, 2); (0, 0) where outside the picture or behind the head."""
    anatomy = load_anatomy()
    world = np.zeros((18, 3))
    for number, name in _JOINTS.items():
        bone = anatomy.bone(name)
        transform = posed.transforms[bone]
        world[number] = transform[:, :3] @ posed.body.joints[bone] + transform[:, 3]
    world[1] = (world[2] + world[5]) / 2
    head = anatomy.bone("head")
    transform = posed.transforms[head]
    shift = posed.body.joints[head] - anatomy.joints[head]
    for number, place in _FACE.items():
        world[number] = transform[:, :3] @ (np.array(place) + shift) + transform[:, 3]
    pixels = project(world, view, size)
    eye = np.array(view.uniforms["eye"])
    centre = transform[:, :3] @ (np.array([0, -0.05, 0.88]) + shift) + transform[:, 3]
    for number, side in ((16, -1.0), (17, 1.0)):
        outward = transform[:, :3] @ np.array([side, -0.25, 0.0])
        if outward @ (eye - centre) < 0:
            pixels[number] = 0
    outside = (pixels < 0).any(1) | (pixels[:, 0] >= size[1]) | (pixels[:, 1] >= size[0])
    pixels[outside] = 0
    return np.asarray(pixels, np.float32)
