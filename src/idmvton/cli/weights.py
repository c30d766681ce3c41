"""``idmvton weights``: list, get, verify and find published weights."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.table import Table

from idmvton.cli.shared import EXIT_FAILED, err, out, print_json, reports_errors

if TYPE_CHECKING:
    from idmvton.weights import Progress as ReportProgress
    from idmvton.weights import WeightsEntry

TASKS = {"download": "downloading", "verify": "checking"}
app = typer.Typer(help="Published weights: list, get, verify, path.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="A name from `idmvton weights list`, or a hub id.", show_default=False)]


@app.command("list")
@reports_errors
def list_weights(as_json: Annotated[bool, typer.Option("--json", help="Print the list as JSON.")] = False) -> None:
    """List the weights that can be downloaded, and which are on this machine."""
    from idmvton.weights import CATALOGUE, size_text, status

    found = {name: status(name) for name in CATALOGUE}
    if as_json:
        print_json(
            [
                {
                    "name": name,
                    "repo": entry.repo,
                    "kind": entry.kind,
                    "revision": entry.revision,
                    "pinned": entry.is_pinned,
                    "files": {
                        name: {"bytes": known.size, "sha256": known.sha256} for name, known in entry.known.items()
                    },
                    "licence": entry.licence,
                    "description": entry.description,
                    "state": found[name].state,
                    "path": str(found[name].path) if found[name].path else None,
                    "bytes": found[name].num_bytes,
                }
                for name, entry in CATALOGUE.items()
            ]
        )
        return
    table = Table("name", "what", "licence", "revision", "download", "here", box=None, header_style="bold")
    for name, entry in CATALOGUE.items():
        size = f"about {size_text(entry.approximate_bytes)}" if entry.approximate_bytes else "not known"
        size = "none: it comes with the library" if entry.embedded else size
        table.add_row(name, entry.description, entry.licence, entry.revision_text, size, found[name].state)
    out.print(table)


@app.command("get")
@reports_errors
def get_weights(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Accept the licence without being asked.")] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Only look on this machine.")] = False,
) -> None:
    """Show the licence, then download weights. An interrupted download is resumed."""
    from idmvton.weights import find_entry, get

    entry = find_entry(name)
    if not offline and not entry.embedded:
        _introduce(entry)
        if not yes:
            typer.confirm("Do you accept this licence?", abort=True, err=True)
    with _byte_bar() as report:
        path = get(name, offline=offline, progress=report)
    out.print(str(path), soft_wrap=True)
    if entry.base and not (path / "vae").is_dir():
        err.print(f"{entry.repo} does not hold every part; the rest comes from {entry.base}", soft_wrap=True)
        get_weights(name=entry.base, yes=yes, offline=offline)


def _introduce(entry: WeightsEntry) -> None:
    """What will be downloaded, from where, under which licence."""
    from idmvton.weights import size_text

    size = f", about {size_text(entry.approximate_bytes)}" if entry.approximate_bytes else ""
    err.print(f"[bold]{entry.repo}[/]{size}, revision {entry.revision_text}", soft_wrap=True)
    for name, known in entry.known.items():
        told = size_text(known.size) if known.size else "size not known"
        err.print(f"  {name}: {told}, sha256 {known.sha256}", markup=False, soft_wrap=True)
    if entry.note:
        err.print(entry.note, markup=False, soft_wrap=True)
    err.print(f"Licence: [bold]{entry.licence}[/] {entry.licence_url}", soft_wrap=True)


@app.command("path")
@reports_errors
def path_of_weights(name: Name) -> None:
    """Print the folder of weights that are on this machine."""
    from idmvton.weights import locate

    out.print(str(locate(name)), soft_wrap=True)


@app.command("verify")
@reports_errors
def verify_weights(
    name: Annotated[str, typer.Argument(help="A name from the list, or a folder.", show_default=False)],
) -> None:
    """Check every file against its recorded size and hash."""
    from idmvton.weights import verify

    with _byte_bar() as progress:
        report = verify(name, progress=progress)
    for check in report.files:
        detail = f": {check.detail}" if check.detail else ""
        out.print(f"{check.state:<14} {check.path}{detail}", markup=False, soft_wrap=True)
    for note in report.notes:
        err.print(note, markup=False, soft_wrap=True)
    if report.failures:
        err.print(f"[bold red]{len(report.failures)} files failed[/] in {report.folder}", soft_wrap=True)
        raise typer.Exit(EXIT_FAILED)
    out.print(f"[green]all {len(report.files)} files are fine[/] in {report.folder}", soft_wrap=True)


@contextlib.contextmanager
def _byte_bar() -> Iterator[ReportProgress]:
    """A progress bar on standard error that counts bytes, one line a stage."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=err, transient=True) as bar:
        tasks = {stage: bar.add_task(words, visible=False, total=None) for stage, words in TASKS.items()}

        def report(stage: Literal["download", "verify"], done: int, total: int) -> None:
            bar.update(tasks[stage], completed=done, total=total, visible=True)

        yield report
