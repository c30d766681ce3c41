"""``idmvton serve``: the REST server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from idmvton.cli.shared import err, out, pick, reports_errors, with_options
from idmvton.errors import MissingExtraError
from idmvton.options import ModelOptions, ServerOptions, ServiceOptions

MAKE_KEY = "Make an API key of this name, write its hash into --keys, print it, and exit."
RAY = "Serve from the machines of a Ray cluster: HOST:PORT of its head, auto, or local for a Ray of this machine."
REPLICAS = "With --ray: servers at the most, each with --lanes; several need --database and --store."
_KEYS = "keys.toml"


@with_options(ServerOptions, ServiceOptions, ModelOptions)
@reports_errors
def serve(
    make_key: Annotated[str | None, typer.Option("--make-key", help=MAKE_KEY, show_default=False)] = None,
    ray: Annotated[str | None, typer.Option("--ray", help=RAY, show_default=False)] = None,
    replicas: Annotated[int, typer.Option(min=1, max=1000, help=REPLICAS)] = 1,
    **values: Any,
) -> None:
    """Serve try-ons over HTTP: load once, queue, REST.

    Jobs are in --state and survive the end of the server. Without --keys only this machine is served.
    """
    server = ServerOptions.from_mapping(pick(ServerOptions, values))
    service = ServiceOptions.from_mapping(pick(ServiceOptions, values))
    model = ModelOptions.from_mapping(pick(ModelOptions, values))
    try:
        from idmvton.server import keys, running
    except ImportError as error:
        raise MissingExtraError(
            "a package that the server needs is not installed", got=error.name, fix="pip install 'idmvton[server]'"
        ) from error
    if make_key is not None:
        out.print(keys.make_key(make_key, Path(server.keys or _KEYS)), markup=False, soft_wrap=True)
        return
    if server.keys is None:
        err.print(f"no --keys: only this machine is served, at http://{server.host}:{server.port}", soft_wrap=True)
    if ray is None:
        running.run(service, model, server)
        return
    from idmvton.server.on_ray import run_on_ray

    run_on_ray(service, model, server, ray, replicas)
