"""Where samples come from, and what a task sees of them."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image

from idmvton.data.augment import augmented
from idmvton.data.augment_options import AugmentOptions
from idmvton.data.files import FileDataset
from idmvton.data.listing import Order
from idmvton.data.opening import open_dataset, recognise
from idmvton.data.sample import TryOnDataset, TryOnSample
from idmvton.data.viton_hd import VitonHD
from idmvton.errors import ConfigError
from idmvton.training.batches import Batch, Ticket
from idmvton.training.options import DataOptions

NO_CHANGE = AugmentOptions(flip=0.0, affine=0.0, colour=0.0)
_FOR_CAPTIONS = 48
_VARIATION, _DRAWS = 1, 2  # separate streams of a sample's random numbers


class Contents(Protocol):
    """The part of a task that runs in workers."""

    def content(self, sample: TryOnSample, rng: np.random.Generator) -> Batch:
        """What the task needs of a sample: tensors without the batch dimension, and texts."""

    def draw(self, rng: np.random.Generator) -> Batch:
        """The random draws of one sample."""


class Captioned(TryOnDataset, Protocol):
    """A data set that knows the phrases of its garments."""

    def captions(self) -> list[str]:
        """Phrases [V], for tokenizers to learn from."""


class StudioDataset:
    """The studio's samples as a data set; nothing lies on the disk."""

    def __init__(self, options: DataOptions, split: str, num_samples: int) -> None:
        from idmvton.data.synthetic.dataset import StudioStream

        checked: Any = split  # the studio names the splits that it has
        self.stream = StudioStream(
            num_samples,
            seed=options.studio_seed,
            split=checked,
            category=options.category,
            size=(options.height, options.width),
        )
        self.kind = options.captions
        self._made = functools.lru_cache(_FOR_CAPTIONS)(self._make)
        self.names = [f"studio-{options.studio_seed}-{split}-{index}" for index in range(num_samples)]

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> TryOnSample:
        return self._made(index)

    def _make(self, index: int) -> TryOnSample:
        made = self.stream[index]
        phrases = {"tags": made.tags, "detailed": made.caption, "naive": made.naive_caption}
        return TryOnSample(
            name=self.names[index],
            person=Image.fromarray(made.person),
            garment=Image.fromarray(made.garment),
            mask=made.mask > 0,
            densepose=Image.fromarray(made.densepose),
            caption=phrases[self.kind],
            category=made.category,
            labels=made.labels,
            keypoints=made.keypoints.astype(np.float32),
            garment_worn=Image.fromarray(made.garment_worn),
        )

    def captions(self) -> list[str]:
        """Phrases of some garments; each sample has to be made for its own."""
        return [self[index].caption for index in range(min(len(self), _FOR_CAPTIONS))]


class FolderDataset:
    """The first samples of a folder, in the asked order of pairs.

    Raises:
        ConfigError: no folder was named.
        InputError: a folder that cannot be read.
    """

    def __init__(self, options: DataOptions, split: str, num_samples: int | None) -> None:
        if not options.folder:
            raise ConfigError("no data set was named", expected="data.folder, or data.source = 'studio'")
        orders: tuple[Order, ...] = ("paired", "unpaired") if options.order == "both" else (options.order,)
        self.sources = [_open(options, split, order) for order in orders]
        self.places = [(source, index) for source in self.sources for index in range(len(source))][:num_samples]
        self.names: Sequence[str] = [source.names[index] for source, index in self.places]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> TryOnSample:
        source, place = self.places[index]
        sample = source[place]
        return sample if sample.unpaired_target is None else in_other_garment(sample)

    def captions(self) -> list[str]:
        """The phrases of all garments that somebody described."""
        return [each.caption for source in self.sources for each in source.files if each.caption]


def in_other_garment(sample: TryOnSample) -> TryOnSample:
    """The person as the known truth shows them: in the garment of the sample, which the mask was not made for."""
    assert sample.unpaired_target is not None
    return replace(sample, person=sample.unpaired_target, unpaired_target=None, labels=None)


def _open(options: DataOptions, split: str, order: Order) -> FileDataset:
    root, size = Path(options.folder), (options.height, options.width)
    common: dict[str, Any] = {
        "split": split,
        "order": order,
        "missing_caption": options.missing_caption,
        "mask_threshold": options.mask_threshold,
    }
    if options.captions == "tags":
        return open_dataset(root, size, **common)
    if recognise(root) != "viton-hd":
        raise ConfigError(
            "this data set has no such captions", got=f"data.captions={options.captions!r}", expected="tags"
        )
    return VitonHD(root, size, captions=options.captions, **common)


def open_source(options: DataOptions, split: str, num_samples: int | None) -> Captioned:
    """The samples of a split.

    Raises:
        ConfigError: no folder was named, or the studio was given no number of samples.
        InputError: a folder that cannot be read.
    """
    if options.source == "folder":
        return FolderDataset(options, split, num_samples)
    if num_samples is None:
        raise ConfigError("the studio does not know how many samples to make", expected="data.num_samples")
    return StudioDataset(options, split, num_samples)


class Fetcher:
    """Ticket -> what a task sees of a sample, varied, with its draws.

    Args:
        dataset: the samples.
        task: what it sees.
        augment: how samples are varied.
        seed: of the training.
    """

    def __init__(self, dataset: TryOnDataset, task: Contents, augment: AugmentOptions, seed: int) -> None:
        self.dataset, self.task, self.augment, self.seed = dataset, task, augment, seed

    def __call__(self, ticket: Ticket) -> Batch:
        """One sample, without the batch dimension."""
        return self.content(ticket.index, ticket.number) | self.draws(ticket.number)

    def content(self, index: int, number: int) -> Batch:
        """The sample at ``index``, varied as number ``number``."""
        rng = np.random.default_rng([self.seed, number, _VARIATION])
        sample = augmented(self.dataset[index], rng, self.augment)
        return {"name": sample.name} | self.task.content(sample, rng)

    def draws(self, number: int) -> dict[str, Any]:
        """The random draws of sample ``number``."""
        return self.task.draw(np.random.default_rng([self.seed, number, _DRAWS]))
