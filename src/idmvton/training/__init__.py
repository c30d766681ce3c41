"""Training: one loop, a task for each network, recipes as TOML.

    from idmvton.training import load_recipe, train
    train(load_recipe("tiny_cpu", ["train.steps=20"]), "runs/first")

The names below are loaded on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from idmvton.training.recipe import Recipe, load_recipe
    from idmvton.training.trainer import Outcome, Trainer, train

_HOMES = {"Outcome": "trainer", "Recipe": "recipe", "Trainer": "trainer", "load_recipe": "recipe", "train": "trainer"}
__all__ = ["Outcome", "Recipe", "Trainer", "load_recipe", "train"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
