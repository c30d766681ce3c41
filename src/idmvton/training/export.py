"""Folders that appear complete or not at all, and what goes into them."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from idmvton.checkpoint_parts import quiet_transformers
from idmvton.errors import WeightsError


@contextlib.contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """A folder to write to, beside ``folder``, which it replaces when the block ends without an error.

    Raises:
        WeightsError: it cannot be written; an older folder stays.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as beside:
            new = Path(beside) / "new"
            new.mkdir()
            yield new
            if folder.exists():
                folder.rename(Path(beside) / "old")
            new.rename(folder)
    except OSError as error:
        raise WeightsError(f"the weights cannot be written to {folder}", got=error) from error


def save_parts(parts: Mapping[str, Any], folder: Path) -> None:
    """Writes networks, schedulers and tokenizers of diffusers and transformers, each into a folder of its name."""
    for name, part in parts.items():
        with quiet_transformers():
            part.save_pretrained(folder / name)
        if name.startswith("tokenizer"):  # the files that slow tokenizers read
            part.backend_tokenizer.model.save(str(folder / name))
