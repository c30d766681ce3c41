"""Looks at a weight file before any loader does, and names it as what it really is."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path
from typing import Any, Literal

from idmvton.errors import WeightsError

FileLayout = Literal["safetensors", "torch zip", "torch legacy"]

ACCEPTED_SUFFIXES = (".safetensors", ".bin")
_ACCEPTED = ".safetensors (preferred), or .bin holding only tensors"
_FETCH_AGAIN = "download the file again, for catalogue weights with `idmvton weights get NAME`"

_LFS_POINTER = b"version https://git-lfs.github.com/spec/"
_ZIP = b"PK\x03\x04"
_TORCH_LEGACY = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."  # torch's magic number, pickled
_PICKLE = re.compile(rb"\x80[\x02-\x05]")
_MARKUP = re.compile(rb"(\xef\xbb\xbf)?\s*<(!doctype|html|head|\?xml|!--)", re.IGNORECASE)
_START_BYTES = 1024
_MAX_PLACEHOLDER_BYTES = 200  # those of the published repository have 25 to 31
_LENGTH_BYTES = 8  # a safetensors file starts with its header's length, little-endian
_MAX_HEADER_BYTES = 100_000_000  # the limit of the safetensors format


def size_text(num_bytes: int) -> str:
    """A size for people, in decimal units: ``"11.97 GB"``, ``"3.2 kB"``, ``"12 bytes"``."""
    for unit, scale, digits in (("GB", 10**9, 2), ("MB", 10**6, 1), ("kB", 10**3, 1)):
        if num_bytes >= scale:
            return f"{num_bytes / scale:.{digits}f} {unit}"
    return f"{num_bytes} bytes"


def check_file(path: str | Path, suffixes: tuple[str, ...] = ACCEPTED_SUFFIXES) -> FileLayout:
    """Checks that a weight file is whole and is what its name says, reading only its edges.

    Cheap for any size: the first bytes, the header of a safetensors file, the directory at the end of a zip.

    Args:
        path: a weight file.
        suffixes: those it may have. All but ``.safetensors`` are taken for files of ``torch.save``.

    Returns:
        How the file is laid out inside.

    Raises:
        WeightsError: the file is missing, a folder, unreadable, empty, of another kind (git-lfs pointer, web
            page, other suffix, other content than the suffix says), truncated, or has bytes after its end.
    """
    path = Path(path)
    _check_is_file(path)
    _check_suffix(path, suffixes)
    start, size = _start_and_size(path)
    _refuse_stand_ins(path, start, size)
    if path.suffix == ".safetensors":
        _check_safetensors(path, start, size)
        return "safetensors"
    return _check_bin(path, start, size)


def _check_is_file(path: Path) -> None:
    if path.is_dir():
        raise WeightsError(f"{path} is a folder", expected="a weight file")
    if path.is_symlink() and not path.exists():
        raise WeightsError(f"{path} links to a file that is not there", got=path.readlink(), fix=_FETCH_AGAIN)
    if not path.exists():
        raise WeightsError(f"there is no file {path}", fix="check the path, or " + _FETCH_AGAIN)
    if not path.is_file():
        raise WeightsError(f"{path} is not a regular file", expected="a weight file")


def check_not_a_stand_in(path: str | Path) -> int:
    """Checks that a file of any format is there and is not something else under its name.

    Args:
        path: a weight file, for example ``.onnx`` or ``.pkl``.

    Returns:
        Its size in bytes.

    Raises:
        WeightsError: the file is missing, a folder, unreadable or empty; a git-lfs pointer, a web page, or a short
            text that stands where the weights should be.
    """
    path = Path(path)
    _check_is_file(path)
    start, size = _start_and_size(path)
    _refuse_stand_ins(path, start, size)
    return size


def _start_and_size(path: Path) -> tuple[bytes, int]:
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            return file.read(_START_BYTES), size
    except OSError as error:
        raise WeightsError(
            f"{path} cannot be read", got=error.strerror or str(error), fix="check the file's permissions"
        ) from error


def _check_suffix(path: Path, suffixes: tuple[str, ...]) -> None:
    if path.suffix in suffixes:
        return
    if path.suffix in (".incomplete", ".part", ".crdownload", ".tmp"):
        raise WeightsError(
            f"{path.name} is an unfinished download", got=path.suffix, expected=_ACCEPTED, fix=_FETCH_AGAIN
        )
    if path.suffix in (".ckpt", ".pt", ".pth", ".pkl", ".pickle"):
        raise WeightsError(
            f"{path.name} is refused: {path.suffix} files are pickles of any program's objects, "
            "and reading one can run code that its author put there",
            got=path.suffix,
            expected=_ACCEPTED,
            fix="convert it to safetensors with the program that wrote it",
        )
    raise WeightsError(
        f"{path.name} does not have the name of a weight file",
        got=repr(path.suffix) if path.suffix else "no suffix",
        expected=_ACCEPTED,
    )


def _refuse_stand_ins(path: Path, start: bytes, size: int) -> None:
    if size == 0:
        raise WeightsError(f"{path} is empty", got="0 bytes", fix=_FETCH_AGAIN)
    if start.startswith(_LFS_POINTER):
        stands_for = re.search(rb"^size (\d+)\s*$", start, re.MULTILINE)
        size_words = size_text(int(stands_for[1])) if stands_for else "unknown size"
        raise WeightsError(
            f"{path} is a git-lfs pointer, not the weights themselves",
            got=f"a text of {size} bytes that stands for a file of {size_words}",
            expected=f"the file itself ({size_words})",
            fix="run `git lfs pull` in that checkout, or fetch the weights with `idmvton weights get NAME`",
        )
    if _MARKUP.match(start):
        title = re.search(rb"<title>\s*(.*?)\s*</title>", start, re.IGNORECASE | re.DOTALL)
        raise WeightsError(
            f"{path} is a web page saved under the name of a weight file (often a login or error page)",
            got=f"a page titled {title[1].decode(errors='replace')!r}" if title else f"{start[:60]!r}",
            fix="log in to the site that holds the weights, then " + _FETCH_AGAIN,
        )
    if size <= _MAX_PLACEHOLDER_BYTES and _is_text(start):
        raise WeightsError(
            f"{path} is a placeholder, not the weights themselves",
            got=f"a text of {size} bytes: {start.decode().strip()[:60]!r}",
            fix="put the file itself in its place: " + _FETCH_AGAIN,
        )


def _is_text(data: bytes) -> bool:
    """Whether bytes are nothing but words, as people write them; JSON is not."""
    if data.lstrip().startswith((b"{", b"[")):
        return False
    try:
        words = data.decode().split()
    except UnicodeDecodeError:
        return False
    return bool(words) and all(word.isprintable() for word in words)


def _check_safetensors(path: Path, start: bytes, size: int) -> None:
    if start.startswith(_ZIP) or _PICKLE.match(start):
        raise WeightsError(
            f"{path} is named .safetensors but holds a PyTorch pickle",
            fix="rename it to .bin if it comes from a source you trust, or fetch the safetensors file",
        )
    length = int.from_bytes(start[:_LENGTH_BYTES], "little")
    looks_right = length <= _MAX_HEADER_BYTES and start[_LENGTH_BYTES : _LENGTH_BYTES + 1] in (b"{", b"")
    if size >= _LENGTH_BYTES and not looks_right:
        raise WeightsError(
            f"{path} is not a safetensors file",
            got=f"a file that starts with {start[:24]!r}",
            expected="an 8-byte header length, then a JSON header",
            fix=_FETCH_AGAIN,
        )
    if size < _LENGTH_BYTES + length or size < _LENGTH_BYTES:
        missing = _LENGTH_BYTES + length - size if size >= _LENGTH_BYTES else _LENGTH_BYTES - size
        raise WeightsError(
            f"{path} is truncated: it ends inside its header, at least {missing} bytes are missing",
            got=f"{size} bytes",
            fix=_FETCH_AGAIN,
        )
    _check_safetensors_size(path, length, size)


def _check_safetensors_size(path: Path, length: int, size: int) -> None:
    with path.open("rb") as file:
        file.seek(_LENGTH_BYTES)
        header = file.read(length)
    try:
        end = _data_end(json.loads(header))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise WeightsError(
            f"{path} has a damaged header",
            got=f"{header[:40]!r}... ({error})",
            expected="JSON that gives each tensor's place",
            fix=_FETCH_AGAIN,
        ) from error
    expected = _LENGTH_BYTES + length + end
    if size < expected:
        raise WeightsError(
            f"{path} is truncated: {expected - size} bytes are missing",
            got=f"{size} bytes",
            expected=f"{expected} bytes",
            fix=_FETCH_AGAIN,
        )
    if size > expected:
        raise WeightsError(
            f"{path} has {size - expected} bytes after its end",
            got=f"{size} bytes",
            expected=f"{expected} bytes",
            fix=_FETCH_AGAIN,
        )


def _data_end(header: Any) -> int:
    """Where the data ends, in bytes after the header; any error means a header that is not one."""
    end = 0
    for name, place in header.items():
        if name == "__metadata__":
            continue
        first, last = place["data_offsets"]
        if not (isinstance(first, int) and isinstance(last, int) and 0 <= first <= last):
            raise ValueError(f"impossible place of {name!r}: {first} to {last}")
        end = max(end, last)
    return end


def _check_bin(path: Path, start: bytes, size: int) -> FileLayout:
    if start.startswith(_TORCH_LEGACY):
        return "torch legacy"
    if not start.startswith(_ZIP):
        pickled = _PICKLE.match(start)
        raise WeightsError(
            f"{path} is not a file that torch.save wrote" + (" but another program's pickle" if pickled else ""),
            got=f"a file of {size} bytes that starts with {start[:24]!r}",
            expected=_ACCEPTED,
            fix=_FETCH_AGAIN,
        )
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise WeightsError(
            f"{path} is truncated: the directory at the end of the file is missing or damaged",
            got=f"{size} bytes ({error})",
            fix=_FETCH_AGAIN,
        ) from error
    if not any(name.endswith("/data.pkl") for name in names):
        raise WeightsError(
            f"{path} is a zip archive, but not one that torch.save wrote",
            got=", ".join(names[:5]) or "an empty archive",
            expected=_ACCEPTED,
        )
    return "torch zip"
