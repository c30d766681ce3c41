"""Samples from shards, here or in object storage, each by one read of its own bytes.

So shards are read in any order: a training sees the same samples in the same order as from a folder, shuffled anew in
each pass, however many processes share them out, and goes on where it was stopped.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final, TypeVar

from fsspec.core import url_to_fs

from idmvton.data.name_lists import inside
from idmvton.data.sample import TryOnSample
from idmvton.data.shards import INDEX_NAME, SAMPLES_NAME, Place, parse_index, read_sample_bytes
from idmvton.errors import InputError, MissingExtraError
from idmvton.types import Size

_TRIES: Final = 3
Result = TypeVar("Result")


class ShardDataset:
    """The samples of a folder of shards.

    Args:
        folder: that ``idmvton data pack`` wrote: a path, or an address that fsspec opens, such as ``s3://bucket/train``
            or ``https://host/train``. Each has a package of its own, which it names where it is missing.
        size: (height, width) that samples are brought to; as stored when not given.

    Attributes:
        names: the samples' names, in order.
        captions: their phrases.
        index: what the shards hold.

    Raises:
        InputError: no shards there, or a damaged list.
        MissingExtraError: the package for this kind of address is not installed.
    """

    def __init__(self, folder: Path | str, size: tuple[int, int] | None = None) -> None:
        self.folder = str(folder).rstrip("/")
        self.size = None if size is None else Size(*size)
        self.index = parse_index(self._read(INDEX_NAME), f"{self.folder}/{INDEX_NAME}")
        lines = self._read(SAMPLES_NAME).splitlines()
        try:
            self.places = [Place(**json.loads(line)) for line in lines]
            for number, place in enumerate(self.places, 1):
                inside(Path(self.folder), place.shard, f"{self.folder}/{SAMPLES_NAME}, line {number}")
        except (ValueError, TypeError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError("the list of samples is damaged", got=f"{self.folder}/{SAMPLES_NAME}: {error}") from error
        if len(self.places) != self.index.num_samples:
            raise InputError(
                "the list of samples is not complete",
                got=f"{len(self.places)} in {self.folder}/{SAMPLES_NAME}",
                expected=f"{self.index.num_samples}, as {INDEX_NAME} says",
                fix="run `idmvton data pack` again: it resumes",
            )
        self.names = [place.name for place in self.places]
        self.captions = [place.caption for place in self.places]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> TryOnSample:
        """Reads one sample.

        Raises:
            InputError: a shard that is gone, damaged, or not the one that is listed.
        """
        place = self.places[index]
        sample = read_sample_bytes(self._read(place.shard, start=place.start, end=place.stop), place)
        return sample if self.size is None else sample.resized(self.size)

    def _read(self, name: str, **span: int) -> bytes:
        """Bytes of a file in the folder; a storage that fails is asked again."""
        address = f"{self.folder}/{name}"
        for tries_left in reversed(range(_TRIES)):
            try:
                system, path = _file_system(address)
                content: bytes = system.cat_file(path, **span)
                return content
            except FileNotFoundError as error:
                raise InputError(
                    "the shards cannot be read",
                    got=f"there is no {address}",
                    expected="a folder that `idmvton data pack` wrote",
                    fix=f"idmvton data pack DATASET -o {self.folder}, or name the folder where the shards are",
                ) from error
            except OSError as error:
                if not tries_left:
                    raise InputError("the shards cannot be read", got=f"{address}: {error}") from error
        raise AssertionError("the last try returns or raises")


def _file_system(address: str) -> tuple[Any, str]:
    """Fsspec's file system of an address and the path in it; asked each time, as forked workers need their own."""
    try:
        found: tuple[Any, str] = url_to_fs(address)
        return found
    except ImportError as error:
        package = getattr(error.__cause__, "name", None) or "what the message names"
        raise MissingExtraError(
            "a package for this kind of storage is missing", got=f"{address}: {error}", fix=f"pip install {package}"
        ) from error
    except ValueError as error:
        raise InputError("the address of the shards cannot be read", got=f"{address}: {error}") from error
