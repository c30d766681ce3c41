"""Some of the requests of `benchmarks/hostile_requests.py`: no 500, no traceback, no path."""

import httpx
from tests.server.hostile import ask


def test_no_request_breaks_the_server(server):
    start = len(server.log.read_text())
    with httpx.Client(base_url=server.url, timeout=60) as client:
        statuses, wrong = ask(client, 150, secrets=(str(server.log.parent),))
        assert wrong == []
        assert sum(statuses.values()) > 100
        assert statuses[200] + statuses[202] > 3
        assert {404, 422} <= statuses.keys()
        assert client.get("/healthz/ready").status_code == 200
    assert "Traceback" not in server.log.read_text()[start:]
