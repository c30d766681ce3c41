"""Which samples a step sees: endless shuffled batches that a sample's number decides completely.

A training draws samples number 0, 1, 2, ...; number n is the place n mod N of the n div N-th shuffled pass over the N
samples. Everything random about a sample (its variation, its noise, its timestep) comes from a generator made of the
seed and this number. So what a step sees depends neither on the number of processes, workers and parts, nor on
whether the training was interrupted.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from idmvton.errors import ConfigError, IdmVtonError

Batch = dict[str, Any]
"""Name -> tensor with B rows, or list of B texts."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """Asks for one sample: its number in the training, its index in the data set, and the pass over it."""

    number: int
    index: int
    epoch: int


class SampleOrder:
    """The order of the samples.

    Args:
        num_samples: N.
        seed: of the training.
    """

    def __init__(self, num_samples: int, seed: int) -> None:
        self.num_samples, self.seed = num_samples, seed
        self._epoch, self._order = -1, np.zeros(0, np.int64)

    def ticket(self, number: int) -> Ticket:
        """The sample with a number."""
        epoch, place = divmod(number, self.num_samples)
        if epoch != self._epoch:
            self._order = np.random.default_rng([self.seed, epoch]).permutation(self.num_samples)
            self._epoch = epoch
        return Ticket(number, int(self._order[place]), epoch)


class Micro(Dataset[Any]):
    """A data set of tickets."""

    def __init__(self, fetch: Callable[[Ticket], Batch]) -> None:
        self.fetch = fetch

    def __getitem__(self, ticket: Any) -> Batch | IdmVtonError:
        """The sample; the library's errors are returned, because workers would bury them in a traceback."""
        try:
            return self.fetch(ticket)
        except IdmVtonError as error:
            return error


@dataclass(frozen=True)
class Shares:
    """How batches are shared out: over ``processes``, of which this is number ``rank``, in ``accumulation`` parts.

    Raises:
        ConfigError: on construction, a batch that cannot be shared out evenly.
    """

    batch_size: int
    accumulation: int
    processes: int = 1
    rank: int = 0

    def __post_init__(self) -> None:
        if self.batch_size % (self.processes * self.accumulation):
            raise ConfigError(
                "the batch cannot be shared out evenly",
                got=f"train.batch_size={self.batch_size}, {self.processes} processes, {self.accumulation} parts",
                expected=f"a multiple of {self.processes * self.accumulation}",
            )

    def numbers(self, step: int, part: int) -> range:
        """The numbers of the samples of one part of a step, in this process."""
        size = self.batch_size // (self.processes * self.accumulation)
        first = step * self.batch_size + (part * self.processes + self.rank) * size
        return range(first, first + size)


def read_ahead(
    fetch: Callable[[Ticket], Batch], tickets: Iterable[list[Ticket]], *, workers: int, pin: bool = False
) -> Iterable[Batch | IdmVtonError]:
    """Batches of tickets -> batches, or the error of a sample.

    Args:
        fetch: called in workers.
        tickets: what each batch holds.
        workers: processes; 0 for this one.
        pin: put batches into memory that GPUs copy from quickly.
    """
    return DataLoader(
        Micro(fetch),
        batch_sampler=tickets,
        num_workers=workers,
        collate_fn=collate,
        worker_init_fn=_leave_signals_to_the_trainer,
        pin_memory=pin,
        generator=torch.Generator(),  # not torch's own: reading must not draw from what a training draws from
    )


def _leave_signals_to_the_trainer(_worker: int) -> None:
    """A stop that reaches the whole process group must not kill the workers of the step that is being finished."""
    for stop in (signal.SIGTERM, signal.SIGINT):
        signal.signal(stop, signal.SIG_IGN)


class Loader:
    """Batches from a step on, without an end; ``next`` gives the parts of each step in turn.

    Args:
        fetch: ticket -> sample; called in workers.
        order, shares: which samples.
        first_step: where to begin.
        workers: processes that read ahead.
        pin: put batches into memory that GPUs copy from quickly.
    """

    def __init__(
        self,
        fetch: Callable[[Ticket], Batch],
        order: SampleOrder,
        shares: Shares,
        *,
        first_step: int,
        workers: int,
        pin: bool,
    ) -> None:
        self.order, self.shares, self.first_step = order, shares, first_step
        self.loader = read_ahead(fetch, self, workers=workers, pin=pin)

    def __iter__(self) -> Iterator[list[Ticket]]:
        step = self.first_step
        while True:
            for part in range(self.shares.accumulation):
                yield [self.order.ticket(number) for number in self.shares.numbers(step, part)]
            step += 1

    def batches(self) -> Iterator[Batch]:
        """The batches.

        Raises:
            IdmVtonError: a sample that cannot be read.
        """
        for batch in self.loader:
            yield checked(batch)


def collate(samples: Sequence[Mapping[str, Any] | IdmVtonError]) -> Batch | IdmVtonError:
    """Rows -> a batch; of errors, the first."""
    good = []
    for sample in samples:
        if isinstance(sample, IdmVtonError):
            return sample
        good.append(sample)
    columns = {name: [sample[name] for sample in good] for name in good[0]}
    return {
        name: torch.stack([torch.as_tensor(each) for each in values]) if not isinstance(values[0], str) else values
        for name, values in columns.items()
    }


def checked(batch: Batch | IdmVtonError) -> Batch:
    """The batch.

    Raises:
        IdmVtonError: it is one.
    """
    if isinstance(batch, IdmVtonError):
        raise batch
    return batch


def to_device(batch: Batch, device: torch.device) -> Batch:
    """The tensors on a device; texts stay."""
    return {
        name: value.to(device, non_blocking=True) if isinstance(value, torch.Tensor) else value
        for name, value in batch.items()
    }
