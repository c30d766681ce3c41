"""``idmvton data``: check, pack and prepare data sets."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.table import Table

from idmvton.cli.shared import (
    EXIT_FAILED,
    bar,
    err,
    keeps_what_was_made,
    out,
    pick,
    print_json,
    reports_errors,
    with_options,
)
from idmvton.options import BackendOptions
from idmvton.types import Captions, MapsOfPeople, MissingCaption, Order, Orders

if TYPE_CHECKING:
    from idmvton.data.check import CheckReport
    from idmvton.data.prepare import WorkOn


app = typer.Typer(help="Data sets of people and garments: check, pack, prepare.", no_args_is_help=True)
Folder = Annotated[
    Path, typer.Argument(help="VITON-HD, DressCode, a studio folder, or one with pairs.csv.", show_default=False)
]
SplitOption = Annotated[
    str | None, typer.Option("--split", help="train, test or wild; every split when not given.", show_default=False)
]
OrderOption = Annotated[Order, typer.Option("--order", help="Which list of pairs.")]
WorkersOption = Annotated[int, typer.Option("--workers", min=1, help="Threads.")]
ThresholdOption = Annotated[
    int | None,
    typer.Option("--mask-threshold", min=1, max=255, help="Make grey masks binary.", show_default=False),
]


@app.command("check")
@reports_errors
def check(
    folder: Folder,
    split: SplitOption = None,
    order: OrderOption = "paired",
    sheet: Annotated[
        Path | None, typer.Option("--sheet", help="Draw the worst samples to this PNG.", show_default=False)
    ] = None,
    rows: Annotated[int, typer.Option(min=1, help="Findings to list, and samples to draw.")] = 20,
    mask_threshold: ThresholdOption = None,
    workers: WorkersOption = 2,
    as_json: Annotated[bool, typer.Option("--json", help="Print all findings as JSON, and nothing else.")] = False,
) -> None:
    """Check every file; the exit status is 1 if something cannot be used."""
    from idmvton.data.check import check_dataset
    from idmvton.data.finding_sheet import draw_sheet
    from idmvton.data.opening import splits_of
    from idmvton.images import check_output_path

    if sheet is not None:
        check_output_path(sheet)
    reports = {}
    for each in [split] if split else splits_of(folder):
        with bar(f"checking {each}", quiet=as_json) as progress:
            reports[each] = check_dataset(
                folder, split=each, order=order, mask_threshold=mask_threshold, workers=workers, progress=progress
            )
    if as_json:
        print_json({name: _as_plain(report) for name, report in reports.items()})
    else:
        for name, report in reports.items():
            _print_report(name, report, rows)
    bad = [report for report in reports.values() if not report.is_good]
    drawn = next((report for report in [*bad, *reports.values()] if report.worst(1)), None)
    if sheet is not None and drawn is not None:
        draw_sheet(drawn, sheet, rows=rows)
        err.print(f"the worst samples are in {sheet}", markup=False, soft_wrap=True)
    if bad:
        raise typer.Exit(EXIT_FAILED)


def _as_plain(report: CheckReport) -> dict[str, object]:
    findings = [
        {
            "severity": each.severity,
            "problem": each.problem,
            "sample": each.sample,
            "path": str(each.path),
            "detail": each.detail,
        }
        for each in report.findings
    ]
    return {"samples": len(report.files), "good": report.is_good, "counts": report.counts(), "findings": findings}


def _print_report(split: str, report: CheckReport, rows: int) -> None:
    counts = ", ".join(f"{number} {problem}" for problem, number in report.counts().items())
    verdict = "[green]good[/]" if report.is_good else "[bold red]errors[/]"
    out.print(f"[bold]{split}[/]: {len(report.files)} samples, {verdict}{f' ({counts})' if counts else ''}")
    if not report.findings:
        return
    table = Table("", "problem", "sample", "file", "detail", box=None, header_style="bold")
    for each in report.findings[:rows]:
        path = each.path.relative_to(report.root) if each.path.is_relative_to(report.root) else each.path
        table.add_row(each.severity, each.problem, each.sample, str(path), each.detail)
    out.print(table)
    if len(report.findings) > rows:
        out.print(f"... and {len(report.findings) - rows} more; --rows or --json list them")


@app.command("pack")
@reports_errors
def pack(
    folder: Folder,
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder for the shards.", show_default=False)],
    size: Annotated[str, typer.Option(help="Height x width, both divisible by 8.")] = "1024x768",
    split: Annotated[str, typer.Option(help="train, test or wild.")] = "train",
    order: Annotated[Orders, typer.Option("--order", help="Which list of pairs, or both.")] = "paired",
    maps: Annotated[
        MapsOfPeople,
        typer.Option(help="Masks and body maps of the data set, those of `prepare --beside`, or each with either."),
    ] = "given",
    captions: Annotated[
        Captions, typer.Option(help="Which captions; detailed and naive exist in studio folders only.")
    ] = "tags",
    samples_per_shard: Annotated[int, typer.Option(min=1, help="Samples in one shard.")] = 256,
    picture_format: Annotated[
        Literal["png", "jpg"], typer.Option("--format", help="Of photos: png is lossless, jpg (quality 95) smaller.")
    ] = "png",
    missing_caption: Annotated[
        MissingCaption, typer.Option(help="What to do with garments without a caption.")
    ] = "error",
    mask_threshold: ThresholdOption = None,
    workers: WorkersOption = 2,
) -> None:
    """Write tar shards that training reads, also from object storage; run again to resume."""
    from idmvton.cli.studio import parse_size
    from idmvton.data.folder import FolderDataset, FolderView
    from idmvton.data.shards import write_shards

    view = FolderView(order, maps, captions, missing_caption, mask_threshold)
    dataset = FolderDataset(folder, parse_size(size), split, view)
    if dataset.missing_captions:
        err.print(f"{len(dataset.missing_captions)} garments have no caption; their category describes them")
    with bar("packing") as progress, keeps_what_was_made():
        index = write_shards(
            dataset,
            output,
            samples_per_shard=samples_per_shard,
            picture_format=picture_format,
            order=order,
            workers=workers,
            progress=progress,
        )
    out.print(f"{output}: {index.num_samples} samples in {len(index.shard_names)} shards", soft_wrap=True)


@app.command("prepare")
@with_options(BackendOptions)
@reports_errors
def prepare(
    folder: Folder,
    split: SplitOption = None,
    order: OrderOption = "paired",
    workers: WorkersOption = 2,
    beside: Annotated[
        bool,
        typer.Option("--beside", help="Instead, make the maps that a try-on would use: for data.maps in training."),
    ] = False,
    ray: Annotated[
        str | None,
        typer.Option(help="Work on a Ray cluster: HOST:PORT of its head, auto, or local.", show_default=False),
    ] = None,
    **values: Any,
) -> None:
    """Make the body maps, label maps, keypoints and agnostic masks that are missing; run again to resume."""
    from idmvton.data.opening import splits_of
    from idmvton.data.prepare import prepare_dataset, unshared_preparer

    backends = BackendOptions.from_mapping(pick(BackendOptions, values))
    make_preparer = functools.partial(unshared_preparer, backends)
    for each in [split] if split else splits_of(folder):
        with bar(f"preparing {each}") as progress, keeps_what_was_made():
            done = prepare_dataset(
                folder,
                split=each,
                order=order,
                workers=workers,
                beside=beside,
                progress=progress,
                make_preparer=make_preparer,
                work_on=None if ray is None else _on_ray(ray, progress),
            )
        out.print(f"{each}: {done.num_masks} masks, {done.num_new} new; {done.num_maps} other maps made")
        if done.num_elsewhere:
            err.print(f"{done.num_elsewhere} people are left to another run; when it has ended, run this again")


def _on_ray(address: str, progress: Callable[[int, int], None]) -> WorkOn:
    from idmvton.engine.on_ray import Lanes, items_on_ray

    return functools.partial(items_on_ray, lanes=Lanes(address), progress=progress)
