"""What every request passes first: its id, who asks, how fast, how large, how slow; all before anything is read."""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import time
from typing import Any, Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from idmvton.engine.service.views import Problem
from idmvton.options import ServerOptions
from idmvton.server import logs
from idmvton.server.keys import Caller, Keys, is_own
from idmvton.server.metrics import Metrics
from idmvton.server.problems import ProblemError, answer, refuse

log: Final = logging.getLogger("idmvton.server")
_OPEN: Final = ("/healthz/live", "/healthz/ready")
"""Paths that need no key and are not counted."""
_PUBLIC: Final = (*_OPEN, "/openapi.json", "/docs")
_ID: Final = re.compile(r"[\w.-]{1,64}")
_SAFE: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
)


class Guard:
    """An ASGI app around another one.

    Args:
        app: what answers.
        options: of the server.
        keys: who may ask.
        metrics: count requests.
    """

    def __init__(self, app: ASGIApp, options: ServerOptions, keys: Keys, metrics: Metrics) -> None:
        self.app, self.options, self.keys, self.metrics = app, options, keys, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        name = given if _ID.fullmatch(given) else secrets.token_hex(8)
        token, start, status = logs.request_id.set(name), time.perf_counter(), [499]

        async def tell(message: Message) -> None:
            if message["type"] == "http.response.start":
                status[0] = message["status"]
                there = {key.lower() for key, _ in message["headers"]}
                more = [(key, value) for key, value in _SAFE if key not in there]
                message["headers"] = [*message["headers"], *more, (b"x-request-id", name.encode())]
            await send(message)

        try:
            problem, retry = self._refusal(scope, headers)
            if problem is not None:
                await answer(problem, retry)(scope, receive, tell)
            else:
                await self.app(scope, _Body(receive, self.options), tell)
        finally:
            self._note(scope, status[0], time.perf_counter() - start)
            logs.request_id.reset(token)

    def _refusal(self, scope: Scope, headers: Headers) -> tuple[Problem | None, dict[str, str]]:
        """Why a request is not looked at, and headers of the answer; sets who asks."""
        if not self.keys.are_needed and not _is_local(headers.get("host", "")):
            fix = "ask 127.0.0.1 or localhost, or start the server with --keys"
            return Problem("bad_request", "without keys only local names are served", fix=fix), {}
        caller = self.keys.caller(headers.get("authorization"))
        if caller is None and scope["path"] not in _PUBLIC:
            expected = "Authorization: Bearer KEY"
            problem = Problem("unauthorized", "no known key was given", expected=expected)
            return problem, {"WWW-Authenticate": "Bearer"}
        scope.setdefault("state", {})["caller"] = caller
        if caller is not None and scope["path"] not in _OPEN and (seconds := self.keys.seconds_to_wait(caller)):
            problem = Problem("rate_limited", "too many requests", expected=f"at most {caller.rate} in a minute")
            return problem, {"Retry-After": str(max(1, round(seconds)))}
        length = headers.get("content-length", "0")
        limit = int(self.options.max_body * 2**20)
        if not length.isdigit() or int(length) > limit:
            return _too_large(limit, length[:20]), {"Connection": "close"}
        return None, {}

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "none")
        self.metrics.requests.labels(scope["method"], route, str(status)).inc()
        self.metrics.seconds.labels(route).observe(seconds)
        if scope["path"] in _OPEN:
            return
        caller: Caller | None = scope.get("state", {}).get("caller")
        more: dict[str, Any] = {
            "method": scope["method"],
            "path": scope["path"][:200],
            "status": status,
            "milliseconds": round(1000 * seconds, 1),
            "caller": caller.name if caller else None,
        }
        log.info("%s %s %s", more["method"], ascii(more["path"])[1:-1], status, extra=more)


class _Body:
    """Receives a request's body, no more and no slower than allowed."""

    def __init__(self, receive: Receive, options: ServerOptions) -> None:
        self._receive = receive
        self._limit = int(options.max_body * 2**20)
        self._left = float(options.upload_seconds)
        self._size = 0
        self._is_whole = False

    async def __call__(self) -> Message:
        if self._is_whole:  # what comes now is that the client goes away
            return await self._receive()
        start = time.monotonic()
        try:
            message = await asyncio.wait_for(self._receive(), max(0.01, self._left))
        except TimeoutError:
            self._is_whole = True
            raise refuse("too_slow", "the request's body did not come in time", fix="use a faster connection") from None
        self._left -= time.monotonic() - start
        self._size += len(message.get("body", b""))
        self._is_whole = not message.get("more_body", False)
        if self._size > self._limit:
            raise ProblemError(_too_large(self._limit, f"more than {self._limit}"), {"Connection": "close"})
        return message


def _too_large(limit: int, got: str) -> Problem:
    return Problem("too_large", "the request's body is too large", f"{got} bytes", f"at most {limit} bytes",
                   "send smaller photos: 2,000 pixels are enough")  # fmt: skip


def _is_local(host: str) -> bool:
    """Whether a ``Host`` header names this machine: a web page elsewhere cannot make a browser say that."""
    name = host[1 : host.find("]")] if host.startswith("[") else host.rpartition(":")[0] or host
    return is_own(name)
