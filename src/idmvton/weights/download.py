"""Fetching published weights, through huggingface_hub or out of packages."""

from __future__ import annotations

import shutil
from pathlib import Path

from idmvton.errors import WeightsError
from idmvton.weights.catalogue import find_entry
from idmvton.weights.entries import KnownFile, WeightsEntry
from idmvton.weights.hub import hub_errors, progress_bars
from idmvton.weights.local import located, status
from idmvton.weights.manifest import FileRecord, Manifest, Progress, write_manifest
from idmvton.weights.packages import fetch_package
from idmvton.weights.sniff import ACCEPTED_SUFFIXES, size_text
from idmvton.weights.verification import FileCheck, check_against


def get(
    name: str,
    *,
    offline: bool = False,
    cache_dir: str | Path | None = None,
    endpoint: str | None = None,
    progress: Progress | None = None,
) -> Path:
    """Fetches weights into the Hugging Face cache and checks every byte of them.

    What is already there is not fetched again, so an interrupted call is finished by calling again; within a
    call a dropped connection is resumed where it broke. The commit, and the size and hash that the hub tells
    for each file, are recorded in ``idmvton-manifest.json`` in the snapshot; every file is then compared
    with them and fetched once more if it differs. That reads all of it: to load weights, use :func:`locate`.

    Nothing is printed, the licence neither: it is in the entry (:func:`find_entry`), for the caller to show.

    Args:
        name: a catalogue name or a hub id (``owner/name``).
        offline: use only what is on this machine. ``HF_HUB_OFFLINE=1`` has the same effect.
        cache_dir: the cache; by default that of huggingface_hub.
        endpoint: the hub's address; by default ``HF_ENDPOINT`` or the public hub.
        progress: called as the bytes come in and again as they are checked.

    Returns:
        The snapshot's folder.

    Raises:
        WeightsError: an unknown name; offline and not there; the network, the hub or the disk failed; access
            refused; or files that differ from what the hub announced even when fetched again.
    """
    entry = find_entry(name)
    if entry.embedded:
        return located(status(name))
    if offline or _hub_is_offline():
        return _get_offline(entry, cache_dir, offline)
    if entry.package is not None:
        return _get_package(entry, cache_dir, progress)
    with hub_errors(entry):
        manifest = _announced(entry, entry.revision, endpoint)
        folder = _fetch(entry, manifest, cache_dir, endpoint, progress)
        if folder.name != manifest.commit:  # the branch moved in between
            manifest = _announced(entry, folder.name, endpoint)
        write_manifest(folder, manifest)
        wrong = _differing(folder, manifest, progress)
        if wrong:
            _fetch_again(entry, manifest, [check.path for check in wrong], cache_dir, endpoint)
            wrong = _differing(folder, manifest, progress)
    if wrong:
        raise WeightsError(
            f"{len(wrong)} files of {entry.repo} differ from what the hub announced, even when fetched again",
            got="; ".join(f"{check.path}: {check.state} ({check.detail})" for check in wrong[:5]),
            fix=f"check the connection and any proxy, then run `{entry.get_command}` again",
        )
    return folder


def _hub_is_offline() -> bool:
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE)


def _get_offline(entry: WeightsEntry, cache_dir: str | Path | None, asked: bool) -> Path:
    found = status(entry.name, cache_dir=cache_dir)
    if found.present:
        return located(found)
    raise WeightsError(
        f"the weights {entry.name!r} are {found.state} on this machine, and the network may not be used",
        got="offline was asked for" if asked else "HF_HUB_OFFLINE is set",
        fix=f"run `{entry.get_command}` with the network allowed"
        + ("" if asked else " (unset HF_HUB_OFFLINE and TRANSFORMERS_OFFLINE)"),
    )


def _get_package(entry: WeightsEntry, cache_dir: str | Path | None, progress: Progress | None) -> Path:
    found = status(entry.name, cache_dir=cache_dir)
    folder, manifest = found.path, found.manifest
    if folder and manifest and found.present and not _differing(folder, manifest, progress):
        return folder
    return fetch_package(entry, cache_dir, progress)


