"""The app: routes, and what runs beside them."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from starlette.concurrency import run_in_threadpool

from idmvton.engine.service import Order, Service
from idmvton.options import ServerOptions
from idmvton.server import bodies
from idmvton.server.documents import (
    AdapterDocument,
    Alive,
    Batch,
    Job,
    JobProblem,
    LaneDocument,
    Models,
    ProblemDocument,
)
from idmvton.server.guard import Guard
from idmvton.server.jobs import Jobs, batch_orders, caller_of, check_name, failed
from idmvton.server.keys import Keys
from idmvton.server.metrics import Metrics
from idmvton.server.problems import add_handlers, answer, refuse
from idmvton.server.schema import options_schema, problems, request_body
from idmvton.server.traces import add_traces
from idmvton.server.webhooks import Webhooks, secret_of
from idmvton.types import VERSION

DESCRIPTION: Final = """From a photo of a person and one of a garment, a photo of the person in the garment.

`curl -F person=@person.jpg -F garment=@garment.jpg -H 'Prefer: wait=60' http://127.0.0.1:8000/v1/try-ons`
answers with a job; `GET` its `outputs[0].url` for the picture. Errors are RFC 9457 documents with a `code`."""


def create_app(service: Service, options: ServerOptions | None = None) -> FastAPI:
    """The app in front of a service, which starts and ends with it.

    Args:
        service: the engine; not started yet.
        options: of the server.

    Raises:
        ConfigError: an address that needs keys, and there are none; a file of keys that says something wrong.
        InputError: a file of keys or a secret that cannot be read.
        MissingExtraError: OpenTelemetry is configured and not installed.
    """
    options = options or ServerOptions()
    keys, metrics = Keys(options), Metrics(service)
    webhooks = Webhooks(service, options, secret_of(options, Path(service.options.state)))

    @contextlib.asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        await run_in_threadpool(service.start)
        webhooks.start()
        try:
            yield
        finally:
            webhooks.end()
            await run_in_threadpool(service.close)
            if provider is not None:
                await run_in_threadpool(provider.force_flush)

    app = FastAPI(
        title="idmvton",
        description=DESCRIPTION,
        version=VERSION,
        lifespan=life,
        redoc_url=None,
        responses={422: {"model": ProblemDocument}},
        generate_unique_id_function=lambda route: route.name,
    )
    add_handlers(app)
    _add_try_ons(app, Jobs(service, options, "try_on"))
    _add_batches(app, Jobs(service, options, "try_on"))
    _add_prepared(app, Jobs(service, options, "prepare"))
    _add_garments(app, Jobs(service, options, "garment"))
    _add_adapters(app, Jobs(service, options, "adapter"))
    _add_rest(app, service, metrics)
    app.add_middleware(Guard, options=options, keys=keys, metrics=metrics)
    provider = add_traces(app)
    return app


def _accepted(jobs: Jobs, *, several: bool = False) -> dict[str, Any]:
    """What is common to operations that take an order."""
    return {
        "status_code": 202,
        "response_model": None,
        "openapi_extra": request_body(jobs.service.options, jobs.kind, several=several),
        "responses": problems(404, 408, 409, 415, 507)
        | {200: {"model": Job, "description": _DONE, "content": {"image/png": _BYTES}}, 202: {"model": Job}},
    }


_DONE: Final = "finished, with `Prefer: wait=SECONDS`; the picture itself, with `Accept: image/png`"
_BYTES: Final = {"schema": {"type": "string", "format": "binary"}}
_PNG: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"image/png": {"schema": {"type": "string", "format": "binary"}}}},
    304: {"description": "as it was"},
}
_STREAM: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "events `progress` and `finished`", "content": {"text/event-stream": {"schema": {}}}}
}
_ENDED: Final[dict[int | str, dict[str, Any]]] = {
    202: {"model": Job, "description": "it will end at its next step"},
    204: {"description": "erased"},
}


def _add_try_ons(app: FastAPI, jobs: Jobs) -> None:
    place = "/v1/try-ons"

    @app.post(place, tags=["try-ons"], **_accepted(jobs))
    async def try_on(request: Request) -> Response:
        """Dress a person in a garment."""
        return await jobs.order(request)

    @app.get(place, tags=["try-ons"], responses=problems())
    async def list_try_ons(request: Request) -> list[Job]:
        """The caller's newest try-ons, at most 100."""
        views = await run_in_threadpool(jobs.service.newest, "try_on", caller_of(request).name)
        return [Job.of(view) for view in views]

    _add_one(app, jobs, place, "try_on")

    @app.get(f"{place}/{{job}}/outputs/{{number}}", tags=["try-ons"], response_class=Response,
             responses=problems(404) | _PNG)  # fmt: skip
    async def output(request: Request, job: str, number: int) -> Response:
        """A picture; how it was made is in it, too."""
        return await jobs.file(request, job, check_name(f"{number}.png"))


