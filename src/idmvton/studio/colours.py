"""Colours by name."""

from __future__ import annotations

import numpy as np

from idmvton.captions.templates import COLOURS
from idmvton.studio.chance import choose

Colour = tuple[float, float, float]


def pick_colour(rng: np.random.Generator, avoid: str | None = None) -> tuple[str, Colour]:
    """A named colour, a little off."""
    name = choose(rng, [name for name in COLOURS if name != avoid])
    bright, off = float(rng.uniform(0.9, 1.08)), rng.normal(0, 0.02, 3).tolist()
    r, g, b = (min(max(c * bright + d, 0.02), 0.97) for c, d in zip(COLOURS[name], off, strict=True))
    return name, (r, g, b)
