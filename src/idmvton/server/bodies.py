"""What a request brings -> an order: multipart with files, or JSON with data URIs. No picture is decoded here."""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
import re
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException
from starlette.requests import Request

from idmvton.engine.service import Order, Terms
from idmvton.engine.service.orders import ROLES
from idmvton.engine.service.views import Kind
from idmvton.errors import IdmVtonError, InputError, OutputError
from idmvton.images.files import open_picture
from idmvton.options import ServerOptions
from idmvton.server.addresses import check_public, checked_url, fetch
from idmvton.server.keys import Caller
from idmvton.server.problems import refuse

WORDS: Final = ("prepared", "garment_id", "adapter", "name", "webhook")
NUMBERS: Final = ("priority", "deadline", "adapter_scale")
MEMBERS: Final = (*ROLES, *WORDS, *NUMBERS, "options")
_DATA_URI: Final = re.compile(r"data:[\w.+/-]*(?:;[\w.+-]+=[\w.+-]*)*;base64,", re.ASCII)
_DEPTH: Final = 8
_MAX_FIELDS: Final = 40
_TEXT_BYTES: Final = 1 << 16
_KEY: Final = re.compile(r"[\x21-\x7e]{1,200}")


@dataclass(slots=True)
class Body:
    """What a request brings.

    Attributes:
        members: plain values by name.
        files: role -> files of this machine, which are deleted when the request is answered.
    """

    members: dict[str, Any] = field(default_factory=dict)
    files: dict[str, list[Path]] = field(default_factory=dict)

    def only_files(self) -> dict[str, Path]:
        """The one file of each role.

        Raises:
            ProblemError: there are two.
        """
        if several := [role for role, files in self.files.items() if len(files) > 1]:
            raise refuse("bad_input", f"several files {several[0]} were given", expected="one", field=several[0])
        return {role: files[0] for role, files in self.files.items()}


