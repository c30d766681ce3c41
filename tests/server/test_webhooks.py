"""The end of a job is told, signed, and again until somebody takes it."""

import http.server
import json
import threading
import time
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from tests.server.conftest import LOCAL, app_of
from tests.server.test_rest import order, problem

from idmvton.server.webhooks import SIGNATURE, is_signed, signature


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.got.append((dict(self.headers), body))
        self.send_response(self.server.answers.pop(0) if self.server.answers else 200)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def receiver():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    server.got, server.answers = [], []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_the_end_of_a_job_is_told_signed_and_again_until_it_is_taken(client, pair, receiver):
    receiver.answers = [500, 302]
    url = f"http://127.0.0.1:{receiver.server_port}/hook"
    job = order(client, {**pair, "webhook": (None, url)}).json()
    until = time.monotonic() + 20
    while len(receiver.got) < 3 and time.monotonic() < until:
        time.sleep(0.05)
    assert len(receiver.got) == 3
    headers, body = receiver.got[-1]
    secret = (Path(client.service.options.state) / "webhook-secret").read_bytes()
    assert is_signed(secret, headers[SIGNATURE], body)
    assert not is_signed(secret, headers[SIGNATURE], body + b" ")
    assert not is_signed(b"another secret of 32 bytes", headers[SIGNATURE], body)
    told = json.loads(body)
    assert (told["type"], told["job"]["id"], told["job"]["state"]) == ("job.finished", job["id"], "succeeded")
    assert headers["Idmvton-Delivery"] == f"{job['id']}-3"
    time.sleep(1.2)
    assert len(receiver.got) == 3


def test_old_signatures_are_not_believed():
    now = int(time.time())
    assert is_signed(b"secret", signature(b"secret", now, b"body"), b"body")
    assert not is_signed(b"secret", signature(b"secret", now - 400, b"body"), b"body")
    assert not is_signed(b"secret", "nonsense", b"body")


def test_webhooks_go_to_public_addresses_only(client, pair):
    careful = TestClient(app_of(client.service, webhooks="public"), LOCAL)
    for url in ("http://127.0.0.1:9/", "http://169.254.169.254/", "file:///etc/passwd", "http://a:b@example.org/"):
        problem(order(careful, {**pair, "webhook": (None, url)}), 422, "bad_input")
