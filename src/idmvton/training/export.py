"""Folders that appear complete or not at all, and what goes into them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from idmvton import atomic
from idmvton.checkpoint.parts import quiet_transformers
from idmvton.errors import WeightsError


def whole_folder(folder: Path) -> AbstractContextManager[Path]:
    """A folder of weights to write to, beside ``folder``, which it replaces when the block ends without an error.

    Raises:
        WeightsError: it cannot be written; an older folder stays.
    """
    return atomic.whole_folder(folder, "the weights", WeightsError)


def save_parts(parts: Mapping[str, Any], folder: Path) -> None:
    """Writes networks, schedulers and tokenizers of diffusers and transformers, each into a folder of its name."""
    for name, part in parts.items():
        with quiet_transformers():
            part.save_pretrained(folder / name)
        if name.startswith("tokenizer"):  # the files that slow tokenizers read
            part.backend_tokenizer.model.save(str(folder / name))
