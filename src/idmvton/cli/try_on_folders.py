"""``idmvton try-on PEOPLE_DIR GARMENTS_DIR``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.markup import escape

from idmvton.cli.loading import load_pipeline
from idmvton.cli.shared import EXIT_FAILED, err, keeps_what_was_made, out, print_json, stage_bar
from idmvton.errors import InputError
from idmvton.options import JobOptions, ModelOptions, PrepareOptions, TryOnOptions

if TYPE_CHECKING:
    from idmvton.engine.folders import Pair
    from idmvton.resume import Outcomes


def try_on_folders(
    paths: tuple[Path, Path, Path | None, Path],
    options: tuple[JobOptions, TryOnOptions, PrepareOptions],
    model: ModelOptions,
    *,
    as_json: bool,
) -> None:
    """Dresses every person in every garment, or the listed pairs, under a progress bar.

    Args:
        paths: the people, the garments, the list of pairs if there is one, and the output.
        options: of every pair.
        model: which weights.
        as_json: whether the report is printed as JSON, and nothing else.
    """
    people, garments, pairs_file, output = paths
    if not people.is_dir():
        raise InputError("the garments are a folder, the person is not", got=people, expected="two folders")
    with stage_bar(quiet=as_json) as stage, keeps_what_was_made():
        stage("loading the model")
        from idmvton.engine.folders import FolderTryOn, all_pairs, listed_pairs, names_of, report_of
        from idmvton.engine.job import Settings, TryOn
        from idmvton.prepare.preparer import preparer_for
        from idmvton.prepare.record_files import is_prepared
        from idmvton.resume import REPORT

        if is_prepared(people):
            raise InputError("a prepared folder is one person", got=people, expected="a folder of photos")
        pairs = all_pairs(people, garments) if pairs_file is None else listed_pairs(pairs_file, people, garments)
        job = TryOn(load_pipeline(model), preparer_for(options[2], model.model))
        report = FolderTryOn(job, Settings(*options))(pairs, output, stage)
    if as_json:
        print_json({"output": str(output), **report_of(report, names_of(pairs))})
    else:
        _tell(report, names_of(pairs), output / REPORT)
    if report.failed:
        raise typer.Exit(EXIT_FAILED)


def _tell(report: Outcomes[Pair], names: dict[Pair, str], path: Path) -> None:
    from rich.table import Table

    for pair, notes in report.warnings.items():
        for note in notes:
            err.print("[yellow]warning:[/] " + escape(f"{names[pair]}: {note}"), soft_wrap=True)
    if report.failed:
        table = Table("person", "garment", "why", box=None, header_style="bold red")
        for each in report.failed:
            table.add_row(*map(escape, (each.item[0].name, each.item[1].name, each.what)))
        err.print(table)
    out.print(
        f"{len(report.made)} made, {len(report.skipped)} done before, {len(report.failed)} failed; "
        f"{escape(str(path))} tells more",
        soft_wrap=True,
    )
