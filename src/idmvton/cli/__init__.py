"""The command ``idmvton``. Modules of the library are imported inside the commands: ``--help`` loads no torch."""

from __future__ import annotations

import io
import signal
import sys
import warnings
from typing import Annotated

import typer

from idmvton import __version__
from idmvton.cli import (
    bench,
    caption,
    customize,
    data,
    doctor,
    evaluate,
    mcp,
    prepare,
    serve,
    shared,
    studio,
    train,
    try_on,
    web,
    weights,
)
from idmvton.quiet import calm_threads

app = typer.Typer(
    name="idmvton",
    help="Virtual try-on: from a photo of a person and one of a garment, a photo of the person in the garment.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("try-on")(try_on.try_on)
app.command("prepare")(prepare.prepare)
app.command("caption")(caption.caption)
app.command("customize")(customize.customize)
app.command("adapters")(customize.adapters)
app.command("train")(train.train)
app.command("serve")(serve.serve)
app.command("bench")(bench.bench)
app.command("mcp")(mcp.mcp)
app.command("web")(web.web)
app.command("doctor")(doctor.doctor)
app.add_typer(weights.app, name="weights")
app.add_typer(data.app, name="data")
app.add_typer(studio.app, name="studio")
app.add_typer(evaluate.app, name="evaluate")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"idmvton {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    pass


def terminate(_signal: int, _frame: object) -> None:
    """Ends a command on SIGTERM as Ctrl-C does."""
    raise shared.Terminated


def main() -> None:
    """Runs the command line. What standard output cannot encode is written as escapes."""
    calm_threads()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    warnings.showwarning = shared.show_warning
    signal.signal(signal.SIGTERM, terminate)
    app()
