"""Checking weights on this machine against what the hub said when they were fetched."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from idmvton.errors import WeightsError
from idmvton.weights.catalogue import CATALOGUE, is_hub_id
from idmvton.weights.entries import WeightsEntry
from idmvton.weights.files import read_shard_index
from idmvton.weights.local import is_name, locate, located, status
from idmvton.weights.manifest import (
    MANIFEST_NAME,
    FileState,
    Manifest,
    Progress,
    compare,
    read_manifest,
)
from idmvton.weights.sniff import ACCEPTED_SUFFIXES, check_file


@dataclass(frozen=True, slots=True)
class FileCheck:
    """One file of a report.

    Attributes:
        path: inside the folder, with forward slashes.
        state: ``"unverifiable"`` is readable but has no recorded hash; ``"damaged"`` cannot be a whole
            weight file.
        detail: one line, empty when there is nothing to say.
    """

    path: str
    state: FileState
    detail: str = ""


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """The state of weights on this machine.

    Attributes:
        folder: what was checked.
        manifest: what the files were compared with; ``None`` where nothing was recorded.
        files: every checked file, in the order of the names.
        notes: what the reader should know about the check itself.
    """

    folder: Path
    manifest: Manifest | None
    files: tuple[FileCheck, ...]
    notes: tuple[str, ...]

    @property
    def failures(self) -> tuple[FileCheck, ...]:
        """The files that are missing, different or damaged."""
        return tuple(check for check in self.files if check.state not in ("ok", "unverifiable"))

    @property
    def ok(self) -> bool:
        """Whether no file failed. Without a manifest this means only that every weight file is whole."""
        return not self.failures


def verify(
    name_or_folder: str | Path, *, cache_dir: str | Path | None = None, progress: Progress | None = None
) -> VerifyReport:
    """Checks weights: sizes and hashes against the manifest, and every weight file for being whole.

    The manifest (``idmvton-manifest.json`` in the folder) is written by ``get`` from what the hub told at
    download time. A folder without one, fetched by another program or made here, is checked only for weight
    files that are whole (nothing truncated, no pointers, no web pages, no missing shards); the report's
    notes say so.

    Args:
        name_or_folder: a catalogue name, a hub id, or a folder.
        cache_dir: the cache in which names are looked up; by default that of huggingface_hub.
        progress: called with the bytes read of all bytes to read.

    Returns:
        The report; differences are in it, not raised.

    Raises:
        WeightsError: nothing to check: no such folder or name, weights that are not on this machine, a folder
            without weight files, or a damaged manifest.
    """
    folder = _folder(name_or_folder, cache_dir)
    manifest = read_manifest(folder)
    if manifest is not None:
        if isinstance(name_or_folder, str) and name_or_folder in CATALOGUE:
            manifest = of_entry(manifest, CATALOGUE[name_or_folder])
        checks = tuple(check_against(folder, manifest, progress))
        packaged = manifest.name in CATALOGUE and CATALOGUE[manifest.name].package is not None
        note = (
            f"compared with the hashes that the catalogue names for {manifest.repo} {manifest.revision}"
            if packaged
            else f"compared with what the hub said of {manifest.repo} at commit {manifest.commit} "
            "when it was fetched; files that are not in that list were not looked at"
        )
        return VerifyReport(folder, manifest, checks, (note,))
    checks = tuple(_check_bare(folder))
    if not checks:
        raise WeightsError(
            f"{folder} holds no weight files",
            expected=" or ".join("*" + suffix for suffix in ACCEPTED_SUFFIXES),
        )
    note = (
        f"no {MANIFEST_NAME} here, so there are no recorded hashes: only whether each weight file is whole was checked"
    )
    return VerifyReport(folder, None, checks, (note,))


def _folder(name_or_folder: str | Path, cache_dir: str | Path | None) -> Path:
    is_hubs = isinstance(name_or_folder, str) and is_hub_id(name_or_folder) and not Path(name_or_folder).is_dir()
    if not is_hubs and not is_name(name_or_folder):
        return locate(name_or_folder, cache_dir=cache_dir)
    found = status(str(name_or_folder), cache_dir=cache_dir)
    return found.path if found.path is not None else located(found)


def of_entry(manifest: Manifest, entry: WeightsEntry) -> Manifest:
    """The part of a snapshot's manifest that is about one of the entries that share the snapshot."""
    return replace(manifest, files={name: record for name, record in manifest.files.items() if entry.wants(name)})


def check_against(folder: Path, manifest: Manifest, progress: Progress | None = None) -> Iterator[FileCheck]:
    """Compares every file of a manifest, in the order of the names."""
    total = sum(record.size or 0 for record in manifest.files.values())
    done = 0

    def advance(num_bytes: int) -> None:
        nonlocal done
        done += num_bytes
        if progress is not None:
            progress("verify", min(done, total), total)

    for name, record in sorted(manifest.files.items()):
        path = folder / name
        state, detail = compare(path, record, advance)
        if path.suffix in ACCEPTED_SUFFIXES and state != "missing":
            try:
                check_file(path)
            except WeightsError as error:
                state = "damaged" if state in ("ok", "unverifiable") else state
                detail = f"{detail}; {error.what}" if detail else error.what
        yield FileCheck(name, state, detail)


def _check_bare(folder: Path) -> Iterator[FileCheck]:
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if any(part.startswith(".") for part in inside.parts) or path.is_dir():
            continue
        try:
            if path.suffix in ACCEPTED_SUFFIXES:
                layout = check_file(path)
                yield FileCheck(inside.as_posix(), "unverifiable", f"whole ({layout}); no recorded hash")
            elif ".index." in path.name and path.suffix == ".json":
                read_shard_index(path)
        except WeightsError as error:
            state: Literal["missing", "damaged"] = "missing" if not path.exists() else "damaged"
            yield FileCheck(inside.as_posix(), state, error.what)
