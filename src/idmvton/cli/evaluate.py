"""``idmvton evaluate``: scores of results, comparisons, experiments."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from typer.core import TyperGroup

from idmvton.cli.shared import bar, err, keeps_what_was_made, out, print_json, reports_errors, stage_bar
from idmvton.errors import ConfigError, InputError
from idmvton.types import Order

if TYPE_CHECKING:
    from idmvton.evaluate.choice import DataChoice
    from idmvton.evaluate.evaluation import Report
    from idmvton.evaluate.matching import Matched
    from idmvton.evaluate.protocols import Protocol

SCORE = "score"


class _ScoresByDefault(TyperGroup):
    """``idmvton evaluate RESULTS ...`` is ``idmvton evaluate score RESULTS ...``."""

    usual_command = SCORE

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ("--help", "-h"):
            args = [self.usual_command, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_ScoresByDefault,
    help="Score results by a named protocol: `idmvton evaluate RESULTS --truth DATASET -o report`.",
    no_args_is_help=True,
)
OutputOption = Annotated[Path, typer.Option("--output", "-o", help="The folder of the report.")]
WorkersOption = Annotated[int, typer.Option("--workers", min=1, help="Processes that score.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the figures as JSON, and nothing else.")]
SplitOption = Annotated[str, typer.Option("--split", help="Of the data set: train, test or wild.")]
MetricsOption = Annotated[
    str | None,
    typer.Option("--metrics", help="Only these, such as ssim,psnr; the protocol's by default.", show_default=False),
]
DeviceOption = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, mps.")]


@app.command(SCORE)
@reports_errors
def score(
    results: Annotated[
        Path | None, typer.Argument(help="A folder of results, of this library or another system.", show_default=False)
    ] = None,
    truth: Annotated[
        Path | None,
        typer.Option("--truth", help="A data set, or a folder of true pictures of the same names.", show_default=False),
    ] = None,
    order: Annotated[Order, typer.Option("--order", help="Which list of pairs of the data set.")] = "paired",
    split: SplitOption = "test",
    protocol: Annotated[str, typer.Option("--protocol", help="How to score; see --explain.")] = "idmvton",
    explain: Annotated[
        str | None, typer.Option("--explain", help="Describe a protocol and exit.", show_default=False)
    ] = None,
    names: Annotated[
        str | None,
        typer.Option(
            "--names", help="How the result files are named, such as '{person}__{garment}'.", show_default=False
        ),
    ] = None,
    masks: Annotated[
        Path | None, typer.Option("--masks", help="A folder of masks by person.", show_default=False)
    ] = None,
    metrics: MetricsOption = None,
    pairs: Annotated[
        Path | None,
        typer.Option("--pairs", help="Only the data set's pairs that this list names.", show_default=False),
    ] = None,
    count: Annotated[
        int | None, typer.Option("--count", min=1, help="Only this many pairs, from the first on.", show_default=False)
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", help="Make the pictures with this checkpoint first.", show_default=False)
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="The data set that --model dresses.", show_default=False)
    ] = None,
    device: DeviceOption = "auto",
    output: OutputOption = Path("report"),
    workers: WorkersOption = 2,
    as_json: JsonOption = False,
) -> None:
    """Score a folder of results, or make them with a checkpoint first."""
    from idmvton.evaluate.choice import DataChoice
    from idmvton.evaluate.evaluation import evaluate
    from idmvton.evaluate.metrics import with_metrics
    from idmvton.evaluate.protocols import explain as in_words
    from idmvton.evaluate.protocols import find_protocol
    from idmvton.evaluate.report import HTML_NAME, write_report

    if explain is not None:
        out.print(in_words(find_protocol(explain)), markup=False)
        return
    rule = find_protocol(protocol)
    if metrics is not None:
        rule = with_metrics(rule, [name.strip() for name in metrics.split(",") if name.strip()])
    with keeps_what_was_made():
        chosen = DataChoice(data or truth or Path(), split, order, count, pairs=pairs)
        if model is not None:
            if data is None:
                raise ConfigError("--model needs a data set", fix="add --data FOLDER")
            results, truth = _made(model, chosen, output / "pictures", device, as_json), data
        matched = _matched(results, truth, chosen, names, masks)
        with bar("scoring", quiet=as_json) as progress:
            report = evaluate(matched, rule, output, workers=workers, progress=progress)
    files = write_report(report, output)
    if as_json:
        print_json(report.to_dict())
        return
    _print_report(report, rule)
    err.print(f"the report is in {files[HTML_NAME]}", markup=False, soft_wrap=True)


@app.command("compare")
@reports_errors
def compare_reports(
    first: Annotated[Path, typer.Argument(help="A report folder.", show_default=False)],
    second: Annotated[Path, typer.Argument(help="Another one, of the same pairs.", show_default=False)],
    sheet: Annotated[
        Path | None, typer.Option("--sheet", help="Draw the largest differences to this PNG.", show_default=False)
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare two systems that were scored on the same pairs."""
    from dataclasses import asdict

    from idmvton.evaluate.comparison import compare, draw_largest

    differences, largest = compare(first, second)
    if sheet is not None:
        draw_largest(first, second, largest, sheet)
    if as_json:
        print_json({each.metric: asdict(each) for each in differences})
        return
    table = Table("metric", first.name, second.name, "difference", "95 % interval", "p", "second better", box=None)
    for each in differences:
        span = f"{each.low:+.4g} to {each.high:+.4g}"
        means = f"{each.first:.4g}", f"{each.second:.4g}", f"{each.mean:+.4g}"
        table.add_row(each.metric, *means, span, f"{each.p:.3g}", f"{each.second_better:.0%}")
    out.print(table)


