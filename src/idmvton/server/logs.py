"""Logs: a line a request and a line a thing worth knowing, each with the request's id; no keys, no pictures."""

from __future__ import annotations

import contextvars
import json
import logging
import sys
from datetime import UTC, datetime
from typing import Final

from idmvton.types import LogChoice

request_id: Final[contextvars.ContextVar[str | None]] = contextvars.ContextVar("request_id", default=None)
"""Of the request that is being answered."""
_FIELDS: Final = ("method", "path", "status", "milliseconds", "caller", "job")


class JsonLines(logging.Formatter):
    """A JSON document a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        document = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": request_id.get(),
        } | {name: getattr(record, name) for name in _FIELDS if hasattr(record, name)}
        if record.exc_info:
            document["traceback"] = self.formatException(record.exc_info)
        return json.dumps({name: value for name, value in document.items() if value is not None})


def set_up(choice: LogChoice) -> None:
    """Has the logs of the service and of uvicorn written to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    text = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    handler.setFormatter(JsonLines() if choice == "json" else text)
    for name, level in (("idmvton", logging.INFO), ("uvicorn", logging.INFO), ("uvicorn.access", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.handlers = [handler] if "." not in name else []
        logger.propagate = "." in name
        logger.setLevel(level)
