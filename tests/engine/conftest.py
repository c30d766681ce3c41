"""Services with the fake worker: a lane of one starts in about a second."""

import pytest
from tests.fake_lane import FAKE

from idmvton.engine.service import Service
from idmvton.options import ServiceOptions


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    options = ServiceOptions(state=str(tmp_path_factory.mktemp("service") / "state"), warm_up=False)
    with Service(options, worker=FAKE) as running:
        running.wait_ready(60)
        yield running


@pytest.fixture
def waiting(tmp_path):
    """A service that takes orders and works on none."""
    service = Service(ServiceOptions(state=str(tmp_path / "state"), queue=6, queue_of_caller=4), worker=FAKE)
    yield service
    service.close()
