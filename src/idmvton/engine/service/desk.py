"""Between journal and lanes: hands jobs out, writes their ends, erases, and looks after what is left lying."""

from __future__ import annotations

import dataclasses
import json
import logging
import time
from collections.abc import Mapping
from typing import Any, Final

from idmvton.engine.service.database import Row
from idmvton.engine.service.failures import UnavailableError, UnknownJobError
from idmvton.engine.service.hub import Hub, Stage
from idmvton.engine.service.journal import Journal
from idmvton.engine.service.store import Store
from idmvton.engine.service.views import Problem, State
from idmvton.errors import IdmVtonError, OutputError
from idmvton.options import ServiceOptions

log: Final = logging.getLogger("idmvton.service")
CANCELLED: Final = "cancelled"
ERASED: Final = "erased"
LOST: Final = "lost"
_LATE: Final = {
    "deadline": Problem(
        "deadline", "the deadline has passed", expected="a result before it", fix="order it again with a later one"
    ),
    "timeout": Problem("timeout", "the job took longer than a job may", fix="use fewer steps or a smaller size"),
}
LANE_DIED: Final = Problem(
    "lane_died", "the process that worked on the job died twice", fix="the server's log says more; try other photos"
)
_RETRY: Final = 2.0  # seconds


class Desk:
    """What the lanes ask of the service.

    Args:
        journal: of the jobs.
        store: of their pictures.
        hub: what is known in memory.
        options: of the service.
    """

    def __init__(self, journal: Journal, store: Store, hub: Hub, options: ServiceOptions) -> None:
        self.journal, self.store, self.hub, self.options = journal, store, hub, options

    # -------------------------------------------------------------------------------------------------- lanes

    def next_for(self, lane: str, person: str | None, garment: str | None) -> Row | None:
        """The next job for a lane, with the version of the prepared photo that it uses."""
        row = self.journal.claim(lane, person, garment)
        while row is not None and row["deadline"] is not None and row["deadline"] < time.time():
            self.ended(row, "stopped", "deadline")
            row = self.journal.claim(lane, person, garment)
        if row is None:
            return None
        asked = json.loads(row["asked"])
        if asked.get("prepared"):
            try:
                asked["version"] = version_of(self.journal.get(asked["prepared"]))
            except UnknownJobError:
                asked["version"] = "erased"
        self.hub.set_stage(row["id"], Stage("started", 0, None))
        return {**row, "asked": json.dumps(asked)}

    def beat(self, job: str) -> str | None:
        """A sign of life of a running job; returns why it should stop, if it should."""
        return self.journal.beat(job)

    def ended(self, row: Row, word: str, found: Any) -> None:
        """Writes the end of a job; while neither disk nor database take it, tries again.

        Args:
            row: of the job.
            word: ``done``, ``failed`` or ``stopped``.
            found: its result, its problem, or why it was stopped.
        """
        job = row["id"]
        state, result = _end_of(word, found)
        if word == "done":
            self.hub.took(row["kind"], float(result["timings"]["total"]))
        self.hub.set_stage(job, Stage("writing the journal", 0, None))
        while found != LOST:
            try:
                if word == "done" and result.get("changed"):
                    self._change_prepared(result)
                keep = None if row["kind"] == "adapter" and word == "done" else self.options.retention * 3600
                is_ours = self.journal.finish(job, state, result, keep)
                break
            except (OutputError, UnavailableError) as error:
                log.error("the end of job %s cannot be written: %s", job, error.what)
                time.sleep(_RETRY)
        else:
            is_ours = False
        for listener in self.hub.on_end:
            listener(row["kind"], state, result.get("timings", {}))
        if found == ERASED or (not is_ours and self._is_gone(job)):
            self.erase(job)
        elif row["kind"] == "adapter" and is_ours and word == "done":
            self._forget_photos(row)
        self.hub.forget(job)

    def died(self, row: Row) -> None:
        """Puts the job of a dead lane back, or ends it where it was the second one."""
        self.hub.forget(row["id"])
        if not self.journal.give_back(row["id"]):
            self.ended(row, "failed", LANE_DIED)
        self.hub.tell(row["id"])

    def _change_prepared(self, result: Mapping[str, Any]) -> None:
        """A corrected mask: what was prepared has other files now."""
        target = result["about"]["prepared"]
        before = json.loads(self.journal.get(target)["result"])
        changed = {each["name"]: each for each in result["changed"]}
        before["outputs"] = [changed.get(each["name"], each) for each in before["outputs"]]
        before["about"]["sources"]["mask"] = "changed by hand"
        self.journal.change_result(target, before)

    def _forget_photos(self, row: Row) -> None:
        """An adapter stays until it is deleted; the photos that it was learned from do not."""
        for file in json.loads(row["asked"])["files"].values():
            if file["key"].startswith(self.store.job_key(row["id"], "")):
                self.store.delete(file["key"])

    def _is_gone(self, job: str) -> bool:
        try:
            self.journal.get(job)
        except UnknownJobError:
            return True
        return False

    # --------------------------------------------------------------------------------------------- end of jobs

    def cancel(self, job: str, why: str = CANCELLED) -> None:
        """Ends a job: at once where it waits, at the next step where it runs."""
        if self.journal.get(job)["state"] == "queued":
            state, result = _end_of("stopped", why)
            self.journal.finish(job, state, result, self.options.retention * 3600)
        self.hub.stop(job, why)
        self.journal.stop(job, why)
        self.hub.tell(job)

    def erase(self, job: str) -> None:
        """Deletes a job's files and rows; what a lane still writes is deleted when it ends."""
        batch = None
        try:
            row = self.journal.get(job)
            batch = row["batch"]
        except UnknownJobError:
            log.debug("job %s is erased already", job)
        self.store.delete(self.store.job_key(job))
        if self.journal.delete(job) and batch is not None:
            self.store.delete(self.store.batch_key(batch))
        self.journal.database.shrink()
        self.hub.tell(job)

    # -------------------------------------------------------------------------------------------- housekeeping

    def tend(self) -> None:
        """What is due: deadlines of waiting jobs, the end of retentions, jobs of servers that died."""
        for job in self.journal.overdue():
            state, result = _end_of("stopped", "deadline")
            self.journal.finish(job, state, result, self.options.retention * 3600)
            self.hub.tell(job)
        for job in self.journal.expired():
            self.erase(job)
        if count := self.journal.take_up_silent():
            log.warning("%d jobs of servers without a sign of life are taken up again", count)

    def sweep(self) -> None:
        """Deletes files that a server left when it died: photos of adapters, and what no row knows."""
        for job in self.journal.made_adapters():
            self._forget_photos(self.journal.get(job))
        if self.store.folder is None or self.journal.database.is_shared:
            return
        for folder in (self.store.folder / self.store.job_key("")).glob("*"):
            if self._is_gone(folder.name):
                self.store.delete(self.store.job_key(folder.name))
        for folder in (self.store.folder / self.store.batch_key("")).glob("*"):
            if not self.journal.of_batch(folder.name):
                self.store.delete(self.store.batch_key(folder.name))


def _end_of(word: str, found: Any) -> tuple[State, dict[str, Any]]:
    """The last state of a job, and what is written of it."""
    if word == "done":
        return "succeeded", dict(found)
    problem = found if word == "failed" else _LATE.get(found)
    if problem is None:
        return "cancelled", {}
    return "failed", {"error": dataclasses.asdict(problem)}


def version_of(row: Row) -> str:
    """Of what was prepared: changes with each mask that is put back."""
    result = json.loads(row["result"] or "{}")
    return "+".join(each["sha256"][:16] for each in result.get("outputs", []))


def tend_until(desk: Desk, is_over: Any, pause: float) -> None:
    """The housekeeping thread: looks after everything now and then, whatever fails."""
    while not is_over.wait(pause):
        try:
            desk.tend()
        except IdmVtonError as error:
            log.error("housekeeping: %s", error)
        except Exception:
            log.exception("housekeeping")
