"""Results are scored: picture by picture in several processes, what is done is kept, then one figure a metric.

Stages, each usable alone: plan (which metrics can be computed) -> measure (numbers and vectors a picture) ->
summarise (figures with intervals).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final, get_args

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from idmvton.atomic import whole_file
from idmvton.errors import InputError, MissingExtraError, WeightsError
from idmvton.evaluate.matching import Case
from idmvton.evaluate.metrics import METRICS, Metric, find_metric
from idmvton.evaluate.protocols import Protocol
from idmvton.evaluate.shown import Measure, Measured, Piece, Shown
from idmvton.images import load_image, load_mask
from idmvton.prepare.reading import read_keypoints
from idmvton.quiet import calm_threads
from idmvton.types import Size

PART_SIZE: Final = 16
RESAMPLES: Final = 1000
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Missing:
    """A metric that was not computed.

    Attributes:
        metric: its name.
        why: in words, with the command that helps.
    """

    metric: str
    why: str


@dataclass(frozen=True, slots=True)
class Figure:
    """One metric over all pictures.

    Attributes:
        value: the mean, or the distance of the sets.
        low, high: the 95 % interval of the mean over pictures drawn anew (bootstrap, 1,000 times, seed 0); of KID two
            deviations of its subsets; ``None`` for FID.
        n: pictures that count.
        how: the implementation in words.
    """

    value: float
    low: float | None
    high: float | None
    n: int
    how: str


@dataclass(slots=True)
class Measurements:
    """What was measured of each picture.

    Attributes:
        names: of the cases.
        numbers: metric -> float (N,), NaN where a case has no answer.
        vectors: metric -> float32 (N, 2, D).
    """

    names: list[str]
    numbers: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    vectors: dict[str, NDArray[np.float32]] = field(default_factory=dict)


def plan(protocol: Protocol, cases: Sequence[Case]) -> tuple[list[Metric], list[Missing]]:
    """The protocol's metrics that can be computed here, and why the others cannot."""
    possible, missing = [], []
    for metric in map(find_metric, protocol.metrics):
        lacking = [piece for piece in metric.reads if not all(_path(case, piece) for case in cases)]
        if lacking:
            missing.append(Missing(metric.name, f"the pairs have no {' and no '.join(lacking)}"))
            continue
        try:
            measure_of(metric.name)
        except (WeightsError, MissingExtraError) as error:
            missing.append(Missing(metric.name, f"{error.what}: {error.fix}" if error.fix else error.what))
        else:
            possible.append(metric)
    return possible, missing


def measure(
    cases: Sequence[Case],
    metrics: Sequence[Metric],
    protocol: Protocol,
    work: Path,
    *,
    workers: int = 2,
    progress: Progress = lambda *_: None,
    part_size: int = PART_SIZE,
) -> Measurements:
    """Every metric of every picture; parts that an earlier call finished are read instead of done again.

    Args:
        cases: the results and what they are compared with.
        metrics: those that can be computed.
        protocol: says how pictures are brought together.
        work: a folder for the finished parts.
        workers: processes; 1 works in this one.
        progress: called with cases done and in all.
        part_size: cases of one piece of work: what an interrupted run does again at most, a worker.

    Raises:
        InputError: a picture that cannot be read, or a mask of another size; the file is named.
    """
    work.mkdir(parents=True, exist_ok=True)
    names = [metric.name for metric in metrics]
    parts = [cases[first : first + part_size] for first in range(0, len(cases), part_size)]
    files = [work / f"{_key(part, names, protocol)}.npz" for part in parts]
    todo = [(part, names, protocol, file) for part, file in zip(parts, files, strict=True) if not file.exists()]
    done = len(cases) - sum(len(part) for part, *_ in todo)
    progress(done, len(cases))
    for count in _worked(todo, workers):
        done += count
        progress(done, len(cases))
    return _gathered(files, metrics)


