"""Experiments as files: variants of a checkpoint x data x one protocol -> one table with intervals.

name = "captions"
model = "mini"
protocol = "idmvton-mask"

[data]
root = "renders"
split = "test"
order = "unpaired"
count = 200

[variants.detailed]
captions = "detailed"

[variants.naive]
captions = "naive"

[variants."guidance 2"]
options = { guidance_scale = 2.0 }
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from idmvton.atomic import whole_file
from idmvton.errors import ConfigError, InputError
from idmvton.evaluate.choice import DataChoice
from idmvton.evaluate.comparison import Difference, compare
from idmvton.evaluate.evaluation import Report, evaluate
from idmvton.evaluate.making import Variant, make_pictures
from idmvton.evaluate.matching import match_dataset
from idmvton.evaluate.protocols import Protocol, find_protocol
from idmvton.evaluate.report import number_text, write_report
from idmvton.tryon.pipeline import TryOnPipeline

TABLE_NAME: Final = "table.json"
_KEYS: Final = ("name", "question", "model", "protocol", "data", "variants")
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Experiment:
    """What is compared, on what, and how it is scored.

    Attributes:
        name: of the file.
        question: what it answers, for people.
        model: of every variant.
        protocol: how the pictures are scored.
        data: the pairs.
        variants: name -> how its pictures are made; the first one is what the others are compared with.
    """

    name: str
    question: str
    model: str
    protocol: Protocol
    data: DataChoice
    variants: Mapping[str, Variant]


def read_experiment(path: Path, data: Path | None = None, count: int | None = None) -> Experiment:
    """Reads a file of an experiment.

    Args:
        path: a TOML file.
        data: the data set's folder, instead of the file's.
        count: pairs, instead of the file's.

    Raises:
        InputError: the file cannot be read.
        ConfigError: an unknown key or word, or no variants.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError("the experiment cannot be read", got=f"{path}: {error}", expected="a TOML file") from error
    if wrong := sorted(values.keys() - set(_KEYS)):
        raise ConfigError("the experiment has unknown keys", got=", ".join(wrong), expected=", ".join(_KEYS))
    if not values.get("variants"):
        raise ConfigError("the experiment has no variants", got=path, expected="at least one [variants.NAME]")
    return Experiment(
        values.get("name", path.stem),
        values.get("question", ""),
        values.get("model", "mini"),
        find_protocol(values.get("protocol", "idmvton")),
        _data_of(values.get("data", {}), data, count),
        {name: Variant.from_mapping(each) for name, each in values["variants"].items()},
    )


def run_experiment(
    experiment: Experiment,
    output: Path,
    *,
    device: str = "auto",
    workers: int = 2,
    progress: Progress = lambda *_: None,
) -> dict[str, Report]:
    """Makes and scores every variant; finished pictures and scores of an interrupted run are used.

    Args:
        experiment: what to run.
        output: one folder a variant in it, with its pictures and its report, and ``table.json``.
        device: of the model.
        workers: processes that score.
        progress: called with (what, done, total).

    Returns:
        Variant -> report, in the file's order.
    """
    pipe = TryOnPipeline.from_pretrained(experiment.model, device=device)
    pipe.set_progress_bar_config(disable=True)
    data, reports = experiment.data, {}
    for name, variant in experiment.variants.items():
        pictures, folder = output / name / "pictures", output / name / "report"
        make_pictures(pipe, data, pictures, variant, partial(progress, f"making {name}"))
        matched = match_dataset(pictures, data)
        reports[name] = evaluate(
            matched,
            experiment.protocol,
            folder,
            workers=workers,
            progress=partial(progress, f"scoring {name}"),
        )
        write_report(reports[name], folder)
    with whole_file(output / TABLE_NAME) as file:
        file.write((json.dumps(table(experiment, reports, output), indent=2) + "\n").encode())
    return reports


def table(experiment: Experiment, reports: Mapping[str, Report], output: Path) -> dict[str, Any]:
    """The figures of every variant, and its differences from the first one, as plain values."""
    first = next(iter(reports))
    return {
        "name": experiment.name,
        "question": experiment.question,
        "model": experiment.model,
        "protocol": experiment.protocol.name,
        "variants": {
            name: {metric: asdict(figure) for metric, figure in report.figures.items()}
            for name, report in reports.items()
        },
        f"compared with {first}": {
            name: {each.metric: asdict(each) for each in differences_from(output, first, name)}
            for name in reports
            if name != first
        },
    }


def differences_from(output: Path, first: str, name: str) -> list[Difference]:
    """A variant's differences from the first one."""
    return compare(output / first / "report", output / name / "report")[0]


def in_words(difference: Difference) -> str:
    """A difference and whether it can be told from chance at 5 %."""
    text = f"{difference.mean:+.4g} ({number_text(difference.low)} to {number_text(difference.high)})"
    return text if difference.p < 0.05 else f"{text}, not told from chance"


def _data_of(values: Mapping[str, Any], root: Path | None, count: int | None) -> DataChoice:
    known = DataChoice.__dataclass_fields__
    if wrong := sorted(values.keys() - known.keys()):
        raise ConfigError("[data] has unknown keys", got=", ".join(wrong), expected=", ".join(known))
    if root is None and "root" not in values:
        raise ConfigError("the experiment names no data set", fix="set root in [data], or pass --data")
    choice = DataChoice(**{**values, "root": root or Path(values["root"])})
    return choice if count is None else replace(choice, count=count)
