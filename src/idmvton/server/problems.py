"""Errors as RFC 9457 problem documents: a code for programs; what, got, expected, fix for people."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from idmvton.engine.service.failures import QueueFullError
from idmvton.engine.service.views import Problem
from idmvton.errors import IdmVtonError

log: Final = logging.getLogger("idmvton.server")
MEDIA_TYPE: Final = "application/problem+json"
STATUS: Final = {
    "bad_request": 400,
    "unauthorized": 401,
    "not_found": 404,
    "wrong_method": 405,
    "too_slow": 408,
    "conflict": 409,
    "too_large": 413,
    "too_many_pixels": 413,
    "unsupported_type": 415,
    "rate_limited": 429,
    "queue_full": 429,
    "internal": 500,
    "loading": 503,
    "unavailable": 503,
    "lane_died": 503,
    "storage_full": 507,
}
"""Code -> HTTP status; every other code is 422: the request was understood and cannot be done."""
UNUSABLE: Final = 422
_RETRY: Final = {"loading": 2, "unavailable": 5, "rate_limited": 1, "queue_full": 5, "lane_died": 5}
_OF_STATUS: Final = {400: "bad_request", 401: "unauthorized", 404: "not_found", 405: "wrong_method", 413: "too_large"}


class ProblemError(Exception):
    """A request that is refused.

    Args:
        problem: why.
        headers: more headers of the answer.
    """

    def __init__(self, problem: Problem, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(problem.what)
        self.problem, self.headers = problem, dict(headers or {})


def refuse(code: str, what: str, **parts: Any) -> ProblemError:
    """A refusal; ``parts`` are those of a :class:`idmvton.engine.service.views.Problem`."""
    return ProblemError(Problem(code, what, **parts))


def answer(problem: Problem, headers: Mapping[str, str] | None = None, **more: Any) -> JSONResponse:
    """The answer that says a problem.

    Args:
        problem: which.
        headers: more headers.
        more: more members of the document.
    """
    status = STATUS.get(problem.code, UNUSABLE)
    parts = {name: getattr(problem, name) for name in ("got", "expected", "fix", "field")}
    document = {"type": f"urn:idmvton:{problem.code}", "title": problem.what, "status": status, "code": problem.code}
    document |= {"what": problem.what} | {name: value for name, value in parts.items() if value is not None} | more
    retry = {"Retry-After": str(_RETRY[problem.code])} if problem.code in _RETRY else {}
    return JSONResponse(document, status, retry | dict(headers or {}), MEDIA_TYPE)


def add_handlers(app: FastAPI) -> None:
    """Has every error of the app answered by a problem document."""

    @app.exception_handler(ProblemError)
    async def refused(_: Request, error: ProblemError) -> JSONResponse:
        return answer(error.problem, error.headers)

    @app.exception_handler(IdmVtonError)
    async def of_the_library(_: Request, error: IdmVtonError) -> JSONResponse:
        retry = {"Retry-After": f"{error.seconds:.0f}"} if isinstance(error, QueueFullError) else {}
        return answer(Problem.of(error), retry)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(str(each) for each in first["loc"][1:])
        return answer(
            Problem(
                "bad_parameter",
                f"{where or 'the request'} cannot be used",
                str(first.get("input"))[:80],
                first["msg"],
                field=where or None,
            )
        )

    @app.exception_handler(HTTPException)
    async def of_starlette(_: Request, error: HTTPException) -> JSONResponse:
        code = _OF_STATUS.get(error.status_code, "bad_request")
        return answer(Problem(code, str(error.detail).lower()), error.headers)

    @app.exception_handler(ClientDisconnect)
    async def gone(_: Request, error: ClientDisconnect) -> JSONResponse:
        return answer(Problem("bad_request", "the client has gone before its request was complete"))

    @app.exception_handler(Exception)
    async def ours(request: Request, error: Exception) -> JSONResponse:
        log.error("%s %s", request.method, request.url.path, exc_info=error)
        fix = "the server's log says more: report it with the request id"
        return answer(Problem("internal", "an unexpected error", fix=fix))
