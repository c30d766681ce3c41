"""Traces by OpenTelemetry, where its own environment variables ask for them."""

from __future__ import annotations

import os
from typing import Any, Final

from fastapi import FastAPI

from idmvton.errors import ConfigError, MissingExtraError

_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_EXPORTER: Final = "OTEL_TRACES_EXPORTER"
_LEFT_OUT: Final = "healthz,metrics"


def add_traces(app: FastAPI, exporter: Any = None) -> Any:
    """Has every request of an app traced, but those of probes.

    Spans go to where ``OTEL_EXPORTER_OTLP_ENDPOINT`` says, or to standard output with
    ``OTEL_TRACES_EXPORTER=console``. A provider that is there already (``opentelemetry-instrument``) is used as it is.

    Args:
        app: the server.
        exporter: takes the spans in place of what the environment says.

    Returns:
        The provider, whose ``force_flush`` sends what waits; None where nothing is traced.

    Raises:
        MissingExtraError: OpenTelemetry is configured and not installed.
        ConfigError: an exporter that is not known.
    """
    chosen = os.environ.get(_EXPORTER) or ("otlp" if any(map(os.environ.get, _ENDPOINTS)) else "none")
    if exporter is None and chosen == "none":
        return None
    try:
        from opentelemetry import trace
        from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
        from opentelemetry.sdk.resources import SERVICE_NAME, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        exporter = exporter or _exporter(chosen)
    except ImportError as error:
        raise MissingExtraError(
            "OpenTelemetry is configured and not installed", got=error, fix="pip install 'idmvton[telemetry]'"
        ) from error
    provider = trace.get_tracer_provider()
    if not isinstance(provider, TracerProvider):
        name = os.environ.get("OTEL_SERVICE_NAME", "idmvton")
        provider = TracerProvider(resource=Resource.create({SERVICE_NAME: name}))
        provider.add_span_processor(BatchSpanProcessor(exporter))
    FastAPIInstrumentor.instrument_app(app, tracer_provider=provider, excluded_urls=_LEFT_OUT)
    return provider


def _exporter(name: str) -> Any:
    if name == "console":
        from opentelemetry.sdk.trace.export import ConsoleSpanExporter

        return ConsoleSpanExporter()
    if name == "otlp":
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        return OTLPSpanExporter()
    raise ConfigError(
        "the exporter of traces is not known", got=f"{_EXPORTER}={name}", expected="otlp, console or none"
    )
