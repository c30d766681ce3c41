"""When a training ends before its last step: signals and the clock."""

from __future__ import annotations

import signal
import time
from types import FrameType
from typing import Any, Literal

import torch

Reason = Literal["finished", "signal", "time"]
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stopper:
    """Notes SIGTERM and SIGINT while its block runs; the loop asks after each step, so that the state is whole.

    A second signal ends the process at once.

    Args:
        max_minutes: the clock; None for no limit.
    """

    def __init__(self, max_minutes: float | None) -> None:
        self.deadline = None if max_minutes is None else time.monotonic() + 60 * max_minutes
        self.signalled = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Stopper:
        for number in _SIGNALS:
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.signalled = True
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def reason(self, accelerator: Any) -> Reason | None:
        """Why all processes stop now, or None; they agree."""
        late = self.deadline is not None and time.monotonic() >= self.deadline
        flags = torch.tensor([float(self.signalled), float(late)], device=accelerator.device)
        if accelerator.num_processes > 1:
            flags = accelerator.reduce(flags, reduction="sum")
            signalled, late = (bool(flag) for flag in flags.tolist())
        else:
            signalled = self.signalled
        return "signal" if signalled else "time" if late else None
