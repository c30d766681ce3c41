"""Orders become rows and files: all of an order, or nothing."""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from idmvton.checkpoint.adapter_record import adapter_files
from idmvton.engine.service.database import Row
from idmvton.engine.service.failures import ConflictError, UnknownJobError
from idmvton.engine.service.hub import Hub
from idmvton.engine.service.journal import Journal, NewJob, Room
from idmvton.engine.service.orders import Content, Order, Terms, check_order, checked_options, is_id
from idmvton.engine.service.store import Store
from idmvton.engine.service.views import Kind
from idmvton.options import ServiceOptions


class Intake:
    """Takes orders.

    Args:
        journal: where their rows go to.
        store: where their files go to.
        hub: knows how long jobs take.
        options: of the service.
    """

    def __init__(self, journal: Journal, store: Store, hub: Hub, options: ServiceOptions) -> None:
        self.journal, self.store, self.hub, self.options = journal, store, hub, options

    def __call__(self, orders: Sequence[Order], terms: Terms, batch: str | None) -> list[str]:
        """Writes orders: all of them, or none.

        Args:
            orders: at least one.
            terms: of all of them.
            batch: the id of their batch, whose files are stored once.

        Returns:
            The ids of their jobs.

        Raises:
            As :meth:`idmvton.engine.service.service.Service.submit`.
        """
        for order in orders:
            check_order(order)
        options = [checked_options(order.options, self.options) for order in orders]
        pace = self.hub.pace(orders[0].kind) / self.options.lanes
        room = Room(self.options.queue, terms.queue or self.options.queue_of_caller, pace)
        if terms.key is None:
            self.journal.check_room(terms.caller, len(orders), room)
        files = _Files(self.store, batch)
        try:
            jobs = [self._job(order, chosen, terms, files) for order, chosen in zip(orders, options, strict=True)]
            ids = self.journal.add(jobs, room)
        except BaseException:
            files.drop()
            raise
        if batch is None and ids != [job.id for job in jobs]:  # known by its key
            files.drop()
        return ids

    def _job(self, order: Order, options: Mapping[str, Any], terms: Terms, files: _Files) -> NewJob:
        job = secrets.token_hex(16)
        brought = {role: files.put(job, role, content) for role, content in order.files.items()}
        if order.garment is not None:
            used = self.used(order.garment, "garment", terms.caller)
            brought["garment"] = json.loads(used["asked"])["files"]["garment"]
        if order.prepared is not None:
            self.used(order.prepared, "prepare", terms.caller)
        content = {role: file["sha256"] for role, file in brought.items()}
        common = {"kind": order.kind, "prepared": order.prepared, "adapter": self._checked_adapter(order.adapter)}
        told = common | {"files": content, "options": dict(order.options)}
        return NewJob(
            id=job,
            kind=order.kind,
            caller=terms.caller,
            asked=common | {"files": brought, "options": dict(options)},
            priority=terms.priority,
            batch=files.batch,
            person=order.prepared or content.get("person"),
            garment=content.get("garment"),
            deadline=None if terms.deadline is None else time.time() + terms.deadline,
            key=terms.key,
            digest=hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest(),
            webhook=terms.webhook,
        )

    def used(self, job: str, kind: Kind, caller: str) -> Row:
        """A finished job that an order uses; it is kept as long as the order's result.

        Raises:
            UnknownJobError: there is none of this kind and caller.
            ConflictError: it has not succeeded.
        """
        row = self.row(job, caller)
        if row["kind"] != kind:
            raise UnknownJobError(f"this id is no {kind}'s", got=job, expected=f"the id of a finished {kind}")
        if row["state"] != "succeeded":
            raise ConflictError(f"the {kind} is not there yet", got=row["state"], fix="wait until it has succeeded")
        self.journal.keep_until(job, time.time() + self.options.retention * 3600)
        return row

    def row(self, job: str, caller: str | None) -> Row:
        """A job's row.

        Raises:
            UnknownJobError: there is none, or it is another caller's.
        """
        row = self.journal.get(job) if is_id(job) else None
        if row is None or (caller is not None and row["caller"] != caller):
            raise UnknownJobError("there is no such job", got=job[:80], fix="it may have been erased: order it again")
        return row

    def adapters(self) -> list[str]:
        """Names of the adapters that orders may use."""
        folder = self.options.adapters
        return [] if folder is None else [*adapter_files(Path(folder))]

    def _checked_adapter(self, name: str | None) -> str | None:
        if name is not None and name not in (known := self.adapters()):
            there = ", ".join(known) or "there is none"
            raise UnknownJobError("there is no such adapter", got=name[:80], expected=there)
        return name


class _Files:
    """The files of some orders, on their way into the store.

    Args:
        store: where they go to.
        batch: the id of the orders' batch, whose equal files are stored once.
    """

    def __init__(self, store: Store, batch: str | None) -> None:
        self.store, self.batch = store, batch
        self._stored: dict[Content, dict[str, Any]] = {}
        self._places: set[str] = set()

    def put(self, job: str, role: str, content: Content) -> dict[str, Any]:
        """Stores a file; returns its key, hash and size."""
        if self.batch is not None and content in self._stored:
            return self._stored[content]
        place = f"jobs/{job}" if self.batch is None else f"batches/{self.batch}"
        self._places.add(place)
        key = f"{place}/{role if self.batch is None else len(self._stored)}"
        sha, size = self.store.put(key, content)
        self._stored[content] = {"key": key, "sha256": sha, "bytes": size}
        return self._stored[content]

    def drop(self) -> None:
        """Deletes what was stored."""
        for place in self._places:
            self.store.delete(place)
