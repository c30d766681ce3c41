"""Looks at every file of a data set and reports what would go wrong, or silently be wrong, later."""

from __future__ import annotations

import contextlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from idmvton.data.file_dataset import SampleFiles, same_aspect
from idmvton.data.name_lists import near
from idmvton.data.opening import list_files, splits_of
from idmvton.errors import InputError
from idmvton.images.densepose import OFF_PALETTE, parts_of
from idmvton.images.files import PICTURE_SUFFIXES
from idmvton.images.polarity import looks_inverted
from idmvton.prepare.reading import read_densepose, read_keypoints, read_labels, read_mask, read_photo
from idmvton.resume import in_threads
from idmvton.types import Order, Size

Severity = Literal["error", "warning"]
Problem = Literal[
    "missing", "unreadable", "grey mask", "inverted mask", "size", "palette", "empty body map", "caption", "duplicate",
    "not listed", "scaled map",
]  # fmt: skip
_WARNINGS: Final[tuple[Problem, ...]] = ("caption", "not listed", "empty body map", "scaled map")
_NEEDED: Final = ("person", "garment", "mask", "densepose")
_MIDDLE: Final = 128


@dataclass(frozen=True, slots=True)
class Finding:
    """One row of the report.

    Attributes:
        sample: the sample's name; empty for what belongs to none.
        problem: what kind.
        path: the file.
        detail: what was found, in one line.
    """

    sample: str
    problem: Problem
    path: Path
    detail: str

    @property
    def severity(self) -> Severity:
        """Whether reading the sample fails or misleads (error), or it is only worth knowing (warning)."""
        return "warning" if self.problem in _WARNINGS else "error"


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What :func:`check_dataset` found.

    Attributes:
        root: the data set.
        files: the samples that were looked at.
        findings: errors first, in the order of the samples.
    """

    root: Path
    files: tuple[SampleFiles, ...]
    findings: tuple[Finding, ...]

    @property
    def is_good(self) -> bool:
        """Whether there are no errors; warnings may be there."""
        return all(finding.severity != "error" for finding in self.findings)

    def counts(self) -> dict[Problem, int]:
        """How often each problem occurs, the most frequent first."""
        return dict(Counter(finding.problem for finding in self.findings).most_common())

    def worst(self, number: int) -> list[tuple[SampleFiles, list[Finding]]]:
        """The samples with the most findings, errors counting before warnings."""
        by_sample = defaultdict[str, list[Finding]](list)
        for finding in self.findings:
            by_sample[finding.sample].append(finding)
        ranked = [(each, by_sample[each.name]) for each in self.files if each.name in by_sample]
        ranked.sort(key=lambda case: (-sum(one.severity == "error" for one in case[1]), -len(case[1])))
        return ranked[:number]


def check_dataset(
    root: Path | str,
    *,
    split: str = "train",
    order: Order = "paired",
    mask_threshold: int | None = None,
    workers: int = 2,
    progress: Callable[[int, int], None] | None = None,
) -> CheckReport:
    """Looks at every file of a split.

    Args:
        root: a folder in any of the layouts that can be read.
        split, order: which list of pairs.
        mask_threshold: as the masks will be read; without it grey masks are errors.
        workers: threads.
        progress: called with (done, total) after each sample.

    Raises:
        InputError: a folder without a layout, or a list that cannot be read. Everything else is a finding.
    """
    files = tuple(list_files(root, split, order))
    findings = [*_listed_twice(files), *_strangers(files, _named_anywhere(Path(root)))]
    inspected = in_threads(lambda each: list(_inspect(each, mask_threshold)), files, workers)
    for done, found in enumerate(inspected, 1):
        findings += found
        if progress is not None:
            progress(done, len(files))
    findings.sort(key=lambda finding: finding.severity != "error")
    return CheckReport(Path(root), files, tuple(findings))


def _listed_twice(files: Sequence[SampleFiles]) -> Iterator[Finding]:
    counts = Counter(each.name for each in files)
    for each in {each.name: each for each in files}.values():
        if counts[each.name] > 1:
            yield Finding(each.name, "duplicate", each.person, f"the pair is listed {counts[each.name]} times")


def _named_anywhere(root: Path) -> set[Path]:
    """The people and garments of every list that can be read: folders are shared by splits and orders."""
    named = set()
    for split, order in product(splits_of(root), get_args(Order)):
        with contextlib.suppress(InputError):
            named |= {path for each in list_files(root, split, order) for path in (each.person, each.garment)}
    return named


def _strangers(files: Sequence[SampleFiles], named: set[Path]) -> Iterator[Finding]:
    """Pictures beside those of the samples that no list names, and file names that differ only in suffix or case."""
    folders = {path.parent for each in files for path in (each.person, each.garment)}
    for folder in sorted(folders):
        by_stem = defaultdict[str, list[Path]](list)
        for path in sorted(folder.glob("*")):
            if path.suffix.lower() in PICTURE_SUFFIXES:
                by_stem[path.stem.lower()].append(path)
        for paths in by_stem.values():
            if len(paths) > 1:
                names = ", ".join(path.name for path in paths)
                owner = next((each.name for each in files if each.person in paths or each.garment in paths), "")
                yield Finding(owner, "duplicate", paths[0], f"one stem, several files: {names}")
            elif paths[0] not in named:
                yield Finding("", "not listed", paths[0], "no list of pairs names it")


def _inspect(files: SampleFiles, mask_threshold: int | None) -> Iterator[Finding]:
    """Everything about one sample."""
    if not files.caption:
        yield Finding(files.name, "caption", files.garment, "nobody described the garment")
    readers: dict[str, Callable[[Path], NDArray[Any]]] = {
        "person": lambda path: np.asarray(read_photo(path, "person")),
        "garment": lambda path: np.asarray(read_photo(path, "garment")),
        "densepose": lambda path: np.asarray(read_densepose(path, is_parts=files.densepose_is_parts)),
        "mask": lambda path: read_mask(path, mask_threshold),
        "labels": lambda path: read_labels(path, files.label_classes),
        "keypoints": read_keypoints,
    }
    found = {}
    for kind, read in readers.items():
        path: Path | None = getattr(files, kind)
        if path is None:
            continue
        if not path.exists():
            if kind in _NEEDED:
                yield Finding(files.name, "missing", path, _instead(kind, path))
            continue
        try:
            found[kind] = read(path)
        except InputError as error:
            grey = _as_grey_mask(path) if kind == "mask" and mask_threshold is None else None
            if grey is not None:
                found[kind] = grey
            yield Finding(files.name, "unreadable" if grey is None else "grey mask", path, _in_one_line(error, path))
    yield from _compare(files, found)


def _instead(kind: str, path: Path) -> str:
    """That a file is missing, and what to do: another suffix in the list, or maps that can be made."""
    if found := near(path):
        return f"the {kind} is not there, but {found}: correct the list or rename the file"
    can_be_made = kind in ("mask", "densepose")
    return f"the {kind} is not there" + ("; `idmvton data prepare` makes it" if can_be_made else "")


def _as_grey_mask(path: Path) -> NDArray[np.bool_] | None:
    """A mask that only a threshold makes binary."""
    try:
        return read_mask(path, _MIDDLE)
    except InputError:
        return None


def _in_one_line(error: InputError, path: Path) -> str:
    """The error without the file's name, which the row has anyway."""
    found = str(error.got or "").removeprefix(str(path)).lstrip(":, ")
    return f"{error.what}: {found}" if found else error.what


def _compare(files: SampleFiles, found: dict[str, NDArray[Any]]) -> Iterator[Finding]:
    """What only shows when the readable pieces of a sample lie side by side."""
    densepose, mask = found.get("densepose"), found.get("mask")
    body = None
    if densepose is not None:
        parts, strange = parts_of(Image.fromarray(densepose))
        body = parts > 0
        if strange > OFF_PALETTE:
            detail = f"{strange:.0%} of the pixels have colours that stand for no body part"
            yield Finding(files.name, "palette", files.densepose, detail)
            body = None
        elif not body.any():
            yield Finding(files.name, "empty body map", files.densepose, "nobody is on it")
    if mask is not None and (inside := looks_inverted(mask, body)):
        yield Finding(files.name, "inverted mask", files.mask, inside)
    if "person" in found:
        photo = Size(*found["person"].shape[:2])
        for kind in ("mask", "densepose", "labels"):
            if kind not in found or (size := Size(*found[kind].shape[:2])) == photo:
                continue
            problem: Problem = "scaled map" if same_aspect(size, photo) else "size"
            if problem == "size" or kind == "mask":
                yield Finding(files.name, problem, getattr(files, kind), f"the {kind} is {size}, the photo {photo}")
