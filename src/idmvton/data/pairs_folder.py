"""Anybody's own photos: a folder with ``pairs.csv``.

Columns: ``person`` and ``garment``, and where wanted ``mask``, ``densepose``, ``caption``, ``category``, ``labels``
(ATR classes) and ``keypoints`` (OpenPose JSON). Paths start at the folder. A map whose cell is empty is looked for
under ``prepared/``, where ``idmvton data prepare`` writes what it makes.
"""

from __future__ import annotations

import csv
import difflib
import io
from pathlib import Path
from typing import Final, get_args

from idmvton.data.file_dataset import PREPARED, FileDataset, SampleFiles
from idmvton.data.listing import pair_name
from idmvton.data.name_lists import inside, read_text
from idmvton.errors import InputError
from idmvton.types import Category, MissingCaption

LIST_NAME: Final = "pairs.csv"
_REQUIRED: Final = ("person", "garment")
_COLUMNS: Final = (*_REQUIRED, "mask", "densepose", "caption", "category", "labels", "keypoints")


class PairsFolder(FileDataset):
    """A folder with ``pairs.csv``.

    Args:
        root: the folder.
        size: (height, width) of everything that is read, divisible by 8.
        missing_caption, mask_threshold: see :class:`FileDataset`; captions are optional here.

    Raises:
        InputError: a list that is missing or damaged; the line is named.
    """

    def __init__(
        self,
        root: Path | str,
        size: tuple[int, int],
        *,
        missing_caption: MissingCaption = "category phrase",
        mask_threshold: int | None = None,
    ) -> None:
        files = list_files(Path(root))
        super().__init__(files, size, missing_caption=missing_caption, mask_threshold=mask_threshold)


def list_files(root: Path) -> list[SampleFiles]:
    """The files of each row; whether they exist is not looked at.

    Raises:
        InputError: a list that is missing or damaged; the line is named.
    """
    path = root / LIST_NAME
    try:
        text = read_text(path, "list of pairs")
        first = text.partition("\n")[0]
        separator = next((each for each in ",;\t" if each in first), ",")
        table = csv.DictReader(io.StringIO(text), strict=True, skipinitialspace=True, delimiter=separator)
        table.fieldnames = [str(name).strip().lower() for name in table.fieldnames or ()]
        _check_columns(path, list(table.fieldnames))
        rows = [_row(root, path, table.line_num, row) for row in table]
        if not rows:
            raise InputError("the list of pairs is empty", got=path, expected="a row for each pair")
        return rows
    except (OSError, ValueError, csv.Error) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            "the list of pairs cannot be read",
            got=f"{path}: {error}",
            expected="a CSV file in UTF-8 with the columns " + ", ".join(_COLUMNS),
        ) from error


def _check_columns(path: Path, found: list[str]) -> None:
    for name in found:
        if name not in _COLUMNS:
            near = difflib.get_close_matches(str(name), _COLUMNS, n=1)
            expected = f"{near[0]!r}?" if near else ", ".join(_COLUMNS)
            raise InputError(f"unknown column {name!r}", got=path, expected=expected)
    if missing := [name for name in _REQUIRED if name not in found]:
        raise InputError(
            "the list of pairs lacks a column",
            got=f"{path}: {', '.join(found) or 'an empty file'}",
            expected=" and ".join(missing),
            fix="write the names of the columns in the first line",
        )


def _row(root: Path, path: Path, line: int, row: dict[str, str | None]) -> SampleFiles:
    if None in row or None in row.values():
        raise InputError(
            "a row has the wrong number of cells", got=f"{path}, line {line}", fix="put texts with commas in quotes"
        )
    cells = {name: (value or "").strip() for name, value in row.items()}
    for name in _REQUIRED:
        if not cells[name]:
            raise InputError(f"a row names no {name}", got=f"{path}, line {line}")
    named = cells.get("category") or "upper_body"
    category: Category | None = next((each for each in get_args(Category) if each == named), None)
    if category is None:
        raise InputError(
            "unknown category", got=f"{path}, line {line}: {named!r}", expected=", ".join(get_args(Category))
        )
    person, garment = (_slug(cells[name]) for name in _REQUIRED)
    default = {
        "mask": f"prepared/mask/{person}_{category}.png",
        "densepose": f"prepared/densepose/{person}.png",
        "labels": f"prepared/labels/{person}.png",
        "keypoints": f"prepared/keypoints/{person}.json",
    }
    where = f"{path}, line {line}"
    places = {name: inside(root, cells.get(name) or place, where) for name, place in default.items()}
    return SampleFiles(
        name=pair_name(person, garment),
        person=inside(root, cells["person"], where),
        garment=inside(root, cells["garment"], where),
        category=category,
        caption=cells.get("caption") or None,
        prepared=root / PREPARED / person,
        mask=places["mask"],
        densepose=places["densepose"],
        labels=places["labels"],
        keypoints=places["keypoints"],
    )


def _slug(path: str) -> str:
    """A path without its suffix as one word, so that equal file names in different folders stay apart."""
    return "_".join(part for part in Path(path).with_suffix("").parts if part not in ("/", ".", ".."))
