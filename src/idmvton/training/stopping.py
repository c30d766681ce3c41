"""When a training ends before its last step: signals and the clock."""

from __future__ import annotations

import signal
import time
from types import FrameType
from typing import Any, Literal

import torch

Reason = Literal["finished", "settled", "terminate", "interrupt", "time"]
"""``settled``: the validation loss has not fallen for long enough."""
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stopper:
    """Notes SIGTERM and SIGINT while its block runs; the loop asks after each step, so that the state is whole.

    A second signal ends the process at once.

    Args:
        max_minutes: the clock; None for no limit.
    """

    def __init__(self, max_minutes: float | None) -> None:
        self.deadline = None if max_minutes is None else time.monotonic() + 60 * max_minutes
        self.signal = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Stopper:
        for number in _SIGNALS:
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.signal = number
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def reason(self, accelerator: Any) -> Reason | None:
        """Why all processes stop now, or None; they agree."""
        late = self.deadline is not None and time.monotonic() >= self.deadline
        flags = [self.signal == signal.SIGTERM, self.signal == signal.SIGINT, late]
        if accelerator.num_processes > 1:
            counts = torch.tensor(flags, dtype=torch.float32, device=accelerator.device)
            flags = [count > 0 for count in accelerator.reduce(counts, reduction="sum").tolist()]
        reasons: tuple[Reason, ...] = ("terminate", "interrupt", "time")
        return next((reason for reason, flag in zip(reasons, flags, strict=True) if flag), None)
