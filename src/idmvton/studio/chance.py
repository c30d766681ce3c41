"""Drawing from lists, without the cost of turning them into arrays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")


def choose(rng: np.random.Generator, options: Sequence[T], odds: Iterable[float] | None = None) -> T:
    """One of the options, each as likely as the others or by its odds (which need not add up to 1)."""
    draw = float(rng.random())
    if odds is None:
        return options[int(draw * len(options))]
    weights = list(odds)
    draw *= sum(weights)
    for option, weight in zip(options, weights, strict=True):
        draw -= weight
        if draw < 0:
            return option
    return options[-1]
