"""The app in this process, with the fake worker, and a server in a process of its own: one of each for all tests."""

import hashlib
import io

import pytest
from PIL import Image
from starlette.testclient import TestClient
from tests.fake_lane import FAKE, picture
from tests.server_process import ServerProcess

from idmvton.engine.service import Service
from idmvton.options import ServerOptions, ServiceOptions
from idmvton.server import webhooks
from idmvton.server.app import create_app

LOCAL = "http://127.0.0.1:8000"
PAIR = {"person": picture("red"), "garment": picture("blue")}


def service_in(folder, **options):
    return Service(ServiceOptions(state=str(folder), warm_up=False, **options), worker=FAKE)


def app_of(service, **server):
    """Another app in front of a service; without a `with` its client neither starts nor ends the service."""
    return create_app(service, ServerOptions(**{"webhooks": "any", "rate": 100_000} | server))


@pytest.fixture(scope="session")
def client(tmp_path_factory):
    service = service_in(tmp_path_factory.mktemp("server") / "state")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(webhooks.Webhooks.__init__, "__defaults__", ((0.1, 0.1, 0.1),))
        app = app_of(service)
    with TestClient(app, LOCAL, raise_server_exceptions=False) as client:
        service.wait_ready(60)
        client.service = service
        yield client


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """A process with a small queue, and little patience with slow or large bodies."""
    limits = {"upload_seconds": 1.5, "max_body": 4, "rate": 1_000_000}
    with ServerProcess(tmp_path_factory.mktemp("process") / "state", limits, queue=20) as running:
        yield running


@pytest.fixture
def pair():
    return dict(PAIR)


def made_of(seed):
    """What the fake worker makes of the pair, computed without it: its colour, and the hash of the file."""
    sha = hashlib.sha256(repr(seed).encode() + PAIR["garment"] + PAIR["person"])
    colour, content = tuple(sha.digest()[:3]), io.BytesIO()
    Image.new("RGB", (32, 32), colour).save(content, "PNG")
    return colour, hashlib.sha256(content.getvalue()).hexdigest()