@app.command("run")
@reports_errors
def run(
    experiment: Annotated[
        str,
        typer.Argument(
            help="A TOML file, or the name of an included experiment, such as captions.", show_default=False
        ),
    ],
    data: Annotated[
        Path | None, typer.Option("--data", help="The data set, instead of the file's.", show_default=False)
    ] = None,
    count: Annotated[
        int | None, typer.Option("--count", min=1, help="Number of pairs, instead of the file's.", show_default=False)
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", help="The checkpoint, instead of the file's.", show_default=False)
    ] = None,
    device: DeviceOption = "auto",
    output: OutputOption = Path("experiments-out"),
    workers: WorkersOption = 2,
    as_json: JsonOption = False,
) -> None:
    """Make and score every variant of an experiment; run it again to resume."""
    import json

    from idmvton.evaluate.experiments import TABLE_NAME, in_words, read_experiment, run_experiment

    chosen = read_experiment(experiment, data, count, model)
    with keeps_what_was_made(), stage_bar(quiet=as_json) as stage:
        outcomes = run_experiment(chosen, output, device=device, workers=workers, progress=stage)
    if as_json:
        print_json(json.loads((output / chosen.name / TABLE_NAME).read_text()))
        return
    out.print(chosen.question, markup=False)
    for title, outcome in outcomes.items():
        first = next(iter(outcome.reports))
        count = len(outcome.reports[first].matched.cases)
        drawn = Table("variant", *outcome.reports[first].figures, title=f"{title}, {count} pairs", box=None)
        for name, report in outcome.reports.items():
            drawn.add_row(name, *(f"{figure.value:.4g}" for figure in report.figures.values()))
        out.print(drawn)
        for name, differences in outcome.differences.items():
            for each in differences:
                out.print(f"{name} - {first}, {each.metric}: {in_words(each)}", markup=False, soft_wrap=True)
    err.print(f"tables and reports are in {output / chosen.name}", markup=False, soft_wrap=True)


def _made(model: str, data: DataChoice, pictures: Path, device: str, quiet: bool) -> Path:
    """The folder of the pictures that a checkpoint makes of a data set."""
    from idmvton.evaluate.making import make_pictures
    from idmvton.tryon.pipeline import TryOnPipeline

    pipe = TryOnPipeline.from_pretrained(model, device=device)
    pipe.set_progress_bar_config(disable=True)
    with bar("making pictures", quiet=quiet) as progress:
        make_pictures(pipe, data, pictures, progress=progress)
    return pictures


def _matched(
    results: Path | None, truth: Path | None, data: DataChoice, names: str | None, masks: Path | None
) -> Matched:
    from idmvton.evaluate.matching import is_dataset, match_dataset, match_folder

    if results is None or truth is None:
        raise InputError(
            "the results or the truth are not named",
            expected="idmvton evaluate RESULTS --truth DATASET, or idmvton evaluate --model NAME --data DATASET",
        )
    for folder in (results, truth):
        if not folder.is_dir():
            raise InputError("the folder does not exist", got=folder)
    if is_dataset(truth):
        return match_dataset(results, data, rule=names, masks=masks)
    if data.pairs is not None:
        raise InputError("a list of pairs needs a data set", got=truth, fix="leave --pairs out, or name a data set")
    return match_folder(results, truth, rule=names, masks=masks, count=data.count)


def _print_report(report: Report, protocol: Protocol) -> None:
    from idmvton.evaluate.metrics import METRICS
    from idmvton.evaluate.report import interval_text, number_text

    for warning in report.warnings:
        err.print(f"[yellow]warning[/]: {warning}", soft_wrap=True)
    title = f"{len(report.matched.cases)} pairs, protocol {protocol.name}, names {report.matched.rule}"
    scale = list(report.scale.values())[1:]
    heads = ("moved 1 px", "JPEG 75")[: len(scale)]
    table = Table("metric", "value", "95 % interval", "n", *heads, "better", title=title, box=None)
    for name, figure in report.figures.items():
        cells = [number_text(figure.value), interval_text(figure), str(figure.n)]
        cells += [number_text(values.get(name)) for values in scale]
        table.add_row(name, *cells, METRICS[name].better)
    out.print(table)
    for each in report.missing:
        err.print(f"not computed: {each.metric}: {each.why}", markup=False, soft_wrap=True)
