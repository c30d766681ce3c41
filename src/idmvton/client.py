"""A client of the REST server; ``python -m idmvton.client PERSON GARMENT -o OUT.png`` uses it.

    from idmvton import Client

    with Client("http://127.0.0.1:8000") as client:
        job = client.try_on("person.jpg", "garment.jpg", seed=7)
        client.wait(job, on_progress=print)
        client.save(job, "out.png")

It needs ``pip install 'idmvton[server]'`` (httpx) and loads no torch.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import secrets
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeAlias

from idmvton.atomic import whole_file
from idmvton.errors import IdmVtonError, MissingExtraError

try:
    import httpx
except ImportError as missing:
    raise MissingExtraError(
        "httpx is not installed", expected="it, for idmvton.Client", fix="pip install 'idmvton[server]'"
    ) from missing

Picture: TypeAlias = "str | Path | bytes"
Job: TypeAlias = "dict[str, Any]"
"""The document of a job, as the server tells it."""
_RETRIED: Final = (429, 502, 503, 504)
_LONGEST_PAUSE: Final = 30.0
_POLL: Final = 30  # seconds that one request waits


class ServerError(IdmVtonError):
    """What the server refused or could not do.

    Attributes:
        code: one word, such as ``no_person``.
        status: of HTTP; 0 where the server did not answer.
        field: the file or option that it is about.
    """

    def __init__(self, document: Mapping[str, Any]) -> None:
        parts = {name: document.get(name) for name in ("got", "expected", "fix")}
        super().__init__(str(document.get("what") or document.get("title")), **parts)
        self.code, self.status = str(document.get("code")), int(document.get("status") or 0)
        self.field = document.get("field")


class Client:
    """Talks to a server.

    Args:
        url: of the server.
        key: an API key, where the server wants one.
        retries: how often a request is repeated that the server was too busy for, or that did not reach it. Orders
            carry an idempotency key, so a repeated one makes no second job.
        seconds: until an answer must come.
    """

    def __init__(
        self, url: str = "http://127.0.0.1:8000", key: str | None = None, *, retries: int = 8, seconds: float = 60.0
    ) -> None:
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        self._http = httpx.Client(base_url=url, headers=headers, timeout=seconds)
        self._retries = retries

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    # ------------------------------------------------------------------------------------------------- orders

    def try_on(
        self,
        person: Picture | None = None,
        garment: Picture | None = None,
        *,
        prepared: Job | str | None = None,
        garment_id: Job | str | None = None,
        adapter: Job | str | None = None,
        terms: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Job:
        """Orders a try-on.

        Args:
            person, garment: photos.
            prepared: instead of a person, what :meth:`prepare` made.
            garment_id: instead of a garment's photo, what :meth:`garment` made.
            adapter: what :meth:`adapter` made, or a name of :meth:`adapters`.
            terms: ``priority``, ``deadline``, ``webhook``, ``adapter_scale``.
            options: such as ``seed=7``; ``client.options()`` lists them.

        Raises:
            ServerError: the order is refused.
        """
        ids = {"prepared": prepared, "garment_id": garment_id, "adapter": adapter}
        members = dict(terms or {}) | {name: _id(value) for name, value in ids.items() if value is not None}
        return self._order("/v1/try-ons", {"person": person, "garment": garment}, members, options)

    def prepare(self, person: Picture, garment: Picture | None = None, **options: Any) -> Job:
        """Orders mask and body map of a person, to use by id.

        Raises:
            ServerError: the order is refused.
        """
        return self._order("/v1/prepared", {"person": person, "garment": garment}, {}, options)

    def garment(self, garment: Picture, **options: Any) -> Job:
        """Orders a garment to be cut out and described, to use by id.

        Raises:
            ServerError: the order is refused.
        """
        return self._order("/v1/garments", {"garment": garment}, {}, options)

    def adapter(
        self, person: Picture, garment: Picture | None = None, *, name: str | None = None, **options: Any
    ) -> Job:
        """Orders an adapter: a garment is learned from a photo of somebody who wears it. It stays until it is erased.

        Args:
            person: who wears the garment.
            garment: the garment alone; cut out of the person's photo when not given.
            name: for later orders.
            options: of `idmvton customize`, such as ``steps=40``.

        Raises:
            ServerError: the order is refused.
        """
        members = {} if name is None else {"name": name}
        return self._order("/v1/adapters", {"person": person, "garment": garment}, members, options)

    def adapters(self) -> list[dict[str, Any]]:
        """The adapters that orders may use: name, id, and what is known of each.

        Raises:
            ServerError: the server refuses.
        """
        found: list[dict[str, Any]] = self._send("GET", "/v1/adapters").json()
        return found

    def put_mask(self, prepared: Job | str, mask: Picture) -> Job:
        """Puts a corrected mask into what was prepared.

        Raises:
            ServerError: it does not fit.
        """
        headers = {"Content-Type": "image/png"}
        return self._json("PUT", f"/v1/prepared/{_id(prepared)}/mask", content=_content(mask), headers=headers)

    def _order(
        self, place: str, files: Mapping[str, Picture | None], members: Mapping[str, Any], options: Mapping[str, Any]
    ) -> Job:
        parts: dict[str, Any] = {
            role: (role, _content(picture), "application/octet-stream")
            for role, picture in files.items()
            if picture is not None
        }
        parts["options"] = (None, json.dumps(dict(options)), "application/json")
        form = {name: value if isinstance(value, str) else json.dumps(value) for name, value in members.items()}
        headers = {"Idempotency-Key": secrets.token_hex(16)}
        return self._json("POST", place, files=parts, data=form, headers=headers)

    # --------------------------------------------------------------------------------------------------- jobs

    def wait(self, job: Job, seconds: float = 600.0, on_progress: Callable[[Job], Any] = lambda _: None) -> Job:
        """Waits until a job is finished.

        Args:
            job: as it was ordered.
            seconds: at most.
            on_progress: called with its document at each change.

        Returns:
            Its last document.

        Raises:
            ServerError: it failed, was cancelled, or took longer.
        """
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for found in self._events(job, until - time.monotonic()):
                on_progress(found)
                if found["state"] == "succeeded":
                    return found
                if found["state"] == "failed":
                    raise ServerError(found["error"])
                if found["state"] == "cancelled":
                    raise ServerError({"code": "cancelled", "what": "the job was cancelled"})
        raise ServerError({"code": "timeout", "what": "the job is not finished", "got": f"after {seconds:g} s"})

    def _events(self, job: Job, seconds: float) -> Iterator[Job]:
        """The job's document at each change; ends early where the connection is lost, and then asks once."""
        try:
            with self._http.stream("GET", f"{job['url']}/events", timeout=min(seconds, _POLL) + 1) as response:
                if response.status_code == httpx.codes.OK:
                    for line in response.iter_lines():
                        if line.startswith("data:"):
                            yield json.loads(line.removeprefix("data:"))
                    return
        except httpx.HTTPError:
            time.sleep(0.2)  # the server may be starting again
        yield self.job(job)

    def job(self, job: Job) -> Job:
        """What is known of a job.

        Raises:
            ServerError: it is not there.
        """
        return self._json("GET", job["url"])

    def read(self, job: Job, number: int = 0) -> bytes:
        """A file that a finished job made, its hash checked.

        Raises:
            ServerError: there is none, or it came damaged.
        """
        outputs = self.job(job)["outputs"]
        if number >= len(outputs):
            raise ServerError({"code": "not_found", "what": "the job has no such output", "got": number})
        content = self._send("GET", outputs[number]["url"]).content
        if hashlib.sha256(content).hexdigest() != outputs[number]["sha256"]:
            raise ServerError({"code": "damaged", "what": "the picture came damaged", "fix": "read it again"})
        return content

    def save(self, job: Job, path: str | Path, number: int = 0) -> None:
        """Writes a file that a finished job made.

        Raises:
            ServerError: there is none, or it came damaged.
            OutputError: it cannot be written.
        """
        with whole_file(Path(path), "the picture") as file:
            file.write(self.read(job, number))

    def cancel(self, job: Job) -> None:
        """Ends a job that is not finished; one that is stays.

        Raises:
            ServerError: it is not there.
        """
        if self.job(job)["state"] in ("queued", "running"):
            self._send("DELETE", job["url"])

    def erase(self, job: Job) -> None:
        """Deletes a job and its pictures.

        Raises:
            ServerError: it is not there.
        """
        self._send("DELETE", job["url"], params={"erase": "true"})

    def options(self) -> dict[str, Any]:
        """JSON Schema of the options.

        Raises:
            ServerError: the server refuses.
        """
        return self._json("GET", "/v1/options")

    # --------------------------------------------------------------------------------------------------- HTTP

    def _json(self, method: str, url: str, **request: Any) -> dict[str, Any]:
        found: dict[str, Any] = self._send(method, url, **request).json()
        return found

    def _send(self, method: str, url: str, **request: Any) -> httpx.Response:
        """A request, repeated while the server is busy or not there."""
        for attempt in range(self._retries + 1):
            try:
                response = self._http.request(method, url, **request)
            except httpx.TransportError as error:
                if attempt == self._retries:
                    what = {"code": "unavailable", "what": "the server does not answer", "got": str(error)}
                    raise ServerError(what | {"fix": "idmvton serve"}) from error
                time.sleep(min(_LONGEST_PAUSE, 0.5 * 2**attempt))
                continue
            if response.status_code not in _RETRIED or attempt == self._retries:
                break
            time.sleep(_pause(response, attempt))
        if response.is_success:
            return response
        document: dict[str, Any] = {"code": "unknown", "what": f"HTTP {response.status_code}"}
        with contextlib.suppress(ValueError):
            document |= response.json()
        raise ServerError(document | {"status": response.status_code})


