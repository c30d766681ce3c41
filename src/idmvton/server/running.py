"""Runs the app with uvicorn, until Ctrl-C or SIGTERM."""

from __future__ import annotations

import uvicorn

from idmvton.engine.service import Service
from idmvton.errors import ConfigError
from idmvton.options import ModelOptions, ServerOptions, ServiceOptions
from idmvton.server import logs
from idmvton.server.app import create_app


def run(service: ServiceOptions, model: ModelOptions, server: ServerOptions, worker: str | None = None) -> None:
    """Serves until it is stopped.

    Args:
        service: how the engine works.
        model: which weights, and where to.
        server: how it listens.
        worker: see :class:`idmvton.engine.service.Service`.

    Raises:
        ConfigError: another server has the state folder or the port.
        As :func:`idmvton.server.app.create_app`.
    """
    logs.set_up(server.log)
    engine = Service(service, model) if worker is None else Service(service, model, worker=worker)
    app = create_app(engine, server)
    config = uvicorn.Config(
        app,
        host=server.host,
        port=server.port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=20,
        timeout_graceful_shutdown=5,
        h11_max_incomplete_event_size=1 << 16,
    )
    running = uvicorn.Server(config)
    try:
        running.run()
    except SystemExit as error:
        raise ConfigError(
            "the server could not be started", got=f"{server.host}:{server.port}", fix="is the port taken? --port"
        ) from error
