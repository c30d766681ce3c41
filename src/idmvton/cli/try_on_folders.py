"""``idmvton try-on PEOPLE_DIR GARMENTS_DIR``."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.markup import escape

from idmvton.atomic import check_folder
from idmvton.cli.prepare import tell_warnings
from idmvton.cli.shared import EXIT_FAILED, err, keeps_what_was_made, out, print_json, stage_bar
from idmvton.engine.loading import check_model
from idmvton.options import FolderOptions, JobOptions, ModelOptions, PrepareOptions, TryOnOptions

if TYPE_CHECKING:
    from idmvton.engine.pairs import Pair
    from idmvton.resume import Outcomes


def try_on_folders(
    paths: tuple[Path, Path | None, Path | None, Path],
    options: tuple[JobOptions, TryOnOptions, PrepareOptions],
    model: ModelOptions,
    folders: FolderOptions,
    *,
    ray: str | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Dresses every person in every garment, or the listed pairs, under a progress bar.

    Args:
        paths: the people, the garments, the list of pairs if there is one, and the output.
        options: of every pair.
        model: which weights.
        folders: how many at a time.
        ray: address of the cluster that does it; None: this process does.
        overwrite: whether results may lie among the photos.
        as_json: whether the report is printed as JSON, and nothing else.
    """
    from idmvton.engine.pairs import all_pairs, check_places, ignored_files, listed_pairs, names_of, shortened

    people, garments, pairs_file, output = paths
    check_places(output, people, garments, overwrite=overwrite)
    pairs = all_pairs(people, garments) if pairs_file is None else listed_pairs(pairs_file, people, garments or people)
    check_folder(output)
    names, about = names_of(pairs), {"ignored": ignored_files(people, garments)}
    with stage_bar(quiet=as_json) as stage, keeps_what_was_made(output):
        stage("loading the model")
        load = check_model(model, options[1])
        from idmvton.engine.folders import FolderTryOn, report_of
        from idmvton.engine.job import Settings, TryOn
        from idmvton.prepare.preparer import preparer_for
        from idmvton.resume import REPORT

        settings = Settings(*options)
        if ray is not None:
            from idmvton.engine.folders_on_ray import LoadLane, dress_on_ray, lanes_for

            one = dataclasses.replace(model, threads=model.threads or 1)
            lane = LoadLane(settings, one, output, overwrite, folders.batch_size)
            report = dress_on_ray(pairs, lane, lanes_for(one, ray), stage, about)
        else:
            job = TryOn(load(), preparer_for(options[2], model.model))
            work = FolderTryOn(job, settings, overwrite=overwrite, batch_size=folders.batch_size)
            report = work(pairs, output, stage, about)
    if as_json:
        print_json({"output": str(output), **report_of(report, names, output), **about})
    else:
        tell_warnings(shortened(names))
        if about["ignored"]:
            err.print(f"{len(about['ignored'])} files are no pictures by their names: {REPORT} lists them")
        _tell(report, names, output / REPORT)
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
        + (f"{len(report.elsewhere)} are being made by another run; " if report.elsewhere else "")
        + f"{escape(str(path))} tells more",
        soft_wrap=True,
    )
