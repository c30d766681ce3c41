"""``idmvton prepare``: one photo, or a folder of photos."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from idmvton.cli.self_test import SelfTest
from idmvton.cli.shared import (
    EXIT_FAILED,
    bar,
    err,
    keeps_what_was_made,
    out,
    pick,
    print_json,
    reports_errors,
    stage_bar,
    with_options,
)
from idmvton.errors import ConfigError
from idmvton.options import PrepareOptions

if TYPE_CHECKING:
    from idmvton.prepare import Prepared
    from idmvton.resume import Outcomes

MaskFile = Annotated[
    Path | None, typer.Option("--mask", help="Use this mask: white = repaint, of the photo's size.", show_default=False)
]
DenseposeFile = Annotated[
    Path | None, typer.Option("--densepose", help="Use this body map, of the photo's size.", show_default=False)
]
LabelsFile = Annotated[
    Path | None,
    typer.Option(
        "--labels",
        help="Use this label map (ATR classes), of the photo's size; or the name of the backend that makes it.",
        show_default=False,
    ),
]
KeypointsFile = Annotated[
    Path | None, typer.Option("--keypoints", help="Use these keypoints (OpenPose JSON).", show_default=False)
]

Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace files that are in the way, also those that were changed by hand.")
]


@with_options(PrepareOptions)
@reports_errors
def prepare(
    person: Annotated[Path, typer.Argument(help="The photo of a person, or a folder of photos.", show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder to write.", show_default=False)],
    garment: Annotated[
        Path | None, typer.Argument(help="The photo of a garment, alone or worn.", show_default=False)
    ] = None,
    mask: MaskFile = None,
    densepose: DenseposeFile = None,
    labels: LabelsFile = None,
    keypoints: KeypointsFile = None,
    overwrite: Overwrite = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON, and nothing else.")] = False,
    self_test: SelfTest = False,
    **values: Any,
) -> None:
    """Make the mask and the maps that a try-on needs; look at overlay.png, correct mask.png if needed.

    Of a folder, every photo gets a folder of its own; what is done is skipped, report.json says what failed, and the
    exit status is then 1. Files that you changed stay when you prepare again; --overwrite starts anew.
    """
    from idmvton.prepare import Given
    from idmvton.prepare.record_files import check_target

    options = PrepareOptions.from_mapping(pick(PrepareOptions, values))
    given = Given(mask=mask, densepose=densepose, labels=labels, keypoints=keypoints)
    if person.is_dir():
        if given != Given():
            raise ConfigError(
                "maps are given for a folder of photos",
                got=", ".join(str(path) for path in (mask, densepose, labels, keypoints) if path),
                expected="one photo",
                fix="prepare the photos that have maps one by one",
            )
        _prepare_folder((person, output, garment), options, overwrite=overwrite, as_json=as_json)
        return
    check_target(output)
    start = time.perf_counter()
    with stage_bar(quiet=as_json) as stage:
        stage("preparing")
        from idmvton.prepare.preparer import preparer_for

        prepared = preparer_for(options)(person, garment, given=given, options=options)
    prepared = prepared.save(output, overwrite=overwrite)
    _tell(prepared, output, time.perf_counter() - start, as_json)


def _tell(prepared: Prepared, output: Path, seconds: float, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "output": str(output),
                "category": prepared.category,
                "size": {"height": prepared.size.height, "width": prepared.size.width},
                "seconds": round(seconds, 3),
                "timings": {stage: round(value, 4) for stage, value in prepared.timings.items()},
                "sources": dict(prepared.sources),
                "warnings": list(prepared.warnings),
            }
        )
        return
    tell_warnings(prepared.warnings)
    out.print(
        f"Prepared [bold]{escape(str(output))}[/] ({prepared.category}, "
        f"{prepared.size.height}x{prepared.size.width} height x width, {seconds:.1f} s): "
        "overlay.png shows it, mask.png may be changed",
        soft_wrap=True,
    )


def tell_warnings(notes: Iterable[str]) -> None:
    """Prints what the caller should know on standard error."""
    for note in notes:
        err.print("[yellow]warning:[/] " + escape(note), soft_wrap=True)


def _prepare_folder(
    paths: tuple[Path, Path, Path | None], options: PrepareOptions, *, overwrite: bool, as_json: bool
) -> None:
    """Prepares the photos of a folder: (photos, output, garment)."""
    from idmvton.prepare.folder import prepare_folder, report_of
    from idmvton.prepare.preparer import preparer_for
    from idmvton.resume import REPORT

    folder, output, garment = paths
    with bar("preparing", quiet=as_json) as progress, keeps_what_was_made():
        report = prepare_folder(
            folder, output, preparer_for(options), options, garment=garment, overwrite=overwrite, progress=progress
        )
    if as_json:
        print_json({"output": str(output), **report_of(report)})
    else:
        _tell_report(report, output / REPORT)
    if report.failed:
        raise typer.Exit(EXIT_FAILED)


def _tell_report(report: Outcomes[Path], path: Path) -> None:
    from rich.table import Table

    for photo, notes in report.warnings.items():
        tell_warnings(tuple(f"{photo.name}: {note}" for note in notes))
    if report.failed:
        table = Table("failed", "why", box=None, header_style="bold red")
        for each in report.failed:
            table.add_row(escape(each.item.name), escape(each.what))
        err.print(table)
    out.print(
        f"{len(report.made)} prepared, {len(report.skipped)} done before, {len(report.failed)} failed; "
        f"{escape(str(path))} tells more",
        soft_wrap=True,
    )
