"""What the service tells: plain records, which every surface shows in its own way."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from idmvton.checkpoint.adapter_record import AdapterRecord
from idmvton.customize.options import CustomizeOptions
from idmvton.errors import IdmVtonError
from idmvton.options import JobOptions, PrepareOptions, TryOnOptions, describe

Kind = Literal["try_on", "prepare", "garment", "mask", "adapter"]
"""``prepare``: mask and body map of a person; ``garment``: a garment cut out and described; ``mask``: a corrected mask
put back into what was prepared; ``adapter``: a garment learned from a photo of somebody who wears it."""
State = Literal["queued", "running", "succeeded", "failed", "cancelled"]
FINISHED: Final[frozenset[State]] = frozenset({"succeeded", "failed", "cancelled"})
OPTIONS: Final = (JobOptions, TryOnOptions, PrepareOptions)
ADAPTER_OPTIONS: Final = (JobOptions, CustomizeOptions, PrepareOptions)
"""Of orders of the kind ``adapter``; :data:`OPTIONS` are those of all others."""


@dataclass(frozen=True, slots=True)
class Output:
    """A file that was made.

    Attributes:
        name: of the file, such as ``0.png``.
        sha256, bytes: of its content.
        width, height: pixels; None where it is no picture.
    """

    name: str
    sha256: str
    bytes: int
    width: int | None = None
    height: int | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """Why something was not made.

    Attributes:
        code: one word for programs, such as ``no_person``.
        what, got, expected, fix: for people; see :class:`idmvton.errors.IdmVtonError`.
        field: the file or option that it is about, where that is known.
    """

    code: str
    what: str
    got: str | None = None
    expected: str | None = None
    fix: str | None = None
    field: str | None = None

    @classmethod
    def of(cls, error: IdmVtonError, *, field: str | None = None, names: Mapping[str, str] | None = None) -> Problem:
        """What an error says.

        Args:
            error: any of the library.
            field: the file or option that it is about; else it is read off a message that starts with an option's name.
            names: paths of this machine -> the words to put in their place.
        """

        def clean(value: object) -> str | None:
            text = None if value is None else str(value)
            for path, name in (names or {}).items():
                text = text.replace(path, name) if text else text
            return text

        what = clean(error.what) or ""
        about = field or error.field or named(what)
        return cls(code_of(error), what, clean(error.got), clean(error.expected), clean(error.fix), about)


@dataclass(frozen=True, slots=True)
class View:
    """What is known of a job.

    Attributes:
        id: of the job.
        kind, caller, priority, batch: as it was ordered; the batch's id where it came in one.
        state: where it is.
        created, started, ended: seconds since 1970.
        expires: when it and its files are deleted, likewise.
        place: in the queue, from 1.
        seconds_left: until it is done, estimated from earlier ones.
        stage, done, total: what is worked on, and how far that is.
        warnings: what the caller should know, in words.
        outputs: the files that were made.
        error: why nothing was.
        timings: seconds of each stage.
        provenance: of each picture, how it was made.
        about: more, by kind: the caption and category of a garment, the category and sources of what was prepared.
        attempts: how often it was begun; more than once where a lane or the server died.
    """

    id: str
    kind: Kind
    caller: str
    state: State
    created: float
    priority: int = 0
    batch: str | None = None
    started: float | None = None
    ended: float | None = None
    expires: float | None = None
    place: int | None = None
    seconds_left: float | None = None
    stage: str | None = None
    done: int = 0
    total: int | None = None
    warnings: tuple[str, ...] = ()
    outputs: tuple[Output, ...] = ()
    error: Problem | None = None
    timings: Mapping[str, float] = field(default_factory=dict)
    provenance: tuple[Mapping[str, Any], ...] = ()
    about: Mapping[str, Any] = field(default_factory=dict)
    attempts: int = 0

    @property
    def is_finished(self) -> bool:
        """Whether nothing about it will change any more."""
        return self.state in FINISHED

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return dataclasses.asdict(self)


@dataclass(frozen=True, slots=True)
class Adapter:
    """An adapter that orders may use.

    Attributes:
        name: for orders.
        id: of the job that made it; None where it lies in the folder of adapters.
        about: see :func:`about_record`.
    """

    name: str
    id: str | None
    about: Mapping[str, Any]


def about_record(record: AdapterRecord) -> dict[str, Any]:
    """What is told of an adapter, as plain values."""
    same = ("caption", "category", "layers", "rank", "steps")
    told = {name: getattr(record, name) for name in same}
    return told | {"weights": record.base, "digest": record.short_digest, "losses": dict(record.losses)}


CODES: Final = {
    "SeveralPeople": "several_people",
    "NoPerson": "no_person",
    "UnusablePerson": "unusable_person",
    "Preparation": "preparation_failed",
    "Input": "bad_input",
    "Config": "bad_option",
    "Output": "storage_full",
    "Weights": "weights_missing",
    "MissingExtra": "not_installed",
    "Numerics": "numerics",
}
"""Class of the error, without ``Error`` -> code."""


def code_of(error: IdmVtonError) -> str:
    """The one word for programs: the error's own, or that of its class."""
    own: str | None = getattr(error, "code", None)
    names = (each.__name__.removesuffix("Error") for each in type(error).__mro__)
    return own or next((CODES[name] for name in names if name in CODES), "failed")


def named(what: str) -> str | None:
    """The option that a message starts with, or names as unknown."""
    word = re.match(r"(?:unknown option ')?(\w+)", what)
    known = {each.name for declaration in (*OPTIONS, CustomizeOptions) for each in describe(declaration)}
    return word[1] if word and (word[1] in known or what.startswith("unknown option")) else None
