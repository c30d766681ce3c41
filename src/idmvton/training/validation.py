"""Validation on fixed samples with fixed noise."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import torch
from PIL import Image

from idmvton.data.sample import TryOnSample
from idmvton.training.batches import Batch, Ticket, checked, collate, to_device
from idmvton.training.recipe import Recipe
from idmvton.training.sections import DataOptions, TrainOptions, ValidationOptions
from idmvton.training.sources import NO_CHANGE, Captioned, Fetcher, open_source
from idmvton.training.task import Task

_BATCH = 8


class Validation:
    """Losses and pictures of the first samples of a split, not varied, always with the same draws.

    Args:
        recipe: with the sections ``data`` and ``validation``.
        task: what is validated.
        device: where it computes.
        sources: opens the split.

    Raises:
        InputError: there is no such split.
    """

    def __init__(
        self, recipe: Recipe, task: Task, device: torch.device, sources: Callable[..., Captioned] = open_source
    ) -> None:
        self.options = recipe.section(ValidationOptions)
        self.task, self.device = task, device
        training = recipe.section(TrainOptions)
        self._at_once = min(_BATCH, max(1, training.batch_size // training.accumulation))  # no more than a step holds
        wanted = max(self.options.num_samples, self.options.num_losses) if self.options.every else 0
        self.dataset = sources(recipe.section(DataOptions), self.options.split, wanted) if wanted else ()

    @functools.cached_property
    def samples(self) -> Sequence[TryOnSample]:
        """The samples, read once."""
        return [self.dataset[index] for index in range(len(self.dataset))]

    @functools.cached_property
    def _batches(self) -> list[Batch]:
        """What the losses need, encoded once and kept in the machine's memory."""
        fetcher = Fetcher(Listed(self.samples), self.task, NO_CHANGE, self.options.seed)
        tickets = [Ticket(index, index, 0) for index in range(min(self.options.num_losses, len(self.samples)))]
        kept = []
        for start in range(0, len(tickets), self._at_once):
            samples = [fetcher(ticket) for ticket in tickets[start : start + self._at_once]]
            contents = to_device(checked(collate(samples)), self.device)
            kept.append(to_device(contents | self.task.encode(contents), torch.device("cpu")))
        return kept

    @torch.no_grad()
    def losses(self) -> dict[str, float]:
        """The mean loss."""
        model = self.task.model
        model.eval()
        losses = [self.task.loss(model, to_device(batch, self.device)).per_sample for batch in self._batches]
        model.train()
        return {"validation_loss": float(torch.cat(losses).mean())}

    def figures(self) -> dict[str, float]:
        """What else the task measures."""
        return self.task.measure(self.samples)

    def picture(self) -> Image.Image | None:
        """A sheet of pictures; None where the task shows none."""
        return self.task.pictures(self.samples[: self.options.num_samples])


class Listed:
    """Samples in memory as a data set."""

    def __init__(self, samples: Sequence[TryOnSample]) -> None:
        self.samples = samples
        self.names = [sample.name for sample in samples]

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> TryOnSample:
        return self.samples[index]
