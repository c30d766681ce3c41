"""What the stages of a try-on made, as files to look at."""

from __future__ import annotations

from pathlib import Path

from idmvton.errors import InputError
from idmvton.images import save_png, to_pil
from idmvton.outputs import TryOnResult
from idmvton.prepare import Prepared


def save_intermediates(
    folder: Path,
    result: TryOnResult,
    prepared: Prepared | None,
) -> None:
    """Writes ``prepared/`` (where there was a preparation), ``draft.png`` and ``repainted-N.png``.

    Args:
        folder: made if it is missing.
        result: of one pair.
        prepared: the person as preparation made it, or None if ``person``, ``mask`` and ``densepose`` were given.

    Raises:
        InputError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError("the folder cannot be made", got=f"{folder}: {error}") from error
    if prepared is not None:
        prepared.save(folder / "prepared")
    if prepared is not None and result.draft is not None:
        save_png(to_pil(result.draft)[0], folder / "draft.png", {"stage": "draft"})
    for number, picture in enumerate(to_pil(result.repainted) if result.repainted is not None else []):
        save_png(picture, folder / f"repainted-{number + 1}.png", result.provenance(number))