def _pause(response: httpx.Response, attempt: int) -> float:
    told = response.headers.get("retry-after", "")
    return min(_LONGEST_PAUSE, float(told) if told.isdigit() else 0.5 * 2**attempt)


def _content(picture: Picture) -> bytes:
    return picture if isinstance(picture, bytes) else Path(picture).read_bytes()


def _id(job: Job | str) -> str:
    return job if isinstance(job, str) else str(job["id"])


def main(arguments: list[str] | None = None) -> int:
    """Orders one try-on, waits for it and writes its picture; returns the exit status."""
    parser = argparse.ArgumentParser("python -m idmvton.client", description="Order a try-on from an idmvton server.")
    parser.add_argument("person", type=Path)
    parser.add_argument("garment", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--key")
    parser.add_argument("--options", type=json.loads, default={}, help='JSON, such as {"seed": 7}')
    given = parser.parse_args(arguments)
    try:
        with Client(given.url, given.key) as client:
            job = client.try_on(given.person, given.garment, **given.options)
            client.wait(job, on_progress=_show)
            client.save(job, given.output)
    except (IdmVtonError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{given.output}\n")
    return 0


def _show(job: Job) -> None:
    stage = (job["progress"] or {}).get("stage") or (f"place {job['place']}" if job["place"] else "")
    sys.stderr.write(f"{job['state']} {stage}\n")


if __name__ == "__main__":
    sys.exit(main())
