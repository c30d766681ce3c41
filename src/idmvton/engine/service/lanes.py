"""The server's side of a lane: a thread that starts its process, gives it work and replaces it when it dies."""

from __future__ import annotations

import json
import logging
import multiprocessing
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, Final

import psutil

from idmvton.engine.service.database import Row
from idmvton.engine.service.desk import Desk
from idmvton.engine.service.failures import UnavailableError
from idmvton.engine.service.hub import Stage
from idmvton.engine.service.journal import PULSE
from idmvton.engine.service.lane_process import OUT_OF_MEMORY, LaneSetup, main, too_large, unexpected
from idmvton.engine.service.views import Problem

log: Final = logging.getLogger("idmvton.service")
_TICK: Final = 0.25
_IDLE: Final = 1.0  # seconds after which an idle lane looks for work that another server may have left
_GOODBYE: Final = 3.0  # seconds that an idle lane has to end by itself
_GRACE: Final = 20.0  # seconds that a lane has to stop at its next step
_PAUSES: Final = (0.0, 1.0, 5.0, 15.0, 60.0)  # seconds before a lane that could not be loaded is tried again
_SHARE: Final = 0.9  # of the machine's memory, for all lanes together
_WORN: Final = 0.8  # share of the memory limit from which on a lane is replaced between two jobs


@dataclass(slots=True)
class LaneState:
    """What is known of a lane.

    Attributes:
        name: of the lane.
        state: starting, loading, warming up, idle, busy, broken or ended.
        about: what is loaded.
        pid: of its process.
        memory: bytes that it has resident.
        jobs: how many it has worked on.
        deaths: how often it was replaced.
        problem: why it could not be loaded.
    """

    name: str
    state: str = "starting"
    about: Mapping[str, Any] | None = None
    pid: int | None = None
    memory: int = 0
    jobs: int = 0
    deaths: int = 0
    problem: Problem | None = None


