"""Experiments as files: variants of a checkpoint x data x metrics -> one table with intervals.

name = "captions"
question = "Do captions matter?"
model = "mini"
protocol = "idmvton-mask"
metrics = ["ssim", "psnr"]

[data.test]
split = "test"
order = "unpaired"
count = 60

[variants.detailed]
captions = "detailed"

[variants.naive]
captions = "naive"

[variants."guidance 2"]
options = { guidance_scale = 2.0 }
"""

from __future__ import annotations

import hashlib
import json
import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from idmvton.atomic import whole_file
from idmvton.errors import ConfigError
from idmvton.evaluate.choice import DataChoice
from idmvton.evaluate.comparison import Difference, compare
from idmvton.evaluate.evaluation import Report, evaluate
from idmvton.evaluate.making import Variant, make_pictures
from idmvton.evaluate.matching import match_dataset
from idmvton.evaluate.metrics import with_metrics
from idmvton.evaluate.protocols import Protocol, find_protocol
from idmvton.evaluate.report import interval_text, number_text, write_report
from idmvton.tryon.pipeline import TryOnPipeline

TABLE_NAME: Final = "table.json"
TEXT_NAME: Final = "table.md"
_KEYS: Final = ("name", "question", "model", "protocol", "metrics", "data", "variants")
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Experiment:
    """What is compared, on what, and how it is scored.

    Attributes:
        name: of the file.
        question: what it answers, for people.
        model: of every variant.
        protocol: how the pictures are scored.
        data: name -> the pairs.
        variants: name -> how its pictures are made; the first one is what the others are compared with.
    """

    name: str
    question: str
    model: str
    protocol: Protocol
    data: Mapping[str, DataChoice]
    variants: Mapping[str, Variant]


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What an experiment found on one of its data sets.

    Attributes:
        reports: variant -> its report, in the file's order.
        differences: variant -> its differences from the first one, a metric each.
    """

    reports: Mapping[str, Report]
    differences: Mapping[str, list[Difference]]


def find_experiment(name: str | os.PathLike[str]) -> Path:
    """The file of an experiment.

    Raises:
        ConfigError: neither a file nor the name of an experiment of this project.
    """
    given = Path(name)
    if given.is_file():
        return given
    packaged = Path(__file__).parent / "experiment_files"
    folder = packaged if packaged.is_dir() else Path(__file__).parents[3] / "experiments"
    found = {path.stem: path for path in sorted(folder.glob("*.toml"))}
    if str(name) not in found:
        raise ConfigError(
            "there is no such experiment", got=repr(str(name)), expected=f"a TOML file, or one of {', '.join(found)}"
        )
    return found[str(name)]


def read_experiment(
    name: str | os.PathLike[str], root: Path | None = None, count: int | None = None, model: str | None = None
) -> Experiment:
    """Reads an experiment.

    Args:
        name: a TOML file, or the name of one of this project's.
        root: the data set's folder, instead of the file's.
        count: pairs of each data set, instead of the file's.
        model: the checkpoint, instead of the file's.

    Raises:
        ConfigError: no such experiment, a file that cannot be read, an unknown key or word, no variants or data.
    """
    path = find_experiment(name)
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError("the experiment cannot be read", got=f"{path}: {error}", expected="a TOML file") from error
    if wrong := sorted(values.keys() - set(_KEYS)):
        raise ConfigError("the experiment has unknown keys", got=", ".join(wrong), expected=", ".join(_KEYS))
    for kind in ("data", "variants"):
        sections = values.get(kind)
        if not isinstance(sections, dict) or not all(isinstance(each, dict) for each in [sections, *sections.values()]):
            raise ConfigError(f"the experiment has no {kind}", got=path, expected=f"at least one [{kind}.NAME]")
    protocol = find_protocol(values.get("protocol", "idmvton"))
    return Experiment(
        values.get("name", path.stem),
        values.get("question", ""),
        model or values.get("model", "mini"),
        with_metrics(protocol, values["metrics"]) if "metrics" in values else protocol,
        {name: _data_of(name, each, root, count) for name, each in values["data"].items()},
        {name: Variant.from_mapping(each) for name, each in values["variants"].items()},
    )


def run_experiment(
    experiment: Experiment,
    output: Path,
    *,
    device: str = "auto",
    workers: int = 2,
    progress: Progress = lambda *_: None,
) -> dict[str, Outcome]:
    """Makes and scores every variant; finished pictures and scores of an interrupted run are used.

    Experiments with one output folder share the pictures of equal variants.

    Args:
        experiment: from :func:`read_experiment`.
        output: ``pictures`` and ``parts`` for all, and a folder with the experiment's name for tables and reports.
        device: where the checkpoint runs.
        workers: processes that score.
        progress: called with what is being done, pictures done, and pictures in all.

    Returns:
        Data set -> what was found.
    """
    pipe = TryOnPipeline.from_pretrained(experiment.model, device=device)
    pipe.set_progress_bar_config(disable=True)
    outcomes = {}
    for title, data in experiment.data.items():
        reports = {}
        for name, variant in experiment.variants.items():
            what = f"{title}, {name}"
            pictures = output / "pictures" / _folder_of(pipe.weights_name, data, variant)
            make_pictures(pipe, data, pictures, variant, partial(progress, f"making {what}"))
            reports[name] = evaluate(
                match_dataset(pictures, data),
                experiment.protocol,
                output / experiment.name / title / name,
                workers=workers,
                progress=partial(progress, f"scoring {what}"),
                parts=output / "parts",
            )
            write_report(reports[name], output / experiment.name / title / name)
        outcomes[title] = Outcome(reports, _differences(output / experiment.name / title, list(reports)))
    for file_name, text in (
        (TABLE_NAME, json.dumps(table(experiment, outcomes, pipe.weights_name), indent=2) + "\n"),
        (TEXT_NAME, in_markdown(experiment, outcomes)),
    ):
        with whole_file(output / experiment.name / file_name) as file:
            file.write(text.encode())
    return outcomes


def table(experiment: Experiment, outcomes: Mapping[str, Outcome], weights: str) -> dict[str, Any]:
    """The figures of every variant, and its differences from the first one, as plain values."""
    return {
        "name": experiment.name,
        "question": experiment.question,
        "weights": weights,
        "protocol": experiment.protocol.name,
        "data": {
            title: {
                "variants": {
                    name: {metric: asdict(figure) for metric, figure in report.figures.items()}
                    for name, report in outcome.reports.items()
                },
                f"compared with {next(iter(outcome.reports))}": {
                    name: {each.metric: asdict(each) for each in differences}
                    for name, differences in outcome.differences.items()
                },
            }
            for title, outcome in outcomes.items()
        },
    }


def in_markdown(experiment: Experiment, outcomes: Mapping[str, Outcome]) -> str:
    """The table for people: a row a variant; a star where the difference from the first is significant."""
    lines = [experiment.question, ""]
    for title, outcome in outcomes.items():
        first = next(iter(outcome.reports.values()))
        count = len(first.matched.cases)
        lines += ["| " + " | ".join([f"{title}, {count} pairs", *first.figures]) + " |"]
        lines += ["|" + "---|" * (len(first.figures) + 1)]
        for name, report in outcome.reports.items():
            told = {each.metric for each in outcome.differences.get(name, []) if each.p < 0.05}
            cells = [
                f"{number_text(figure.value)}{' *' if metric in told else ''} ({interval_text(figure)})"
                for metric, figure in report.figures.items()
            ]
            lines += ["| " + " | ".join([name, *cells]) + " |"]
        lines += [""]
    return "\n".join(lines)


def in_words(difference: Difference) -> str:
    """A difference and whether it is significant at 5 %."""
    text = f"{difference.mean:+.4g} ({number_text(difference.low)} to {number_text(difference.high)})"
    return text if difference.p < 0.05 else f"{text}, not significant"


def _differences(folder: Path, names: list[str]) -> dict[str, list[Difference]]:
    return {name: compare(folder / names[0], folder / name)[0] for name in names[1:]}


def _folder_of(weights: str, data: DataChoice, variant: Variant) -> str:
    """A name for the pictures of a variant, equal for equal work."""
    about = json.dumps([weights, str(data.root.resolve()), data.order, data.maps, asdict(variant)], sort_keys=True)
    return f"{data.split}-{data.order}-{data.count or 'all'}-{hashlib.sha256(about.encode()).hexdigest()[:8]}"


def _data_of(name: str, values: Mapping[str, Any], root: Path | None, count: int | None) -> DataChoice:
    known = DataChoice.__dataclass_fields__
    if wrong := sorted(values.keys() - known.keys()):
        raise ConfigError(f"[data.{name}] has unknown keys", got=", ".join(wrong), expected=", ".join(known))
    if root is None and "root" not in values:
        raise ConfigError(
            "the experiment names no data set",
            fix="pass --data DIR; `idmvton studio make DIR --split benchmark` makes the one of this project's files",
        )
    choice = DataChoice(**{**values, "root": root or Path(values["root"])})
    return choice if count is None else replace(choice, count=count)
