"""Lists of pairs and of captions, as the published data sets carry them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from idmvton.data.name_lists import inside, read_rows, read_text
from idmvton.errors import InputError
from idmvton.prepare.reading import read_json
from idmvton.types import Order

Split = Literal["train", "test"]

_TAGS = ("sleeveLength", "neckLine", "item")


def read_pairs(folder: Path, split: str, order: Order, own_garment: Callable[[str], str]) -> list[tuple[str, str]]:
    """The (person file, garment file) names of a split.

    ``{split}_pairs_{order}.txt`` is taken as it is. Without it, ``{split}_pairs.txt`` gives the people, with their
    own garment when paired and with the listed one when unpaired, as the published code reads it.

    Args:
        folder: where the lists lie.
        split: of the list's name.
        order: whether people come with the garment that they wear.
        own_garment: person file name -> garment file name.

    Raises:
        InputError: no list, or a line of it that is not two names.
    """
    exact, general = folder / f"{split}_pairs_{order}.txt", folder / f"{split}_pairs.txt"
    if exact.exists():
        return read_two_columns(exact)
    if not general.exists():
        raise InputError(
            f"the list of {order} pairs of {split} is missing",
            got=folder,
            expected=f"{exact.name} or {general.name}",
            fix="name the folder that holds the lists of the data set",
        )
    rows = read_two_columns(general)
    return [(person, own_garment(person)) for person, _ in rows] if order == "paired" else rows


def read_two_columns(path: Path) -> list[tuple[str, str]]:
    """The first two names of each line, which lead to files below the list's folder.

    Raises:
        InputError: the list cannot be read or is empty, a line does not hold two names, or one leads outside.
    """
    rows = []
    for number, (person, garment) in read_rows(path, "list of pairs"):
        for name in (person, garment):
            inside(path.parent, name, f"{path}, line {number}")
        rows.append((person, garment))
    return rows


def pair_name(person: str, garment: str) -> str:
    """A name for a pair: that of the person alone where both share it."""
    return person if person == garment else f"{person}__{garment}"


def read_tags(path: Path) -> dict[str, tuple[str, str | None]]:
    """Captions from VITON-HD's tags: sleeve length, neckline, item, those that are known, in this order.

    Returns:
        garment file name -> (caption, possibly empty; the published category or ``None``).

    Raises:
        InputError: missing, damaged, or of another form.
    """
    content = read_json(path, "file of tags")
    try:
        return {
            entry["file_name"]: (_phrase(entry["tag_info"]), entry.get("category_name"))
            for entries in content.values()
            for entry in entries
        }
    except (AttributeError, KeyError, TypeError) as error:
        raise InputError(
            "the file of tags has another form",
            got=f"{path}: {type(error).__name__} {error}",
            expected='{"data": [{"file_name": ..., "tag_info": [{"tag_name": ..., "tag_category": ...}]}]}',
        ) from error


def _phrase(tags: list[dict[str, str | None]]) -> str:
    words = [tag["tag_category"] for wanted in _TAGS for tag in tags if tag["tag_name"] == wanted]
    return " ".join(word for word in words if word)


def read_caption_lines(path: Path) -> dict[str, str]:
    """Captions of a text file, one line each: the garment's file name, then the caption.

    Raises:
        InputError: missing or damaged.
    """
    lines = read_text(path, "file of captions").splitlines()
    rows = (line.split(maxsplit=1) for line in lines)
    return {Path(row[0]).name: row[1].strip() for row in rows if len(row) == 2}
