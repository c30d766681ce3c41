"""How many pairs are dressed at once: as asked for, or as many as fit into a GPU, by what the first ones needed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Final, Protocol

import torch

from idmvton.devices import free_bytes

LARGEST: Final = 8
_SHARE: Final = 0.8  # of the free memory: pools and workspaces grow with a batch, too


class Gauge(Protocol):
    """Tells the memory of a device."""

    def start(self) -> None:
        """Begins to watch."""

    def grown(self) -> int:
        """By how many bytes more than at the start was allocated, at the most."""

    def free(self) -> int:
        """Bytes that can be allocated."""


class CudaGauge:
    """Tells the memory of a GPU."""

    def __init__(self, device: torch.device) -> None:
        self.device, self._before = device, 0

    def start(self) -> None:
        """See :class:`Gauge`."""
        torch.cuda.reset_peak_memory_stats(self.device)
        self._before = torch.cuda.memory_allocated(self.device)

    def grown(self) -> int:
        """See :class:`Gauge`."""
        return torch.cuda.max_memory_allocated(self.device) - self._before

    def free(self) -> int:
        """See :class:`Gauge`; what torch holds without use can be allocated."""
        unused = torch.cuda.memory_reserved(self.device) - torch.cuda.memory_allocated(self.device)
        return free_bytes(self.device) + unused


class BatchSize:
    """The number of pairs that are dressed at once.

    Args:
        wanted: what the user asks for; None: 1 at first, then what fits by the bytes that a pair needed.
        gauge: of the device; None: there is nothing to measure, so that None stays 1, as on a CPU.

    Attributes:
        number: how many are to be dressed next.
    """

    def __init__(self, wanted: int | None, gauge: Gauge | None = None) -> None:
        self.number = wanted or 1
        self._gauge = gauge if wanted is None else None

    @classmethod
    def on(cls, device: torch.device, wanted: int | None) -> BatchSize:
        """For a device."""
        return cls(wanted, CudaGauge(device) if device.type == "cuda" else None)

    @contextlib.contextmanager
    def watching(self, count: int) -> Iterator[None]:
        """Measures, where nothing is measured yet, what ``count`` pairs need in this block."""
        gauge = self._gauge
        if gauge is None:
            yield
            return
        gauge.start()
        yield
        a_pair = max(1, gauge.grown() // count)
        self.number = max(1, min(LARGEST, int(_SHARE * gauge.free()) // a_pair))
        self._gauge = None

    def shrink(self) -> None:
        """After a batch that did not fit: half as many from now on."""
        self.number = max(1, self.number // 2)
        self._gauge = None
