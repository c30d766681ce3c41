"""The service: what the page, the REST server and other surfaces call."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, Self

from filelock import FileLock, Timeout

from idmvton.atomic import make_folder, whole_file
from idmvton.engine.service.database import Database, Row
from idmvton.engine.service.desk import CANCELLED, ERASED, Desk, tend_until, version_of
from idmvton.engine.service.failures import UnavailableError, UnknownJobError
from idmvton.engine.service.hub import Hub
from idmvton.engine.service.intake import Intake
from idmvton.engine.service.journal import SCHEMA, Journal
from idmvton.engine.service.lane_process import LaneSetup
from idmvton.engine.service.lanes import Lane, LaneState
from idmvton.engine.service.orders import Content, Order, Terms, is_id
from idmvton.engine.service.store import Store
from idmvton.engine.service.views import FINISHED, Adapter, Kind, Output, Problem, View
from idmvton.errors import ConfigError, InputError
from idmvton.options import ModelOptions, ServiceOptions

WORKER: Final = "idmvton.engine.service.lane_work:TryOnWorker"
_POLL: Final = 1.0  # seconds after which a wait looks at the journal, which another server may have written
_HOUSEKEEPING: Final = 1.0
_FRESH: Final = 0.5  # seconds that the order of the queue is remembered


class Service:
    """Takes orders, keeps them in a journal, and has lanes work on them.

    Every method may be called from any thread. As a context manager it starts, and closes at the end.

    Args:
        options: of the service.
        model: which weights, and where to.
        worker: ``module:name`` of what does the work in a lane; see :mod:`idmvton.engine.service.lane_process`.

    Raises:
        ConfigError: another server uses the state folder.
        OutputError: the state folder cannot be written.
        UnavailableError: the database does not answer.
    """

    def __init__(
        self, options: ServiceOptions | None = None, model: ModelOptions | None = None, *, worker: str = WORKER
    ) -> None:
        self.options, self.model = options or ServiceOptions(), model or ModelOptions()
        state = Path(self.options.state).absolute()
        make_folder(state, "the state folder")
        self._lock = FileLock(state / "in-use.lock", timeout=0)
        try:
            self._lock.acquire()
        except Timeout as error:
            raise ConfigError(
                "another server uses the state folder", got=state, fix="stop it, or choose another --state"
            ) from error
        self.store = Store(self.options.store or str(state / "pictures"))
        database = Database(self.options.database or str(state / "journal.sqlite"), SCHEMA)
        self.journal = Journal(database, _name_of(state))
        self.hub = Hub()
        self._intake = Intake(self.journal, self.store, self.hub, self.options)
        self.desk = Desk(self.journal, self.store, self.hub, self.options)
        self.lanes = [Lane(self.desk, self._setup(number, worker)) for number in range(self.options.lanes)]
        self._over = threading.Event()
        self._keeper = threading.Thread(
            target=tend_until, args=(self.desk, self._over, _HOUSEKEEPING), name="housekeeping", daemon=True
        )
        self._line: tuple[float, dict[str, tuple[int, float]]] = (0.0, {})

    def _setup(self, number: int, worker: str) -> LaneSetup:
        cores = os.cpu_count() or 1
        return LaneSetup(
            number=number,
            worker=worker,
            store=self.store.place if self.store.folder is None else str(self.store.folder),
            model=self.model,
            threads=self.model.threads or max(1, cores // self.options.lanes),
            warm_up=self.options.warm_up,
            adapters=self.options.adapters,
        )

    # --------------------------------------------------------------------------------------------- life

    def start(self) -> None:
        """Takes up what was left, and starts the lanes; orders are taken at once, work begins when a lane is ready."""
        self.desk.sweep()
        self.journal.take_up_own()
        self._keeper.start()
        for lane in self.lanes:
            lane.start()

    def close(self, grace: float = 10.0) -> None:
        """Ends the lanes; jobs that take longer than the grace go back into the queue, for the next start.

        Args:
            grace: seconds.
        """
        self._over.set()
        for lane in self.lanes:
            lane.end(grace)
        for lane in self.lanes:
            if lane.ident is not None:
                lane.join()
        if self._keeper.ident is not None:
            self._keeper.join()
        self.journal.take_up_own()
        self.journal.database.close()
        self._lock.release()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def is_ready(self) -> bool:
        """Whether a lane can work."""
        return any(lane.state.state in ("idle", "busy") for lane in self.lanes)

    @property
    def is_loading(self) -> bool:
        """Whether no lane has been ready yet."""
        return not any(lane.state.about for lane in self.lanes)

    def wait_ready(self, seconds: float) -> None:
        """Waits until a lane is ready.

        Raises:
            UnavailableError: none is, after so long or because none can be loaded.
        """
        until = time.monotonic() + seconds
        while not self.is_ready:
            broken = [lane.state.problem for lane in self.lanes if lane.state.state == "broken"]
            if len(broken) == len(self.lanes) or time.monotonic() > until:
                why = broken[0] if broken and broken[0] else None
                states = ", ".join(lane.state.state for lane in self.lanes)
                raise UnavailableError(
                    why.what if why else "no lane is ready",
                    got=why.got if why else states,
                    expected=why.expected if why else None,
                    fix=why.fix if why else "wait, or look into the log",
                )
            time.sleep(0.05)

    def lane_states(self) -> list[LaneState]:
        """What is known of each lane."""
        return [dataclasses.replace(lane.state) for lane in self.lanes]

    # ------------------------------------------------------------------------------------------- orders

    def submit(self, order: Order, terms: Terms | None = None) -> str:
        """Takes an order.

        Args:
            order: what is to be made.
            terms: how it is treated.

        Returns:
            The id of its job. With a key that the caller used before: of the job of then.

        Raises:
            InputError, ConfigError: the order is incomplete or contradicts itself.
            UnknownJobError: a prepared photo or garment that is not there.
            ConflictError: one that is not finished; a known key with another order.
            QueueFullError: there is no room.
            OutputError: the disk is full.
            UnavailableError: the database does not answer.
        """
        return self._take([order], terms or Terms(), None)[0]

    def submit_batch(self, orders: Sequence[Order], terms: Terms | None = None) -> tuple[str, list[str]]:
        """Takes several orders, or none; equal contents are stored once.

        Returns:
            The batch's id, and that of each job.

        Raises:
            As :meth:`submit`.
        """
        if not orders:
            raise InputError("the batch is empty", expected="at least one order")
        batch = secrets.token_hex(16)
        return batch, self._take(orders, terms or Terms(), batch)

    def _take(self, orders: Sequence[Order], terms: Terms, batch: str | None) -> list[str]:
        ids = self._intake(orders, terms, batch)
        for lane in self.lanes:
            lane.wake.set()
        return ids

    def adapters(self, caller: str | None = None) -> list[Adapter]:
        """The adapters that orders may use.

        Args:
            caller: with those that this caller had made.
        """
        return self._intake.adapters(caller)

    # --------------------------------------------------------------------------------------------- jobs

    def view(self, job: str, caller: str | None = None) -> View:
        """What is known of a job.

        Args:
            job: its id.
            caller: who asks; None: whoever runs the service.

        Raises:
            UnknownJobError: there is none, or it is another caller's.
        """
        return self._view(self._intake.row(job, caller))

    def batch(self, batch: str, caller: str | None = None) -> list[View]:
        """What is known of the jobs of a batch.

        Raises:
            UnknownJobError: there is none.
        """
        rows = self.journal.of_batch(batch) if is_id(batch) else []
        if not rows or (caller is not None and rows[0]["caller"] != caller):
            raise UnknownJobError("there is no such batch", got=batch[:80])
        return [self._view(row) for row in rows]

    def newest(self, kind: Kind, caller: str, limit: int = 100) -> list[View]:
        """A caller's newest jobs of a kind."""
        return [self._view(row) for row in self.journal.of_caller(caller, kind, limit)]

    def wait(self, job: str, seconds: float, caller: str | None = None) -> View:
        """Waits until a job is finished, or for so long; returns what is known then."""
        return self._until(lambda: self.view(job, caller), lambda view: view.is_finished, seconds)

    def events(self, job: str, caller: str | None = None, seconds: float = 3600.0) -> Iterator[View]:
        """What is known of a job, again at each change, until it is finished or for so long."""
        until = time.monotonic() + seconds
        view = self.view(job, caller)
        yield view
        while not view.is_finished and time.monotonic() < until:
            is_other = functools.partial(_differ, view)
            view = self._until(lambda: self.view(job, caller), is_other, until - time.monotonic())
            yield view

    def _until(self, look: Callable[[], View], enough: Callable[[View], bool], seconds: float) -> View:
        until = time.monotonic() + seconds
        seen = self.hub.wait(-1, 0)
        view = look()
        while not enough(view) and (left := until - time.monotonic()) > 0:
            seen = self.hub.wait(seen, min(left, _POLL))
            view = look()
        return view

    def cancel(self, job: str, caller: str | None = None) -> View:
        """Ends a job: at once where it waits, at the next step where it runs; what is finished stays as it is."""
        if self._intake.row(job, caller)["state"] not in FINISHED:
            self.desk.cancel(job, CANCELLED)
        return self.view(job, caller)

    def erase(self, job: str, caller: str | None = None) -> None:
        """Deletes a job, its pictures and what is written about it; one that runs is ended first.

        Raises:
            UnknownJobError: there is none.
        """
        if self._intake.row(job, caller)["state"] == "running":
            self.desk.cancel(job, ERASED)
            return
        self.desk.erase(job)

    def erase_batch(self, batch: str, caller: str | None = None) -> None:
        """The same for every job of a batch, and for the photos that they share."""
        for view in self.batch(batch, caller):
            self.erase(view.id)

    def put_mask(self, prepared: str, mask: Content, terms: Terms | None = None, seconds: float = 60.0) -> View:
        """Puts a corrected mask into what was prepared; later try-ons use it.

        Args:
            prepared: the id of a finished ``prepare``.
            mask: a picture of the prepared person's size, white is repainted.
            terms: how the work is treated.
            seconds: how long to wait.

        Returns:
            The job of the correction, finished unless that took longer.
        """
        job = self.submit(Order("mask", {"mask": mask}, prepared=prepared), terms)
        return self.wait(job, seconds)

    def read(self, job: str, name: str, caller: str | None = None) -> bytes:
        """A file that a job made.

        Raises:
            UnknownJobError: no such job, or it made no such file.
        """
        view = self.view(job, caller)
        if name not in (each.name for each in view.outputs):
            raise UnknownJobError("the job has no such file", got=name[:80], expected=_names(view))
        return self.store.read(self.store.job_key(job, name))

    def _view(self, row: Row) -> View:
        result = json.loads(row["result"] or "{}")
        place, seconds = self._place(row) if row["state"] == "queued" else (None, None)
        stage = self.hub.stage(row["id"]) if row["state"] == "running" else None
        if row["state"] == "running":
            pace = self.hub.pace(row["kind"])
            seconds = max(0.0, pace - (time.time() - (row["started"] or 0)))
        error = result.get("error")
        return View(
            id=row["id"],
            kind=row["kind"],
            caller=row["caller"],
            state=row["state"],
            created=row["created"],
            priority=row["priority"],
            batch=row["batch"],
            started=row["started"],
            ended=row["ended"],
            expires=row["expires"],
            place=place,
            seconds_left=None if seconds is None else round(seconds, 2),
            stage=stage.stage if stage else None,
            done=stage.done if stage else 0,
            total=stage.total if stage else None,
            warnings=tuple(result.get("warnings", ())),
            outputs=tuple(Output(**each) for each in result.get("outputs", ())),
            error=None if error is None else Problem(**error),
            timings=result.get("timings", {}),
            provenance=tuple(result.get("provenance", ())),
            about=result.get("about", {}) | ({"version": version_of(row)} if row["kind"] == "prepare" else {}),
            attempts=row["attempts"],
        )

    def _place(self, row: Row) -> tuple[int | None, float | None]:
        """Place in the queue from 1, and seconds until the job is done."""
        when, places = self._line
        if time.monotonic() - when > _FRESH or row["id"] not in places:
            seconds, places = 0.0, {}
            for place, each in enumerate(self.journal.line(), 1):
                pace = self.hub.pace(each["kind"])
                seconds += pace / len(self.lanes)
                places[each["id"]] = (place, max(seconds, pace))
            self._line = (time.monotonic(), places)
        return places.get(row["id"], (None, None))


def _differ(one: View, other: View) -> bool:
    """Whether something changed that is worth an event."""
    looks = [(view.state, view.place, view.stage, view.done, view.total) for view in (one, other)]
    return looks[0] != looks[1]


def _names(view: View) -> str:
    return ", ".join(each.name for each in view.outputs) or f"none: it is {view.state}"


def _name_of(state: Path) -> str:
    """A name that a server keeps in its state folder, so that it knows its own jobs when it starts again."""
    file = state / "server"
    if not file.is_file():
        with whole_file(file, "the server's name") as opened:
            opened.write(secrets.token_hex(8).encode())
    return file.read_text(encoding="ascii").strip()
