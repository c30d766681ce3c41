"""What the server tells, as JSON documents; their types make the OpenAPI document."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from idmvton.engine.service import View
from idmvton.engine.service.views import Adapter, Kind, State

_EXAMPLE_ID: Final = "3d0e58c8fd71aed53dfabf271101f2ab"
PLACES: Final = {
    "try_on": "try-ons",
    "prepare": "prepared",
    "garment": "garments",
    "mask": "try-ons",
    "adapter": "adapters",
}


class ProblemDocument(BaseModel):
    """RFC 9457: why something was not done."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "type": "urn:idmvton:no_person",
                "title": "no person was found in the photo",
                "status": 422,
                "code": "no_person",
                "what": "no person was found in the photo",
                "expected": "a photo that shows a person from the head to the hips or further",
                "fix": "use a lighter photo",
                "field": "person",
            }
        }
    )
    type: str
    title: str
    status: int
    code: str
    what: str
    got: str | None = None
    expected: str | None = None
    fix: str | None = None
    field: str | None = None
    job: str | None = None


class JobProblem(BaseModel):
    """Why a job failed."""

    code: str
    what: str
    got: str | None = None
    expected: str | None = None
    fix: str | None = None
    field: str | None = None


class Progress(BaseModel):
    """What is worked on, and how far that is."""

    stage: str
    done: int
    total: int | None


class File(BaseModel):
    """A file that was made."""

    name: str
    url: str
    sha256: str
    bytes: int
    width: int | None
    height: int | None


class Job(BaseModel):
    """What is known of a job."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "id": _EXAMPLE_ID,
                "kind": "try_on",
                "state": "succeeded",
                "created": "2026-11-27T16:22:52.120Z",
                "ended": "2026-11-27T16:22:55.001Z",
                "expires": "2026-11-28T16:22:55.001Z",
                "priority": 0,
                "attempts": 1,
                "warnings": [],
                "outputs": [
                    {
                        "name": "0.png",
                        "url": f"/v1/try-ons/{_EXAMPLE_ID}/outputs/0",
                        "sha256": "e84588fceb9f616142c8f71e0c23267d90c3a784996c7629452acfe4d4ace62a",
                        "bytes": 581473,
                        "width": 768,
                        "height": 1024,
                    }
                ],
                "timings": {"denoising": 0.62, "total": 2.3},
                "provenance": [{"seed": 7, "caption": "short sleeve t-shirt"}],
                "about": {"caption": "short sleeve t-shirt", "category": "upper_body"},
                "url": f"/v1/try-ons/{_EXAMPLE_ID}",
            }
        }
    )
    id: str
    kind: Kind
    state: State
    created: datetime
    started: datetime | None = None
    ended: datetime | None = None
    expires: datetime | None = None
    priority: int
    batch: str | None = None
    place: int | None = None
    seconds_left: float | None = None
    progress: Progress | None = None
    warnings: list[str]
    outputs: list[File]
    error: JobProblem | None = None
    timings: dict[str, float]
    provenance: list[dict[str, Any]]
    about: dict[str, Any]
    attempts: int
    url: str

    @classmethod
    def of(cls, view: View) -> Job:
        """The document of a job."""
        url = f"/v1/{PLACES[view.kind]}/{view.id}"
        progress = None if view.stage is None else Progress(stage=view.stage, done=view.done, total=view.total)
        same = ("id", "kind", "state", "priority", "batch", "place", "seconds_left", "timings", "about", "attempts")
        outputs = [
            File(
                name=each.name,
                url=f"{url}/outputs/{number}" if view.kind == "try_on" else f"{url}/files/{each.name}",
                sha256=each.sha256,
                bytes=each.bytes,
                width=each.width,
                height=each.height,
            )
            for number, each in enumerate(view.outputs)
        ]
        return cls(
            **{name: getattr(view, name) for name in same},
            **{name: _time(getattr(view, name)) for name in ("created", "started", "ended", "expires")},
            progress=progress,
            warnings=list(view.warnings),
            outputs=outputs,
            error=None if view.error is None else JobProblem(**view.to_dict()["error"]),
            provenance=[dict(each) for each in view.provenance],
            url=url,
        )


def _time(seconds: float | None) -> Any:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


class Batch(BaseModel):
    """What is known of a batch: how many of its jobs are in each state, and each of them."""

    id: str
    counts: dict[str, int]
    is_finished: bool
    jobs: list[Job]
    url: str

    @classmethod
    def of(cls, batch: str, views: Sequence[View]) -> Batch:
        """The document of a batch."""
        return cls(
            id=batch,
            counts=dict(Counter(view.state for view in views)),
            is_finished=all(view.is_finished for view in views),
            jobs=[Job.of(view) for view in views],
            url=f"/v1/batches/{batch}",
        )


class LaneDocument(BaseModel):
    """A lane: a process with the model loaded."""

    name: str
    state: str
    jobs: int
    deaths: int
    memory_bytes: int
    about: dict[str, Any] | None
    error: JobProblem | None


class Models(BaseModel):
    """What is loaded, and how far that is."""

    model: str
    is_ready: bool
    lanes: list[LaneDocument]


class AdapterDocument(BaseModel):
    """An adapter that orders may name: made here (it has an id and a url then), or in the server's folder of them."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "name": "my-jacket",
                "id": _EXAMPLE_ID,
                "url": f"/v1/adapters/{_EXAMPLE_ID}",
                "about": {
                    "caption": "blue denim jacket",
                    "category": "upper_body",
                    "layers": "warp_net",
                    "rank": 0,
                    "steps": 20,
                    "weights": "mini (1.0)",
                    "digest": "0f1a2b3c4d5e",
                    "losses": {"start": 0.2264, "20": 0.1479},
                },
            }
        }
    )
    name: str
    id: str | None
    url: str | None
    about: dict[str, Any]

    @classmethod
    def of(cls, adapter: Adapter) -> AdapterDocument:
        """The document of an adapter."""
        url = None if adapter.id is None else f"/v1/adapters/{adapter.id}"
        return cls(name=adapter.name, id=adapter.id, url=url, about=dict(adapter.about))


class Alive(BaseModel):
    """The server answers."""

    status: str
