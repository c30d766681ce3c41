"""Silences what other libraries print, because this library prints nothing."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from typing import Final

_STDERR: Final = 2
_lock = threading.Lock()  # the descriptor is the process's


def calm_threads() -> None:
    """Has the threads of processes that load torch from now on wait without spinning; an own setting wins.

    libgomp reads ``OMP_WAIT_POLICY`` when torch is loaded. Threads that spin slow every other process, too.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


@contextlib.contextmanager
def without_log_notes(logger: str, start: str) -> Iterator[None]:
    """Drops the records of a logger whose message starts so, inside the block."""
    found = logging.getLogger(logger)

    def passes(record: logging.LogRecord) -> bool:
        return not record.getMessage().startswith(start)

    found.addFilter(passes)
    try:
        yield
    finally:
        found.removeFilter(passes)


@contextlib.contextmanager
def without_native_notes() -> Iterator[None]:
    """Drops the lines that native code writes to standard error as ``INFO:`` inside the block; others are shown."""
    with _lock, tempfile.TemporaryFile() as kept:
        try:
            sys.stderr.flush()
            saved = os.dup(_STDERR)
            os.dup2(kept.fileno(), _STDERR)
        except (OSError, AttributeError, ValueError):  # no standard error: nothing would be seen
            yield
            return
        try:
            yield
        finally:
            os.dup2(saved, _STDERR)
            os.close(saved)
            kept.seek(0)
            for line in kept:
                if not line.startswith(b"INFO:"):
                    os.write(_STDERR, line)
