"""The journal: jobs, their order, their state and what became of them, in rows that outlive the process.

A job is in one row from its order to its end. Lanes claim rows; a row whose lane died goes back into the queue once,
and one whose server died when that server starts again, or when another one finds that its pulse has stopped.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from idmvton.engine.service.database import Cursor, Database, Row
from idmvton.engine.service.failures import ConflictError, QueueFullError, UnknownJobError
from idmvton.engine.service.views import State

PULSE: Final = 5.0
"""Seconds between two signs of life of a running job."""
SILENCE: Final = 30.0
"""Seconds without one after which its server counts as dead."""
MAX_BEGINNINGS: Final = 2
"""A job whose lane died is begun once more."""
MAX_RESTARTS: Final = 5
"""The same where the whole server died, which may have had other reasons."""
_LONG: Final = 600.0  # seconds that a lane waits for its database before it gives a result up

SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS jobs ("
    "number {number}, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, caller TEXT NOT NULL, batch TEXT, "
    "priority BIGINT NOT NULL, state TEXT NOT NULL, asked TEXT NOT NULL, person TEXT, garment TEXT, "
    "created DOUBLE PRECISION NOT NULL, started DOUBLE PRECISION, ended DOUBLE PRECISION, "
    "deadline DOUBLE PRECISION, expires DOUBLE PRECISION, attempts BIGINT NOT NULL DEFAULT 0, "
    "owner TEXT, pulse DOUBLE PRECISION, stop TEXT, result TEXT, key TEXT, digest TEXT, UNIQUE (caller, key))",
    "CREATE INDEX IF NOT EXISTS jobs_by_state ON jobs (state, priority, number)",
    "CREATE INDEX IF NOT EXISTS jobs_by_batch ON jobs (batch)",
    "CREATE TABLE IF NOT EXISTS turns (caller TEXT PRIMARY KEY, taken BIGINT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS webhooks (job TEXT PRIMARY KEY, url TEXT NOT NULL, attempts BIGINT NOT NULL DEFAULT 0, "
    "due DOUBLE PRECISION, state TEXT NOT NULL)",
)
_LINE: Final = (
    "SELECT id, kind, priority, COALESCE(turns.taken, 0) AS taken, jobs.number AS number, "
    "ROW_NUMBER() OVER (PARTITION BY jobs.caller, jobs.priority ORDER BY jobs.number) AS turn "
    "FROM jobs LEFT JOIN turns ON turns.caller = jobs.caller WHERE state = 'queued' "
    "ORDER BY priority DESC, turn, taken, number"
)


@dataclass(frozen=True, slots=True)
class NewJob:
    """A row before it is written.

    Attributes:
        id, kind, caller, batch, priority: see :class:`idmvton.engine.service.orders.View`.
        asked: what the lane needs, as plain values.
        person, garment: keys that jobs with the same person or garment share.
        deadline: seconds since 1970.
        key, digest: of the order; see :class:`idmvton.engine.service.orders.Terms`.
        webhook: a URL.
    """

    id: str
    kind: str
    caller: str
    asked: Mapping[str, Any]
    priority: int = 0
    batch: str | None = None
    person: str | None = None
    garment: str | None = None
    deadline: float | None = None
    key: str | None = None
    digest: str | None = None
    webhook: str | None = None


class Room(NamedTuple):
    """How many jobs may wait.

    Attributes:
        most, most_of_caller: of everybody, and of one caller.
        pace: seconds that one of them takes, for the advice when to ask again.
    """

    most: int
    most_of_caller: int
    pace: float


class Journal:
    """The rows of one database.

    Args:
        database: with :data:`SCHEMA`.
        server: a name that this server keeps when it starts again.
    """

    def __init__(self, database: Database, server: str) -> None:
        self.database, self.server = database, server

    # ------------------------------------------------------------------------------------------------ orders

    def add(self, jobs: Sequence[NewJob], room: Room) -> list[str]:
        """Writes orders: all of them, or none.

        Args:
            jobs: of one caller.
            room: how many may wait.

        Returns:
            Their ids; the id of the earlier one for an order with a key that is known.

        Raises:
            QueueFullError: there is no room.
            ConflictError: a known key with another order.
        """

        def work(cursor: Cursor) -> list[str]:
            ids = [_known(cursor, each) for each in jobs]
            new = [each for each, known in zip(jobs, ids, strict=True) if known is None]
            if new:
                _check_room(cursor, new[0].caller, len(new), room)
            for each in new:
                _insert(cursor, each)
            return [known or each.id for each, known in zip(jobs, ids, strict=True)]

        return self.database.transaction(work)

    def check_room(self, caller: str, count: int, room: Room) -> None:
        """Makes sure, before files are written, that there is room; :meth:`add` looks again.

        Raises:
            QueueFullError: there is none.
        """
        self.database.transaction(lambda cursor: _check_room(cursor, caller, count, room))

    def get(self, job: str) -> Row:
        """A row.

        Raises:
            UnknownJobError: there is none.
        """
        row = self.database.transaction(lambda cursor: cursor.one("SELECT * FROM jobs WHERE id = ?", job))
        if row is None:
            raise UnknownJobError("there is no such job", got=job[:80], fix="it may have been erased: order it again")
        return row

    def of_batch(self, batch: str) -> list[Row]:
        """The rows of a batch, in their order."""
        statement = "SELECT * FROM jobs WHERE batch = ? ORDER BY number"
        return self.database.transaction(lambda cursor: cursor.all(statement, batch))

    def of_caller(self, caller: str, kind: str, limit: int) -> list[Row]:
        """A caller's newest rows of a kind."""
        statement = "SELECT * FROM jobs WHERE caller = ? AND kind = ? ORDER BY number DESC LIMIT ?"
        return self.database.transaction(lambda cursor: cursor.all(statement, caller, kind, limit))

    def line(self) -> list[Row]:
        """What waits, in the order in which it will be taken."""
        return self.database.transaction(lambda cursor: cursor.all(_LINE))

    def counts(self) -> dict[str, int]:
        """How many jobs are in each state."""
        statement = "SELECT state, COUNT(*) AS count FROM jobs GROUP BY state"
        return {row["state"]: row["count"] for row in self.database.transaction(lambda cursor: cursor.all(statement))}

    # ------------------------------------------------------------------------------------------------- lanes

    def claim(self, lane: str, person: str | None, garment: str | None) -> Row | None:
        """Takes the next job for a lane.

        The highest priority goes first; there, callers take turns. A lane that has just worked on a garment or person
        is offered another job with the same one, whoever asked for it.

        Args:
            lane: its name.
            person, garment: keys of what it has at hand; None: callers take turns strictly.
        """

        def work(cursor: Cursor) -> Row | None:
            found = _next(cursor, person, garment)
            if found is None:
                return None
            now = time.time()
            cursor.run(
                "UPDATE jobs SET state = 'running', started = ?, pulse = ?, owner = ?, attempts = attempts + 1 "
                "WHERE id = ?",
                *(now, now, f"{self.server}/{lane}", found["id"]),
            )
            cursor.run(
                "INSERT INTO turns (caller, taken) VALUES (?, ?) ON CONFLICT (caller) DO UPDATE SET taken = ?",
                *(found["caller"], time.time_ns(), time.time_ns()),
            )
            return {**found, "attempts": found["attempts"] + 1, "started": now}

        return self.database.transaction(work, patience=_LONG)

    def beat(self, job: str) -> str | None:
        """A sign of life of a running job; returns why it should stop, ``"lost"`` where it is not ours now."""

        def work(cursor: Cursor) -> str | None:
            cursor.run("UPDATE jobs SET pulse = ? WHERE id = ?", time.time(), job)
            row = cursor.one("SELECT state, stop FROM jobs WHERE id = ?", job)
            return "lost" if row is None or row["state"] != "running" else row["stop"]

        return self.database.transaction(work)

    def finish(self, job: str, state: State, result: Mapping[str, Any], keep: float | None) -> bool:
        """Writes the end of a job that this server runs, or that waits.

        Args:
            job: its id.
            state: the last one.
            result: plain values.
            keep: seconds until it is deleted; None: not by itself.

        Returns:
            Whether it was still to be ended; else somebody else did, or it was erased.
        """

        def work(cursor: Cursor) -> bool:
            now = time.time()
            changed = cursor.run(
                "UPDATE jobs SET state = ?, result = ?, ended = ?, expires = ? WHERE id = ? AND "
                "(state = 'queued' OR (state = 'running' AND owner LIKE ?))",
                *(state, json.dumps(result), now, None if keep is None else now + keep, job, f"{self.server}/%"),
            )
            cursor.run("UPDATE webhooks SET due = ? WHERE job = ? AND state = 'waiting'", now, job)
            return changed > 0

        return self.database.transaction(work, patience=_LONG)

    def give_back(self, job: str) -> bool:
        """Puts a job whose lane died into the queue again; False where it had its second try."""
        statement = (
            "UPDATE jobs SET state = 'queued', owner = NULL, pulse = NULL "
            f"WHERE id = ? AND state = 'running' AND owner LIKE ? AND attempts < {MAX_BEGINNINGS}"
        )
        return self.database.transaction(lambda cursor: cursor.run(statement, job, f"{self.server}/%") > 0, patience=60)

    # ------------------------------------------------------------------------------------------ housekeeping

    def take_up_own(self) -> int:
        """At the start: what this server ran when it died goes back into the queue."""
        return self._take_up("owner LIKE ?", f"{self.server}/%")

    def take_up_silent(self) -> int:
        """What servers ran that show no sign of life any more goes back into the queue."""
        return self._take_up("pulse < ?", time.time() - SILENCE)

    def _take_up(self, which: str, value: Any) -> int:
        again = "UPDATE jobs SET state = 'queued', owner = NULL, pulse = NULL WHERE state = 'running' AND "
        return self.database.transaction(lambda cursor: cursor.run(f"{again}{which}", value))

    def stop(self, job: str, why: str) -> None:
        """Asks for the end of a running job."""
        self.database.transaction(lambda cursor: cursor.run("UPDATE jobs SET stop = ? WHERE id = ?", why, job))

    def overdue(self) -> list[str]:
        """Jobs that wait and whose deadline has passed."""
        return self._ids("state = 'queued' AND deadline < ?", time.time())

    def expired(self) -> list[str]:
        """Jobs whose retention has ended."""
        return self._ids("expires < ?", time.time())

    def made_adapters(self) -> list[str]:
        """Jobs that made an adapter."""
        return self._ids("kind = 'adapter' AND state = 'succeeded'")

    def _ids(self, which: str, *values: Any) -> list[str]:
        found = self.database.transaction(lambda cursor: cursor.all(f"SELECT id FROM jobs WHERE {which}", *values))
        return [row["id"] for row in found]

    def keep_until(self, job: str, when: float) -> None:
        """Keeps a finished job at least until then, because another one uses it."""
        statement = "UPDATE jobs SET expires = ? WHERE id = ? AND expires < ?"
        self.database.transaction(lambda cursor: cursor.run(statement, when, job, when))

    def change_result(self, job: str, result: Mapping[str, Any]) -> None:
        """Replaces what a finished job made: a mask was put back."""
        statement = "UPDATE jobs SET result = ? WHERE id = ?"
        self.database.transaction(lambda cursor: cursor.run(statement, json.dumps(result), job))

    def delete(self, job: str) -> bool:
        """Deletes a row and its webhook; returns whether it was the last one of its batch."""

        def work(cursor: Cursor) -> bool:
            row = cursor.one("SELECT batch FROM jobs WHERE id = ?", job)
            cursor.run("DELETE FROM webhooks WHERE job = ?", job)
            cursor.run("DELETE FROM jobs WHERE id = ?", job)
            batch = row["batch"] if row else None
            return batch is not None and not cursor.all("SELECT id FROM jobs WHERE batch = ?", batch)

        return self.database.transaction(work)

    # ---------------------------------------------------------------------------------------------- webhooks

    def due_webhooks(self, hold: float) -> list[Row]:
        """Takes the webhooks that are due; nobody else gets them for ``hold`` seconds."""

        def work(cursor: Cursor) -> list[Row]:
            now = time.time()
            rows = cursor.all("SELECT * FROM webhooks WHERE state = 'waiting' AND due <= ? ORDER BY due LIMIT 20", now)
            taken = "UPDATE webhooks SET due = ? WHERE job = ? AND due = ?"
            return [row for row in rows if cursor.run(taken, now + hold, row["job"], row["due"])]

        return self.database.transaction(work)

    def webhook_tried(self, job: str, state: str, due: float | None) -> None:
        """Writes what became of a webhook's delivery, and when it is due again."""
        statement = "UPDATE webhooks SET attempts = attempts + 1, state = ?, due = ? WHERE job = ?"
        self.database.transaction(lambda cursor: cursor.run(statement, state, due, job))


