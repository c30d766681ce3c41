"""The process of a lane: loads a worker once and does what the server sends, one piece after the other.

Networks, their caches and the backends of the preparation are not thread-safe, and torch's threads share one pool: so a
lane is a process of its own. It also keeps what a picture can do to a decoder away from the server.
"""

from __future__ import annotations

import importlib
import os
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any, Final, Protocol, TypeAlias

from idmvton.engine.service.views import Problem
from idmvton.errors import IdmVtonError
from idmvton.lean_imports import import_less
from idmvton.options import ModelOptions

Tell: TypeAlias = Callable[[str, int, int | None], None]
"""Called with the stage, how much of it is done, and how much there is; raises :class:`Stopped`."""
OUT_OF_MEMORY: Final = "out_of_memory"


class Stopped(BaseException):
    """The piece of work is not wanted any more."""


@dataclass(frozen=True, slots=True)
class LaneSetup:
    """What a lane's process needs.

    Attributes:
        number: of the lane, from 0.
        worker: ``module:name`` of what makes a :class:`Worker` of this setup.
        store: where the pictures are.
        model: which weights, and where to.
        threads: of the networks on a CPU.
        warm_up: whether to make a picture before the first order.
        adapters: folder of adapters, where there is one.
        more: for other workers.
    """

    number: int
    worker: str
    store: str
    model: ModelOptions
    threads: int
    warm_up: bool = True
    adapters: str | None = None
    more: Mapping[str, Any] = field(default_factory=dict)


class Worker(Protocol):
    """Does the work of a lane."""

    def about(self) -> dict[str, Any]:
        """What is loaded, as plain values."""

    def warm_up(self) -> None:
        """Does once what makes a first picture slow."""

    def __call__(self, job: str, asked: Mapping[str, Any], tell: Tell) -> dict[str, Any]:
        """Does a piece of work.

        Args:
            job: its id.
            asked: see :meth:`idmvton.engine.service.service.Service.submit`.
            tell: is told how far it is.

        Returns:
            Plain values: ``outputs``, ``warnings``, ``timings``, ``provenance``, ``about``.

        Raises:
            JobError: it cannot be done; other errors are ours.
        """


class JobError(Exception):
    """A piece of work that cannot be done, and why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.what)
        self.problem = problem


def main(connection: Connection, setup: LaneSetup) -> None:
    """What the process runs.

    Messages that come: ``("work", job, asked)``, ``("stop", job)``, ``("end",)``. Messages that go:
    ``("state", word)``, ``("ready", about)``, ``("broken", problem)``, ``("stage", job, stage, done, total)``,
    ``("done", job, result)``, ``("failed", job, problem)``, ``("stopped", job)``.
    """
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"  # before torch is loaded: spinning threads would slow the other lanes
    os.environ["OMP_NUM_THREADS"] = str(setup.threads)
    import_less()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the server's, which ends its lanes
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    mail = _Mail(connection)
    try:
        connection.send(("state", "loading"))
        module, _, name = setup.worker.partition(":")
        worker: Worker = getattr(importlib.import_module(module), name)(setup)
        if setup.warm_up:
            connection.send(("state", "warming up"))
            worker.warm_up()
        connection.send(("ready", worker.about()))
    except IdmVtonError as error:
        connection.send(("broken", Problem.of(error)))
        return
    except Exception as error:
        traceback.print_exc(file=sys.stderr)
        connection.send(("broken", Problem("internal", "the lane could not be loaded", got=type(error).__name__)))
        return
    while (piece := mail.next()) is not None:
        _do(connection, worker, mail, *piece)


class _Mail:
    """Reads what the server sends in a thread, so that a stop is seen during the work, and the server's death too."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._pieces: queue.SimpleQueue[tuple[str, Mapping[str, Any]] | None] = queue.SimpleQueue()
        self.stopped: str | None = None
        threading.Thread(target=self._read, name="mail", daemon=True).start()

    def next(self) -> tuple[str, Mapping[str, Any]] | None:
        """The next piece of work; None at the end."""
        return self._pieces.get()

    def _read(self) -> None:
        while True:
            try:
                word, *values = self._connection.recv()
            except (EOFError, OSError):  # the server is gone: nobody wants the result
                os._exit(0)
            if word == "work":
                self._pieces.put((values[0], values[1]))
            elif word == "stop":
                self.stopped = values[0]
            else:
                self._pieces.put(None)


def _do(connection: Connection, worker: Worker, mail: _Mail, job: str, asked: Mapping[str, Any]) -> None:
    def tell(stage: str, done: int = 0, total: int | None = None) -> None:
        if mail.stopped == job:
            raise Stopped
        connection.send(("stage", job, stage, done, total))

    start = time.perf_counter()
    try:
        tell("started")
        result = worker(job, asked, tell)
        result["timings"] = result.get("timings", {}) | {"total": round(time.perf_counter() - start, 4)}
        connection.send(("done", job, result))
    except Stopped:
        connection.send(("stopped", job))
    except JobError as error:
        connection.send(("failed", job, error.problem))
    except MemoryError:
        connection.send(("failed", job, too_large()))
    except Exception as error:
        traceback.print_exc(file=sys.stderr)
        is_memory = type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(error)
        connection.send(("failed", job, too_large() if is_memory else unexpected()))


def too_large() -> Problem:
    """There is not enough memory for a job."""
    return Problem(OUT_OF_MEMORY, "the job needs more memory than a lane may take", fix="use a smaller size or photo")


def unexpected() -> Problem:
    """An error of ours; what it was is in the server's log only."""
    return Problem("internal", "an unexpected error", fix="the server's log says more: report it with this job's id")
