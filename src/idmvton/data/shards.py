"""Data sets as tar shards that WebDataset reads too.

A shard holds samples one after the other; the files of one share a key and differ in what follows the first dot:
``person``, ``garment``, ``mask``, ``densepose``, ``labels``, ``garment_worn``, ``unpaired_target`` (PNG, or JPEG for
photos if wanted) and ``json`` (name, caption, category, keypoints). ``shards.json`` beside them says what they hold.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal

import numpy as np
from PIL import Image

from idmvton.atomic import whole_file
from idmvton.data.parallel import in_threads
from idmvton.data.sample import TryOnDataset, TryOnSample
from idmvton.errors import InputError
from idmvton.images import load_image

PictureFormat = Literal["png", "jpg"]
INDEX_NAME: Final = "shards.json"
FORMAT: Final = 1
PHOTOS: Final = ("person", "garment", "garment_worn", "unpaired_target")
_MAPS: Final = ("densepose", "mask", "labels")
_QUALITY: Final = 95
Encoded = Mapping[str, bytes]
"""The files of one sample: what follows the first dot of their names -> content; the key under ``__key__``."""


@dataclass(frozen=True, slots=True)
class ShardIndex:
    """What a folder of shards holds; resuming with another one is refused.

    Attributes:
        num_samples, samples_per_shard: counts.
        height, width: of every picture, pixels.
        picture_format: of the photos; maps are always PNG.
        names_hash: of the samples' names and their order.
        format: of this file and the shards.
    """

    num_samples: int
    samples_per_shard: int
    height: int
    width: int
    picture_format: PictureFormat
    names_hash: str
    format: int = FORMAT

    @property
    def shard_names(self) -> list[str]:
        """File names of all shards, in order."""
        num_shards = -(-self.num_samples // self.samples_per_shard)
        return [f"shard-{number:06d}.tar" for number in range(num_shards)]


def write_shards(
    dataset: TryOnDataset,
    folder: Path | str,
    *,
    samples_per_shard: int = 256,
    picture_format: PictureFormat = "png",
    workers: int = 2,
    progress: Callable[[int, int], None] | None = None,
) -> ShardIndex:
    """Writes a data set as shards; those that are there already are kept.

    Equal data sets give equal bytes. A shard appears complete or not at all.

    Args:
        dataset: samples of one size.
        folder: where to; made if needed.
        samples_per_shard: how many samples a shard holds.
        picture_format: ``png`` keeps every pixel; ``jpg`` (quality 95) makes photos smaller.
        workers: threads that read samples ahead.
        progress: called with (done, total) samples after each shard.

    Raises:
        InputError: a sample that cannot be read, a folder that cannot be written or that holds other shards.
    """
    if samples_per_shard < 1 or not len(dataset):
        raise InputError("nothing to pack", got=f"{len(dataset)} samples, {samples_per_shard} a shard")
    target = Path(folder)
    index = _describe(dataset, samples_per_shard, picture_format)
    _open_folder(target, index)
    for number, name in enumerate(index.shard_names):
        rows = range(number * samples_per_shard, min((number + 1) * samples_per_shard, len(dataset)))
        if not (target / name).exists():
            _write_shard(target / name, in_threads(lambda row: _encode(dataset[row], index), rows, workers))
        if progress is not None:
            progress(rows.stop, len(dataset))
    return index


def _describe(dataset: TryOnDataset, samples_per_shard: int, picture_format: PictureFormat) -> ShardIndex:
    size = dataset[0].size
    names = hashlib.sha256("\n".join(dataset.names).encode()).hexdigest()
    return ShardIndex(len(dataset), samples_per_shard, *size, picture_format, names)


def _open_folder(target: Path, index: ShardIndex) -> None:
    file = target / INDEX_NAME
    if not file.exists():
        with whole_file(file) as output:
            output.write(json.dumps(asdict(index), indent=1).encode())
    known = read_index(target)
    if known != index:
        changed = [each.name for each in fields(index) if getattr(known, each.name) != getattr(index, each.name)]
        raise InputError(
            "the folder holds other shards",
            got=f"{file}: other {', '.join(changed)}",
            expected="the same data set, size and settings",
            fix="choose another folder, or delete this one",
        )


def read_index(folder: Path | str) -> ShardIndex:
    """What a folder of shards holds.

    Raises:
        InputError: no ``shards.json``, or a damaged one.
    """
    path = Path(folder) / INDEX_NAME
    try:
        return ShardIndex(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise InputError(
            "the folder does not tell which shards it holds",
            got=f"{path}: {error}",
            expected="a folder that `idmvton data pack` wrote",
        ) from error


def _encode(sample: TryOnSample, index: ShardIndex) -> Encoded:
    if sample.size != (index.height, index.width):
        raise InputError(
            f"sample {sample.name} has another size",
            got=sample.size,
            expected=f"{index.height}x{index.width}, that of the first sample",
        )
    files = {"__key__": sample.name.replace(".", "_").encode()}
    for name in PHOTOS:
        if (picture := getattr(sample, name)) is not None:
            files[f"{name}.{index.picture_format}"] = _picture_bytes(picture, index.picture_format)
    files["densepose.png"] = _picture_bytes(sample.densepose, "png")
    files["mask.png"] = _picture_bytes(Image.fromarray(sample.mask.astype(np.uint8) * 255), "png")
    if sample.labels is not None:
        files["labels.png"] = _picture_bytes(Image.fromarray(sample.labels), "png")
    points = None if sample.keypoints is None else sample.keypoints.tolist()
    text = {"name": sample.name, "caption": sample.caption, "category": sample.category, "keypoints": points}
    files["json"] = json.dumps(text, ensure_ascii=False).encode()
    return files


def _picture_bytes(picture: Image.Image, picture_format: PictureFormat) -> bytes:
    buffer = io.BytesIO()
    if picture_format == "jpg":
        picture.save(buffer, "JPEG", quality=_QUALITY, subsampling=0)
    else:
        picture.save(buffer, "PNG")
    return buffer.getvalue()


def _write_shard(path: Path, samples: Iterable[Encoded]) -> None:
    keys = set()
    with whole_file(path) as file, tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT) as shard:
        for files in samples:
            key = files["__key__"].decode()
            if key in keys:
                raise InputError("two samples of a shard share a key", got=key, fix="name them differently")
            keys.add(key)
            for name, content in files.items():
                if name != "__key__":
                    entry = tarfile.TarInfo(f"{key}.{name}")  # without time and owner: equal samples, equal bytes
                    entry.size = len(content)
                    shard.addfile(entry, io.BytesIO(content))


def read_shard(file: BinaryIO, name: str) -> Iterator[TryOnSample]:
    """The samples of one shard, in order, from a stream that is read once from begin to end.

    Args:
        file: the shard's bytes; nothing is sought.
        name: of the shard, for messages.

    Raises:
        InputError: damaged, truncated, or a sample that lacks a piece.
    """
    for key, files in _entries(file, name):
        yield _decode(files, f"{name}, sample {key}")


def _entries(file: BinaryIO, name: str) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Key and files of each sample; neighbours with one key belong together."""
    key, files = "", dict[str, bytes]()
    try:
        with tarfile.open(fileobj=file, mode="r|") as shard:
            for entry in shard:
                stem, _, kind = Path(entry.name).name.partition(".")
                content = shard.extractfile(entry)
                if stem != key and files:
                    yield key, files
                    files = {}
                key = stem
                if content is not None:
                    files[kind] = content.read()
    except (tarfile.TarError, OSError, EOFError) as error:
        raise InputError(
            "a shard is damaged or truncated", got=f"{name}: {error}", fix="copy it again, or pack it anew"
        ) from error
    if files:
        yield key, files


def _decode(files: dict[str, bytes], where: str) -> TryOnSample:
    try:
        text: dict[str, Any] = json.loads(files["json"])
        pictures = {
            kind.partition(".")[0]: Image.open(io.BytesIO(content))
            for kind, content in files.items()
            if kind.partition(".")[0] in (*PHOTOS, *_MAPS)
        }
        labels, points = pictures.pop("labels", None), text["keypoints"]
        mask = np.asarray(pictures.pop("mask")) > 0
        photos: dict[str, Any] = {kind: load_image(picture, what=kind) for kind, picture in pictures.items()}
        return TryOnSample(
            name=text["name"],
            caption=text["caption"],
            category=text["category"],
            mask=mask,
            labels=None if labels is None else np.array(labels),
            keypoints=None if points is None else np.array(points, np.float32),
            **photos,
        )
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise InputError(
            "a sample of a shard cannot be read", got=f"{where}: {error}", fix="pack the shard anew"
        ) from error
