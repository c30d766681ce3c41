"""Where weights lie on this machine. Nothing here uses the network."""

from __future__ import annotations

import fnmatch
import hashlib
import importlib.resources
import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from idmvton.atomic import check_name
from idmvton.errors import NameWarning, WeightsError
from idmvton.weights.catalogue import CATALOGUE, find_entry, is_hub_id
from idmvton.weights.entries import WeightsEntry
from idmvton.weights.manifest import Manifest, read_manifest

_BLOCK, _NUM_BLOCKS = 2**17, 256


@dataclass(frozen=True, slots=True)
class WeightsStatus:
    """Whether weights are on this machine.

    Attributes:
        entry: what was asked for.
        state: ``"incomplete"`` is a download that was interrupted, or made by a program that needed less of
            it.
        path: the snapshot's folder, unless absent.
        num_bytes: bytes on disk of the entry's files.
        missing: files (or patterns without any file) that are known to be missing.
        manifest: where the snapshot came from, if this library fetched it.
    """

    entry: WeightsEntry
    state: Literal["present", "incomplete", "absent"]
    path: Path | None = None
    num_bytes: int = 0
    missing: tuple[str, ...] = ()
    manifest: Manifest | None = None

    @property
    def present(self) -> bool:
        """Whether everything is there."""
        return self.state == "present"


def status(name: str, *, cache_dir: str | Path | None = None) -> WeightsStatus:
    """Looks in the Hugging Face cache, without the network and without reading whole files.

    Args:
        name: a catalogue name or a hub id.
        cache_dir: the cache; by default that of huggingface_hub (``HF_HOME``, ``HF_HUB_CACHE``).

    Returns:
        What is there.

    Raises:
        WeightsError: an unknown name, or a damaged manifest.
    """
    entry = find_entry(name)
    folder: Path | None
    if entry.embedded:
        folder, whole = Path(str(importlib.resources.files("idmvton"))) / entry.embedded, True
    elif entry.package is not None:
        packaged = package_folder(entry, cache_dir)
        folder, whole = (packaged, True) if packaged.is_dir() else (None, False)
    else:
        folder, whole = find_snapshot(entry, cache_dir)
    if folder is None:
        return WeightsStatus(entry, "absent")
    held = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    sizes = {name: path.stat().st_size for name, path in held.items() if entry.wants(name)}
    manifest = read_manifest(folder)
    if manifest is not None:  # it may be of other entries in the same repository too
        missing = [
            name
            for name, record in manifest.files.items()
            if entry.wants(name) and (name not in sizes or record.size not in (None, sizes[name]))
        ]
        missing += [name for name in entry.required_files if name not in manifest.files and name not in missing]
        whole = not missing
    else:
        missing = [pattern for pattern in entry.files if not fnmatch.filter(sizes, pattern)]
        whole = whole and not missing
    return WeightsStatus(
        entry, "present" if whole else "incomplete", folder, sum(sizes.values()), tuple(missing), manifest
    )