def _add_one(app: FastAPI, jobs: Jobs, place: str, name: str) -> None:
    """The routes of one job of a kind."""
    tag = place.rpartition("/")[2]

    @app.get(f"{place}/{{job}}", name=f"get_{name}", tags=[tag], responses=problems(404))
    async def view(request: Request, job: str) -> Job:
        """What is known of it."""
        return await jobs.view(request, job)

    @app.get(f"{place}/{{job}}/events", name=f"{name}_events", tags=[tag], response_class=Response,
             responses=problems(404) | _STREAM)  # fmt: skip
    async def events(request: Request, job: str) -> Response:
        """What happens to it, as server-sent events, until it is finished."""
        return await jobs.events(request, job)

    @app.delete(f"{place}/{{job}}", name=f"end_{name}", tags=[tag], response_model=None,
                responses=problems(404) | _ENDED, status_code=204)  # fmt: skip
    async def end(request: Request, job: str, erase: bool = False) -> Response:
        """Cancel it; where it is finished, or with `erase=true`: delete it and its pictures."""
        return await jobs.end(request, job, erase=erase)


def _add_batches(app: FastAPI, jobs: Jobs) -> None:
    service = jobs.service
    extra = _accepted(jobs, several=True)
    extra["responses"] = problems(408, 409, 415, 507) | {202: {"model": Batch}}

    @app.post("/v1/batches", tags=["batches"], **extra)
    async def make_batch(request: Request) -> Response:
        """Dress every person in every garment, or the given pairs."""
        jobs.refuse_while_loading()
        caller = caller_of(request)
        async with bodies.body_of(request, jobs.options, several=("person", "garment")) as body:
            terms = await run_in_threadpool(bodies.terms_of, request, body.members, caller, jobs.options)
            if terms.key is not None:
                raise refuse("bad_request", "batches take no Idempotency-Key", fix="order the pairs one by one")
            orders = batch_orders(body, jobs.options.max_batch)
            batch, _ = await run_in_threadpool(service.submit_batch, orders, terms)
        document = await _batch(service, batch, caller.name)
        return JSONResponse(document.model_dump(mode="json"), 202, {"Location": document.url})

    @app.get("/v1/batches/{batch}", tags=["batches"], responses=problems(404))
    async def get_batch(request: Request, batch: str) -> Batch:
        """How far a batch is."""
        return await _batch(service, batch, caller_of(request).name)

    @app.delete("/v1/batches/{batch}", tags=["batches"], status_code=204, response_model=None,
                responses=problems(404))  # fmt: skip
    async def erase_batch(request: Request, batch: str) -> Response:
        """End and delete all of its jobs, their pictures and the photos that they share."""
        await run_in_threadpool(service.erase_batch, batch, caller_of(request).name)
        return Response(status_code=204)


async def _batch(service: Service, batch: str, caller: str) -> Batch:
    return Batch.of(batch, await run_in_threadpool(service.batch, batch, caller))


def _add_prepared(app: FastAPI, jobs: Jobs) -> None:
    place = "/v1/prepared"

    @app.post(place, tags=["prepared"], **_accepted(jobs))
    async def prepare(request: Request) -> Response:
        """Make mask and body map of a person, to look at, correct and use by id."""
        return await jobs.order(request)

    _add_one(app, jobs, place, "prepared")

    @app.get(f"{place}/{{job}}/files/{{name}}", name="prepared_file", tags=["prepared"], response_class=Response,
             responses=problems(404) | _PNG)  # fmt: skip
    async def file(request: Request, job: str, name: str) -> Response:
        """`overlay.png` to look at, `mask.png` to correct, `densepose.png`, `labels.png`, ..."""
        return await jobs.file(request, job, check_name(name))

    body = {"content": {"image/png": {"schema": {"type": "string", "format": "binary"}}}, "required": True}

    @app.put(f"{place}/{{job}}/mask", tags=["prepared"], openapi_extra={"requestBody": body},
             responses=problems(404, 408, 409, 415, 507))  # fmt: skip
    async def put_mask(request: Request, job: str) -> Job:
        """Put a corrected mask back: the bytes of a picture of `mask.png`'s size; white is repainted."""
        await jobs.view(request, job)
        if not request.headers.get("content-type", "").startswith("image/"):
            raise refuse("unsupported_type", "the mask is no picture", expected="Content-Type: image/png")
        content = await request.body()
        terms = await run_in_threadpool(bodies.terms_of, request, {}, caller_of(request), jobs.options)
        done = await jobs.put(Order("mask", {"mask": content}, prepared=job), terms, request)
        if done.state != "succeeded":
            return answer(failed(done.error))  # type: ignore[return-value]
        return await jobs.view(request, job)


