"""The folder of a run: which states it holds; told without torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from idmvton.errors import ConfigError, InputError

FOLDER: Final = "states"
PREFIX: Final = "step-"
PROGRESS: Final = "progress.json"


def saved_states(run: Path) -> list[Path]:
    """The complete states of a run, the oldest first."""
    return sorted((run / FOLDER).glob(f"{PREFIX}*"))


def check_resumable(run: Path) -> None:
    """Makes sure that there is a whole state to go on from: no file of the newest is empty.

    Raises:
        ConfigError: there is none.
        InputError: the newest is damaged.
    """
    states = saved_states(run)
    if not states:
        raise ConfigError(
            "there is nothing to resume", got=run / FOLDER, expected="a saved state", fix="leave --resume out"
        )
    empty = [path for path in sorted(states[-1].rglob("*")) if path.is_file() and not path.stat().st_size]
    if empty or not (states[-1] / PROGRESS).is_file():
        what = f"{empty[0].name} is empty" if empty else f"{PROGRESS} is missing"
        raise damaged(states, f"{states[-1]}: {what}")


def damaged(states: Sequence[Path], got: str) -> InputError:
    """The newest state cannot be used; an older one may lie beside it.

    Args:
        states: of the run, the oldest first.
        got: what is wrong.
    """
    older = f"delete {states[-1]} to go on from {states[-2].name}" if len(states) > 1 else "start anew"
    return InputError("the newest state is damaged", got=got, expected="a whole state", fix=older)