@contextlib.asynccontextmanager
async def body_of(request: Request, options: ServerOptions, several: Sequence[str] = ()) -> AsyncIterator[Body]:
    """What a request brings, for the time of the block.

    Args:
        request: with a body.
        options: of the server.
        several: roles of which JSON may have a list.

    Raises:
        ProblemError: neither multipart nor JSON, not well-formed, or too large.
        InputError: a file that is no picture.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    with _saving(), tempfile.TemporaryDirectory(prefix="idmvton-upload-") as folder:
        if kind == "multipart/form-data":
            body = await _multipart(request, Path(folder))
        elif kind == "application/json":
            document = parse_json(await request.body())
            body = await run_in_threadpool(_of_json, document, Path(folder), options, several)
        else:
            expected = "multipart/form-data or application/json"
            raise refuse(
                "unsupported_type", "the request's type is not known", got=kind[:80] or None, expected=expected
            )
        await run_in_threadpool(_check_files, body, options)
        yield body


@contextlib.contextmanager
def _saving() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if isinstance(error, IdmVtonError):
            raise
        raise OutputError("the upload cannot be saved", got=error.strerror, fix="free space on the server") from error


async def _multipart(request: Request, folder: Path) -> Body:
    body = Body()
    try:
        form = await request.form(max_files=_MAX_FIELDS, max_fields=_MAX_FIELDS, max_part_size=_TEXT_BYTES)
    except (MultiPartException, ValueError, UnicodeError) as error:
        raise refuse("bad_request", "the multipart body cannot be read", got=str(error)[:200]) from error
    try:
        for name, value in form.multi_items():
            if name not in MEMBERS:
                raise _unknown(name)
            if name in ROLES:
                if not isinstance(value, UploadFile):
                    raise refuse("bad_input", f"{name} is no file", fix=f"curl -F {name}=@photo.jpg", field=name)
                path = folder / f"{name}-{len(body.files.get(name, []))}"
                path.write_bytes(await value.read())
                body.files.setdefault(name, []).append(path)
            else:
                text = (await value.read()).decode(errors="replace") if isinstance(value, UploadFile) else value
                body.members[name] = _member(name, text)
    finally:
        await form.close()
    return body


def _member(name: str, text: str) -> Any:
    """A field of a form as JSON has it."""
    if name in WORDS:
        return text
    try:
        return parse_json(text.encode())
    except UnicodeEncodeError as error:
        raise refuse("bad_request", f"{name} is no text", field=name) from error


def parse_json(content: bytes) -> Any:
    """JSON of limited depth.

    Raises:
        ProblemError: it is none.
    """
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        got = str(error) if isinstance(error, json.JSONDecodeError) else type(error).__name__
        raise refuse("bad_request", "the JSON cannot be read", got=got) from error
    level = [document]
    for _ in range(_DEPTH):
        level = [inner for each in level for inner in _inside(each)]
        if not level:
            return document
    raise refuse("bad_request", "the JSON is nested too deeply", expected=f"at most {_DEPTH} levels")


def _inside(value: Any) -> Sequence[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else ()


def _of_json(document: Any, folder: Path, options: ServerOptions, several: Sequence[str]) -> Body:
    if not isinstance(document, dict):
        raise refuse("bad_request", "the JSON is no object", got=type(document).__name__, expected='{"person": ...}')
    body = Body()
    for name, value in document.items():
        if name not in MEMBERS and not (several and name == "pairs"):
            raise _unknown(name)
        if name not in ROLES:
            body.members[name] = value
            continue
        values = value if isinstance(value, list) and name in several else [value]
        for number, each in enumerate(values):
            path = folder / f"{name}-{number}"
            path.write_bytes(_content(name, each, options))
            body.files.setdefault(name, []).append(path)
    return body


def _content(name: str, value: Any, options: ServerOptions) -> bytes:
    """The bytes that a data URI holds or a URL leads to."""
    if isinstance(value, str) and value.startswith(("http://", "https://")):
        if not options.fetch_urls:
            raise refuse("bad_input", "URLs are not fetched", fix="send the file itself, or a data URI", field=name)
        return fetch(value, int(options.max_body * 2**20))
    start = _DATA_URI.match(value[:200]) if isinstance(value, str) else None
    if start is None:
        got = repr(value)[:60]
        raise refuse("bad_input", f"{name} is no data URI", got=got, expected="data:image/jpeg;base64,...", field=name)
    try:
        return base64.b64decode(value[start.end() :], validate=True)
    except (binascii.Error, ValueError) as error:
        raise refuse("bad_input", f"the data URI of {name} cannot be read", got=str(error), field=name) from error


def _check_files(body: Body, options: ServerOptions) -> None:
    """Looks at the headers of pictures: their kind and size; nothing is decoded.

    Raises:
        InputError: a file is no picture.
        ProblemError: it has too many pixels.
    """
    limit = options.max_pixels * 1e6
    for role, files in body.files.items():
        for path in files:
            if role == "keypoints" or not path.stat().st_size:
                continue
            try:
                with open_picture(path, role) as picture:
                    width, height = picture.size
            except InputError as error:
                raise _named(error, path, role) from error
            if width * height > limit:
                got = f"{width * height / 1e6:.0f} megapixels"
                expected = f"at most {options.max_pixels:g}"
                raise refuse("too_many_pixels", f"the {role} is too large", got=got, expected=expected, field=role)


def _named(error: InputError, path: Path, role: str) -> InputError:
    """The error without the path of this machine."""
    words = [None if each is None else str(each).replace(str(path), f"the file {role!r}") for each in
             (error.what, error.got, error.expected, error.fix)]  # fmt: skip
    told = InputError(words[0] or "", got=words[1], expected=words[2], fix=words[3])
    told.field = role
    return told


def _unknown(name: str) -> Exception:
    got = ascii(name)[1:-1][:60]
    return refuse("bad_input", "a part of the request is not known", got=got, expected=", ".join(MEMBERS), field=got)


def order_of(kind: Kind, members: Mapping[str, Any], files: Mapping[str, Path]) -> Order:
    """The order that plain values and files make.

    Raises:
        ProblemError: a value of the wrong type.
    """
    _check_numbers(members)
    options = members.get("options", {})
    if not isinstance(options, dict):
        raise refuse("bad_input", "options is no JSON object", got=type(options).__name__, field="options")
    for name in WORDS:
        if not isinstance(members.get(name, ""), str):
            raise refuse("bad_input", f"{name} is no text", field=name)
    mine, other = ("name", "adapter") if kind == "adapter" else ("adapter", "name")
    for name in (other, *(["adapter_scale"] if kind == "adapter" else [])):
        if name in members:
            raise refuse("bad_input", f"{name} would do nothing", fix="leave it out", field=name)
    return Order(
        kind=kind,
        files=dict(files),
        prepared=members.get("prepared"),
        garment=members.get("garment_id"),
        options=_alone(kind, members, files) | options,
        adapter=members.get(mine),
        adapter_scale=float(members.get("adapter_scale", 1.0)),
    )


def _alone(kind: Kind, members: Mapping[str, Any], files: Mapping[str, Path]) -> dict[str, Any]:
    """Where a person is looked for, several in the photo are an error: a server should not guess whom is meant."""
    is_known = "prepared" in members or {"mask", "densepose"} <= files.keys()
    is_other = kind not in ("try_on", "prepare") or members.get("options", {}).get("as_published")
    return {} if is_known or is_other else {"person_number": 0}


def _check_numbers(members: Mapping[str, Any]) -> None:
    for name in NUMBERS:
        value = members.get(name, 0)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise refuse("bad_input", f"{name} is no number", field=name)


def terms_of(request: Request, members: Mapping[str, Any], caller: Caller, options: ServerOptions) -> Terms:
    """How a request wants its order to be treated.

    Raises:
        ProblemError: a value of the wrong type or that this caller may not use.
        ConfigError: one out of range.
        InputError: a webhook that may not be called.
    """
    _check_numbers(members)
    priority = members.get("priority", 0)
    if priority > caller.priority:
        expected = f"at most {caller.priority} for this key"
        raise refuse(
            "bad_option", "the priority is not allowed", got=str(priority), expected=expected, field="priority"
        )
    key = request.headers.get("idempotency-key")
    if key is not None and not _KEY.fullmatch(key):
        raise refuse("bad_request", "the Idempotency-Key cannot be used", expected="1 to 200 printable characters")
    webhook = members.get("webhook")
    if webhook is not None:
        _check_webhook(webhook, options)
    return Terms(caller.name, priority, members.get("deadline"), key, webhook, caller.queue)


def _check_webhook(url: Any, options: ServerOptions) -> None:
    if options.webhooks == "off" or not isinstance(url, str):
        raise refuse(
            "bad_input", "webhooks are not sent" if isinstance(url, str) else "webhook is no text", field="webhook"
        )
    check_public(url) if options.webhooks == "public" else checked_url(url)


def wait_of(request: Request, options: ServerOptions) -> float:
    """The seconds of ``Prefer: wait=N``, at most the server's; 0 where it is not asked for."""
    found = re.search(r"(?:^|[,;\s])wait=(\d{1,6})(?:$|[,;\s])", request.headers.get("prefer", ""))
    return min(float(found[1]), options.max_wait) if found else 0.0
