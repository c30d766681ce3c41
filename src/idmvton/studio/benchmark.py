"""The studio as a benchmark: fixed people and garments with exact truth for unpaired try-ons, versioned and hashed.

No photo collection has the same person, pose and light in the other garment; here every pair has it. The seed is
used for nothing else: no weights of this project were trained or chosen on these people.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from idmvton.atomic import whole_file
from idmvton.errors import InputError
from idmvton.studio.dataset import SETTINGS, Progress, make_dataset
from idmvton.studio.sampling import Split

VERSION: Final = 1
"""Grows when the benchmark's people or garments become others."""
SEED: Final = 2403
COUNTS: Final[Mapping[Split, int]] = {"test": 500, "wild": 250}
SIZE: Final = (512, 384)
RECORD_NAME: Final = "benchmark.json"


@dataclass(frozen=True, slots=True)
class Benchmark:
    """What was made.

    Attributes:
        version: of the benchmark.
        seed: of its people and garments.
        counts: split -> samples.
        is_whole: whether these are all of them.
        hashes: split -> SHA-256 over the names and contents of its files. Pictures are drawn by the machine's own
            OpenGL driver: equal hashes mean equal bytes, other drivers give other last digits.
    """

    version: int
    seed: int
    counts: Mapping[str, int]
    is_whole: bool
    hashes: Mapping[str, str]


def make_benchmark(
    folder: Path, *, pairs: int | None = None, workers: int = 2, progress: Progress | None = None
) -> Benchmark:
    """Makes both splits in one folder and writes ``benchmark.json``; samples that are there are kept.

    Args:
        folder: root of the data set.
        pairs: only the first so many of ``test``, and half as many of ``wild``; all by default.
        workers: processes.
        progress: called with samples done and in all.

    Raises:
        InputError: more pairs than there are, or a folder that cannot be used.
        ConfigError: no renderer.
    """
    if pairs is not None and not 2 <= pairs <= COUNTS["test"]:
        raise InputError("the benchmark has no such number of pairs", got=pairs, expected=f"2 to {COUNTS['test']}")
    counts: dict[Split, int] = dict(COUNTS) if pairs is None else {"test": pairs, "wild": pairs // 2}
    before = 0
    for split, count in counts.items():

        def told(done: int, _: int, before: int = before) -> None:
            if progress is not None:
                progress(before + done, sum(counts.values()))

        make_dataset(folder, pairs=count, size=SIZE, split=split, seed=SEED, workers=workers, progress=told)
        before += count
    hashes: dict[str, str] = {split: hash_of(folder / split) for split in counts}
    found: dict[str, int] = {split: len(list((folder / split / "meta").glob("*.json"))) for split in counts}
    made = Benchmark(VERSION, SEED, found, found == dict(COUNTS), hashes)
    with whole_file(folder / RECORD_NAME) as file:
        file.write((json.dumps(asdict(made), indent=2) + "\n").encode())
    return made


def hash_of(split: Path) -> str:
    """SHA-256 over the names and contents of a split's samples, in the names' order."""
    total = hashlib.sha256()
    for path in sorted(split.glob("*/*")):
        if path.is_file() and path.name != SETTINGS and not path.name.startswith("."):
            total.update(path.relative_to(split).as_posix().encode() + b"\0")
            total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()
