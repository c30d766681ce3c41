"""Studio samples as a folder in VITON-HD's layout, as a stream, and as a contact sheet."""

from __future__ import annotations

import itertools
import json
import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from idmvton.data.flow_files import LARGEST_FLOW, pack_flow
from idmvton.errors import InputError
from idmvton.quiet import calm_threads
from idmvton.studio.sampling import Split, StudioSample, check_request, sample
from idmvton.types import RenderedCategory

Bytes = NDArray[np.uint8]
Progress = Callable[[int, int], None]

SETTINGS: Final = "studio.json"
FORMAT: Final = 3  # grows when the same seed and index give another sample
# folder -> (field of the sample, suffix of the file)
PICTURES: Final[dict[str, tuple[str, str]]] = {
    "image": ("person", ".jpg"),
    "cloth": ("garment", ".jpg"),
    "cloth-mask": ("garment_mask", ".jpg"),
    "cloth-worn": ("garment_worn", ".jpg"),
    "agnostic-mask": ("mask", "_mask.png"),
    "image-densepose": ("densepose", ".jpg"),
    "image-iuv": ("iuv", ".png"),
    "image-parse-v3": ("labels", ".png"),
    "image-parse-unpaired": ("unpaired_labels", ".png"),
    "image-unpaired": ("unpaired", ".jpg"),
}
FLOWS: Final = {"garment-flow": "flow", "garment-flow-unpaired": "unpaired_flow"}
_PUBLISHED_CATEGORY: Final = {"upper_body": "TOPS", "lower_body": "BOTTOMS", "dresses": "DRESSES"}


@dataclass(frozen=True, slots=True)
class StudioSettings:
    """What a folder was made with; resuming with other settings is refused."""

    seed: int
    split: Split
    category: RenderedCategory
    height: int
    width: int
    flow: bool = False
    format: int = FORMAT


@dataclass(frozen=True, slots=True)
class MadeDataset:
    """What :func:`make_dataset` did: the split's folder, samples in it, and how many of them are new."""

    folder: Path
    num_samples: int
    num_new: int


class StudioStream:
    """Samples made on demand, without a disk; works as a map-style dataset of any data loader.

    Args:
        num_samples: how many there are.
        seed, split, category, size, flow: see :func:`sampling.sample`.
        transform: applied to each sample in the worker that made it.
    """

    def __init__(
        self,
        num_samples: int,
        *,
        seed: int = 0,
        split: Split = "train",
        category: RenderedCategory = "mixed",
        size: tuple[int, int] = (512, 384),
        flow: bool = False,
        transform: Callable[[StudioSample], Any] | None = None,
    ) -> None:
        check_request(0, split, category, size)
        self.num_samples, self.seed, self.split, self.category = num_samples, seed, split, category
        self.size, self.flow, self.transform = size, flow, transform

    def __len__(self) -> int:
        return self.num_samples

    def __getitem__(self, index: int) -> Any:
        if not 0 <= index < self.num_samples:
            raise IndexError(index)
        made = sample(self.seed, index, self.split, self.category, self.size, flow=self.flow)
        return made if self.transform is None else self.transform(made)

    def __iter__(self) -> Iterator[Any]:
        return (self[index] for index in range(self.num_samples))


def make_dataset(
    folder: Path | str,
    *,
    pairs: int,
    size: tuple[int, int] = (512, 384),
    split: Split = "train",
    category: RenderedCategory = "mixed",
    seed: int = 0,
    workers: int = 2,
    flow: bool = False,
    progress: Progress | None = None,
) -> MadeDataset:
    """Makes samples in VITON-HD's folder layout; samples that are there already are kept.

    Args:
        folder: root; the samples go to ``folder/<split>``, the lists of pairs beside it.
        pairs: how many samples the split shall have.
        size: (height, width), divisible by 8.
        split, category, seed: see :func:`sampling.sample`.
        workers: processes; 0 works in this one.
        flow: also write `garment-flow` and `garment-flow-unpaired`, see :mod:`idmvton.data.flow_files`.
        progress: called with (done, total) after each sample.

    Raises:
        InputError: settings that cannot be used or differ from the folder's, a folder that cannot be written, a
            full disk. What was made before stays and is taken up by the next call.
        ConfigError: no renderer.
    """
    check_request(0, split, category, size)
    if pairs < 1 or workers < 0:
        raise InputError("nothing to make", got=f"pairs={pairs}, workers={workers}", expected="pairs >= 1")
    if flow and max(size) > LARGEST_FLOW:
        raise InputError(
            "the flow of so large a picture does not fit its file",
            got=f"{size[0]}x{size[1]}",
            expected=f"at most {LARGEST_FLOW} pixels",
            fix="make a smaller size, or leave the flow out",
        )
    root = Path(folder)
    settings = StudioSettings(seed, split, category, *size, flow=flow)
    target = _open_folder(root / split, settings)
    missing = [index for index in range(pairs) if not (target / "meta" / f"{stem(index)}.json").exists()]
    done = pairs - len(missing)
    for _ in _work(target, settings, missing, workers):
        done += 1
        if progress is not None:
            progress(done, pairs)
    _write_lists(root, target, settings)
    return MadeDataset(target, len(list((target / "meta").glob("*.json"))), len(missing))


