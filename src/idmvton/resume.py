"""Work on many files that can be resumed: what is done is skipped, what fails is reported."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Generic, Literal, TypeAlias, TypeVar

from filelock import FileLock, Timeout

from idmvton.atomic import whole_file
from idmvton.errors import IdmVtonError, InputError, MissingExtraError, OutputError, PreparationError

REPORT: Final = "report.json"
ONE_ITEM: Final[tuple[type[IdmVtonError], ...]] = (InputError, PreparationError, MissingExtraError)
"""Errors that speak of one item, unless nothing can be written: the others are worked on all the same."""
_AHEAD: Final = 4  # items a thread that are worked on or wait to be taken

Item = TypeVar("Item", bound=Hashable)
Entry = TypeVar("Entry")
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


ELSEWHERE: Final = "elsewhere"
Outcome: TypeAlias = "Failure[Item] | tuple[str, ...] | Literal['elsewhere'] | None"


@dataclass(slots=True)
class Outcomes(Generic[Item]):
    """What became of each item.

    Attributes:
        made: worked on by this call.
        skipped: done before, in the same way.
        failed: the others.
        elsewhere: another run works on them at this moment.
        warnings: item -> what should be known about it; of those that were made.
    """

    made: list[Item] = field(default_factory=list)
    skipped: list[Item] = field(default_factory=list)
    failed: list[Failure[Item]] = field(default_factory=list)
    elsewhere: list[Item] = field(default_factory=list)
    warnings: dict[Item, tuple[str, ...]] = field(default_factory=dict)

    def attempt(self, item: Item, work: Callable[[Item], Iterable[str]]) -> bool:
        """Works on an item and keeps what became of it.

        Args:
            item: which one.
            work: makes and writes it, and returns what should be known about it.

        Returns:
            Whether it was made. An error that speaks of the item is kept as a failure; others are raised.
        """
        self.add(item, _attempted(item, work))
        return bool(self.made) and self.made[-1] is item

    def add(self, item: Item, outcome: Outcome[Item]) -> None:
        """Keeps what became of an item: a failure, warnings, None where it was done before, or :data:`ELSEWHERE`."""
        if outcome is None:
            self.skipped.append(item)
        elif outcome == ELSEWHERE:
            self.elsewhere.append(item)
        elif isinstance(outcome, Failure):
            self.failed.append(outcome)
        else:
            self.made.append(item)
            if outcome:
                self.warnings[item] = outcome

    def to_dict(self, name: Callable[[Item], str], names: Callable[[Item], Mapping[str, str]]) -> dict[str, Any]:
        """Plain values, ready for JSON.

        Args:
            name: of an item that was made or skipped, or that another run works on.
            names: of an item that failed, by what they name.
        """
        return {
            "made": [name(item) for item in self.made],
            "skipped": [name(item) for item in self.skipped],
            "failed": [each.to_dict(names) for each in self.failed],
            "elsewhere": [name(item) for item in self.elsewhere],
            "warnings": {name(item): list(notes) for item, notes in self.warnings.items()},
        }


def work_through(
    items: Iterable[Item],
    is_done: Callable[[Item], bool],
    work: Callable[[Item], Iterable[str]],
    progress: Progress | None = None,
    workers: int = 0,
    place: Callable[[Item], Path] | None = None,
) -> Outcomes[Item]:
    """Works on every item that is not done.

    Args:
        items: in the order of the work.
        is_done: whether an item was made before, from the same files and in the same way.
        work: as of :meth:`Outcomes.attempt`.
        progress: called with (done, total) after each item.
        workers: threads that work beside this one; with 0 it works itself.
        place: where an item's result goes to, for :func:`claimed`; without it nothing is claimed.

    Raises:
        IdmVtonError: what does not speak of one item alone, such as an output that cannot be written.
    """
    listed, outcomes = list(items), Outcomes[Item]()

    def one(item: Item) -> Outcome[Item]:
        if is_done(item):
            return None
        with claimed(place(item)) if place else contextlib.nullcontext(True) as is_ours:
            if not is_ours:
                return ELSEWHERE
            return None if place and is_done(item) else _attempted(item, work)

    found = in_threads(one, listed, workers) if workers else map(one, listed)
    for done, (item, outcome) in enumerate(zip(listed, found, strict=True), 1):
        outcomes.add(item, outcome)
        if progress is not None:
            progress(done, len(listed))
    return outcomes


@contextlib.contextmanager
def claimed(place: Path) -> Iterator[bool]:
    """Whether this run may work on an item; another run's claim ends with its work, or with its process.

    Whoever gets it looks once more whether the result is there.

    Args:
        place: where the result goes to; the claim is a hidden file beside it.
    """
    name = hashlib.sha256(os.fsencode(place.name)).hexdigest()[:16]
    lock = FileLock(place.with_name(f".claim-{name}"), timeout=0)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        yield False
        return
    except (OSError, NotImplementedError):  # a file system without locks, or one that takes no files: work says which
        yield True
        return
    try:
        yield True
    finally:
        with contextlib.suppress(OSError):
            Path(lock.lock_file).unlink()
        lock.release()


def _attempted(item: Item, work: Callable[[Item], Iterable[str]]) -> Outcome[Item]:
    try:
        return tuple(work(item))
    except OutputError:
        raise
    except ONE_ITEM as error:
        return Failure.of(item, error)


def in_threads(function: Callable[[Entry], Result], items: Iterable[Entry], workers: int) -> Iterator[Result]:
    """The results in the order of the items; a few are computed ahead, and an error or Ctrl-C drops those.

    Args:
        function: called in threads.
        items: taken as they are needed.
        workers: threads, at least 1.
    """
    pool = ThreadPoolExecutor(workers)
    waiting = deque[Future[Result]]()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) >= _AHEAD * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


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