def summarise(found: Measurements, metrics: Sequence[Metric], protocol: Protocol) -> dict[str, Figure]:
    """One figure a metric, in the metrics' order."""
    figures = {}
    for metric in metrics:
        if metric.scope == "set":
            figures[metric.name] = _of_sets(metric, found.vectors[metric.name], protocol)
            continue
        values = found.numbers[metric.name]
        values = values[~np.isnan(values)]
        if len(values):
            low, high = interval(values)
            figures[metric.name] = Figure(float(values.mean()), low, high, len(values), metric.how)
    return figures


def interval(values: NDArray[np.float64], resamples: int = RESAMPLES, seed: int = 0) -> tuple[float, float]:
    """The 95 % bootstrap interval of the mean of float (N,)."""
    drawn = np.random.default_rng(seed).integers(0, len(values), (resamples, len(values)))
    low, high = np.quantile(values[drawn].mean(1), [0.025, 0.975])
    return float(low), float(high)


ALL_PIECES: Final[tuple[Piece, ...]] = get_args(Piece)


def show(case: Case, protocol: Protocol, pieces: Iterable[Piece] = ALL_PIECES) -> Shown:
    """Reads the pictures of a case and brings them together as the protocol says.

    Raises:
        InputError: a file that cannot be read, or a picture that is of another shape than its photo.
    """
    wanted = {piece: path for piece in pieces if (path := _path(case, piece)) is not None}
    stored = _read_picture(case.result, "result")
    result = protocol.result(stored)
    size = Size(result.height, result.width)
    read = cache(lambda path: _read_picture(path, "picture to compare with"))
    fitted = cache(lambda path: np.array(protocol.truth(read(path), size)))
    reference = wanted.get("reference")
    if reference is not None:
        as_seen = np.array(read(reference)) if protocol.sets_as_stored else fitted(reference)
    return Shown(
        case.name,
        result=np.array(result),
        candidate=np.array(stored if protocol.sets_as_stored else result),
        protocol=protocol,
        truth=fitted(wanted["truth"]) if "truth" in wanted else None,
        photo=fitted(wanted["photo"]) if "photo" in wanted else None,
        garment=np.array(_read_picture(wanted["garment"], "garment")) if "garment" in wanted else None,
        mask=_resized_mask(_read_mask(wanted["mask"]), size) if "mask" in wanted else None,
        keypoints=_resized_keypoints(wanted["keypoints"], case, size) if "keypoints" in wanted else None,
        reference=None if reference is None else as_seen,
    )


def _path(case: Case, piece: Piece) -> Path | None:
    return {
        "truth": case.truth,
        "photo": case.person,
        "garment": case.garment,
        "mask": case.mask,
        "keypoints": case.keypoints,
        "reference": case.person or case.truth,
    }[piece]


def _resized_keypoints(path: Path, case: Case, size: Size) -> NDArray[np.floating]:
    """Keypoints in pixels of the result; a file counts them in its photo's."""
    width, height = case.keypoints_size or _size(case.person) or (size.width, size.height)
    return read_keypoints(path) * np.array([size.width / width, size.height / height])


def _read_picture(path: Path, what: str) -> Image.Image:
    with _naming(path):
        return load_image(path, what=what)


def _read_mask(path: Path) -> NDArray[np.bool_]:
    with _naming(path):
        return load_mask(path)


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """An error of a picture names its file."""
    try:
        yield
    except InputError as error:
        got = error.got if str(path) in str(error.got) else f"{path}: {error.got}"
        raise InputError(error.what, got=got, expected=error.expected, fix=error.fix) from error


def _resized_mask(mask: NDArray[np.bool_], size: Size) -> NDArray[np.bool_]:
    if mask.shape == tuple(size):
        return mask
    drawn = cv2.resize(mask.astype(np.uint8), (size.width, size.height), interpolation=cv2.INTER_NEAREST)
    return drawn.astype(bool)


@cache
def measure_of(name: str) -> Measure:
    """A metric's function; loaded once a process.

    Raises:
        WeightsError, MissingExtraError: what it needs is not here.
    """
    return METRICS[name].load()


