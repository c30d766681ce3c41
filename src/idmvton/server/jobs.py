"""What the routes of every kind of job share: order, wait, view, file, events, end."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from fastapi import Request
from fastapi.responses import FileResponse, JSONResponse, Response
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.concurrency import run_in_threadpool

from idmvton.engine.service import Order, Problem, Service, Terms, View
from idmvton.engine.service.views import Kind
from idmvton.options import ServerOptions
from idmvton.server import bodies
from idmvton.server.documents import Job
from idmvton.server.keys import Caller
from idmvton.server.problems import answer, refuse
from idmvton.server.watching import changes, finished

_EVENTS: Final = 3600.0  # seconds after which a stream ends and the client asks again
_TYPES: Final = {"png": "image/png", "json": "application/json"}


class Jobs:
    """Jobs of one kind, as the routes need them.

    Args:
        service: the engine.
        options: of the server.
        kind: of the jobs.
    """

    def __init__(self, service: Service, options: ServerOptions, kind: Kind) -> None:
        self.service, self.options, self.kind = service, options, kind

    async def order(self, request: Request) -> Response:
        """Takes an order from a request, and answers with its job."""
        self.refuse_while_loading()
        caller = caller_of(request)
        async with bodies.body_of(request, self.options) as body:
            order = bodies.order_of(self.kind, body.members, body.only_files())
            terms = await run_in_threadpool(bodies.terms_of, request, body.members, caller, self.options)
            job = await run_in_threadpool(self.service.submit, order, terms)
        return await self.waited(request, job, caller)

    async def put(self, order: Order, terms: Terms, request: Request) -> View:
        """Has something small done now, and waits for it."""
        job = await run_in_threadpool(self.service.submit, order, terms)
        return await finished(self.service, job, self.options.max_wait, caller_of(request).name)

    def refuse_while_loading(self) -> None:
        """Takes no orders before a lane has been ready.

        Raises:
            ProblemError: none has.
        """
        if self.service.is_loading:
            broken = [lane.problem for lane in self.service.lane_states() if lane.problem]
            got = broken[0].what if broken else ", ".join(lane.state for lane in self.service.lane_states())
            raise refuse("loading", "the model is being loaded", got=got, fix="ask again in some seconds")

    async def waited(self, request: Request, job: str, caller: Caller) -> Response:
        """The answer to an order: its result where the request waits and it comes in time, else where it will be.

        Who accepts ``image/png`` gets the first picture itself.
        """
        wants_picture = "image/png" in request.headers.get("accept", "")
        seconds = bodies.wait_of(request, self.options) or (self.options.max_wait if wants_picture else 0.0)
        view = await finished(self.service, job, seconds, caller.name)
        applied = {"Preference-Applied": f"wait={seconds:.0f}"} if seconds else {}
        document = Job.of(view)
        if view.error is not None and seconds:
            return answer(view.error, applied | {"Location": document.url}, job=view.id)
        if wants_picture and view.outputs:
            return await self.file(request, job, view.outputs[0].name)
        status = 200 if view.is_finished else 202
        return JSONResponse(document.model_dump(mode="json"), status, {"Location": document.url} | applied)

    async def view(self, request: Request, job: str) -> Job:
        """A job of the caller and of this kind."""
        view = await run_in_threadpool(self.service.view, job, caller_of(request).name)
        if view.kind != self.kind:
            raise refuse("not_found", "there is no such job", got=job[:80])
        return Job.of(view)

    async def file(self, request: Request, job: str, name: str) -> Response:
        """A file that a job made."""
        await self.view(request, job)
        caller = caller_of(request).name
        view = await run_in_threadpool(self.service.view, job, caller)
        found = next((each for each in view.outputs if each.name == name), None)
        tag = {"ETag": f'"{found.sha256}"', "Cache-Control": "private, no-cache"} if found else {}
        if found and request.headers.get("if-none-match") == tag["ETag"]:
            return Response(status_code=304, headers=tag)
        store = self.service.store
        if found and store.folder is not None and name.endswith(".safetensors"):  # may be gigabytes
            return FileResponse(store.folder / store.job_key(job, name), headers=tag, filename=name)
        content = await run_in_threadpool(self.service.read, job, name, caller)
        return Response(content, 200, tag, _TYPES.get(name.rpartition(".")[2], "application/octet-stream"))

    async def events(self, request: Request, job: str) -> EventSourceResponse:
        """A stream of what happens to a job."""
        await self.view(request, job)
        return EventSourceResponse(_stream(changes(self.service, job, caller_of(request).name, _EVENTS)), ping=15)

    async def end(self, request: Request, job: str, *, erase: bool) -> Response:
        """Cancels a job that is not finished, erases one that is."""
        document = await self.view(request, job)
        caller = caller_of(request).name
        if document.state in ("queued", "running") and not erase:
            view = await run_in_threadpool(self.service.cancel, job, caller)
            return JSONResponse(Job.of(view).model_dump(mode="json"), 202)
        await run_in_threadpool(self.service.erase, job, caller)
        return Response(status_code=204)


async def _stream(views: AsyncIterator[View]) -> AsyncIterator[ServerSentEvent]:
    number = 0
    async for view in views:
        number += 1
        word = "finished" if view.is_finished else "progress"
        yield ServerSentEvent(Job.of(view).model_dump_json(), event=word, id=str(number), retry=2000)


def caller_of(request: Request) -> Caller:
    """Who asks."""
    caller: Caller = request.state.caller
    return caller


def pairs_of(value: Any, people: int, garments: int) -> list[tuple[int, int]]:
    """Which person wears which garment, by number.

    Raises:
        ProblemError: the value is no list of such pairs.
    """
    if value is None:
        return [(person, garment) for garment in range(garments) for person in range(people)]
    is_list = isinstance(value, list) and all(isinstance(each, list) and len(each) == 2 for each in value)
    numbers = [number for pair in value for number in pair] if is_list else [None]
    if not numbers or any(type(each) is not int for each in numbers):
        raise refuse("bad_input", "pairs is no list of pairs of numbers", expected="[[0, 0], ...]", field="pairs")
    for person, garment in value:
        if not (0 <= person < people and 0 <= garment < garments):
            got, expected = f"[{person}, {garment}]", f"persons up to {people - 1}, garments up to {garments - 1}"
            raise refuse("bad_input", "pairs names what is not there", got=got, expected=expected, field="pairs")
    return [(person, garment) for person, garment in value]


def batch_orders(body: bodies.Body, limit: int) -> list[Order]:
    """The orders of a batch, each with a seed of its own unless one was given.

    Raises:
        ProblemError: nobody, no garment, or too many pairs.
    """
    people, garments = body.files.get("person", []), body.files.get("garment", [])
    for role, files in (("person", people), ("garment", garments)):
        if not files:
            raise refuse("bad_input", f"no {role} was given", field=role)
    pairs = pairs_of(body.members.get("pairs"), len(people), len(garments))
    if len(pairs) > limit:
        raise refuse("too_large", "the batch has too many pairs", got=str(len(pairs)), expected=f"at most {limit}")
    members: Mapping[str, Any] = {name: value for name, value in body.members.items() if name != "pairs"}
    order = bodies.order_of("try_on", members, {})
    return [
        dataclasses.replace(order, files={"person": people[person], "garment": garments[garment]})
        for person, garment in pairs
    ]


def check_name(name: str) -> str:
    """A file's name without any path.

    Raises:
        ProblemError: it is none.
    """
    if not re.fullmatch(r"[a-z_0-9-]{1,40}\.(png|json|safetensors)", name):
        raise refuse("not_found", "there is no such file", got=ascii(name)[1:-1][:60])
    return name


def failed(problem: Problem | None) -> Problem:
    """The problem of a job that was waited for and did not come out."""
    return problem or Problem("unavailable", "the job took too long", fix="ask again in some seconds")
