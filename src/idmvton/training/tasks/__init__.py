"""The tasks, by name."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from idmvton.training.recipe import Recipe
from idmvton.training.sources import Captioned

_CLASSES = {
    "tryon": "Tryon",
    "text_to_image": "TextToImage",
    "autoencoder": "Autoencoder",
    "contrastive": "Contrastive",
    "warp": "WarpTask",
}


def build_task(recipe: Recipe, dataset: Captioned) -> Any:
    """The task of a recipe, with its networks.

    Raises:
        ConfigError: options that do not fit together.
        WeightsError: weights that are missing or do not fit.
    """
    return getattr(import_module(f"{__name__}.{recipe.task}"), _CLASSES[recipe.task])(recipe, dataset)