def _worked(todo: Sequence[Any], workers: int) -> Iterable[int]:
    if workers <= 1 or len(todo) <= 1:
        yield from (_do_part(*each) for each in todo)
        return
    calm_threads()  # of the workers
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(todo)), mp_context=context, initializer=_one_thread) as pool:
        for done in as_completed([pool.submit(_do_part, *each) for each in todo]):
            yield done.result()


def _one_thread() -> None:
    """Each process has one core; OpenMP, which torch brings, reads the environment when it is loaded."""
    os.environ["OMP_NUM_THREADS"] = "1"
    cv2.setNumThreads(1)


def _do_part(cases: Sequence[Case], names: Sequence[str], protocol: Protocol, file: Path) -> int:
    """Measures some cases and writes them as one file; gives their number."""
    pieces: set[Piece] = {"mask", *(piece for name in names for piece in METRICS[name].reads)}
    rows: dict[str, list[Measured]] = {name: [] for name in names}
    for case in cases:
        shown = show(case, protocol, pieces)
        for name in names:
            value = measure_of(name)(shown)
            rows[name].append(np.nan if value is None else value)
    arrays: dict[str, Any] = {name: np.asarray(values) for name, values in rows.items()}
    with whole_file(file) as target:
        np.savez(target, names=np.array([case.name for case in cases]), **arrays)
    return len(cases)


def _gathered(files: Sequence[Path], metrics: Sequence[Metric]) -> Measurements:
    parts = [dict(np.load(file)) for file in files]
    found = Measurements([str(name) for part in parts for name in part["names"]])
    for metric in metrics:
        values = np.concatenate([part[metric.name] for part in parts])
        (found.vectors if metric.scope == "set" else found.numbers)[metric.name] = values
    return found


def _of_sets(metric: Metric, vectors: NDArray[np.float32], protocol: Protocol) -> Figure:
    from idmvton.evaluate.sets import fid, kid

    results, photos = vectors[:, 0], vectors[:, 1]
    if metric.name == "fid":
        return Figure(fid(results, photos), None, None, len(results), metric.how)
    mean, deviation = (value * protocol.kid_scale for value in kid(results, photos))
    return Figure(mean, mean - 2 * deviation, mean + 2 * deviation, len(results), metric.how)


def _key(cases: Sequence[Case], names: Sequence[str], protocol: Protocol) -> str:
    """Tells a part's work from any other: files with their sizes and times, metrics and how they work, protocol."""
    files = [
        [str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns]
        for case in cases
        for path in (case.result, case.truth, case.person, case.garment, case.mask, case.keypoints)
        if path is not None
    ]
    about = [files, [[name, METRICS[name].how] for name in names], repr(protocol)]
    return hashlib.sha256(json.dumps(about).encode()).hexdigest()[:24]


def look_at_files(cases: Sequence[Case], protocol: Protocol) -> list[str]:
    """Warnings about results that are transparent, and about results and truths that differ in size.

    Raises:
        InputError: a picture that cannot be opened.
    """
    warnings = []
    if transparent := sum(_is_transparent(case.result) for case in cases):
        warnings.append(f"{transparent} results are transparent: they are scored as they look on white")
    if protocol.size is None:
        others = sum(_size(case.result) != _size(case.truth) for case in cases if case.truth is not None)
        if others:
            warnings.append(f"{others} truths were resized to their result's size ({protocol.resize})")
    return warnings


def _is_transparent(path: Path) -> bool:
    with _opened(path) as picture:
        return "A" in picture.getbands() or "transparency" in picture.info


def _size(path: Path | None) -> tuple[int, int] | None:
    if path is None:
        return None
    with _opened(path) as picture:
        return picture.size


def _opened(path: Path) -> Image.Image:
    try:
        return Image.open(path)
    except OSError as error:
        raise InputError("a picture cannot be read", got=f"{path}: {error}") from error
