"""What the commands share: options from their declarations, errors in one form, output for people and machines."""

from __future__ import annotations

import contextlib
import functools
import inspect
import json
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, get_args

import typer
from rich.console import Console
from rich.markup import escape
from typer.models import OptionInfo

from idmvton.atomic import check_name
from idmvton.errors import IdmVtonError, IdmVtonWarning
from idmvton.options import Option, Options, describe

EXIT_FAILED = 1
EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143


class Terminated(KeyboardInterrupt):
    """SIGTERM: handled as Ctrl-C is, with another word and exit status."""


Command = Callable[..., None]
_PANELS: Final = {
    "TryOnOptions": "Try-on",
    "PrepareOptions": "Preparation",
    "BackendOptions": "Networks",
    "ModelOptions": "Model",
    "ServiceOptions": "Service",
    "ServerOptions": "Server",
    "WebOptions": "Page",
    "FolderOptions": "Folders",
    "CustomizeOptions": "Training",
}
"""Class of options -> where they stand in the help."""

_show_with_its_line: Final = warnings.showwarning
err = Console(stderr=True, highlight=False)
out = Console(highlight=False)


def with_options(*declarations: type[Options]) -> Callable[[Command], Command]:
    """Adds the declared options to a command, which gets them as keywords.

    Where the command has a parameter for a file with an option's flag and name, the flag takes either: a file goes to
    the parameter, another word to the option.
    """

    def decorate(command: Command) -> Command:
        own = inspect.signature(command, eval_str=True).parameters.values()
        parameters = [each for each in own if each.kind is not inspect.Parameter.VAR_KEYWORD]
        flags = {flag for each in parameters for flag in _flags_of(each)}
        options = [(option, each.__name__) for each in declarations for option in describe(each)]
        parameters += [_parameter(option, panel) for option, panel in options if f"--{option.flag}" not in flags]
        either = [option for option, _ in options if f"--{option.flag}" in flags]

        def run(**values: Any) -> None:
            for option in either:
                given = values[option.flag]
                is_word = given is not None and not _is_file(given)
                values[option.name] = str(given) if is_word else option.default
                values[option.flag] = None if is_word else given
            command(**values)

        described: Any = run
        described.__name__, described.__doc__ = command.__name__, command.__doc__
        described.__signature__ = inspect.Signature(parameters)
        described.__annotations__ = {each.name: each.annotation for each in parameters}
        return run

    return decorate


def _flags_of(parameter: inspect.Parameter) -> tuple[str, ...]:
    """The flags that a command's own parameter declares."""
    declared = [each for each in get_args(parameter.annotation) if isinstance(each, OptionInfo)]
    # Beside an Annotated type, what typer.Option() takes for the default is the first flag.
    return tuple(str(flag) for each in declared for flag in (each.default, *(each.param_decls or ())))


def _is_file(given: Path) -> bool:
    return bool(given.suffix) or len(given.parts) > 1 or given.is_file()


def _parameter(option: Option, panel: str) -> inspect.Parameter:
    # typer refuses other words for a choice, and not-a-number, with misleading messages; the declaration checks them.
    is_ours = bool(option.choices) or option.type is float
    shown = "|".join(option.choices) if option.choices else f"FLOAT from {option.minimum} to {option.maximum}"
    annotation: Any = list[option.type] if option.is_list else option.type  # type: ignore[name-defined]
    flags = [f"--{option.flag}/--no-{option.flag}"] if option.type is bool else [f"--{option.flag}"]
    help_text = f"{option.help} [{option.unit}]" if option.unit else option.help
    declared = typer.Option(
        list(option.default) if option.is_list else option.default,
        *flags,
        help=help_text,
        min=None if is_ours else option.minimum,
        max=None if is_ours else option.maximum,
        metavar=f"[{shown}]" if is_ours else None,
        rich_help_panel=_PANELS.get(panel),
        show_default=option.default not in (None, ()),
    )
    return inspect.Parameter(
        option.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=declared,
        annotation=annotation | None if option.optional else annotation,
    )


def pick(declaration: type[Options], values: dict[str, Any]) -> dict[str, Any]:
    """The values that belong to a declaration."""
    return {option.name: values[option.name] for option in describe(declaration)}


def reports_errors(command: Command) -> Command:
    """Turns the library's errors and Ctrl-C into a message and an exit status; with ``--json``, into JSON."""

    @functools.wraps(command)
    def run(**values: Any) -> None:
        try:
            for name, value in values.items():
                for path in value if isinstance(value, list | tuple) else (value,):
                    if isinstance(path, Path):
                        check_name(path, name.replace("_", " "))
            command(**values)
        except IdmVtonError as error:
            if values.get("as_json"):
                print_json({"error": type(error).__name__, "what": error.what, "message": str(error)})
            else:
                err.print(f"[bold red]{type(error).__name__}[/]:", end=" ")
                err.print(str(error), markup=False, soft_wrap=True)
            raise typer.Exit(EXIT_FAILED) from None
        except Terminated:
            err.print("terminated: no file was written")
            raise typer.Exit(EXIT_TERMINATED) from None
        except KeyboardInterrupt:
            err.print("interrupted: no file was written")
            raise typer.Exit(EXIT_INTERRUPTED) from None

    return run


def print_json(content: Any) -> None:
    """One JSON document on standard output."""
    typer.echo(json.dumps(content, indent=2))


def show_warning(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
    """In the place of :func:`warnings.showwarning`: a warning of this library without the line of code."""
    if issubclass(category, IdmVtonWarning):
        err.print("[yellow]warning:[/] " + escape(str(message)), soft_wrap=True)
    else:
        _show_with_its_line(message, category, *where, **more)


@contextlib.contextmanager
def keeps_what_was_made(folder: Path | None = None) -> Iterator[None]:
    """Ctrl-C and SIGTERM in a command that can be resumed.

    Args:
        folder: where the report is, if there is one.
    """
    try:
        yield
    except KeyboardInterrupt as stop:
        is_terminated = isinstance(stop, Terminated)
        word = "terminated" if is_terminated else "interrupted"
        report = folder / "report.json" if folder is not None else None
        told = f"; {report} says how far it came" if report is not None and report.is_file() else ""
        line = f"{word}: what was made is kept, run the same command again to continue{told}"
        err.print(line, markup=False, soft_wrap=True)
        raise typer.Exit(EXIT_TERMINATED if is_terminated else EXIT_INTERRUPTED) from None


@contextlib.contextmanager
def bar(what: str, *, quiet: bool = False) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on standard error that counts samples."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True, disable=quiet) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


@contextlib.contextmanager
def stage_bar(*, quiet: bool = False) -> Iterator[Callable[..., None]]:
    """A line on standard error: the stage, and how far it is: ``stage(what, done, total)``, or only ``stage(what)``."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True, disable=quiet) as progress:
        task = progress.add_task("", total=None)

        def stage(what: str, done: int = 0, total: int | None = None) -> None:
            progress.update(task, description=what, completed=done, total=total)

        yield stage
