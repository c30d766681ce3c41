"""What an adapter says about itself, and where adapters lie; told without torch.

An adapter is a folder with ``adapter.safetensors``, or such a file alone. Several lie beside one another in a folder.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

from idmvton.errors import WeightsError
from idmvton.types import Category
from idmvton.weights import read_notes

FILE: Final = "adapter.safetensors"
NOTE: Final = "idmvton_adapter"
"""The name of the record among the notes of the file."""
AGAIN: Final = "copy the file again, or make the adapter again with `idmvton customize`"
_FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class AdapterRecord:
    """How an adapter was made; a note in its file.

    Attributes:
        base: the name of the weights that it changes, with their revision.
        layers: what was trained, in the words of the options.
        rank: of its low-rank matrices; 0 where whole differences are stored.
        caption: the phrase [V] of the garment.
        category: what it dresses.
        photos: name of a photo -> SHA-256 of the file.
        options: of the training.
        steps: optimizer steps behind the weights.
        losses: of the held-out view, by step: "start" is before the training.
        digest: SHA-256 over the tensors, which also names the adapter.
        made_with: library versions and device.
    """

    base: str
    layers: str
    rank: int
    caption: str
    category: Category
    photos: Mapping[str, str]
    options: Mapping[str, Any]
    steps: int
    losses: Mapping[str, float]
    digest: str
    made_with: Mapping[str, str]

    @property
    def short_digest(self) -> str:
        """Its first digits."""
        return self.digest[:12]

    def to_dict(self) -> dict[str, Any]:
        """As plain values, ready for JSON."""
        return asdict(self)

    def note(self) -> dict[str, str]:
        """As the file has it."""
        return {NOTE: json.dumps({"format": _FORMAT, **self.to_dict()})}


def find_adapter(name: str | os.PathLike[str], folder: Path | None = None) -> Path:
    """The file of an adapter.

    Args:
        name: its folder, its file, or its name in ``folder``.
        folder: where adapters lie; the working folder when not given.

    Raises:
        WeightsError: there is none.
    """
    given = (folder or Path()) / os.path.expanduser(name)
    for path in (given / FILE, given, given.with_name(f"{given.name}.safetensors")):
        if path.is_file() and path.suffix == ".safetensors":
            return path
    beside = [each.name for each in adapter_files(given.parent).values()] if given.parent.is_dir() else []
    known = ", ".join(sorted(adapter_files(given.parent))[:8]) if beside else ""
    raise WeightsError(
        "there is no such adapter",
        got=f"{given}, without {FILE}" if given.is_dir() else given,
        expected=f"one of {known}" if known else "a folder that `idmvton customize` wrote, or its file",
        fix=f"`idmvton adapters {given.parent}` lists those that are there; `idmvton customize` makes one",
    )


def adapter_files(folder: Path) -> dict[str, Path]:
    """Name -> file of every adapter in a folder, sorted by name. Files of other kinds are left out."""
    found = {path.parent.name: path for path in folder.glob(f"*/{FILE}") if not path.parent.name.startswith(".")}
    loose = [path for path in folder.glob("*.safetensors") if path.is_file() and not path.name.startswith(".")]
    found |= {path.stem: path for path in loose if path.stem not in found and _is_adapter(path)}
    return dict(sorted(found.items()))


def adapter_name(file: Path) -> str:
    """What people call the adapter in a file."""
    return file.absolute().parent.name if file.name == FILE else file.stem


def read_record(file: Path) -> AdapterRecord:
    """Reads how an adapter was made, without its tensors.

    Raises:
        WeightsError: the file is damaged, or no adapter of this library.
    """
    try:
        notes = read_notes(file)
    except WeightsError as error:
        raise WeightsError(error.what, got=error.got, expected=error.expected, fix=AGAIN) from error
    if NOTE not in notes:
        raise WeightsError(
            f"{file} is no adapter of this library",
            got=f"a safetensors file with the notes {', '.join(sorted(notes)) or 'none'}",
            expected="a file that `idmvton customize` wrote",
        )
    try:
        values = json.loads(notes[NOTE])
        if values.pop("format") != _FORMAT:
            raise ValueError("unknown format")
        return AdapterRecord(**{each.name: values[each.name] for each in fields(AdapterRecord)})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(
            f"{file} is damaged, or of another version of this library",
            got=f"{type(error).__name__}: {error}",
            fix="make the adapter again with `idmvton customize`",
        ) from error


def _is_adapter(file: Path) -> bool:
    try:
        return NOTE in read_notes(file)
    except WeightsError:
        return False
