"""Data sets as tar shards that WebDataset reads too.

A shard holds samples one after the other; the files of one share a key and differ in what follows the first dot:
``person``, ``garment``, ``mask``, ``densepose``, ``labels``, ``garment_worn``, ``unpaired_target``, ``flow`` (PNG, or
JPEG for photos if wanted) and ``json`` (name, caption, category, keypoints). ``shards.json`` beside them says what they
hold, and ``samples.jsonl`` where in them each sample lies.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal, NamedTuple

import numpy as np
from PIL import Image

from idmvton.atomic import whole_file
from idmvton.data.flow_files import decode_flow, encode_flow
from idmvton.data.sample import TryOnDataset, TryOnSample
from idmvton.errors import InputError
from idmvton.images import load_image
from idmvton.resume import in_threads
from idmvton.types import Orders

PictureFormat = Literal["png", "jpg"]
INDEX_NAME: Final = "shards.json"
SAMPLES_NAME: Final = "samples.jsonl"
FORMAT: Final = 2
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
        order: whether people come with the garment that they wear.
        format: of this file and the shards.
    """

    num_samples: int
    samples_per_shard: int
    height: int
    width: int
    picture_format: PictureFormat
    names_hash: str
    order: Orders = "paired"
    format: int = FORMAT

    @property
    def shard_names(self) -> list[str]:
        """File names of all shards, in order."""
        num_shards = -(-self.num_samples // self.samples_per_shard)
        return [f"shard-{number:06d}.tar" for number in range(num_shards)]


class Place(NamedTuple):
    """Where a sample lies.

    Attributes:
        name, caption: of the sample.
        shard: the file.
        start, stop: bytes of the file.
    """

    name: str
    caption: str
    shard: str
    start: int
    stop: int


def write_shards(
    dataset: TryOnDataset,
    folder: Path | str,
    *,
    samples_per_shard: int = 256,
    picture_format: PictureFormat = "png",
    order: Orders = "paired",
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
        order: of the data set, for those who read the shards.
        workers: threads that read samples ahead.
        progress: called with (done, total) samples after each shard.

    Raises:
        InputError: a sample that cannot be read, a folder that cannot be written or that holds other shards.
    """
    if samples_per_shard < 1 or not len(dataset):
        raise InputError("nothing to pack", got=f"{len(dataset)} samples, {samples_per_shard} a shard")
    target = Path(folder)
    size, names = dataset[0].size, hashlib.sha256("\n".join(dataset.names).encode()).hexdigest()
    index = ShardIndex(len(dataset), samples_per_shard, *size, picture_format, names, order)
    _open_folder(target, index)
    for number, name in enumerate(index.shard_names):
        rows = range(number * samples_per_shard, min((number + 1) * samples_per_shard, len(dataset)))
        if not (target / name).exists():
            _write_shard(target / name, in_threads(lambda row: _encode(dataset[row], index), rows, workers))
        if progress is not None:
            progress(rows.stop, len(dataset))
    with whole_file(target / SAMPLES_NAME) as file:
        for name in index.shard_names:
            for place in _places(target / name):
                file.write((json.dumps(place._asdict(), ensure_ascii=False) + "\n").encode())
    return index


def _places(path: Path) -> Iterator[Place]:
    """Where the samples of a shard lie."""
    with tarfile.open(path, mode="r:") as shard:
        for _, group in itertools.groupby(shard, key=lambda entry: entry.name.partition(".")[0]):
            entries = list(group)
            content = next(shard.extractfile(entry) for entry in entries if entry.name.endswith(".json"))
            assert content is not None
            text = json.load(content)
            last = entries[-1]
            stop = last.offset_data + -(-last.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
            yield Place(text["name"], text["caption"], path.name, entries[0].offset, stop)


def _open_folder(target: Path, index: ShardIndex) -> None:
    file = target / INDEX_NAME
    if not file.exists():
        with whole_file(file) as output:
            output.write(json.dumps(asdict(index), indent=1).encode())
    known = parse_index(file.read_bytes(), str(file))
    if known != index:
        changed = [each.name for each in fields(index) if getattr(known, each.name) != getattr(index, each.name)]
        raise InputError(
            "the folder holds other shards",
            got=f"{file}: other {', '.join(changed)}",
            expected="the same data set, size and settings",
            fix="choose another folder, or delete this one",
        )


def parse_index(content: bytes, where: str) -> ShardIndex:
    """What a folder of shards holds, from the content of its ``shards.json``.

    Raises:
        InputError: damaged, or of another version.
    """
    try:
        values = json.loads(content)
        if values["format"] != FORMAT:
            raise ValueError(f"format {values['format']}, not {FORMAT}")
        return ShardIndex(**values)
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(
            "the list of shards cannot be read",
            got=f"{where}: {error}",
            expected="a folder that `idmvton data pack` of this version wrote",
            fix="pack the data set anew, into another folder",
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
    if sample.flow is not None:
        files["flow.png"] = encode_flow(sample.flow)
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


def read_sample_bytes(content: bytes, place: Place) -> TryOnSample:
    """A sample from its bytes.

    Args:
        content: of the shard, from ``place.start`` to ``place.stop``.
        place: of the sample.

    Raises:
        InputError: damaged, truncated, or another sample than that of the place.
    """
    where = f"{place.shard}, sample {place.name}"
    samples = [_decode(files, where) for _, files in _entries(io.BytesIO(content), where)]
    if len(content) != place.stop - place.start or [each.name for each in samples] != [place.name]:
        raise InputError(
            "a shard does not hold what is listed",
            got=f"{where}: {len(content)} bytes with {', '.join(each.name for each in samples) or 'nothing'}",
            expected=f"{place.stop - place.start} bytes with the sample",
            fix=f"copy the shards, {INDEX_NAME} and {SAMPLES_NAME} together, or pack them anew",
        )
    return samples[0]


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
        flow = files.get("flow.png")
        mask = np.asarray(pictures.pop("mask")) > 0
        photos: dict[str, Any] = {kind: load_image(picture, what=kind) for kind, picture in pictures.items()}
        return TryOnSample(
            name=text["name"],
            caption=text["caption"],
            category=text["category"],
            mask=mask,
            labels=None if labels is None else np.array(labels),
            keypoints=None if points is None else np.array(points, np.float32),
            flow=None if flow is None else decode_flow(flow, where),
            **photos,
        )
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise InputError(
            "a sample of a shard cannot be read", got=f"{where}: {error}", fix="pack the shard anew"
        ) from error
