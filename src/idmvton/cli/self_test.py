"""``idmvton prepare --self-test``: the published networks on this machine against golden numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from idmvton.cli.shared import EXIT_FAILED, err, out, reports_errors, stage_bar

if TYPE_CHECKING:
    from idmvton.prepare.self_test import Report

_SHOWN = 3


def _run(asked: bool) -> None:
    if asked:
        self_test()
        raise typer.Exit


SelfTest = Annotated[
    bool,
    typer.Option(
        "--self-test",
        help="Compare the published networks on this machine with numbers of the published code, list which of their "
        "files are installed and intact, and exit.",
        is_eager=True,
        callback=_run,
    ),
]


@reports_errors
def self_test() -> None:
    """Runs the checks and prints what they find."""
    from idmvton.prepare.self_test import golden_folder, installed, run_checks

    is_fine = True
    with stage_bar(quiet=False) as stage:
        stage("comparing; some seconds a network")
        reports = list(run_checks(golden_folder()))
    for report in reports:
        _tell(report)
        is_fine = is_fine and not report.failed
        for file in installed(report.network):
            out.print(f"  file {file.name}: {escape(file.about)}", soft_wrap=True)
            is_fine = is_fine and file.state in ("ok", "missing")
    if not is_fine:
        err.print("[bold red]Something differs from what was published: see above.[/]")
        raise typer.Exit(EXIT_FAILED)


def _tell(report: Report) -> None:
    if report.problem:
        out.print(f"[bold]{report.network}[/]: not compared: {escape(report.problem)}", soft_wrap=True)
        return
    verdict = f"[red]{len(report.failed)} differ[/]" if report.failed else "[green]all agree[/]"
    out.print(f"[bold]{report.network}[/]: {len(report.comparisons)} comparisons, {verdict} ({report.seconds:.1f} s)")
    for each in report.worst[: max(_SHOWN, len(report.failed))]:
        out.print(f"  {each.difference:.2g} of {each.allowed:.2g} allowed: {each.what}", markup=False, soft_wrap=True)
