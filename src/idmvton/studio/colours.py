"""Colours by name."""

from __future__ import annotations

from typing import Final

import numpy as np

from idmvton.studio.chance import choose

Colour = tuple[float, float, float]

COLOURS: Final[dict[str, Colour]] = {
    "white": (0.93, 0.93, 0.92),
    "black": (0.06, 0.06, 0.07),
    "grey": (0.52, 0.53, 0.54),
    "charcoal": (0.23, 0.24, 0.26),
    "navy": (0.10, 0.14, 0.30),
    "blue": (0.17, 0.35, 0.70),
    "light blue": (0.58, 0.74, 0.90),
    "teal": (0.09, 0.45, 0.46),
    "green": (0.16, 0.46, 0.24),
    "olive": (0.40, 0.41, 0.22),
    "mint": (0.65, 0.87, 0.76),
    "yellow": (0.95, 0.80, 0.25),
    "mustard": (0.78, 0.58, 0.16),
    "orange": (0.91, 0.47, 0.15),
    "red": (0.75, 0.11, 0.13),
    "burgundy": (0.40, 0.08, 0.15),
    "pink": (0.93, 0.62, 0.70),
    "magenta": (0.78, 0.18, 0.48),
    "lilac": (0.71, 0.62, 0.86),
    "purple": (0.37, 0.18, 0.50),
    "brown": (0.36, 0.23, 0.15),
    "tan": (0.75, 0.61, 0.44),
    "beige": (0.87, 0.81, 0.70),
}


def pick_colour(rng: np.random.Generator, avoid: str | None = None) -> tuple[str, Colour]:
    """A named colour, a little off."""
    name = choose(rng, [name for name in COLOURS if name != avoid])
    bright, off = float(rng.uniform(0.9, 1.08)), rng.normal(0, 0.02, 3).tolist()
    r, g, b = (min(max(c * bright + d, 0.02), 0.97) for c, d in zip(COLOURS[name], off, strict=True))
    return name, (r, g, b)
