"""Text files that list file names, a row a line, as people write them; and paths that must stay in their folder."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple, TypeVar

from idmvton.errors import InputError
from idmvton.images.files import PICTURE_SUFFIXES

Value = TypeVar("Value")

_NAME: Final = re.compile(r"\S(?:.*?\S)??\.\w{2,4}(?=\s|$)")  # up to a suffix that a space or the line's end follows
_QUOTED: Final = re.compile(r"""\s*(?:"([^"]*)"|'([^']*)'|(\S+))""")


class Row(NamedTuple):
    """A line of a list: its number, counted from 1, and the names in it."""

    number: int
    names: tuple[str, ...]


def read_text(path: Path, what: str) -> str:
    """The text of a file, in UTF-8 with or without a byte order mark.

    Raises:
        InputError: missing, unreadable, or another encoding.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"the {what} is not UTF-8",
            got=f"{path}: byte {error.object[error.start]:#x} at position {error.start}",
            expected="a text file in UTF-8",
            fix="save it as UTF-8 in your editor",
        ) from error
    except (OSError, ValueError) as error:
        raise InputError(
            f"the {what} cannot be read", got=f"{path}: {error}", expected="a text file in UTF-8"
        ) from error


def read_rows(path: Path, what: str) -> list[Row]:
    """The rows of a list of pairs: two names in each line, separated by a tab, a comma, a semicolon or spaces.

    Names with spaces are read where tabs, commas or quotes make it clear, or where both end in a suffix. Empty lines,
    lines that start with ``#`` and a header line are left out, and so is a number after the two names (a category, as
    DressCode's lists of all categories have it).

    Raises:
        InputError: a file that cannot be read, a line of another form, or no row at all.
    """
    rows: list[Row] = []
    for number, line in enumerate(read_text(path, what).splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        names = _split(line.strip())
        if not rows and len(names) >= 2 and not any("." in name for name in names):
            continue  # a header
        if len(names) == 3 and names[2].isdigit():
            names = names[:2]
        if len(names) != 2 or not all(names):
            raise InputError(
                f"the {what} is damaged",
                got=f"{path}, line {number}: {line!r}",
                expected="the file names of a person and of a garment",
                fix="put names with spaces in quotes, or a tab between the two",
            )
        rows.append(Row(number, names))
    if not rows:
        raise InputError(f"the {what} is empty", got=path, expected="a person and a garment in each line")
    return rows


def _split(line: str) -> tuple[str, ...]:
    for separator in "\t;,":
        if separator in line:
            found = next(csv.reader([line], delimiter=separator, skipinitialspace=True))
            parts = tuple(part.strip().strip("'\"") for part in found)
            if len(parts) > 1:
                return tuple(part for part in parts if part) if separator == "\t" else parts
    words = tuple(next(filter(None, match.groups()), "") for match in _QUOTED.finditer(line))
    if len(words) > 2 and not words[2].isdigit():
        names = tuple(_NAME.findall(line))
        return names if len(names) == 2 and " ".join(names) == " ".join(line.split()) else words
    return words


def near(path: Path) -> str | None:
    """The file that is there instead of a missing one: of the same name, with another suffix or case."""
    found = sorted(path.parent.iterdir()) if path.parent.is_dir() else []
    return next((each.name for each in found if each.stem.lower() == path.stem.lower()), None)


def or_namesake(path: Path) -> Path:
    """The file, or the picture of the same name with another suffix that is there instead; lists get rewritten."""
    if path.exists():
        return path
    others = (path.with_suffix(suffix) for suffix in PICTURE_SUFFIXES)
    return next((other for other in others if other.exists()), path)


def by_stem(values: Mapping[str, Value]) -> dict[str, Value]:
    """What belongs to file names, by the names without their suffixes."""
    return {Path(name).stem: value for name, value in values.items()}


def inside(folder: Path, name: str, where: str) -> Path:
    """A file that a list names, below the folder that the list speaks of.

    Args:
        folder: that the names start at.
        name: as listed.
        where: the list and the line, for the message.

    Raises:
        InputError: an absolute path, one that leads out of the folder, or no name.
    """
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if not parts or "\0" in name or ".." in parts or parts[0] == "/" or re.fullmatch(r"[A-Za-z]:", parts[0]):
        raise InputError(
            "a list names a file outside its folder",
            got=f"{where}: {name!r}",
            expected=f"a file below {folder}",
            fix="copy the file into the folder, or correct the list",
        )
    return folder / name
