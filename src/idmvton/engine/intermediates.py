"""What the stages of a try-on made, as files to look at."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from idmvton.atomic import check_folder, make_folder
from idmvton.engine.job import Outcome
from idmvton.errors import OutputError
from idmvton.images import save_png
from idmvton.prepare.record_files import changed_by_hand, check_target

PREPARED: Final = "prepared"


def check_intermediates(folder: Path, *, overwrite: bool = False) -> None:
    """Makes sure, before the work, that :func:`save_intermediates` can write to a folder; leaves nothing behind.

    Raises:
        OutputError: it is a file, it cannot be written, or holds a preparation that was changed by hand.
    """
    check_folder(folder, "the folder for the intermediates")
    check_target(folder / PREPARED)
    changed = () if overwrite else changed_by_hand(folder / PREPARED)
    if changed:
        raise OutputError(
            "the folder for the intermediates holds files that were changed by hand",
            got=f"{folder / PREPARED}: {', '.join(changed)}",
            expected="a folder that may be replaced",
            fix=f"choose another folder, --overwrite, or use them: idmvton try-on {folder / PREPARED} -o OUT.png",
        )


def save_intermediates(folder: Path, outcome: Outcome) -> None:
    """Writes ``prepared/``, ``draft.png`` and ``repainted-N.png``, as far as the outcome has them.

    Args:
        folder: made if it is missing.
        outcome: of a job.

    Raises:
        OutputError: the folder cannot be written.
    """
    make_folder(folder, "the folder for the intermediates")
    if outcome.prepared is not None:
        outcome.prepared.save(folder / PREPARED, overwrite=True)
    if outcome.draft is not None:
        save_png(outcome.draft, folder / "draft.png", {"stage": "draft"})
    for number, picture in enumerate(outcome.repainted):
        save_png(picture, folder / f"repainted-{number + 1}.png", outcome.result.provenance(number))
