"""What the loop asks of a task, and the tasks by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from PIL import Image
from torch import Tensor, nn

from idmvton.data.sample import TryOnSample
from idmvton.training.batches import Batch
from idmvton.training.recipe import Recipe
from idmvton.training.sections import TaskName
from idmvton.training.sources import Captioned

_CLASSES: Final[dict[TaskName, tuple[str, str]]] = {
    "tryon": ("tryon_task", "TryOnTask"),
    "mini_tryon": ("mini.mini_tryon_task", "MiniTryOnTask"),
    "text_to_image": ("mini.text_to_image_task", "TextToImageTask"),
    "autoencoder": ("mini.autoencoder_task", "AutoencoderTask"),
    "contrastive": ("mini.contrastive_task", "ContrastiveTask"),
    "warp": ("mini.warp_task", "WarpTask"),
}


@dataclass(frozen=True)
class Loss:
    """The loss of one batch.

    Attributes:
        per_sample: float (B,); their mean is what is minimised.
        timesteps: int64 (B,), where the task has such.
        parts: named means to report, float scalars.
    """

    per_sample: Tensor
    timesteps: Tensor | None = None
    parts: Mapping[str, Tensor] = field(default_factory=dict)


class Task(Protocol):
    """A network, what it learns from, and what it shall learn.

    Attributes:
        model: what is trained; its forward pass is the only way in, so that it can be wrapped for many GPUs.
        frozen: what else computes, and never changes.
        encoders: the frozen networks that :meth:`encode` uses.
        num_timesteps: of the noise schedule; 1 where there is none.
        content_settings: plain values that decide what :meth:`content` and :meth:`encode` give, besides the sections
            ``data`` and ``augment``: a cache made with others is refused.
    """

    model: nn.Module
    frozen: Sequence[nn.Module]
    encoders: Sequence[nn.Module]
    num_timesteps: int
    content_settings: object

    def content(self, sample: TryOnSample, rng: np.random.Generator) -> Batch:
        """What is needed of a sample, for workers: tensors without the batch dimension, and texts."""

    def draw(self, rng: np.random.Generator) -> Batch:
        """The random draws of one sample, for workers."""

    def encode(self, batch: Batch) -> Batch:
        """Contents -> tensors, by the frozen networks; what a cache keeps. No gradients."""

    def loss(self, model: nn.Module, batch: Batch) -> Loss:
        """The loss of a batch that holds what :meth:`encode` and :meth:`draw` gave; ``model`` may be wrapped."""

    def pictures(self, samples: Sequence[TryOnSample]) -> Image.Image | None:
        """A sheet of validation pictures by the present weights; None where the task shows none."""

    def measure(self, samples: Sequence[TryOnSample]) -> dict[str, float]:
        """Figures of the present weights beyond the loss."""

    def export(self, folder: Path, model: nn.Module) -> None:
        """Writes what other stages and inference read; ``model`` is like :attr:`model`, with the weights to write."""


def build_task(recipe: Recipe, dataset: Captioned) -> Any:
    """The task of a recipe, with its networks.

    Raises:
        ConfigError: options that do not fit together.
        WeightsError: weights that are missing or do not fit.
    """
    module, name = _CLASSES[recipe.task]
    return getattr(import_module(f"idmvton.training.{module}"), name)(recipe, dataset)