def _add_garments(app: FastAPI, jobs: Jobs) -> None:
    place = "/v1/garments"

    @app.post(place, tags=["garments"], **_accepted(jobs))
    async def add_garment(request: Request) -> Response:
        """Cut a garment out and describe it, to use by id."""
        return await jobs.order(request)

    @app.get(place, tags=["garments"], responses=problems())
    async def list_garments(request: Request) -> list[Job]:
        """The caller's newest garments, at most 100."""
        views = await run_in_threadpool(jobs.service.newest, "garment", caller_of(request).name)
        return [Job.of(view) for view in views]

    _add_one(app, jobs, place, "garment")

    @app.get(f"{place}/{{job}}/files/{{name}}", name="garment_file", tags=["garments"], response_class=Response,
             responses=problems(404) | _PNG)  # fmt: skip
    async def file(request: Request, job: str, name: str) -> Response:
        """`garment.png`: the garment on white."""
        return await jobs.file(request, job, check_name(name))


def _add_adapters(app: FastAPI, jobs: Jobs) -> None:
    place = "/v1/adapters"

    @app.post(place, tags=["adapters"], **_accepted(jobs))
    async def make_adapter(request: Request) -> Response:
        """Learn a garment from a photo of somebody who wears it, and one of the garment if there is one.

        The adapter stays until it is deleted; its photos are deleted when it is made. Try-ons use it by name or id.
        """
        return await jobs.order(request)

    @app.get(place, tags=["adapters"], responses=problems())
    async def list_adapters(request: Request) -> list[AdapterDocument]:
        """Those that the caller's try-ons may use: made here, or in the server's folder."""
        found = await run_in_threadpool(jobs.service.adapters, caller_of(request).name)
        return [AdapterDocument.of(each) for each in found]

    _add_one(app, jobs, place, "adapter")

    @app.get(f"{place}/{{job}}/files/{{name}}", name="adapter_file", tags=["adapters"], response_class=Response,
             responses=problems(404) | _PNG)  # fmt: skip
    async def file(request: Request, job: str, name: str) -> Response:
        """`before-after.png` to look at, `adapter.safetensors` to use elsewhere."""
        return await jobs.file(request, job, check_name(name))


def _add_rest(app: FastAPI, service: Service, metrics: Metrics) -> None:
    @app.get("/v1/options", tags=["about"], responses=problems())
    async def get_options() -> dict[str, Any]:
        """JSON Schema of the options of an order."""
        return options_schema(service.options)

    @app.get("/v1/models", tags=["about"], responses=problems())
    async def get_models() -> Models:
        """What is loaded."""
        lanes = [
            LaneDocument(
                name=each.name, state=each.state, jobs=each.jobs, deaths=each.deaths, memory_bytes=each.memory,
                about=dict(each.about) if each.about else None,
                error=JobProblem(**dataclasses.asdict(each.problem)) if each.problem else None,
            )
            for each in service.lane_states()
        ]  # fmt: skip
        return Models(model=service.model.model, is_ready=service.is_ready, lanes=lanes)

    @app.get("/healthz/live", tags=["about"])
    async def live() -> Alive:
        """The process answers."""
        return Alive(status="ok")

    @app.get("/healthz/ready", tags=["about"], response_model=Alive, responses=problems())
    async def ready() -> Any:
        """A lane can work, and the journal answers."""
        if not service.is_ready:
            states = ", ".join(each.state for each in service.lane_states())
            raise refuse("loading", "no lane is ready", got=states)
        await run_in_threadpool(service.journal.counts)
        return Alive(status="ok")

    @app.get("/metrics", tags=["about"], response_class=Response, responses=problems()
             | {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}})  # fmt: skip
    async def get_metrics() -> Response:
        """For Prometheus."""
        return Response(await run_in_threadpool(metrics.text), media_type="text/plain; version=0.0.4")
