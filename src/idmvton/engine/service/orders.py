"""What is asked of the service, checked before anything is stored."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar

from idmvton.engine.service.views import ADAPTER_OPTIONS, OPTIONS, Kind
from idmvton.errors import ConfigError, InputError
from idmvton.options import LEAST_SCALE, MOST_SCALE, Option, Options, ServiceOptions, describe

Declared = TypeVar("Declared", bound=Options)
Content: TypeAlias = "bytes | Path"
"""Of a file: its bytes, or where it lies."""

ROLES: Final = ("person", "garment", "mask", "densepose", "labels", "keypoints")
"""The files that an order may bring."""
CLOSED: Final = ("segmenter", "prior", "prior_share", "max_minutes")
"""Options that name files of the server, or need somebody who goes on later: only whoever starts it may set them."""
PRIORITIES: Final = range(-10, 11)
_ID: Final = re.compile(r"[0-9a-f]{32}")
_NAME: Final = re.compile(r"\w[\w.-]{0,99}")


@dataclass(frozen=True, slots=True)
class Order:
    """One piece of work.

    Attributes:
        kind: what is to be made.
        files: role -> content; see :data:`ROLES`.
        prepared: instead of a person's photo: the id of a finished ``prepare``.
        garment: instead of a garment's photo: the id of a finished ``garment``.
        options: by name, of the classes in :data:`OPTIONS`.
        adapter: the name or id of an adapter, which changes the weights for this order; where an adapter is made, the
            name that it gets.
        adapter_scale: how much of it.
    """

    kind: Kind = "try_on"
    files: Mapping[str, Content] = field(default_factory=dict)
    prepared: str | None = None
    garment: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    adapter: str | None = None
    adapter_scale: float = 1.0


@dataclass(frozen=True, slots=True)
class Terms:
    """How an order is treated.

    Attributes:
        caller: who asks; callers take turns.
        priority: -10 to 10; a higher one goes first.
        deadline: seconds from now after which the result is of no use; None: the service's own.
        key: an order with the key of an earlier one of this caller is that one.
        webhook: where the end is told to.
        queue: jobs of the caller that may wait; None: the service's own number.
    """

    caller: str = "local"
    priority: int = 0
    deadline: float | None = None
    key: str | None = None
    webhook: str | None = None
    queue: int | None = None

    def __post_init__(self) -> None:
        if self.priority not in PRIORITIES:
            raise ConfigError("priority is out of range", got=self.priority, expected="an integer from -10 to 10")
        if self.deadline is not None and not 0 < self.deadline <= 7 * 86400:
            raise ConfigError("deadline is out of range", got=self.deadline, expected="seconds, up to 604800 (7 days)")


def open_options(kind: Kind = "try_on") -> dict[str, Option]:
    """The options that an order of a kind may set, by name."""
    closed = (*CLOSED, "num_images") if kind == "adapter" else CLOSED
    return {each.name: each for part in _classes(kind) for each in describe(part) if each.name not in closed}


def _classes(kind: Kind) -> tuple[Any, ...]:
    return ADAPTER_OPTIONS if kind == "adapter" else OPTIONS


def checked_options(options: Mapping[str, Any], limits: ServiceOptions, kind: Kind = "try_on") -> dict[str, Any]:
    """What an order sets, checked; the seed is drawn here, so that work that is taken up again makes the same picture.

    Raises:
        ConfigError: an unknown or closed option, a wrong value, or more than the service allows.
    """
    known = open_options(kind)
    if closed := [name for name in options if name in CLOSED]:
        raise ConfigError(f"{closed[0]} cannot be set here", got=closed[0], fix="ask whoever runs the service")
    values: dict[str, Any] = {}
    for declaration in _classes(kind):
        mine = {each.name for each in describe(declaration)} & known.keys()
        unknown = {name: options[name] for name in options if name not in known}
        made = declaration.from_mapping({name: options[name] for name in options if name in mine} | unknown)
        values |= {name: value for name, value in made.to_dict().items() if name in options}
    most = {
        "num_images": limits.max_images,
        "num_inference_steps": limits.max_steps,
        "height": limits.max_side,
        "width": limits.max_side,
    }
    for name, limit in most.items():
        if (values.get(name) or 0) > limit:
            raise ConfigError(f"{name} is more than this service allows", got=values[name], expected=f"at most {limit}")
    if values.get("seed") is None and kind != "adapter":
        values["seed"] = random.SystemRandom().getrandbits(31)
    return values


def part_of(options: Mapping[str, Any], declaration: type[Declared]) -> Declared:
    """The options of one class, of what an order sets."""
    return declaration(**{each.name: options[each.name] for each in describe(declaration) if each.name in options})


def check_order(order: Order) -> None:
    """Makes sure that an order brings what its kind needs and nothing that would do nothing.

    Raises:
        InputError: a file is missing, empty or not for this kind.
    """
    files = order.files
    if unknown := [role for role in files if role not in ROLES]:
        raise InputError("a file has an unknown role", got=unknown[0], expected="one of " + ", ".join(ROLES))
    if empty := [role for role, content in files.items() if content == b""]:
        raise _about(empty[0], InputError(f"the file {empty[0]} is empty", fix="send the picture's bytes"))
    needed: dict[Kind, tuple[str, ...]] = {
        "try_on": ("person", "garment"),
        "prepare": ("person",),
        "garment": ("garment",),
        "mask": ("mask", "prepared"),
        "adapter": ("person",),
    }
    given = {*files, *(name for name in ("prepared", "garment") if getattr(order, name) is not None)}
    if order.kind == "try_on" and order.prepared is not None:
        given |= {"person", "garment"}  # what was prepared may have its own garment
    if order.kind == "adapter" and order.prepared is not None:
        given.add("person")
    for name in needed[order.kind]:
        if name not in given:
            raise _about(name, InputError(f"no {name} was given", expected=f"a file {name!r}, or the id of one"))
    both = [name for name, other in (("person", order.prepared), ("garment", order.garment)) if name in files and other]
    if both:
        raise _about(
            both[0], InputError(f"two of {both[0]} were given", got="a file and an id", expected="one of them")
        )
    few = {"garment": {"garment"}, "mask": {"mask"}, "adapter": {"person", "garment"}}
    allowed = few.get(order.kind, set(ROLES))
    if useless := [role for role in files if role not in allowed]:
        raise _about(useless[0], InputError("a file would do nothing", got=useless[0], fix="leave it out"))
    for value in (order.prepared, order.garment):
        if value is not None and not _ID.fullmatch(value):
            raise InputError("an id has the wrong form", got=value[:80], expected="32 hexadecimal digits")
    _check_adapter(order)


def _check_adapter(order: Order) -> None:
    """Raises :class:`InputError` for an adapter that would do nothing, a new name or a scale that cannot be used."""
    name = order.adapter
    if name is None:
        return
    if order.kind not in ("try_on", "adapter"):
        raise _about("adapter", InputError("an adapter would do nothing", got=name[:80], fix="leave it out"))
    if order.kind == "adapter" and (_ID.fullmatch(name) or not _NAME.fullmatch(name)):
        expected = "up to 100 letters, digits, dots, - and _, and not what looks like an id"
        raise _about("name", InputError("an adapter cannot have this name", got=name[:80], expected=expected))
    if not LEAST_SCALE <= order.adapter_scale <= MOST_SCALE:
        expected = f"{LEAST_SCALE:g} to {MOST_SCALE:g}"
        raise _about(
            "adapter_scale", InputError("adapter_scale is out of range", got=order.adapter_scale, expected=expected)
        )


def _about(field: str, error: InputError) -> InputError:
    error.field = field
    return error


def is_id(text: str) -> bool:
    """Whether a text has the form of a job's id."""
    return _ID.fullmatch(text) is not None
