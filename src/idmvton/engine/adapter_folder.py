"""Adapters by name, in a folder: listed, chosen and deleted, without torch. :mod:`.adapters` makes them."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from idmvton.atomic import MAX_NAME
from idmvton.checkpoint.adapter_record import FILE, AdapterRecord, adapter_files, find_adapter, read_record
from idmvton.customize.free import RUN
from idmvton.errors import InputError, OutputError, WeightsError
from idmvton.prepare.category import word_of

PICTURE: Final = "before-after.png"
GARMENT: Final = "garment.png"
"""The garment as it was learned, on white: to look at; a cut-out with holes may be misread where it is given again."""


def list_adapters(folder: Path) -> dict[str, AdapterRecord | WeightsError]:
    """Name -> how it was made, or what is wrong with it, of every adapter in a folder, by name."""
    found: dict[str, AdapterRecord | WeightsError] = {}
    for name, file in adapter_files(folder).items():
        try:
            found[name] = read_record(file)
        except WeightsError as error:
            found[name] = error
    return found


def adapter_place(name: str, folder: Path) -> Path:
    """The folder of an adapter, in a folder of them, from a name that somebody chose.

    Raises:
        InputError: no name of a folder.
    """
    plain = name == Path(name).name and not name.startswith(".") and "\\" not in name and "\0" not in name
    if not name.strip() or not plain or not name.isprintable() or len(name.encode()) > MAX_NAME:
        raise InputError(
            "the adapter cannot have this name",
            got=repr(name),
            expected="letters, digits, - and _, at most 255",
        )
    return folder / name


def choose_adapter(name: str, folder: Path) -> Path:
    """The file of an adapter in a folder of them, for ``pipe.load_adapter``.

    Raises:
        InputError: no name of an adapter.
        WeightsError: there is none of this name.
    """
    return find_adapter(adapter_place(name, folder).name, folder)


def delete_adapter(name: str, folder: Path) -> None:
    """Deletes an adapter of a folder of them; with one that has not ended, its saved state.

    Raises:
        InputError: no name of an adapter.
        WeightsError: there is none of this name.
        OutputError: it cannot be deleted.
    """
    place = adapter_place(name, folder)
    unfinished = place / RUN
    file = None if unfinished.is_dir() and not (place / FILE).is_file() else choose_adapter(name, folder)
    try:
        if file is not None:
            file.unlink()
        if file is None or file.name == FILE:
            for picture in (PICTURE, GARMENT):
                (place / picture).unlink(missing_ok=True)
            shutil.rmtree(unfinished, ignore_errors=True)
            with contextlib.suppress(OSError):  # what else somebody put there stays
                place.rmdir()
    except OSError as error:
        raise OutputError("the adapter cannot be deleted", got=f"{file or place}: {error.strerror}") from error


def about_adapter(record: AdapterRecord) -> Mapping[str, Any]:
    """What a list says of an adapter."""
    return {
        "caption": record.caption,
        "category": word_of(record.category),
        "trained": record.layers + (f", rank {record.rank}" if record.rank else ""),
        "steps": record.steps,
        "weights": record.base,
    }