def _known(cursor: Cursor, job: NewJob) -> str | None:
    if job.key is None:
        return None
    row = cursor.one("SELECT id, digest FROM jobs WHERE caller = ? AND key = ?", job.caller, job.key)
    if row is not None and row["digest"] != job.digest:
        raise ConflictError(
            "the idempotency key was used for another order",
            got=job.key[:80],
            expected="the same files and options",
            fix="use a new key for each new order",
        )
    return None if row is None else str(row["id"])


def _check_room(cursor: Cursor, caller: str, count: int, room: Room) -> None:
    waiting = "SELECT COUNT(*) AS count FROM jobs WHERE state = 'queued'"
    everybody = cursor.all(waiting)[0]["count"]
    mine = cursor.all(f"{waiting} AND caller = ?", caller)[0]["count"]
    for there, limit, whose in (
        (everybody, room.most, "the queue is"),
        (mine, room.most_of_caller, "your part of the queue is"),
    ):
        if there + count > limit:
            seconds = max(1.0, min(600.0, (there + count - limit) * room.pace))
            got = f"{there} waiting and {count} more"
            raise QueueFullError(f"{whose} full", got=got, expected=f"at most {limit}", seconds=seconds)


def _insert(cursor: Cursor, job: NewJob) -> None:
    values = {
        "id": job.id,
        "kind": job.kind,
        "caller": job.caller,
        "batch": job.batch,
        "priority": job.priority,
        "state": "queued",
        "asked": json.dumps(job.asked),
        "person": job.person,
        "garment": job.garment,
        "created": time.time(),
        "deadline": job.deadline,
        "key": job.key,
        "digest": job.digest,
    }
    marks = ", ".join("?" * len(values))
    cursor.run(f"INSERT INTO jobs ({', '.join(values)}) VALUES ({marks}) ON CONFLICT (id) DO NOTHING", *values.values())
    if job.webhook is not None:
        statement = "INSERT INTO webhooks (job, url, state) VALUES (?, ?, 'waiting') ON CONFLICT (job) DO NOTHING"
        cursor.run(statement, job.id, job.webhook)


def _next(cursor: Cursor, person: str | None, garment: str | None) -> Row | None:
    """The row that a lane takes next, locked."""
    top = cursor.one("SELECT MAX(priority) AS priority FROM jobs WHERE state = 'queued'")
    if top is None or top["priority"] is None:
        return None
    chosen = "SELECT jobs.* FROM jobs WHERE state = 'queued' AND priority = ?"
    for column, value in (("garment", garment), ("person", person)):
        if value is not None:
            found = cursor.one(f"{chosen} AND {column} = ? ORDER BY number LIMIT 1 {{lock}}", top["priority"], value)
            if found is not None:
                return found
    return cursor.one(
        "SELECT jobs.* FROM jobs LEFT JOIN turns ON turns.caller = jobs.caller "
        "WHERE state = 'queued' AND priority = ? ORDER BY COALESCE(turns.taken, 0), jobs.number LIMIT 1 {lock}",
        top["priority"],
    )
