"""How an option is declared: a dataclass field made by :func:`option`, which :func:`describe` reads back."""

from __future__ import annotations

import dataclasses
import difflib
import numbers
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, Self

from idmvton.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Option:
    """The declaration of one option, as :func:`describe` returns it.

    Attributes:
        name: the keyword in the library.
        flag: the name on the command line, without dashes.
        type: the Python type of the value, without ``None``; of a ``tuple[..., ...]``, that of its elements.
        optional: whether ``None`` is a value too.
        default: the value when nothing is said.
        help: one sentence for a person.
        minimum, maximum: the closed range of a number.
        choices: the allowed values of a ``Literal``.
        unit: what a number counts.
        is_list: whether the value is a tuple of such values; type, range and choices are then those of each.
        aliases: other words -> the choice that they mean, in lower case with hyphens.
    """

    name: str
    flag: str
    type: type
    optional: bool
    default: Any
    help: str
    minimum: float | None
    maximum: float | None
    choices: tuple[str, ...]
    unit: str | None
    is_list: bool = False
    aliases: Mapping[str, str] = field(default_factory=dict)

    def checked(self, value: Any) -> Any:
        """The value in the declared type; numbers of numpy become Python's, lists become tuples.

        Raises:
            ConfigError: another type, or out of range.
        """
        if value is None and self.optional:
            return None
        if self.is_list:
            if not isinstance(value, list | tuple):
                raise ConfigError(f"{self.name} has the wrong type", got=repr(value), expected=self.expected())
            return tuple(self._checked_one(each) for each in value)
        return self._checked_one(value)

    def _checked_one(self, value: Any) -> Any:
        accepted = {int: numbers.Integral, float: numbers.Real}.get(self.type, self.type)
        if not isinstance(value, accepted) or (isinstance(value, bool) and self.type is not bool):
            raise ConfigError(f"{self.name} has the wrong type", got=repr(value), expected=self.expected())
        if isinstance(value, str) and (bad := _unwritable(value)):
            raise ConfigError(
                f"{self.name} is no text", got=f"{value!a}: {bad}", expected="text in UTF-8, as the terminal says it"
            )
        number: Any = self._word(value) if self.choices else self.type(value)
        low = self.minimum is not None and not number >= self.minimum  # `not >=` refuses NaN as well
        high = self.maximum is not None and not number <= self.maximum
        if low or high or (self.choices and number not in self.choices):
            raise ConfigError(f"{self.name} is out of range", got=repr(value), expected=self.expected())
        return number

    def _word(self, value: Any) -> str:
        """The choice that is meant: in any case, or by another word for it."""
        plain = "-".join(value.lower().replace("_", " ").replace("-", " ").split())
        named = {choice.lower().replace("_", "-"): choice for choice in self.choices}
        return value if value in self.choices else self.aliases.get(plain, named.get(plain, value))

    def expected(self) -> str:
        """The allowed values in words, for example ``"int from 1 to 1000 (steps)"``."""
        if self.choices:
            words = "one of " + ", ".join(self.choices)
        else:
            words = self.type.__name__
            words += f" from {self.minimum}" if self.minimum is not None else ""
            words += f" to {self.maximum}" if self.maximum is not None else ""
        words += f" ({self.unit})" if self.unit else ""
        words = f"a list, each {words}" if self.is_list else words
        return words + (", or nothing" if self.optional else "")


def _unwritable(text: str) -> str:
    """What is wrong with a text that no file can hold: bytes that were no UTF-8, or a NUL."""
    if "\0" in text:
        return "it holds a NUL"
    return "it holds bytes that are no UTF-8" if any("\ud800" <= each <= "\udfff" for each in text) else ""


def option(
    default: Any,
    help: str,
    *,
    flag: str | None = None,
    minimum: float | None = None,
    maximum: float | None = None,
    unit: str | None = None,
    aliases: Mapping[str, str] = MappingProxyType({}),
) -> Any:
    """Declares one option; use as the default of a dataclass field."""
    return field(
        default=default,
        metadata={"help": help, "flag": flag, "minimum": minimum, "maximum": maximum, "unit": unit, "aliases": aliases},
    )


def describe(options: type[Any]) -> Iterator[Option]:
    """Yields the declaration of every option of a class, in order."""
    hints = typing.get_type_hints(options)
    for item in dataclasses.fields(options):
        members = typing.get_args(hints[item.name]) if _is_union(hints[item.name]) else (hints[item.name],)
        hint = next(member for member in members if member is not types.NoneType)
        is_list = typing.get_origin(hint) is tuple
        hint = typing.get_args(hint)[0] if is_list else hint
        choices = typing.get_args(hint) if typing.get_origin(hint) is Literal else ()
        yield Option(
            name=item.name,
            flag=item.metadata["flag"] or item.name.replace("_", "-"),
            type=str if choices else hint,
            optional=types.NoneType in members,
            default=item.default,
            help=item.metadata["help"],
            minimum=item.metadata["minimum"],
            maximum=item.metadata["maximum"],
            choices=choices,
            unit=item.metadata["unit"],
            is_list=is_list,
            aliases=item.metadata["aliases"],
        )


def _is_union(hint: Any) -> bool:
    return typing.get_origin(hint) in (typing.Union, types.UnionType)


class Options:
    """Base of the option classes: checked when made, strict about unknown names."""

    def __post_init__(self) -> None:
        for declared in describe(type(self)):
            object.__setattr__(self, declared.name, declared.checked(getattr(self, declared.name)))

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Self:
        """Builds the options from names and values.

        Raises:
            ConfigError: an unknown name (the nearest known one is named) or a value out of range.
        """
        known = [declared.name for declared in describe(cls)]
        for name in values:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                raise ConfigError(
                    f"unknown option {name!r}",
                    expected=f"{near[0]!r}?" if near else "one of " + ", ".join(known),
                )
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """The options as plain values, ready for JSON."""
        return {declared.name: getattr(self, declared.name) for declared in describe(type(self))}
