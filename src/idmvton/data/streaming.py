"""Samples streamed from shards into a data loader, shuffled and shared out between processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from torch.utils.data import IterableDataset, get_worker_info

from idmvton.data.sample import TryOnSample
from idmvton.data.shards import read_index, read_shard
from idmvton.errors import InputError
from idmvton.types import Size


def open_local(name: str) -> BinaryIO:
    """Opens a shard that lies on this machine.

    Raises:
        InputError: it cannot be opened.
    """
    try:
        return Path(name).open("rb")
    except OSError as error:
        raise InputError("a shard cannot be opened", got=f"{name}: {error.strerror}") from error


class ShardStream(IterableDataset[TryOnSample]):
    """Samples from shards, each once an epoch over all ranks and workers together.

    Ranks and workers share the shards out; if there are fewer shards than processes, they share the samples of each.
    Processes can get different numbers of samples: count steps, not epochs, where they have to agree.

    Args:
        shards: a folder that ``idmvton data pack`` wrote, or the names of shards.
        size: (height, width) that samples are brought to; as stored when not given.
        shuffle_buffer: how many samples wait to be drawn from; 0 keeps the stored order. Shards are then shuffled too.
        seed: of the order; with the epoch it decides everything.
        rank, world_size: this process among all; those of ``torch.distributed`` when it runs.
        open_shard: name -> open binary stream, for shards that are not local files.

    Attributes:
        epoch: number of the next pass, moved on by each pass in the process that reads. Workers that are started anew
            for each epoch take it from here: set it before.
    """

    def __init__(
        self,
        shards: Path | str | Sequence[str],
        *,
        size: tuple[int, int] | None = None,
        shuffle_buffer: int = 0,
        seed: int = 0,
        rank: int | None = None,
        world_size: int | None = None,
        open_shard: Callable[[str], BinaryIO] = open_local,
    ) -> None:
        if isinstance(shards, Path | str):
            folder = Path(shards)
            shards = [str(folder / name) for name in read_index(folder).shard_names]
        distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
        self.shards = list(shards)
        self.size = None if size is None else Size(*size)
        self.shuffle_buffer, self.seed, self.epoch = shuffle_buffer, seed, 0
        self.rank = rank if rank is not None else torch.distributed.get_rank() if distributed else 0
        self.world_size = world_size or (torch.distributed.get_world_size() if distributed else 1)
        self.open_shard = open_shard
        if not self.shards or not 0 <= self.rank < self.world_size or shuffle_buffer < 0:
            raise InputError(
                "the stream cannot be set up",
                got=f"{len(self.shards)} shards, rank {self.rank} of {self.world_size}, buffer {shuffle_buffer}",
                expected="shards, a rank below the number of ranks, a buffer of 0 or more",
            )

    def __iter__(self) -> Iterator[TryOnSample]:
        worker = get_worker_info()
        workers, worker_id = (worker.num_workers, worker.id) if worker else (1, 0)
        share, shares = self.rank * workers + worker_id, self.world_size * workers
        epoch, self.epoch = self.epoch, self.epoch + 1
        order = list(self.shards)
        if self.shuffle_buffer:
            np.random.default_rng([self.seed, epoch]).shuffle(order)
        by_shard = len(order) >= shares
        samples = self._read(order[share::shares] if by_shard else order)
        if not by_shard:
            samples = islice(samples, share, None, shares)
        if self.size is not None:
            samples = (sample.resized(self.size) for sample in samples)
        return _shuffled(samples, self.shuffle_buffer, np.random.default_rng([self.seed, epoch, share]))

    def _read(self, names: Sequence[str]) -> Iterator[TryOnSample]:
        for name in names:
            with self.open_shard(name) as file:
                yield from read_shard(file, name)


def _shuffled(samples: Iterator[TryOnSample], buffer_size: int, rng: np.random.Generator) -> Iterator[TryOnSample]:
    """Draws from a buffer that is refilled from the stream; with no buffer, the stream itself."""
    if not buffer_size:
        yield from samples
        return
    waiting = list(islice(samples, buffer_size))
    for sample in samples:
        place = int(rng.integers(len(waiting)))
        waiting[place], drawn = sample, waiting[place]
        yield drawn
    rng.shuffle(waiting)
    yield from waiting
