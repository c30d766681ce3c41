"""``idmvton web``: the page."""

from __future__ import annotations

import importlib.util
import threading
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.markup import escape

from idmvton.cli.shared import err, out, pick, reports_errors, with_options
from idmvton.errors import ConfigError, MissingExtraError
from idmvton.options import ModelOptions, ServiceOptions


@with_options(ServiceOptions, ModelOptions)
@reports_errors
def web(
    host: Annotated[str, typer.Option(help="Address to listen on; another machine reaches 0.0.0.0.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 7860,
    auth: Annotated[
        Path | None,
        typer.Option(help="A file with a name:password in each line; only these people may enter.", show_default=False),
    ] = None,
    share: Annotated[
        Literal["on", "off"], typer.Option(help="on: also reachable from everywhere, through gradio's servers.")
    ] = "off",
    open_browser: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    **values: Any,
) -> None:
    """Open the fitting room: a page on this machine to try garments on, correct masks and compare."""
    if importlib.util.find_spec("gradio") is None:
        raise MissingExtraError("the page needs another package", got="no gradio", fix="pip install 'idmvton[web]'")
    people = read_people(auth) if auth is not None else None
    if people is None and host not in ("127.0.0.1", "localhost", "::1"):
        err.print("[yellow]warning:[/] everybody who reaches this address may use the page; --auth limits it")
    service_options = ServiceOptions.from_mapping(pick(ServiceOptions, values))
    model = ModelOptions.from_mapping(pick(ModelOptions, values))
    from idmvton.engine.service import Service

    with Service(service_options, model) as service:
        from idmvton.web.app import Entrance, Running

        with Running(service, Entrance(host, port, people, share == "on")) as running:
            out.print(f"The fitting room is open: [bold]{escape(running.url)}[/]  (Ctrl-C closes it)", soft_wrap=True)
            if open_browser:
                typer.launch(running.url)
            threading.Event().wait()


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
