"""Files that appear complete or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from idmvton.errors import InputError


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write to, under a temporary name until the block ends without an error.

    Raises:
        InputError: the file cannot be written; nothing is left behind, an older file stays.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            yield file
        temporary.replace(path)
    except OSError as error:
        raise InputError(
            "the file cannot be written",
            got=f"{path}: {error.strerror or error}",
            expected="a folder that takes new files",
            fix="free space or choose another folder, then run the same command again: what was made is kept",
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