def stamp(folder: Path) -> str:
    """Tells weights in the same folder apart: 8 hex digits of the weight files' names, sizes and contents.

    Of large files, evenly spaced blocks are read: no training leaves all of them as they were.
    """
    digest = hashlib.blake2b(digest_size=4)
    files = [path for path in folder.rglob("*") if path.suffix in (".safetensors", ".bin") and path.is_file()]
    for path in sorted(files):
        size = path.stat().st_size
        digest.update(f"{path.relative_to(folder).as_posix()} {size}".encode())
        with path.open("rb") as file:
            for start in range(0, size, max(_BLOCK, size // _NUM_BLOCKS)):
                file.seek(start)
                digest.update(file.read(_BLOCK))
    return digest.hexdigest()


def package_folder(entry: WeightsEntry, cache_dir: str | Path | None) -> Path:
    """Where the files of an entry that comes in a package are kept, whether they are there or not."""
    from huggingface_hub import constants

    return Path(cache_dir or constants.HF_HUB_CACHE).expanduser() / "idmvton" / f"{entry.name}-{entry.revision}"


def find_snapshot(entry: WeightsEntry, cache_dir: str | Path | None) -> tuple[Path | None, bool]:
    """The entry's snapshot folder in the cache, and whether huggingface_hub takes it for complete."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = snapshot_download(
            entry.repo,
            repo_type=entry.repo_type,
            revision=entry.revision,
            cache_dir=cache_dir,
            allow_patterns=list(entry.files),
            local_files_only=True,
        )
    except LocalEntryNotFoundError as error:
        partial = getattr(error, "snapshot_path", None)
        return (Path(partial) if partial else None), False
    return Path(folder), True


def locate(model: str | Path, *, cache_dir: str | Path | None = None) -> Path:
    """Finds a checkpoint's folder on this machine; never uses the network.

    Args:
        model: a catalogue name, an existing folder, or a hub id (``owner/name``) that was fetched before. A name wins
            over a folder of that name in the working directory: ``./mini`` means the folder.
        cache_dir: the cache; by default that of huggingface_hub.

    Returns:
        The folder itself, or the snapshot in the cache.

    Raises:
        WeightsError: no such folder; an unknown name; weights that are not, or not wholly, on this machine
            (the message holds the command line that fetches them).
    """
    if not isinstance(model, str | os.PathLike):
        raise WeightsError(
            "no checkpoint is named",
            got=repr(model),
            expected="a folder, a name from `idmvton weights list`, or a hub id (owner/name)",
        )
    if is_name(model):
        return located(status(str(model), cache_dir=cache_dir))
    folder = Path(os.path.expanduser(model))
    check_name(folder, "model")
    if folder.is_dir():
        return folder
    if folder.is_file():
        raise WeightsError(f"{model} is a file", expected="a checkpoint folder, a name, or a hub id (owner/name)")
    if isinstance(model, Path) or _looks_like_path(model):
        raise WeightsError(
            f"the folder {model} does not exist",
            got=f"looked for {folder.absolute()}",
            expected="a checkpoint folder, a name from `idmvton weights list`, or a hub id (owner/name)",
        )
    return located(status(model, cache_dir=cache_dir))


def is_name(model: str | Path) -> bool:
    """Whether a model is meant by its name in the catalogue. Warns once where a folder here has that name too."""
    if not isinstance(model, str) or model not in CATALOGUE:
        return False
    if os.path.isdir(model):
        text = f"{model!r} is the name of weights; the folder {model} in this directory is not read: ./{model} means it"
        warnings.warn(text, NameWarning, stacklevel=1)  # of this line, so that Python shows it once
    return True


def locate_file(name: str, *, cache_dir: str | Path | None = None) -> Path:
    """Finds the file of a catalogue entry that is one file; never uses the network.

    Args:
        name: such an entry, for example ``"densepose-r50"``.
        cache_dir: the cache; by default that of huggingface_hub.

    Raises:
        WeightsError: it is not on this machine (the message holds the command line that fetches it); an unknown
            name, or an entry of several files.
    """
    entry = find_entry(name)
    if len(entry.files) != 1 or "*" in entry.files[0]:
        raise WeightsError(f"the weights {name!r} are not one file", got=", ".join(entry.files[:5]))
    return located(status(name, cache_dir=cache_dir)) / entry.files[0]


def locate_base(model: str | Path, *, cache_dir: str | Path | None = None) -> Path | None:
    """The folder that has the parts which a catalogue entry's own repository may not hold, if it is here.

    Args:
        model: what :func:`locate` takes.
        cache_dir: the cache; by default that of huggingface_hub.
    """
    if isinstance(model, Path) or (os.path.isdir(model) and not is_name(model)):
        return None
    base = find_entry(model).base
    return status(base, cache_dir=cache_dir).path if base else None


def located(found: WeightsStatus) -> Path:
    """The folder of weights that are wholly there.

    Raises:
        WeightsError: they are not; the message holds the command line that fetches them.
    """
    if found.path is not None and found.present:
        return found.path
    entry = found.entry
    fix = f"run `{entry.get_command}`"
    if found.state == "incomplete":
        raise WeightsError(
            f"the weights {entry.name!r} are incomplete on this machine",
            got=f"{found.path} without {', '.join(found.missing[:5]) or 'some of its files'}",
            fix=fix + " to finish the download",
        )
    also = "" if entry.name != entry.repo else f" (and there is no folder {entry.name} here)"
    if entry.name in CATALOGUE and os.path.isdir(entry.name):
        fix += f", or give the folder that is here as ./{entry.name}"
    raise WeightsError(f"the weights {entry.name!r} are not on this machine{also}", fix=fix)


def _looks_like_path(text: str) -> bool:
    if text.startswith((".", "/", "~")) or os.path.isabs(text) or "\\" in text:
        return True
    return "/" in text and not is_hub_id(text)
