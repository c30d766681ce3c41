"""Where samples come from, and what a task sees of them."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from PIL import Image

from idmvton.data.augment import augmented
from idmvton.data.augment_options import AugmentOptions
from idmvton.data.folder import ORDERS, FolderDataset, FolderView, with_truth
from idmvton.data.packed import ShardDataset
from idmvton.data.sample import TryOnDataset, TryOnSample
from idmvton.errors import ConfigError
from idmvton.training.batches import Batch, Ticket
from idmvton.training.sections import DataOptions

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
        from idmvton.studio.dataset import StudioStream

        checked: Any = split  # the studio names the splits that it has
        self.stream = StudioStream(
            num_samples,
            seed=options.studio_seed,
            split=checked,
            category=options.category,
            size=(options.height, options.width),
            flow=options.studio_flow,
        )
        self.kind = options.captions
        self._made = functools.lru_cache(_FOR_CAPTIONS)(self._make)
        self.orders = ORDERS[options.order]
        self.names = [
            f"studio-{options.studio_seed}-{split}-{index}" + ("-other" if order == "unpaired" else "")
            for index in range(num_samples)
            for order in self.orders
        ]

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> TryOnSample:
        return self._made(index)

    def _make(self, index: int) -> TryOnSample:
        orders = self.orders
        made, order = self.stream[index // len(orders)], orders[index % len(orders)]
        other = order == "unpaired"
        phrases = {
            "tags": _tags(made.other_attributes if other else made.attributes),
            "detailed": made.other_caption if other else made.caption,
            "naive": made.other_naive_caption if other else made.naive_caption,
        }
        return TryOnSample(
            name=self.names[index],
            person=Image.fromarray(made.person),
            garment=Image.fromarray(made.other_garment if other else made.garment),
            mask=made.mask > 0,
            densepose=Image.fromarray(made.densepose),
            caption=phrases[self.kind],
            category=made.category,
            labels=made.labels,
            keypoints=made.keypoints.astype(np.float32),
            garment_worn=None if other else Image.fromarray(made.garment_worn),
            unpaired_target=Image.fromarray(made.unpaired) if other else None,
            flow=made.unpaired_flow if other else made.flow,
        )

    def captions(self) -> list[str]:
        """Phrases of some garments; each sample has to be made for its own."""
        return [self[index].caption for index in range(min(len(self), _FOR_CAPTIONS))]


class FolderSource(FolderDataset):
    """A folder's samples, each with its truth."""

    def __init__(self, options: DataOptions, split: str, num_samples: int | None) -> None:
        view = FolderView(
            options.order, options.maps, options.captions, options.missing_caption, options.mask_threshold
        )
        super().__init__(_named(options), (options.height, options.width), split, view, num_samples)

    def __getitem__(self, index: int) -> TryOnSample:
        sample = super().__getitem__(index)
        return with_truth(sample) if self.order(index) == "unpaired" else sample


class ShardSource:
    """The first samples of shards; what they hold was decided when they were packed."""

    def __init__(self, options: DataOptions, split: str, num_samples: int | None) -> None:
        decided = {"order": "paired", "maps": "given", "captions": "tags"}
        for name in (name for name, default in decided.items() if getattr(options, name) != default):
            raise ConfigError(
                f"data.{name} is decided when shards are packed",
                got=f"data.{name} = {getattr(options, name)!r}",
                fix=f"idmvton data pack ... --{name} {getattr(options, name)}, and no data.{name} in the recipe",
            )
        self.shards = ShardDataset(f"{_named(options)}/{split}", (options.height, options.width))
        self.names = self.shards.names[:num_samples]

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> TryOnSample:
        return with_truth(self.shards[index]) if self.shards.index.order == "unpaired" else self.shards[index]

    def captions(self) -> list[str]:
        """The phrases of all garments."""
        return self.shards.captions


def _named(options: DataOptions) -> str:
    if not options.folder:
        raise ConfigError("no data set was named", expected="data.folder, or data.source = 'studio'")
    return options.folder


def _tags(attributes: Mapping[str, Any]) -> str:
    """The phrase that a folder's tags give: sleeve length, neckline, item."""
    return " ".join(attributes[name] for name in ("sleeve", "neckline", "item") if attributes[name])


def picture_to_learn(sample: TryOnSample) -> Image.Image:
    """The person in the sample's garment: the photo itself, unless that shows another garment."""
    return sample.person if sample.unpaired_target is None else sample.unpaired_target


def open_source(options: DataOptions, split: str, num_samples: int | None) -> Captioned:
    """The samples of a split.

    Raises:
        ConfigError: no folder was named, something that was decided before is asked for, or the studio was given no
            number of samples or asked for prepared maps.
        InputError: a folder or shards that cannot be read, or prepared maps that were not made.
    """
    if options.source == "folder":
        return FolderSource(options, split, num_samples)
    if options.source == "shards":
        return ShardSource(options, split, num_samples)
    if options.maps != "given":
        raise ConfigError(
            "the studio has no prepared maps while it renders",
            got=f"data.maps={options.maps!r}",
            fix="write a folder with `idmvton studio make`, then `idmvton data prepare --beside`",
        )
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
