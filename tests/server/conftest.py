"""The app in this process, with the fake worker."""

import pytest
from starlette.testclient import TestClient
from tests.fake_lane import FAKE, picture

from idmvton.engine.service import Service
from idmvton.options import ServerOptions, ServiceOptions
from idmvton.server.app import create_app

LOCAL = "http://127.0.0.1:8000"


def app_in(folder, service=None, **server):
    options = ServiceOptions(state=str(folder), **{"warm_up": False} | (service or {}))
    running = Service(options, worker=FAKE)
    return create_app(running, ServerOptions(**{"webhooks": "any", "rate": 100_000} | server)), running


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    app, service = app_in(tmp_path_factory.mktemp("server") / "state")
    with TestClient(app, LOCAL, raise_server_exceptions=False) as client:
        service.wait_ready(60)
        client.service = service
        yield client


@pytest.fixture
def pair():
    return {"person": picture("red"), "garment": picture("blue")}
