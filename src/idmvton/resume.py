"""Work on many files that goes on where it stopped: what is done is skipped, what fails is reported."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from idmvton.atomic import whole_file
from idmvton.errors import IdmVtonError, InputError, PreparationError

REPORT: Final = "report.json"
ONE_ITEM: Final[tuple[type[IdmVtonError], ...]] = (InputError, PreparationError)
"""Errors that speak of one item: the others are worked on all the same."""

Item = TypeVar("Item", bound=Hashable)
Result = TypeVar("Result")
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Failure(Generic[Item]):
    """An item that could not be worked on.

    Attributes:
        item: which one.
        error: the class of the error.
        what: why, in one line.
        message: the whole message, with what to do.
    """

    item: Item
    error: str
    what: str
    message: str

    @classmethod
    def of(cls, item: Item, error: IdmVtonError) -> Failure[Item]:
        """What an error says of an item."""
        return cls(item, type(error).__name__, error.what, str(error))

    def to_dict(self, name_of: Callable[[Item], Mapping[str, str]]) -> dict[str, str]:
        """Plain values, ready for JSON.

        Args:
            name_of: names of the item, such as ``{"photo": "anna.jpg"}``.
        """
        return {**name_of(self.item), "error": self.error, "what": self.what, "message": self.message}


@dataclass(slots=True)
class Outcomes(Generic[Item]):
    """What became of each item.

    Attributes:
        made: worked on by this call.
        skipped: done before, in the same way.
        failed: the others.
        warnings: item -> what should be known about it; of those that were made.
    """

    made: list[Item] = field(default_factory=list)
    skipped: list[Item] = field(default_factory=list)
    failed: list[Failure[Item]] = field(default_factory=list)
    warnings: dict[Item, tuple[str, ...]] = field(default_factory=dict)

    def attempt(
        self, item: Item, make: Callable[[Item], Result], keep: Callable[[Item, Result], Iterable[str]]
    ) -> bool:
        """Works on an item and keeps what became of it.

        Args:
            item: which one.
            make: makes its result; an error of :data:`ONE_ITEM` is kept as a failure.
            keep: writes the result, and returns what should be known about it; its errors stop everything.

        Returns:
            Whether it was made.
        """
        try:
            result = make(item)
        except ONE_ITEM as error:
            self.failed.append(Failure.of(item, error))
            return False
        notes = tuple(keep(item, result))
        self.made.append(item)
        if notes:
            self.warnings[item] = notes
        return True

    def to_dict(self, name: Callable[[Item], str], names: Callable[[Item], Mapping[str, str]]) -> dict[str, Any]:
        """Plain values, ready for JSON.

        Args:
            name: of an item that was made or skipped.
            names: of an item that failed, by what they name.
        """
        return {
            "made": [name(item) for item in self.made],
            "skipped": [name(item) for item in self.skipped],
            "failed": [each.to_dict(names) for each in self.failed],
            "warnings": {name(item): list(notes) for item, notes in self.warnings.items()},
        }


def work_through(
    items: Iterable[Item],
    is_done: Callable[[Item], bool],
    make: Callable[[Item], Result],
    keep: Callable[[Item, Result], Iterable[str]],
    progress: Progress | None = None,
) -> Outcomes[Item]:
    """Works on every item that is not done.

    Args:
        items: in the order of the work.
        is_done: whether an item was made before, from the same files and in the same way.
        make, keep: as of :meth:`Outcomes.attempt`.
        progress: called with (done, total) after each item.

    Raises:
        IdmVtonError: what does not speak of one item alone.
    """
    listed, outcomes = list(items), Outcomes[Item]()
    for done, item in enumerate(listed, 1):
        if is_done(item):
            outcomes.skipped.append(item)
        else:
            outcomes.attempt(item, make, keep)
        if progress is not None:
            progress(done, len(listed))
    return outcomes


def write_report(folder: Path, report: Mapping[str, Any]) -> Path:
    """Writes :data:`REPORT` into a folder of results, and returns its path.

    Raises:
        InputError: the file cannot be written.
    """
    path = folder / REPORT
    with whole_file(path) as file:
        file.write(json.dumps(report, indent=2).encode())
    return path


def digest(path: Path) -> str:
    """The SHA-256 of a file's content, to tell whether a result was made from it; the reason where it is unreadable."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return f"unreadable: {error}"
