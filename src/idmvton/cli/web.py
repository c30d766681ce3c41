"""``idmvton web``: the page."""

from __future__ import annotations

import importlib.util
import threading
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from idmvton.cli.shared import err, out, pick, reports_errors, with_options
from idmvton.errors import ConfigError, MissingExtraError
from idmvton.options import ModelOptions, ServiceOptions, WebOptions

_HERE = ("127.0.0.1", "localhost", "::1")


@with_options(WebOptions, ServiceOptions, ModelOptions)
@reports_errors
def web(
    open_browser: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    **values: Any,
) -> None:
    """Open the fitting room: a page on this machine to try garments on, correct masks and compare."""
    if importlib.util.find_spec("gradio") is None:  # importing it takes seconds, in which the model can be loaded
        raise _missing("gradio")
    options = WebOptions.from_mapping(pick(WebOptions, values))
    people = read_people(Path(options.auth)) if options.auth is not None else None
    if people is None and (options.host not in _HERE or options.share == "on"):
        err.print("[yellow]warning:[/] everybody who reaches this address may use the page; --auth limits it")
    service_options = ServiceOptions.from_mapping(pick(ServiceOptions, values))
    model = ModelOptions.from_mapping(pick(ModelOptions, values))
    from idmvton.engine.service import Service

    with Service(service_options, model) as service:
        try:
            from idmvton.web.app import Running
        except ImportError as error:
            raise _missing(error.name) from error
        with Running(service, options, people) as running:
            out.print(f"The fitting room is open: [bold]{escape(running.url)}[/]  (Ctrl-C closes it)", soft_wrap=True)
            if open_browser:
                typer.launch(running.url)
            threading.Event().wait()


def _missing(name: str | None) -> MissingExtraError:
    return MissingExtraError("the page needs another package", got=f"no {name}", fix="pip install 'idmvton[web]'")


def read_people(path: Path) -> list[tuple[str, str]]:
    """Names and passwords of a file.

    Raises:
        ConfigError: no such file, or a line of another form.
    """
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("the file of --auth cannot be read", got=f"{path}: {error}") from error
    pairs = [line.partition(":") for line in lines if line and not line.startswith("#")]
    if not pairs or any(not (name and colon and password) for name, colon, password in pairs):
        raise ConfigError("the file of --auth cannot be used", got=path, expected="name:password in each line")
    return [(name, password) for name, _, password in pairs]
