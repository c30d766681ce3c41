"""Files by key: in a folder, or under any URL that fsspec knows (``s3://...``)."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, Final

from idmvton.atomic import make_folder, whole_file
from idmvton.engine.service.failures import UnavailableError
from idmvton.errors import ConfigError, InputError, MissingExtraError, OutputError

_BLOCK: Final = 1 << 20


class Store:
    """Files by key.

    Args:
        place: a folder, or a URL.

    Raises:
        OutputError: the folder cannot be made.
    """

    def __init__(self, place: str) -> None:
        self.place = place
        self.folder: Path | None = None
        self._files: Any = None
        if "://" in place:
            self._files, self._root = _opened(place)
        else:
            self.folder = Path(place).absolute()
            make_folder(self.folder, "the folder of pictures")

    @staticmethod
    def job_key(job: str, name: str | None = None) -> str:
        """The key of a job's file, or of the folder of all of them."""
        return f"jobs/{job}" if name is None else f"jobs/{job}/{name}"

    @staticmethod
    def batch_key(batch: str, name: str | None = None) -> str:
        """Likewise of what the jobs of a batch share."""
        return f"batches/{batch}" if name is None else f"batches/{batch}/{name}"

    def put(self, key: str, content: bytes | Path) -> tuple[str, int]:
        """Writes a file; it appears whole or not at all.

        Returns:
            Its SHA-256 and its size in bytes.

        Raises:
            OutputError: it cannot be written.
            UnavailableError: what is behind a URL does not answer; likewise everywhere else.
        """
        if self.folder is None:
            data = content if isinstance(content, bytes) else content.read_bytes()
            with _remote(), _naming(key):
                self._files.makedirs(self._at(str(PurePosixPath(key).parent)), exist_ok=True)
                self._files.pipe_file(self._at(key), data)
            return hashlib.sha256(data).hexdigest(), len(data)
        sha, size = hashlib.sha256(), 0
        with whole_file(self.folder / key, "a picture") as file:
            for block in _blocks(content):
                sha.update(block)
                size += len(block)
                file.write(block)
        return sha.hexdigest(), size

    def read(self, key: str) -> bytes:
        """The content of a file.

        Raises:
            InputError: there is none.
        """
        try:
            if self.folder is not None:
                return (self.folder / key).read_bytes()
            with _remote():
                return bytes(self._files.cat_file(self._at(key)))
        except OSError as error:
            raise InputError("a stored file is gone", got=key, fix="send it again") from error

    @contextlib.contextmanager
    def local(self, key: str) -> Iterator[Path]:
        """A file, or a folder with its files, as a path of this machine; of a URL, a copy for the time of the block.

        Raises:
            InputError: there is none.
        """
        if self.folder is not None:
            if not (self.folder / key).exists():
                raise InputError("a stored file is gone", got=key, fix="send it again")
            yield self.folder / key
            return
        with tempfile.TemporaryDirectory(prefix="idmvton-") as scratch:
            target = Path(scratch) / PurePosixPath(key).name
            try:
                with _remote():
                    self._fetch(self._at(key), target)
            except OSError as error:
                raise InputError("a stored file is gone", got=key, fix="send it again") from error
            yield target

    def delete(self, key: str) -> None:
        """Deletes a file or a folder with everything in it; what is not there is deleted already.

        Raises:
            OutputError: it cannot be deleted.
        """
        with _naming(key):
            if self.folder is None:
                with contextlib.suppress(FileNotFoundError), _remote():
                    self._files.rm(self._at(key), recursive=True)
                return
            path = self.folder / key
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    def _fetch(self, place: str, target: Path) -> None:
        """Copies a file, or the files of a folder."""
        if not self._files.isdir(place):
            self._files.get_file(place, str(target))
            return
        target.mkdir()
        for each in self._files.ls(place, detail=False):
            self._files.get_file(each, str(target / PurePosixPath(each).name))

    def _at(self, key: str) -> str:
        return f"{self._root}/{key}"


@contextlib.contextmanager
def _remote() -> Iterator[None]:
    """Errors of a store behind a URL that are not those of files: each kind of store has its own classes."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        got = f"{type(error).__name__}: {error}"
        raise UnavailableError("the store of the pictures does not answer", got=got, fix="ask again later") from error


@contextlib.contextmanager
def _naming(key: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError("a picture cannot be stored or deleted", got=f"{key}: {error.strerror or error}") from error


def _opened(place: str) -> tuple[Any, str]:
    import fsspec

    try:
        files, root = fsspec.core.url_to_fs(place)
    except ImportError as error:
        extra = "s3" if place.startswith("s3") else None
        fix = f"pip install 'idmvton[{extra}]'" if extra else "install what it names"
        raise MissingExtraError("a package that this store needs is not installed", got=error, fix=fix) from error
    except ValueError as error:
        raise ConfigError(
            "the store cannot be used", got=f"{place}: {error}", expected="a folder, or s3://bucket/place"
        ) from error
    return files, root


def _blocks(content: bytes | Path) -> Iterator[bytes]:
    if isinstance(content, bytes):
        yield content
        return
    with content.open("rb") as file:
        while block := file.read(_BLOCK):
            yield block
