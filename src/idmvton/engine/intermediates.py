"""What the stages of a try-on made, as files to look at."""

from __future__ import annotations

from pathlib import Path

from idmvton.engine.job import Outcome
from idmvton.errors import InputError
from idmvton.images import save_png


def save_intermediates(folder: Path, outcome: Outcome) -> None:
    """Writes ``prepared/``, ``draft.png`` and ``repainted-N.png``, as far as the outcome has them.

    Args:
        folder: made if it is missing.
        outcome: of a job.

    Raises:
        InputError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError("the folder cannot be made", got=f"{folder}: {error}") from error
    if outcome.prepared is not None:
        outcome.prepared.save(folder / "prepared")
    if outcome.draft is not None:
        save_png(outcome.draft, folder / "draft.png", {"stage": "draft"})
    for number, picture in enumerate(outcome.repainted):
        save_png(picture, folder / f"repainted-{number + 1}.png", outcome.result.provenance(number))
