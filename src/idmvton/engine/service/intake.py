"""Orders become rows and files: all of an order, or nothing."""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from idmvton.checkpoint.adapter_record import FILE, adapter_files, read_record
from idmvton.engine.service.database import Row
from idmvton.engine.service.failures import ConflictError, UnknownJobError
from idmvton.engine.service.hub import Hub
from idmvton.engine.service.journal import Journal, NewJob, Room
from idmvton.engine.service.orders import Content, Order, Terms, check_order, checked_options, is_id
from idmvton.engine.service.store import Store
from idmvton.engine.service.views import Adapter, Kind, about_record
from idmvton.errors import WeightsError
from idmvton.options import ServiceOptions

_MOST_ADAPTERS = 1000  # of a caller, the newest


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
        options = [checked_options(order.options, self.options, order.kind) for order in orders]
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
        common = {"kind": order.kind, "prepared": order.prepared}
        told = common | {"files": content, "options": dict(order.options), "adapter": order.adapter}
        adapter = self._new_adapter(job, order, terms) if order.kind == "adapter" else self._adapter(order, terms)
        shared = _at_hand(order, content, adapter)
        return NewJob(
            id=job,
            kind=order.kind,
            caller=terms.caller,
            asked=common | {"files": brought, "options": dict(options), "adapter": adapter},
            priority=terms.priority,
            batch=files.batch,
            person=shared[0],
            garment=shared[1],
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

    # ----------------------------------------------------------------------------------------------- adapters

    def adapters(self, caller: str | None = None) -> list[Adapter]:
        """The adapters that a caller's orders may use: those that were made here, and those in the folder.

        Args:
            caller: who asks; None: those in the folder alone.
        """
        rows = [] if caller is None else self.journal.of_caller(caller, "adapter", _MOST_ADAPTERS)
        made = [_made(row) for row in rows if row["state"] == "succeeded"]
        return [*made, *(_lying(name, file) for name, file in self._folder().items())]

    def _folder(self) -> dict[str, Path]:
        """Name -> file of the adapters in the folder."""
        folder = self.options.adapters
        return {} if folder is None else adapter_files(Path(folder))

    def _adapter(self, order: Order, terms: Terms) -> dict[str, Any] | None:
        """Where the adapter is that an order uses; ``key`` is None where it lies in the folder.

        Raises:
            UnknownJobError: there is none.
            ConflictError: it is not made yet.
        """
        name = order.adapter
        if name is None:
            return None
        if is_id(name):
            found = self.used(name, "adapter", terms.caller)["id"]
        else:
            known = {each.name: each.id for each in reversed(self.adapters(terms.caller))}
            if name not in known:
                there = ", ".join(list(known)[:8]) or "there is none"
                raise UnknownJobError("there is no such adapter", got=name[:80], expected=there)
            found = known[name]
        key = None if found is None else Store.job_key(found, FILE)
        return {"name": name, "key": key, "scale": order.adapter_scale}

    def _new_adapter(self, job: str, order: Order, terms: Terms) -> dict[str, Any]:
        """The name of an adapter that is to be made.

        Raises:
            ConflictError: there is one of this name.
        """
        name = order.adapter or f"adapter-{job[:8]}"
        rows = self.journal.of_caller(terms.caller, "adapter", _MOST_ADAPTERS)
        others = [row for row in rows if terms.key is None or row["key"] != terms.key]
        taken = {_name_of(row) for row in others if row["state"] in ("queued", "running", "succeeded")}
        if name in taken or name in self._folder():
            fix = "choose another name, or delete that one"
            raise ConflictError("there is an adapter of this name", got=name, fix=fix)
        return {"name": name}


def _name_of(row: Row) -> str:
    return str(json.loads(row["asked"])["adapter"]["name"])


def _made(row: Row) -> Adapter:
    return Adapter(_name_of(row), row["id"], json.loads(row["result"])["about"])


def _lying(name: str, file: Path) -> Adapter:
    """An adapter in the folder; a damaged one is listed with what is wrong with it."""
    try:
        return Adapter(name, None, about_record(read_record(file)))
    except WeightsError as error:
        return Adapter(name, None, {"error": error.what.replace(str(file), name)})


def _at_hand(order: Order, content: Mapping[str, str], adapter: Mapping[str, Any] | None) -> tuple[str | None, ...]:
    """Keys that orders share whose person or garment is the same; with another adapter nothing is."""
    if order.kind == "adapter":
        return None, None
    more = "" if adapter is None else f"+{adapter['key'] or adapter['name']}*{adapter['scale']:g}"
    keys = order.prepared or content.get("person"), content.get("garment")
    return tuple(None if key is None else key + more for key in keys)


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
        store, batch = self.store, self.batch
        self._places.add(store.job_key(job) if batch is None else store.batch_key(batch))
        key = store.job_key(job, role) if batch is None else store.batch_key(batch, str(len(self._stored)))
        sha, size = self.store.put(key, content)
        self._stored[content] = {"key": key, "sha256": sha, "bytes": size}
        return self._stored[content]

    def drop(self) -> None:
        """Deletes what was stored."""
        for place in self._places:
            self.store.delete(place)
