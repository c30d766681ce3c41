"""Two systems on the same pairs: paired differences with intervals, and where they differ most."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from idmvton.errors import InputError
from idmvton.evaluate.metrics import find_metric
from idmvton.evaluate.report import CSV_NAME
from idmvton.evaluate.scoring import interval
from idmvton.images import load_image, save_png

_FLIPS: Final = 10_000
_RANDOM_SEED: Final = 0


@dataclass(frozen=True, slots=True)
class Difference:
    """How the second of two systems differs from the first in one metric.

    Attributes:
        metric: its name.
        first, second: the means.
        mean: second minus first.
        low, high: the 95 % bootstrap interval of the mean difference.
        p: how often a mean difference as large comes about when each pair's sign is drawn by chance
            (sign-flip test of 10,000 draws, two-sided).
        second_better: the share of pairs in which the second is better; equal pairs count half.
        n: pairs with an answer from both.
    """

    metric: str
    first: float
    second: float
    mean: float
    low: float
    high: float
    p: float
    second_better: float
    n: int


def compare(first: Path, second: Path) -> tuple[list[Difference], dict[str, list[str]]]:
    """Compares two report folders metric by metric.

    Args:
        first, second: folders that ``idmvton evaluate`` wrote, of the same pairs and protocol.

    Returns:
        The differences, and for each metric the names of the pairs, the largest difference first.

    Raises:
        InputError: a folder without a report, or reports of other pairs.
    """
    tables = [read_pictures(folder) for folder in (first, second)]
    (names, one), (others, two) = tables
    if set(names) != set(others):
        apart = sorted(set(names) ^ set(others))
        raise InputError(
            "the reports are not of the same pairs",
            got=f"{len(names)} and {len(others)} pairs, {len(apart)} in one of them only, such as {apart[0]}",
            expected="two systems scored on one list of pairs",
        )
    order = [others.index(name) for name in names]
    differences, largest = [], {}
    for metric in one.keys() & two.keys():
        pair = one[metric], two[metric][order]
        both = ~np.isnan(pair[0]) & ~np.isnan(pair[1])
        if not both.any():
            continue
        differences.append(_difference(metric, pair[0][both], pair[1][both]))
        gaps = np.where(both, np.abs(pair[1] - pair[0]), -1)
        largest[metric] = [names[n] for n in np.argsort(-gaps, kind="stable") if gaps[n] >= 0]
    differences.sort(key=lambda each: list(one).index(each.metric))
    return differences, largest


def draw_largest(first: Path, second: Path, largest: Mapping[str, list[str]], path: Path, rows: int = 8) -> None:
    """Draws the pairs that differ most in the first metric: a row a pair, the first system's picture on the left.

    Args:
        first, second: the report folders.
        largest: from :func:`compare`.
        path: a PNG.
        rows: pairs to draw.

    Raises:
        InputError: a result is not where the report was made from, or the sheet cannot be written.
    """
    metric, names = next(iter(largest.items()))
    files = [picture_files(folder) for folder in (first, second)]
    drawn = [[load_image(each[name], what="result") for each in files] for name in names[:rows]]
    height = max(pair[0].height for pair in drawn)
    drawn = [[each.resize((round(each.width * height / each.height), height)) for each in pair] for pair in drawn]
    width = max(sum(each.width for each in pair) for pair in drawn)
    sheet = Image.new("RGB", (width, height * len(drawn)), "white")
    for row, pair in enumerate(drawn):
        sheet.paste(pair[0], (0, row * height))
        sheet.paste(pair[1], (pair[0].width, row * height))
    save_png(sheet, path, {"sheet": f"largest differences in {metric}", "rows": names[:rows]})


def picture_files(folder: Path) -> dict[str, Path]:
    """Pair -> result of a report folder.

    Raises:
        InputError: there is no report, or it is damaged.
    """
    path = folder / CSV_NAME
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return {row["pair"]: Path(row["result"]) for row in csv.DictReader(file)}
    except (OSError, ValueError, KeyError) as error:
        raise InputError("the folder holds no report that can be read", got=f"{path}: {error}") from error


def read_pictures(folder: Path) -> tuple[list[str], Mapping[str, NDArray[np.float64]]]:
    """The pairs and values of a report folder's ``pictures.csv``.

    Raises:
        InputError: there is none, or it is damaged.
    """
    path = folder / CSV_NAME
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        metrics = [name for name in rows[0] if name not in ("pair", "result")]
        values = {name: np.array([float(row[name] or "nan") for row in rows]) for name in metrics}
        return [row["pair"] for row in rows], values
    except (OSError, ValueError, IndexError, KeyError, TypeError) as error:
        raise InputError(
            "the folder holds no report that can be read",
            got=f"{path}: {error}",
            expected=f"a folder that `idmvton evaluate -o` wrote, with {CSV_NAME}",
        ) from error


def _difference(metric: str, first: NDArray[np.float64], second: NDArray[np.float64]) -> Difference:
    gaps = second - first
    low, high = interval(gaps)
    better = gaps if find_metric(metric).better == "higher" else -gaps
    signs = np.random.default_rng(_RANDOM_SEED).choice((-1.0, 1.0), (_FLIPS, len(gaps)))
    as_large = np.abs((signs * gaps).mean(1)) >= abs(gaps.mean()) - 1e-12
    return Difference(
        metric,
        float(first.mean()),
        float(second.mean()),
        float(gaps.mean()),
        low,
        high,
        float((as_large.sum() + 1) / (_FLIPS + 1)),
        float((better > 0).mean() + (better == 0).mean() / 2),
        len(gaps),
    )
