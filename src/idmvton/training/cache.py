"""What the frozen networks make of the samples, kept on the disk: training then reads rows instead of pictures."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import nn

from idmvton.atomic import whole_file
from idmvton.errors import ConfigError
from idmvton.training.batches import Batch, Ticket, checked, read_ahead, to_device
from idmvton.training.sources import Fetcher

INDEX: Final = "cache.json"
_DONE: Final = "done.npy"
_BATCH: Final = 32
_BATCH_ON_CPU: Final = 4  # activations stay in the processor's cache
_WRITE_EVERY: Final = 512  # rows: writing them out and marking them done takes a while


def fingerprint(modules: Iterable[nn.Module], *settings: object) -> str:
    """Tells whether a cache was made by these weights and settings."""
    digest = hashlib.blake2b(json.dumps(settings, sort_keys=True, default=str).encode(), digest_size=16)
    for module in modules:
        for name, tensor in module.state_dict().items():
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


class EncodedCache:
    """Rows of encoded samples; row ``index * variants + variant``.

    Args:
        folder: made if needed; an unfinished one is gone on with.
        key: from :func:`fingerprint`.
        num_samples: N.
        variants: differently augmented variants of each sample.

    Raises:
        ConfigError: the folder holds what other weights or settings made.
    """

    def __init__(self, folder: Path, key: str, num_samples: int, variants: int) -> None:
        self.folder, self.num_samples, self.variants = folder, num_samples, variants
        self.columns: dict[str, np.memmap[Any, Any]] = {}
        index = folder / INDEX
        if not index.exists():
            with whole_file(index) as file:
                file.write(json.dumps({"key": key, "num_samples": num_samples, "variants": variants}).encode())
        known = json.loads(index.read_text())
        if (known["key"], known["num_samples"], known["variants"]) != (key, num_samples, variants):
            raise ConfigError(
                "the cache was made by other networks, from other data, or with other settings",
                got=folder,
                expected="the cache of this recipe",
                fix="name another folder as data.cache, or delete this one",
            )

    @property
    def num_rows(self) -> int:
        """Rows when it is complete."""
        return self.num_samples * self.variants

    def fill(
        self,
        fetcher: Fetcher,
        encode: Callable[[Batch], Batch],
        *,
        device: torch.device,
        workers: int,
        rank: int = 0,
        processes: int = 1,
        wait: Callable[[], None] = lambda: None,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> None:
        """Encodes the rows that are missing; this process does every ``processes``-th of them.

        Args:
            fetcher: reads and varies samples.
            encode: the task's; batch of contents -> tensors with as many rows.
            device: where it computes.
            workers: processes that read ahead.
            rank, processes: this process among all.
            wait: called once in each process, for all to meet: the files are there when the others begin.
            progress: called with (rows done, rows in all) of this process.

        Raises:
            IdmVtonError: a sample that cannot be read.
        """
        if rank:
            wait()
        done = self._done()
        mine = [row for row in range(rank, self.num_rows, processes) if not done[row]]
        size = _BATCH_ON_CPU if device.type == "cpu" else _BATCH
        chunks = [mine[start : start + size] for start in range(0, len(mine), size)]
        tickets = [[Ticket(row, row // self.variants, 0) for row in chunk] for chunk in chunks]
        batches = read_ahead(lambda ticket: fetcher.content(ticket.index, ticket.number), tickets, workers=workers)
        finished = encoded_rows = 0
        for number, (rows, batch) in enumerate(zip(chunks, batches, strict=True), 1):
            encoded = encode(to_device(checked(batch), device))
            for name, tensor in encoded.items():
                self._column(name, tensor)[rows] = tensor.cpu().numpy()
            encoded_rows += len(rows)
            if encoded_rows - finished >= _WRITE_EVERY or number == len(chunks):
                for column in self.columns.values():
                    column.flush()
                done[mine[finished:encoded_rows]] = True
                done.flush()
                finished = encoded_rows
            if number == 1 and not rank:
                wait()
            progress(encoded_rows, len(mine))
        if not chunks and not rank:
            wait()

    def row(self, ticket: Ticket) -> Batch:
        """What was kept for a ticket; each pass over the data takes the next variant."""
        if not self.columns:
            self.columns = {
                path.stem: np.lib.format.open_memmap(path, mode="r")
                for path in self.folder.glob("*.npy")
                if path.name != _DONE
            }
        row = ticket.index * self.variants + ticket.epoch % self.variants
        return {name: torch.from_numpy(np.array(column[row])) for name, column in self.columns.items()}

    def _done(self) -> np.memmap[Any, Any]:
        return self._open(_DONE, np.dtype(bool), ())

    def _column(self, name: str, tensor: torch.Tensor) -> np.memmap[Any, Any]:
        if name not in self.columns:
            dtype = torch.empty(0, dtype=tensor.dtype).numpy().dtype
            self.columns[name] = self._open(f"{name}.npy", dtype, tuple(tensor.shape[1:]))
        return self.columns[name]

    def _open(self, name: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> np.memmap[Any, Any]:
        path = self.folder / name
        mode: Any = "r+" if path.exists() else "w+"
        return np.lib.format.open_memmap(path, mode=mode, dtype=dtype, shape=(self.num_rows, *shape))


class CachedFetcher:
    """Ticket -> the kept row with fresh draws."""

    def __init__(self, cache: EncodedCache, fetcher: Fetcher) -> None:
        self.cache, self.fetcher = cache, fetcher

    def __call__(self, ticket: Ticket) -> Batch:
        """One sample, without the batch dimension."""
        name = self.fetcher.dataset.names[ticket.index]
        return {"name": name} | self.cache.row(ticket) | self.fetcher.draws(ticket.number)
