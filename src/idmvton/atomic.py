"""Files and folders that appear complete or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from idmvton.errors import IdmVtonError, InputError, OutputError

MAX_NAME: Final = 255
"""Bytes of a file's name, on the file systems that are common."""


@contextlib.contextmanager
def whole_file(path: Path, what: str = "the file", *, make_parents: bool = True) -> Iterator[BinaryIO]:
    """A file to write to, under a temporary name until the block ends without an error.

    Args:
        path: where the file ends up; an older one there is replaced.
        what: the content, for the message.
        make_parents: make the folder that it goes to, if it is missing.

    Raises:
        OutputError: the file cannot be written; nothing is left behind, an older file stays.
    """
    temporary = _beside(path, "part")
    try:
        if make_parents:
            path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as file:
            yield file
        temporary.replace(path)
    except OSError as error:
        raise OutputError(
            f"{what} cannot be written",
            got=f"{path}: {error.strerror or error}",
            expected="a folder that takes new files",
            fix="free space or choose another folder, then run the same command again: what was made is kept",
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def whole_folder(folder: Path, what: str = "the folder", error: type[IdmVtonError] = OutputError) -> Iterator[Path]:
    """A folder to write to, beside ``folder``, which it replaces when the block ends without an error.

    Args:
        folder: where the new folder ends up; an older one there is replaced.
        what: the content, for the message.
        error: the class of what is raised.

    Raises:
        error: it cannot be written; nothing is left behind, an older folder stays.
    """
    new, old = _beside(folder, "part"), _beside(folder, "old")
    try:
        new.mkdir(parents=True)
        yield new
        if folder.exists():
            folder.replace(old)
        try:
            new.replace(folder)
        except OSError:
            if old.exists():
                old.replace(folder)
            raise
    except OSError as problem:
        raise error(
            f"{what} cannot be written",
            got=f"{folder}: {problem.strerror or problem}",
            expected="a folder that takes new files",
            fix="free space or choose another folder",
        ) from problem
    finally:
        for each in (new, old):
            shutil.rmtree(each, ignore_errors=True)


def check_name(path: Path, what: str) -> None:
    """Makes sure that a path can be a file's: without NUL, and of names that file systems take.

    Raises:
        InputError: it cannot.
    """
    if "\0" in str(path):
        raise InputError(f"the path of the {what} holds a NUL", got=repr(str(path)), expected="a path")
    if too_long := [name for name in path.parts if len(os.fsencode(name)) > MAX_NAME]:
        size = len(os.fsencode(too_long[0]))
        raise InputError(
            f"the name of the {what} is too long",
            got=f"{too_long[0][:40]}... of {size} bytes",
            expected=f"at most {MAX_NAME} bytes between two slashes",
            fix="shorten it",
        )


def short_name(name: str, suffix: str = "") -> str:
    """A name that file systems take: where it is too long, its start and a hash of the whole.

    Args:
        name: without the suffix.
        suffix: is kept.
    """
    if len(os.fsencode(name + suffix)) <= MAX_NAME:
        return name + suffix
    mark = f"-{hashlib.sha256(os.fsencode(name)).hexdigest()[:12]}{suffix}"
    return os.fsencode(name)[: MAX_NAME - len(os.fsencode(mark))].decode(errors="ignore") + mark


def make_folder(folder: Path, what: str = "the output folder") -> None:
    """Makes a folder, and those above it, where they are missing.

    Raises:
        OutputError: it is a file, or cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"{what} cannot be made",
            got=f"{folder}: {error.strerror or error}",
            expected="a folder, or the name of a new one",
            fix="choose another folder",
        ) from error


def check_folder(folder: Path, what: str = "the output folder") -> None:
    """Makes sure, before the expensive work, that a folder can be made and takes files; leaves nothing behind.

    Raises:
        OutputError: it is a file, or cannot be made or written.
    """
    made = [each for each in (folder, *folder.parents) if not each.exists()]
    make_folder(folder, what)
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OutputError(
            f"{what} cannot be written",
            got=f"{folder}: {error.strerror or error}",
            expected="a folder that takes new files",
            fix="free space or choose another folder",
        ) from error
    finally:
        for each in made:
            with contextlib.suppress(OSError):
                each.rmdir()


def _beside(path: Path, suffix: str) -> Path:
    """A hidden name beside a path, of a length that does not depend on its name."""
    return path.with_name(f".idmvton-{secrets.token_hex(6)}.{suffix}")