def stem(index: int, garment: int = 0) -> str:
    """File stem of a sample; ``garment`` 1 is the other garment."""
    return f"{index:06d}_{garment:02d}"


def _open_folder(target: Path, settings: StudioSettings) -> Path:
    try:
        for name in (*PICTURES, *(FLOWS if settings.flow else ()), "openpose_json", "meta"):
            (target / name).mkdir(parents=True, exist_ok=True)
        file = target / SETTINGS
        if not file.exists():
            write_whole(file, json.dumps(asdict(settings), indent=1).encode())
        known = json.loads(file.read_text())
    except (OSError, json.JSONDecodeError) as error:
        raise InputError(
            "the folder cannot be used for studio samples",
            got=f"{target}: {error}",
            fix="choose a folder that can be written, or delete its damaged studio.json",
        ) from error
    if known != asdict(settings):
        changed = {name: value for name, value in known.items() if asdict(settings).get(name) != value}
        raise InputError(
            "the folder holds samples made with other settings",
            got=f"{target}: {changed}",
            expected="the same seed, split, category and size",
            fix="choose another folder, or ask for the same settings",
        )
    return target


def _work(target: Path, settings: StudioSettings, missing: list[int], workers: int) -> Iterator[int]:
    if workers == 0 or not missing:
        for index in missing:
            yield _make_one(target, settings, index)
        return
    calm_threads()  # of the workers
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(missing)), mp_context=context) as pool:
        waiting: set[Future[int]] = set()
        ahead = iter(missing)
        try:
            while True:
                for index in itertools.islice(ahead, 4 * workers - len(waiting)):
                    waiting.add(pool.submit(_make_one, target, settings, index))
                if not waiting:
                    return
                ready, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                for future in ready:
                    yield future.result()
        except BrokenProcessPool as error:
            raise InputError(
                "a worker process ended unexpectedly",
                fix="try again (what was made is kept), with fewer workers if memory is short",
            ) from error
        finally:
            for future in waiting:
                future.cancel()


def _make_one(target: Path, settings: StudioSettings, index: int) -> int:
    size = (settings.height, settings.width)
    made = sample(settings.seed, index, settings.split, settings.category, size, flow=settings.flow)
    try:
        write_sample(target, made)
    except OSError as error:
        raise InputError(
            "a sample could not be written",
            got=f"{target}: {error}",
            fix="make room on the disk and run the same command again: what was made is kept",
        ) from error
    return index


def write_sample(target: Path, made: StudioSample) -> None:
    """Writes one sample; ``meta`` comes last and marks it complete.

    Raises:
        OSError: it cannot be written; no half-written file is left.
    """
    name = stem(made.index)
    for folder, (field, suffix) in PICTURES.items():
        write_whole(target / folder / f"{name}{suffix}", encode(getattr(made, field), suffix))
    for folder, field in FLOWS.items():
        if (flow := getattr(made, field)) is not None:
            write_whole(target / folder / f"{name}.png", encode(pack_flow(flow), ".png"))
    other = stem(made.index, 1)
    write_whole(target / "cloth" / f"{other}.jpg", encode(made.other_garment, ".jpg"))
    write_whole(target / "cloth-mask" / f"{other}.jpg", encode(made.other_garment_mask, ".jpg"))
    points = [[float(x), float(y), float(x > 0 or y > 0)] for x, y in made.keypoints]
    people = {"version": 1.3, "people": [{"pose_keypoints_2d": [number for point in points for number in point]}]}
    write_whole(target / "openpose_json" / f"{name}_keypoints.json", json.dumps(people).encode())
    plain = (str, int, dict)
    meta = {field: value for field in made.__dataclass_fields__ if isinstance(value := getattr(made, field), plain)}
    write_whole(target / "meta" / f"{name}.json", json.dumps(meta).encode())


