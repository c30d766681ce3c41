"""What only this process needs to know of jobs: how far they are, who waits for them, how long their kind takes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, TypeAlias

from idmvton.engine.service.views import Kind

Listener: TypeAlias = Callable[[str], None]
"""Called with a job's id, from any thread; must return at once."""
_WEIGHT: Final = 0.2  # of the newest job in the mean of its kind
_FIRST_GUESS: Final = 5.0  # seconds
_FIRST_GUESS_OF: Final = {"adapter": 60.0}


class Stage(NamedTuple):
    """How far a job is: what is worked on, and how much of it is done."""

    stage: str
    done: int
    total: int | None


class Hub:
    """What is known in memory; every method may be called from any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._stages: dict[str, Stage] = {}
        self._listeners: set[Listener] = set()
        self._pace: dict[str, float] = {}
        self._stops: dict[str, str] = {}
        self.on_end: list[Callable[[str, str, Mapping[str, float]], None]] = []
        """Called with kind, state and timings of each job that this server ends; must return at once."""
        self._changes = 0

    def stage(self, job: str) -> Stage | None:
        """How far a job is that this server runs."""
        return self._stages.get(job)

    def set_stage(self, job: str, stage: Stage) -> None:
        """Keeps how far a job is."""
        self._stages[job] = stage
        self.tell(job)

    def forget(self, job: str) -> None:
        """A job does not run any more."""
        self._stages.pop(job, None)
        self._stops.pop(job, None)
        self.tell(job)

    def tell(self, job: str) -> None:
        """A job has changed."""
        with self._changed:
            self._changes += 1
            self._changed.notify_all()
        for listener in tuple(self._listeners):
            listener(job)

    def wait(self, seen: int, seconds: float) -> int:
        """Waits until something changes; returns how many changes there were in all."""
        with self._changed:
            self._changed.wait_for(lambda: self._changes != seen, seconds)
            return self._changes

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Calls a listener at each change; returns what ends that."""
        self._listeners.add(listener)
        return lambda: self._listeners.discard(listener)

    def stop(self, job: str, why: str) -> None:
        """Asks for the end of a job that this server may run."""
        self._stops[job] = why

    def stop_of(self, job: str) -> str | None:
        """Why a job should end, if it should."""
        return self._stops.get(job)

    def took(self, kind: str, seconds: float) -> None:
        """A job of a kind took so long."""
        before = self._pace.get(kind, seconds)
        self._pace[kind] = (1 - _WEIGHT) * before + _WEIGHT * seconds

    def pace(self, kind: Kind | str) -> float:
        """Seconds that a job of a kind takes."""
        return self._pace.get(kind) or _FIRST_GUESS_OF.get(kind) or self._pace.get("try_on", _FIRST_GUESS)
