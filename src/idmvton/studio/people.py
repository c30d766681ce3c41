"""How a person looks besides the body's shape: skin, face, hair, shoes, accessories."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from idmvton.captions.templates import COLOURS
from idmvton.studio.bodies import Body
from idmvton.studio.chance import choose
from idmvton.studio.colours import Colour, pick_colour

Floats = NDArray[np.floating[Any]]

# Skin tones from light to dark in display colours; between them it is mixed.
SKIN_TONES: Final = np.array(
    [
        (0.96, 0.82, 0.74),
        (0.92, 0.75, 0.64),
        (0.86, 0.66, 0.53),
        (0.77, 0.56, 0.42),
        (0.64, 0.44, 0.31),
        (0.50, 0.33, 0.23),
        (0.38, 0.25, 0.18),
        (0.28, 0.18, 0.14),
    ]
)
HAIR_COLOURS: Final = np.array(
    [
        (0.05, 0.04, 0.04),
        (0.10, 0.07, 0.05),
        (0.20, 0.13, 0.08),
        (0.33, 0.20, 0.11),
        (0.48, 0.31, 0.16),
        (0.68, 0.52, 0.30),
        (0.84, 0.71, 0.48),
        (0.45, 0.17, 0.08),
        (0.55, 0.55, 0.55),
        (0.80, 0.79, 0.77),
    ]
)
EYE_COLOURS: Final = (
    (0.20, 0.12, 0.07),
    (0.32, 0.20, 0.10),
    (0.28, 0.36, 0.22),
    (0.30, 0.44, 0.58),
    (0.42, 0.46, 0.48),
)
HAIR_WOMEN: Final = {
    "long": 3.0,
    "shoulder": 2.5,
    "bob": 2.0,
    "bun": 1.5,
    "ponytail": 1.5,
    "afro": 0.8,
    "short": 1.0,
}
HAIR_MEN: Final = {"short": 4.0, "crop": 3.0, "quiff": 2.0, "afro": 0.7, "shoulder": 0.5, "bald": 0.8}
SHOES: Final = {
    # top along the leg, how much lower it is over the instep, odds
    "sneakers": (1.965, 0.02, 3.0),
    "ankle boots": (1.78, 0.0, 1.2),
    "loafers": (2.010, 0.065, 1.5),
    "flats": (2.030, 0.095, 1.0),
}


@dataclass(frozen=True, slots=True)
class Look:
    """Everything about a person that stays the same when clothes change.

    Attributes:
        skin, lips, iris, brow: display colours. ``brow_shape``: height, thickness, arch, strength.
        face_extra: beard, blush, age lines.
        base: colour of the base layer.
        hair, hair_colour, tip_colour, hair_shape: style name, colours, and seven numbers that vary the style.
        shoe, shoe_colour, sole_colour, shoe_cut: shoes.
        bag, glasses: colours of accessories, or ``None``.
    """

    skin: Colour
    lips: Colour
    iris: Colour
    brow: Colour
    brow_shape: tuple[float, float, float, float]
    face_extra: tuple[float, float, float]
    base: Colour
    hair: str
    hair_colour: Colour
    tip_colour: Colour
    hair_shape: tuple[float, ...]
    shoe: str
    shoe_colour: Colour
    sole_colour: Colour
    shoe_cut: Floats
    bag: Colour | None
    bag_side: str
    glasses: Colour | None

    def skin_uniforms(self) -> dict[str, Any]:
        """Shader parameters (see ``skin.frag``)."""
        return {
            "skin_colour": self.skin,
            "lip_colour": self.lips,
            "iris_colour": self.iris,
            "brow_colour": self.brow,
            "brow_shape": self.brow_shape,
            "face_extra": self.face_extra,
            "base_colour": self.base,
        }

    def shoe_tile(self) -> NDArray[np.uint8]:
        """A plain tile in the shoes' colour."""
        tile = np.empty((8, 8, 4), np.uint8)
        tile[...] = [*(int(c * 255) for c in self.shoe_colour), 128]
        return tile


def _colour(values: Floats) -> Colour:
    r, g, b = np.clip(values, 0.01, 0.98).tolist()
    return r, g, b


def sample_look(rng: np.random.Generator, body: Body) -> Look:
    """Draws a look that goes with a body."""
    depth = float(rng.uniform(0, len(SKIN_TONES) - 1.001))
    share = depth % 1
    tone = SKIN_TONES[int(depth)] * (1 - share) + SKIN_TONES[int(depth) + 1] * share
    tone = tone * rng.uniform(0.96, 1.03, 3)
    styles = HAIR_WOMEN if body.female else HAIR_MEN
    style = choose(rng, list(styles), styles.values())
    grey = body.age > 0.82 and rng.random() < 0.6
    if grey:
        shade = HAIR_COLOURS[int(rng.integers(8, 10))]
    else:
        dark = rng.random() < depth / len(SKIN_TONES)
        shade = HAIR_COLOURS[int(rng.integers(0, 3 if dark else 8))]
    shade = shade * rng.uniform(0.85, 1.15)
    tip = shade * rng.uniform(0.9, 1.6) if rng.random() < 0.3 else shade
    lipstick = body.female and rng.random() < 0.5
    lips = np.array([0.62, 0.16, 0.20]) * rng.uniform(0.7, 1.2) if lipstick else tone * np.array([0.86, 0.62, 0.62])
    shoe = choose(rng, list(SHOES), (entry[2] for entry in SHOES.values()))
    height, front, _ = SHOES[shoe]
    shoe_names = ("white", "black", "brown", "tan", "grey", "navy", "red", "beige")
    shoe_colour = COLOURS[choose(rng, shoe_names)]
    beard = 0.0 if body.female or rng.random() < 0.5 else float(rng.uniform(0.15, 0.8))
    return Look(
        skin=_colour(tone),
        lips=_colour(lips),
        iris=EYE_COLOURS[int(rng.integers(0, 2 if depth > 4 else 5))],
        brow=_colour(np.minimum(shade, tone * 0.45)),
        brow_shape=(
            float(rng.uniform(-0.001, 0.002)),
            float(rng.uniform(0.0030, 0.0042) if body.female else rng.uniform(0.0042, 0.0058)),
            float(rng.uniform(0.1, 0.45)),
            float(rng.uniform(0.6, 0.95)),
        ),
        face_extra=(beard, float(rng.uniform(0.3, 1.0)), max(0.0, body.age - 0.75) * 4),
        base=(0.72, 0.70, 0.68) if rng.random() < 0.5 else (0.30, 0.30, 0.32),
        hair=style,
        hair_colour=_colour(shade),
        tip_colour=_colour(tip),
        hair_shape=tuple(rng.uniform(0, 1, 7).tolist()),
        shoe=shoe,
        shoe_colour=shoe_colour,
        sole_colour=(0.92, 0.92, 0.90) if shoe == "sneakers" else (0.12, 0.09, 0.08),
        shoe_cut=np.array([[front, 0, height, 0], [0] * 4, [3, 0, 0, 0]], np.float32),
        bag=pick_colour(rng)[1] if rng.random() < 0.12 else None,
        bag_side="L" if rng.random() < 0.5 else "R",
        glasses=(0.03, 0.03, 0.035) if rng.random() < 0.08 else None,
    )