def encode(picture: NDArray[np.uint8 | np.uint16], suffix: str, quality: int = 97) -> bytes:
    flat = picture[..., ::-1] if picture.ndim == 3 else picture
    options = [cv2.IMWRITE_JPEG_QUALITY, quality] if suffix.endswith(".jpg") else [cv2.IMWRITE_PNG_COMPRESSION, 1]
    done, data = cv2.imencode(suffix[-4:], np.ascontiguousarray(flat), options)
    if not done:
        raise OSError(f"cannot encode {suffix}")
    return bytes(data.tobytes())


def write_whole(path: Path, data: bytes) -> None:
    """Writes to a temporary name and renames: a file is whole or not there."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _write_lists(root: Path, target: Path, settings: StudioSettings) -> None:
    """Pairs, captions and the published form of the tags, from the samples that are complete."""
    try:
        metas = [json.loads(file.read_text()) for file in sorted((target / "meta").glob("*.json"))]
        own = [(stem(meta["index"]), stem(meta["index"])) for meta in metas]
        crossed = [(stem(meta["index"]), stem(meta["index"], 1)) for meta in metas]
        lists = {
            f"{settings.split}_pairs_paired.txt": own,
            f"{settings.split}_pairs_unpaired.txt": crossed,
            # As published: train is listed paired, test unpaired.
            f"{settings.split}_pairs.txt": own if settings.split == "train" else crossed,
        }
        for name, rows in lists.items():
            text = "".join(f"{person}.jpg {garment}.jpg\n" for person, garment in rows)
            write_whole(root / name, text.encode())
        tagged = [
            entry
            for meta in metas
            for entry in (_tagged(meta, 0, meta["attributes"]), _tagged(meta, 1, meta["other_attributes"]))
        ]
        write_whole(target / f"vitonhd_{settings.split}_tagged.json", json.dumps({"data": tagged}).encode())
        captions = {
            f"{stem(meta['index'], number)}.jpg": {
                "detailed": meta[f"{prefix}caption"],
                "naive": meta[f"{'other_' if number else ''}naive_caption"],
            }
            for meta in metas
            for number, prefix in ((0, ""), (1, "other_"))
        }
        write_whole(target / "captions.json", json.dumps(captions, indent=0).encode())
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            "the lists of the samples could not be written",
            got=f"{target}: {error}",
            fix="delete the file it names (or make room) and run the same command again",
        ) from error


def _tagged(meta: dict[str, Any], number: int, attributes: dict[str, Any]) -> dict[str, Any]:
    tags = {
        "sleeveLength": "sleeve",
        "neckLine": "neckline",
        "item": "item",
        "colors": "colour",
        "textures": "fabric",
    }
    return {
        "file_name": f"{stem(meta['index'], number)}.jpg",
        "category_name": _PUBLISHED_CATEGORY[meta["category"]],
        "tag_info": [{"tag_name": name, "tag_category": attributes[key] or None} for name, key in tags.items()],
    }


def read_picture(path: Path, *, colour: bool = True) -> Bytes:
    """Reads a picture as uint8 RGB (H, W, 3), or grey (H, W).

    Raises:
        InputError: it is missing or damaged.
    """
    picture = _decode(path, cv2.IMREAD_COLOR if colour else cv2.IMREAD_GRAYSCALE)
    return np.ascontiguousarray(picture[..., ::-1] if colour else picture, np.uint8)


def _decode(path: Path, mode: int) -> NDArray[Any]:
    data = np.frombuffer(path.read_bytes(), np.uint8) if path.is_file() else np.zeros(0, np.uint8)
    try:
        picture = cv2.imdecode(data, mode) if data.size else None
    except cv2.error:
        picture = None
    if picture is None:
        raise InputError(
            "a picture of a sample cannot be read",
            got=path,
            fix="delete the sample's file in meta/ and run `idmvton studio make` again",
        )
    return picture


__all__ = [
    "MadeDataset",
    "StudioSettings",
    "StudioStream",
    "make_dataset",
    "read_picture",
    "write_sample",
]
