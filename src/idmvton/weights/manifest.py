"""The manifest: what the hub said about each file when a snapshot was fetched, kept beside the files.

The catalogue names branches, whose commits and hashes are not known in advance. So the commit that was really
fetched, and the size and hash that the hub gives for each file, are recorded at download time; the
downloaded bytes are checked against them at once, and ``verify`` checks them again whenever it is asked.
This finds every later damage, and any difference from what the hub serves; it does not prove that the hub
served what the authors meant.
"""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from idmvton.errors import WeightsError

MANIFEST_NAME = "idmvton-manifest.json"
_FORMAT = 1
_BLOCK_BYTES = 8 * 2**20

Progress = Callable[[Literal["download", "verify"], int, int], None]
"""Called with the stage, the bytes done and the bytes in all; from any thread, never two at a time."""

FileState = Literal["ok", "missing", "wrong size", "wrong hash", "unverifiable", "damaged"]


@dataclass(frozen=True, slots=True)
class FileRecord:
    """What the hub says about one file.

    Attributes:
        size: bytes.
        sha256: hexadecimal; the hub tells it for large files (LFS).
        git_sha1: hexadecimal name of the git blob; the hub tells it for the others.
    """

    size: int | None
    sha256: str | None = None
    git_sha1: str | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """Where a snapshot came from and what is in it.

    Attributes:
        name, repo, revision, licence: as in the catalogue.
        commit: the commit that ``revision`` stood for.
        files: path inside the snapshot, with forward slashes -> what the hub said.
    """

    name: str
    repo: str
    revision: str
    commit: str
    licence: str
    files: Mapping[str, FileRecord]


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Writes the manifest into the snapshot, under a temporary name first.

    What other entries of the same repository fetched into the same snapshot stays in it.

    Raises:
        OSError: the folder cannot be written.
    """
    try:
        earlier = read_manifest(folder)
    except WeightsError:
        earlier = None  # it is damaged, and replaced now
    if earlier is not None and (earlier.repo, earlier.commit) == (manifest.repo, manifest.commit):
        manifest = replace(manifest, files={**earlier.files, **manifest.files})
    temporary = folder / f".{MANIFEST_NAME}.{uuid.uuid4().hex}.tmp"
    try:
        with temporary.open("w", encoding="utf-8") as file:
            json.dump({"format": _FORMAT} | asdict(manifest), file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(folder / MANIFEST_NAME)
    finally:
        temporary.unlink(missing_ok=True)


def read_manifest(folder: str | Path) -> Manifest | None:
    """The manifest of a snapshot, or ``None`` where there is none.

    Raises:
        WeightsError: there is one, but it is damaged or of another format.
    """
    path = Path(folder) / MANIFEST_NAME
    if not path.is_file():
        return None
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if values.pop("format") != _FORMAT:
            raise ValueError("unknown format")
        files = {name: FileRecord(**record) for name, record in values.pop("files").items()}
        return Manifest(**values, files=files)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(
            f"{path} is damaged",
            got=f"{type(error).__name__}: {error}",
            fix="delete that file, then fetch the weights again: `idmvton weights get NAME`",
        ) from error


def compare(path: Path, record: FileRecord, advance: Callable[[int], None] | None = None) -> tuple[FileState, str]:
    """Compares a file with what the hub said about it.

    Args:
        path: the file.
        record: the hub's words.
        advance: called with the number of bytes read, every few megabytes.

    Returns:
        The state, and one line about it.
    """
    if not path.is_file():
        return "missing", "not there"
    size = path.stat().st_size
    if record.size is not None and size != record.size:
        return "wrong size", f"{size} bytes instead of {record.size}"
    if record.sha256 is not None:
        found, wanted = sha256_of(path, advance), record.sha256
    elif record.git_sha1 is not None:
        blob = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
        found, wanted = _digest(path, blob, advance), record.git_sha1
    else:
        return "unverifiable", "the hub gave no hash"
    if found != wanted:
        return "wrong hash", f"{found[:16]}... instead of {wanted[:16]}..."
    return "ok", ""


def sha256_of(path: Path, advance: Callable[[int], None] | None = None) -> str:
    """The SHA-256 of a file, hexadecimal; ``advance`` is called with the number of bytes read, now and then."""
    return _digest(path, hashlib.sha256(), advance)


def _digest(path: Path, digest: hashlib._Hash, advance: Callable[[int], None] | None) -> str:
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
            if advance is not None:
                advance(len(block))
    return digest.hexdigest()
