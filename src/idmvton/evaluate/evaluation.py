"""The main job: a folder of results in, a report out.

report = evaluate(match_dataset(results, DataChoice(root)), find_protocol("idmvton"), Path("report"))
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from idmvton.errors import InputError
from idmvton.evaluate import scoring
from idmvton.evaluate.extra import version_of
from idmvton.evaluate.matching import Case, Matched
from idmvton.evaluate.metrics import Metric
from idmvton.evaluate.protocols import Protocol, explain, stored_as_jpeg
from idmvton.evaluate.scoring import Figure, Measurements, Missing, Progress
from idmvton.images import read_provenance
from idmvton.weights import locate, read_manifest

SCALE_CASES: Final = 16
"""Truths, evenly spaced, on which the scale of each metric is measured."""
SCALE_ROWS: Final = ("the truth itself", "the truth moved by one pixel", "the truth as JPEG of quality 75")
_LIBRARIES: Final = (
    *("idmvton", "torch", "torchmetrics", "scikit-image", "opencv-python-headless", "pillow", "numpy"),
    *("onnxruntime", "transformers"),
)


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """Figures and how they were made.

    Attributes:
        figures: metric -> figure.
        missing: metrics of the protocol that were not computed.
        scale: row -> metric -> value: what known changes of the truth score.
        measured: the values of each picture.
        matched: the cases and the rule of their names.
        protocol: how they were scored.
        made: option or library -> the values that the results' own notes name, with how many pictures name each.
        warnings: what should be known.
        weights: entry of the catalogue -> file -> its SHA-256, or its git hash where the hub gives only that.
    """

    figures: Mapping[str, Figure]
    missing: tuple[Missing, ...]
    scale: Mapping[str, Mapping[str, float]]
    measured: Measurements
    matched: Matched
    protocol: Protocol
    made: Mapping[str, Mapping[str, int]]
    warnings: tuple[str, ...]
    weights: Mapping[str, Mapping[str, str]]

    def to_dict(self) -> dict[str, Any]:
        """Everything but the single pictures, as plain values ready for JSON."""
        return {
            "metrics": {name: asdict(figure) for name, figure in self.figures.items()},
            "not_computed": {each.metric: each.why for each in self.missing},
            "scale": {row: dict(values) for row, values in self.scale.items()},
            "protocol": {"name": self.protocol.name, "in_words": explain(self.protocol)},
            "pictures": {"n": len(self.matched.cases), "named": self.matched.rule},
            "made_with": {name: dict(values) for name, values in self.made.items()},
            "warnings": list(self.warnings),
            "weights": {name: dict(files) for name, files in self.weights.items()},
            "libraries": {name: version_of(name) for name in _LIBRARIES},
        }


def evaluate(
    matched: Matched,
    protocol: Protocol,
    output: Path,
    *,
    workers: int = 2,
    progress: Progress = lambda *_: None,
    parts: Path | None = None,
) -> Report:
    """Scores matched results.

    Args:
        matched: from :mod:`idmvton.evaluate.matching`.
        protocol: how to score.
        output: the report's folder; finished parts of an interrupted call in it are used.
        workers: processes.
        progress: called with pictures done and in all.
        parts: the folder of the finished parts, which several reports may share; in ``output`` by default.

    Returns:
        The report; :mod:`idmvton.evaluate.report` writes it.

    Raises:
        InputError: a picture that cannot be read, or no metric that can be computed.
    """
    metrics, missing = scoring.plan(protocol, matched.cases)
    if not metrics:
        raise InputError(
            "none of the protocol's metrics can be computed",
            got="; ".join(f"{each.metric}: {each.why}" for each in missing),
        )
    warnings = [*matched.warnings, *scoring.look_at_files(matched.cases, protocol)]
    work = parts or output / "parts"
    found = scoring.measure(matched.cases, metrics, protocol, work, workers=workers, progress=progress)
    figures = scoring.summarise(found, metrics, protocol)
    missing += [Missing(each.name, "no picture has an answer") for each in metrics if each.name not in figures]
    return Report(
        figures,
        tuple(missing),
        measure_scale(matched.cases, metrics, protocol),
        found,
        matched,
        protocol,
        how_made(matched.cases),
        tuple(warnings),
        {metric.needs: hashes_of(metric.needs) for metric in metrics if metric.needs is not None},
    )


def measure_scale(cases: tuple[Case, ...], metrics: list[Metric], protocol: Protocol) -> dict[str, dict[str, float]]:
    """What each metric of pairs gives for known changes of the truth, so that a figure can be read.

    Returns:
        Row of :data:`SCALE_ROWS` -> metric -> mean over some truths; empty where no case has a truth.
    """
    wanted = [metric for metric in metrics if metric.scope == "pair" and "truth" in metric.reads]
    known = [case for case in cases if case.truth is not None]
    chosen = [known[n] for n in np.linspace(0, len(known) - 1, min(SCALE_CASES, len(known))).astype(int)]
    table: dict[str, dict[str, list[float]]] = {row: {metric.name: [] for metric in wanted} for row in SCALE_ROWS}
    for case in chosen:
        shown = scoring.show(case, protocol, ("truth", "mask"))
        assert shown.truth is not None
        moved = np.roll(shown.truth, 1, axis=1)
        moved[:, 0] = shown.truth[:, 0]
        stored = np.array(stored_as_jpeg(Image.fromarray(shown.truth), 75))
        for row, picture in zip(SCALE_ROWS, (shown.truth, moved, stored), strict=True):
            for metric in wanted:
                value = scoring.measure_of(metric.name)(replace(shown, result=picture))
                if isinstance(value, float):
                    table[row][metric.name].append(value)
    return {
        row: {name: float(np.mean(values)) for name, values in columns.items() if values}
        for row, columns in table.items()
        if chosen
    }


def hashes_of(entry: str) -> dict[str, str]:
    """File -> hash of weights on this machine: what was checked when they were fetched, else what they hold now."""
    folder = locate(entry)
    manifest = read_manifest(folder)
    if manifest is not None:
        known = {name: record.sha256 or record.git_sha1 for name, record in manifest.files.items()}
        return {name: value for name, value in sorted(known.items()) if value is not None}
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def how_made(cases: tuple[Case, ...]) -> dict[str, dict[str, int]]:
    """What the results' own notes say: option -> value -> pictures, for options that at most ten values have."""
    counts: dict[str, dict[str, int]] = {}
    for case in cases:
        try:
            notes = read_provenance(case.result)
        except InputError:
            notes = {"made_with": {"this library": "no: the picture does not say how it was made"}}
        flat = {name: value for name, value in notes.items() if isinstance(value, int | float | str | None)}
        for name, value in (flat | dict(notes.get("made_with", {}))).items():
            values = counts.setdefault(name, {})
            values[str(value)] = values.get(str(value), 0) + 1
    return {name: values for name, values in counts.items() if len(values) <= 10}
