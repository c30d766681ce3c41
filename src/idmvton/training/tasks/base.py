"""What the loop asks of a task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image
from torch import Tensor, nn

from idmvton.data.sample import TryOnSample
from idmvton.training.batches import Batch


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
