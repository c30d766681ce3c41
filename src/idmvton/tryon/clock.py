"""How long each stage takes."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import torch

from idmvton.devices import synchronize


class Clock:
    """Seconds of each stage, with the accelerator's work included."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.seconds: dict[str, float] = {}

    @contextlib.contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Times the block as ``stage``."""
        start = time.perf_counter()
        yield
        synchronize(self.device)
        self.seconds[stage] = time.perf_counter() - start
