"""Nothing in an adapter's folder is overwritten; told without torch."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from idmvton.checkpoint.adapter_record import FILE
from idmvton.errors import OutputError
from idmvton.training.run_folder import saved_states

RUN: Final = "run"
"""The folder, inside an adapter's, of a training that has not ended."""


def check_free(folder: Path, *, resume: bool = False) -> None:
    """Makes sure that nothing in an adapter's folder would be overwritten.

    Raises:
        OutputError: there is an adapter, a training that has not ended, or something else.
    """
    if folder.is_file() or (folder / FILE).exists():
        raise OutputError(
            "the adapter is there already", got=folder, fix="choose another name, or delete it: `idmvton adapters`"
        )
    if folder.is_dir() and (others := sorted(each.name for each in folder.iterdir() if each.name != RUN)):
        raise OutputError("the folder holds something else", got=f"{folder}: {others[0]}", expected="a new folder")
    if saved_states(folder / RUN) and not resume:
        raise OutputError(
            "the folder holds a customization that has not ended",
            got=folder,
            fix="add --resume to go on with it, or choose another folder",
        )
