"""Waiting for jobs without a thread for each: until they are finished, or change by change."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from typing import Final

from starlette.concurrency import run_in_threadpool

from idmvton.engine.service import Service, View

_POLL: Final = 1.0  # seconds after which the journal is read all the same: another server may have written it


@contextlib.contextmanager
def _bell(service: Service, job: str) -> Iterator[asyncio.Event]:
    """An event that is set when a job changes."""
    loop, event = asyncio.get_running_loop(), asyncio.Event()

    def ring(changed: str) -> None:
        if changed == job:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(event.set)

    stop = service.hub.listen(ring)
    try:
        yield event
    finally:
        stop()


async def finished(service: Service, job: str, seconds: float, caller: str) -> View:
    """A job's view when it is finished, or after so long."""
    until = time.monotonic() + seconds
    with _bell(service, job) as bell:
        while True:
            bell.clear()
            view = await run_in_threadpool(service.view, job, caller)
            left = until - time.monotonic()
            if view.is_finished or left <= 0:
                return view
            await _rest(bell, left, is_urgent=view.state == "queued")


async def _rest(bell: asyncio.Event, left: float, *, is_urgent: bool = False) -> None:
    """Waits for the bell, but not only for it."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(bell.wait(), min(left, _POLL))
    if not is_urgent:
        await asyncio.sleep(0.02)  # stages follow one another quickly: several are one look at the journal


async def changes(service: Service, job: str, caller: str, seconds: float) -> AsyncIterator[View]:
    """A job's view, again at each change, until it is finished or for so long."""
    until = time.monotonic() + seconds
    last = None
    with _bell(service, job) as bell:
        while True:
            bell.clear()
            view = await run_in_threadpool(service.view, job, caller)
            looks = (view.state, view.place, view.stage, view.done, view.total)
            if looks != last:
                last = looks
                yield view
            left = until - time.monotonic()
            if view.is_finished or left <= 0:
                return
            await _rest(bell, left)
