"""Requests become spans of OpenTelemetry, sent to where its own variables say."""

import sys

import pytest
from fastapi import FastAPI
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.testclient import TestClient
from tests.server.conftest import LOCAL, app_of
from tests.server.test_rest import WAIT, order
from tests.server.test_webhooks import receiver

from idmvton.errors import ConfigError, MissingExtraError
from idmvton.server.traces import add_traces

__all__ = ["receiver"]  # a fixture


def test_requests_are_spans_with_their_route_but_probes_are_not(client, pair):
    app, spans = app_of(client.service), InMemorySpanExporter()
    provider = add_traces(app, spans)
    traced = TestClient(app, LOCAL)
    job = order(traced, pair, WAIT).json()
    for place in (job["url"], "/healthz/live", "/metrics"):
        assert traced.get(place).status_code == 200
    provider.force_flush()
    told = {span.name: span for span in spans.get_finished_spans() if span.kind.name == "SERVER"}
    assert told.keys() == {"POST /v1/try-ons", "GET /v1/try-ons/{job}"}
    assert provider.resource.attributes["service.name"] == "idmvton"


def test_spans_go_to_the_collector_that_the_environment_names(client, receiver, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{receiver.server_port}")
    app = FastAPI()
    app.get("/one")(lambda: "one")
    provider = add_traces(app)
    assert TestClient(app).get("/one").status_code == 200
    provider.force_flush()
    (headers, body), *_ = receiver.got
    assert {name.lower(): value for name, value in headers.items()}["content-type"] == "application/x-protobuf"
    assert b"GET /one" in body


def test_nothing_is_traced_unless_asked_for_and_mistakes_are_told(monkeypatch):
    assert add_traces(FastAPI()) is None
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "zipkin")
    with pytest.raises(ConfigError, match="otlp, console or none"):
        add_traces(FastAPI())
    monkeypatch.setitem(sys.modules, "opentelemetry.instrumentation.fastapi", None)
    with pytest.raises(MissingExtraError, match="idmvton\\[telemetry\\]"):
        add_traces(FastAPI())
