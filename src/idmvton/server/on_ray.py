"""The app as a deployment of Ray Serve: replicas on the machines of a cluster, in front of one queue.

A replica is a server of its own, with its lanes as child processes. Replicas share jobs through the database and
pictures through the store, so that any of them answers for every job.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from idmvton.engine.on_ray import connected
from idmvton.engine.service import Service
from idmvton.errors import ConfigError, MissingExtraError
from idmvton.options import ModelOptions, ServerOptions, ServiceOptions
from idmvton.server.app import create_app
from idmvton.server.keys import Keys

NAME = "idmvton"
REQUESTS = 16
"""That a replica answers at once, on average, before another one is started."""


def check_replicas(service: ServiceOptions, replicas: int) -> None:
    """Makes sure that replicas can share their jobs.

    Raises:
        ConfigError: there are several, and they have no common database or store.
    """
    missing = [f"--{name}" for name in ("database", "store") if getattr(service, name) is None]
    if replicas > 1 and missing:
        raise ConfigError(
            f"{replicas} replicas need a common queue and a common place for pictures",
            got=f"no {', no '.join(missing)}",
            expected="--database postgresql://... and --store, a folder that all machines see or a URL such as s3://...",
        )


def build_app(service: ServiceOptions, model: ModelOptions, server: ServerOptions, worker: str | None) -> FastAPI:
    """The app of one replica, which has a folder of its own in ``--state``."""
    from ray import serve

    replica = serve.get_replica_context().replica_id.unique_id
    own = dataclasses.replace(service, state=str(Path(service.state) / replica) if service.database else service.state)
    engine = Service(own, model) if worker is None else Service(own, model, worker=worker)
    return create_app(engine, server)


def deployment(
    service: ServiceOptions,
    model: ModelOptions,
    server: ServerOptions,
    replicas: int,
    worker: str | None = None,
) -> Any:
    """What :func:`run_on_ray` runs.

    Args:
        service: how each replica's engine works.
        model: which weights, and where to.
        server: whom it serves; address and port are those of the cluster's proxies.
        replicas: how many at the most; there is one while little is asked for.
        worker: see :class:`idmvton.engine.service.Service`.
    """
    from ray import serve

    with_gpus = model.device != "cpu" and _has_gpus()

    def build() -> FastAPI:  # Serve takes only a function for what builds an app
        return build_app(service, model, server, worker)

    made: Any = serve.deployment(
        name=NAME,
        ray_actor_options={
            "num_cpus": service.lanes * (model.threads or 1),
            "num_gpus": service.lanes if with_gpus else 0,
        },
        autoscaling_config={"min_replicas": 1, "max_replicas": replicas, "target_ongoing_requests": REQUESTS},
        max_ongoing_requests=1000,
        graceful_shutdown_timeout_s=30,
    )
    return made(serve.ingress(build)()).bind()


def run_on_ray(
    service: ServiceOptions, model: ModelOptions, server: ServerOptions, address: str, replicas: int
) -> None:
    """Serves from a cluster until Ctrl-C or SIGTERM.

    Raises:
        MissingExtraError: Ray Serve is not installed.
        ConfigError: no cluster, an address that needs keys, or replicas that share no queue.
    """
    check_replicas(service, replicas)
    Keys(server)
    with connected(address):
        try:
            from ray import serve
        except ImportError as error:
            raise MissingExtraError(
                "Ray Serve is not installed", got=error, expected="the extra `ray`", fix="pip install 'idmvton[ray]'"
            ) from error
        serve.start(proxy_location="EveryNode", http_options={"host": server.host, "port": server.port})
        try:
            serve.run(deployment(service, model, server, replicas), name=NAME, blocking=True)
        finally:
            serve.shutdown()


def _has_gpus() -> bool:
    import ray

    return bool(ray.cluster_resources().get("GPU", 0) >= 1)