class Lane(threading.Thread):
    """A lane.

    Args:
        desk: the service.
        setup: of its process.
    """

    def __init__(self, desk: Desk, setup: LaneSetup) -> None:
        super().__init__(name=f"lane-{setup.number}", daemon=True)
        self.desk, self.setup = desk, setup
        self.state = LaneState(self.name)
        self.wake = threading.Event()
        limit = desk.options.lane_memory
        self._most = int(limit * 2**30) if limit else memory_share(desk.options.lanes)
        self._ending = threading.Event()
        self._end_at = 0.0
        self._process: multiprocessing.process.BaseProcess | None = None
        self._connection: Connection | None = None
        self._shared: tuple[str | None, str | None] = (None, None)
        self._run = 0
        self._failures = 0

    def run(self) -> None:
        """Starts processes and gives them work, until :meth:`end`."""
        while not self._ending.is_set():
            try:
                if self._start_process():
                    self._failures = 0
                    self._work()
                else:
                    self._failures += 1
                    self._ending.wait(_PAUSES[min(self._failures, len(_PAUSES) - 1)])
            except Exception:
                log.exception("lane %s: its thread goes on with a new process", self.name)
                self._ending.wait(1.0)
            finally:
                self._stop_process()
        self._set("ended")

    def end(self, grace: float) -> None:
        """Ends after the job that it works on, or after the grace in seconds; the job is then left as it is."""
        self._end_at = time.monotonic() + grace
        self._ending.set()
        self.wake.set()

    def _set(self, state: str) -> None:
        self.state.state = state

    # ------------------------------------------------------------------------------------------------ process

    def _start_process(self) -> bool:
        """Starts the process and waits until it is ready."""
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=main, args=(theirs, self.setup), name=self.name, daemon=True)
        process.start()
        theirs.close()
        self._process, self._connection = process, ours
        self.state.pid = process.pid
        self._set("loading")
        while not self._ending.is_set():
            message = self._receive(1.0)
            if message is None:
                continue
            word, *values = message
            if word == "state":
                self._set(values[0])
            elif word == "ready":
                self.state.about, self.state.problem = values[0], None
                self._set("idle")
                return True
            else:
                self.state.problem = values[0] if word == "broken" else unexpected()
                self._set("broken")
                log.error("lane %s could not be loaded: %s", self.name, self.state.problem)
                return False
        return False

    def _receive(self, seconds: float) -> tuple[Any, ...] | None:
        """The next message; ``("died",)`` where the process did; None where nothing came in time."""
        assert self._process is not None
        assert self._connection is not None
        wait([self._connection, self._process.sentinel], seconds)
        try:
            if self._connection.poll():
                message: tuple[Any, ...] = self._connection.recv()
                return message
        except (EOFError, OSError):
            return ("died",)
        return None if self._process.is_alive() else ("died",)

    def _send(self, *message: Any) -> None:
        assert self._connection is not None
        try:
            self._connection.send(message)
        except OSError:
            log.warning("lane %s does not listen any more", self.name)

    def _stop_process(self) -> None:
        if self._process is not None:
            if self.state.state == "idle":
                self._send("end")
                self._process.join(_GOODBYE)
            self._process.kill()
            self._process.join()
            self._process = None
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self.state.pid, self.state.memory, self._shared = None, 0, (None, None)

    def _resident(self) -> int:
        try:
            return int(psutil.Process(self.state.pid).memory_info().rss)
        except psutil.Error:
            return 0

    # --------------------------------------------------------------------------------------------------- work

    def _work(self) -> None:
        """Gives the process work until it dies, is worn out, or the end."""
        while not self._ending.is_set():
            self.wake.clear()
            row = self._next()
            if row is None:
                self._set("idle")
                self.wake.wait(_IDLE)
                if self._process is not None and not self._process.is_alive():
                    self._note_death()
                    return
                continue
            self._set("busy")
            if not self._do(row):
                return
            self.state.jobs += 1
            self.state.memory = self._resident()
            if self.state.memory > _WORN * self._most:
                log.warning("lane %s has %d MiB resident and is replaced", self.name, self.state.memory >> 20)
                return

    def _next(self) -> Row | None:
        fits = self._shared if self._run < self.desk.options.run_length else (None, None)
        try:
            row = self.desk.next_for(self.name, *fits)
        except UnavailableError:
            return None
        if row is not None:
            shared = row["person"], row["garment"]
            same = any(mine is not None and mine == other for mine, other in zip(shared, self._shared, strict=True))
            self._run = self._run + 1 if same else 1
            self._shared = shared
        return row

    def _do(self, row: Row) -> bool:
        """Has a job done; returns whether the process can go on."""
        watch = _Watch(self.desk, row)
        asked = json.loads(row["asked"])
        readings = self.desk.readings.of(each["sha256"] for each in asked.get("files", {}).values())
        self._send("work", row["id"], asked | {"readings": readings})
        while True:
            message = self._receive(_TICK)
            word = message[0] if message else None
            if word == "died":
                self._note_death()
                self.desk.died(row) if watch.why is None else self.desk.ended(row, "stopped", watch.why)
                return False
            if word in ("done", "failed", "stopped"):
                assert message is not None
                self.desk.ended(row, str(word), watch.why if word == "stopped" else message[2])
                return not (word == "failed" and message[2].code == OUT_OF_MEMORY)
            if word == "stage":
                assert message is not None
                self.desk.hub.set_stage(message[1], Stage(*message[2:]))
            if self._ending.is_set() and time.monotonic() > self._end_at:
                return False
            if watch.asks_to_stop():
                self._send("stop", row["id"])
            self.state.memory = self._resident()
            if self.state.memory > self._most:
                log.error("lane %s has %d MiB resident: it is killed", self.name, self.state.memory >> 20)
                self.desk.ended(row, "failed", too_large())
                return False
            if watch.is_stuck:
                log.error("lane %s did not stop: it is killed", self.name)
                self.desk.ended(row, "stopped", watch.why)
                return False

    def _note_death(self) -> None:
        self.state.deaths += 1
        self._set("starting")
        log.error("lane %s (process %s) died and is replaced", self.name, self.state.pid)


def memory_share(lanes: int) -> int:
    """Bytes that each of some lanes may take."""
    return int(_SHARE * psutil.virtual_memory().total / lanes)


class _Watch:
    """When a running job has to stop."""

    def __init__(self, desk: Desk, row: Row) -> None:
        now = time.time()
        self._desk, self._job = desk, row["id"]
        is_long = row["kind"] == "adapter"
        self._end = now + (desk.options.adapter_timeout if is_long else desk.options.job_timeout)
        self._deadline = row["deadline"]
        self._next_beat = now
        self._asked: float | None = None
        self.why: str | None = None

    def asks_to_stop(self) -> bool:
        """Whether this is the moment to ask for the stop."""
        now = time.time()
        if self.why is None:
            self.why = self._reason(now)
            if self.why is not None:
                self._asked = now
                return True
        return False

    def _reason(self, now: float) -> str | None:
        if self._deadline is not None and now > self._deadline:
            return "deadline"
        if now > self._end:
            return "timeout"
        if (why := self._desk.hub.stop_of(self._job)) is not None:
            return why
        if now >= self._next_beat:
            self._next_beat = now + PULSE / 5
            try:
                return self._desk.beat(self._job)
            except UnavailableError:
                return None
        return None

    @property
    def is_stuck(self) -> bool:
        """Whether the lane was asked to stop long ago."""
        return self._asked is not None and time.time() > self._asked + _GRACE
