"""Rendered people and garments to play with, from the studio."""

from __future__ import annotations

import importlib.util
import random
import secrets
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, Literal

from PIL import Image

from idmvton.atomic import make_folder
from idmvton.errors import MissingExtraError

_SIZE: Final = (1024, 768)
_SEED: Final = 2611  # people of the page; no training saw them
_COUNT: Final = 100_000
_thread = ThreadPoolExecutor(1, thread_name_prefix="studio")  # OpenGL belongs to one thread


def render(role: Literal["person", "garment"], folder: Path) -> tuple[Path, str]:
    """Renders somebody, or a garment, that was not there before.

    Args:
        role: which of them.
        folder: for the file.

    Returns:
        The file, which the caller deletes, and a name for it.

    Raises:
        MissingExtraError: moderngl is not installed.
        ConfigError: no OpenGL on this machine.
    """
    if importlib.util.find_spec("moderngl") is None:
        raise MissingExtraError(
            "the studio needs another package", got="no moderngl", fix="pip install 'idmvton[studio]'"
        )
    index = random.SystemRandom().randrange(_COUNT)
    return _thread.submit(_render, role, folder, index).result()


def _render(role: Literal["person", "garment"], folder: Path, index: int) -> tuple[Path, str]:
    from idmvton.studio import sample

    made = sample(_SEED, index, "test", "mixed", _SIZE, worn=False)
    pixels = made.person if role == "person" else made.other_garment
    make_folder(folder)
    path = folder / f"{secrets.token_hex(8)}.png"  # two visitors may render at a time
    Image.fromarray(pixels).save(path)
    return path, f"studio-{role}-{index}.png"