def _announced(entry: WeightsEntry, revision: str, endpoint: str | None) -> Manifest:
    """What the hub says it has of the entry's files."""
    from huggingface_hub import HfApi

    hub = HfApi(endpoint=endpoint)
    ask = hub.space_info if entry.repo_type == "space" else hub.model_info
    info = ask(entry.repo, revision=revision, files_metadata=True)
    files = {
        sibling.rfilename: FileRecord(
            sibling.size if sibling.lfs is None else sibling.lfs.size,
            sha256=sibling.lfs.sha256 if sibling.lfs is not None else None,
            git_sha1=sibling.blob_id if sibling.lfs is None else None,
        )
        for sibling in info.siblings or ()
    }
    wanted = sorted(name for name in files if entry.wants(name))
    lacking = [name for name in entry.required_files if name not in wanted]
    weights = [name for name in wanted if name.endswith(ACCEPTED_SUFFIXES)]
    if entry.kind == "checkpoint" and not any(name.startswith("unet/") for name in weights):
        lacking.append("unet/*.safetensors")
    if lacking or info.sha is None:
        raise WeightsError(
            f"{entry.repo} at {revision} does not hold what {entry.name!r} needs",
            got=", ".join(sorted(files)[:8]) or "an empty repository",
            expected=", ".join(lacking),
            fix=f"see {entry.page}",
        )
    for name, known in entry.known.items():
        files[name] = _as_known(entry, name, files[name], known)
    return Manifest(
        entry.name,
        entry.repo,
        entry.revision,
        info.sha,
        entry.licence,
        {name: files[name] for name in wanted},
    )


def _as_known(entry: WeightsEntry, name: str, announced: FileRecord, known: KnownFile) -> FileRecord:
    """The record of a file whose hash the catalogue knows.

    Raises:
        WeightsError: the hub has another file there.
    """
    other_size = known.size is not None and announced.size not in (None, known.size)
    if other_size or announced.sha256 not in (None, known.sha256):
        size = size_text(announced.size) if announced.size is not None else "unknown size"
        raise WeightsError(
            f"{entry.page} does not have the file that {entry.name!r} needs",
            got=f"{name}: {size}, sha256 {announced.sha256 or 'not given'}",
            expected=f"{size_text(known.size) if known.size else 'any size'}, sha256 {known.sha256}",
            fix="report this to the maintainers of this library; nothing was downloaded",
        )
    return FileRecord(announced.size if known.size is None else known.size, sha256=known.sha256)


def _fetch(
    entry: WeightsEntry,
    manifest: Manifest,
    cache_dir: str | Path | None,
    endpoint: str | None,
    progress: Progress | None,
) -> Path:
    from huggingface_hub import constants, snapshot_download, try_to_load_from_cache

    held = {
        name
        for name in manifest.files
        if isinstance(try_to_load_from_cache(entry.repo, name, cache_dir, manifest.commit, entry.repo_type), str)
    }
    sizes = {name: record.size or 0 for name, record in manifest.files.items()}
    total, there = sum(sizes.values()), sum(sizes[name] for name in held)
    _check_space(Path(cache_dir or constants.HF_HUB_CACHE), total - there, entry)
    folder = snapshot_download(
        entry.repo,
        repo_type=entry.repo_type,
        revision=entry.revision,
        cache_dir=cache_dir,
        endpoint=endpoint,
        allow_patterns=list(entry.files),
        tqdm_class=progress_bars(progress, there, total),
    )
    return Path(folder)


def _check_space(cache: Path, needed: int, entry: WeightsEntry) -> None:
    cache = cache.expanduser().absolute()
    existing = next(folder for folder in (cache, *cache.parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    if free < needed:
        raise WeightsError(
            f"the disk has no room for {entry.name!r}",
            got=f"{size_text(free)} free in {existing}",
            expected=f"{size_text(needed)}",
            fix="make room, or set HF_HOME to a folder on a larger disk",
        )


def _differing(folder: Path, manifest: Manifest, progress: Progress | None) -> list[FileCheck]:
    return [check for check in check_against(folder, manifest, progress) if check.state in _FETCH_AGAIN_STATES]


_FETCH_AGAIN_STATES = ("missing", "wrong size", "wrong hash")


def _fetch_again(
    entry: WeightsEntry,
    manifest: Manifest,
    names: list[str],
    cache_dir: str | Path | None,
    endpoint: str | None,
) -> None:
    from huggingface_hub import hf_hub_download

    for name in names:
        hf_hub_download(
            entry.repo,
            name,
            repo_type=entry.repo_type,
            revision=manifest.commit,
            cache_dir=cache_dir,
            endpoint=endpoint,
            force_download=True,
            tqdm_class=progress_bars(None, 0, 0),
        )
