"""Whatever dies, fills up, stalls or lies: nothing is lost, nothing is made twice, and the server goes on."""

import contextlib
import os
import signal
import socket
import time
import zlib

import httpx
import psutil
import pytest
from tests.fake_lane import picture
from tests.postgresql import PostgreSQL
from tests.server.conftest import PAIR, made_of
from tests.server_process import ServerProcess

from idmvton.client import Client, ServerError


def order(client, seed, caption=None):
    return client.try_on(PAIR["person"], PAIR["garment"], seed=seed, **({"caption": caption} if caption else {}))


def in_state(client, job, state, seconds=30):
    until = time.monotonic() + seconds
    while client.job(job)["state"] != state:
        assert time.monotonic() < until
        time.sleep(0.02)


def test_kill_9_of_the_server_loses_no_job_and_no_result_and_no_lane_outlives_it(tmp_path):
    server = ServerProcess(tmp_path / "state").start()
    lanes = lanes_of(server)
    assert lanes
    with Client(server.url, retries=12) as client:
        done = client.wait(order(client, 0))
        jobs = {0: done} | {1: order(client, 1, "sleep 30")} | {seed: order(client, seed) for seed in range(2, 8)}
        in_state(client, jobs[1], "running")
        server.kill()
        until = time.monotonic() + 15
        while time.monotonic() < until and any(map(is_alive, lanes)):
            time.sleep(0.05)
        assert not any(map(is_alive, lanes))
        server.start()
        found = {seed: client.wait(job, 60) for seed, job in jobs.items()}
        made = {seed: job["outputs"][0]["sha256"] for seed, job in found.items()}
        assert made == {seed: made_of(seed)[1] for seed in found}
        assert found[1]["attempts"] == 2
        assert {found[seed]["attempts"] for seed in (0, 2, 7)} == {1}
        assert all(client.read(job) for job in jobs.values())
        assert len(httpx.get(f"{server.url}/v1/try-ons").json()) == 8
    server.end()


def is_alive(process):
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def test_kill_9_of_a_lane_is_not_seen_from_outside(server):
    with Client(server.url) as client:
        job = order(client, 3, "sleep 20")
        in_state(client, job, "running")
        assert lanes_of(server)
        for lane in lanes_of(server):
            os.kill(lane.pid, signal.SIGKILL)
        done = client.wait(job, 60)
        assert (done["state"], done["attempts"]) == ("succeeded", 2)
        assert client.wait(order(client, 3), 60)["outputs"][0]["sha256"] == made_of(3)[1]


def lanes_of(server):
    children = psutil.Process(server.process.pid).children()
    return [child for child in children if any("spawn_main" in word for word in child.cmdline())]


def test_a_full_disk_refuses_orders_and_fails_jobs_and_is_over_when_there_is_space(tmp_path):
    big = picture("red", (700, 700), "BMP")
    with ServerProcess(tmp_path / "state", file_size=1 << 20) as server, Client(server.url, retries=0) as client:
        with pytest.raises(ServerError) as caught:
            client.try_on(big, PAIR["garment"])
        assert (caught.value.status, caught.value.code) == (507, "storage_full")
        assert list((tmp_path / "state" / "pictures").rglob("person*")) == []
        assert client.wait(order(client, 1))["state"] == "succeeded"


def test_a_client_that_goes_away_keeps_its_job(server):
    body, headers, known = form(PAIR), {"Prefer": "wait=30", "Idempotency-Key": "gone"}, ids_of(server)
    with raw(server, headers | {"Content-Length": str(len(body))}) as opened:
        opened.sendall(body)
        time.sleep(0.3)
    with Client(server.url) as client:
        until = time.monotonic() + 20
        while time.monotonic() < until and not (new := [each for each in ids_of(server) if each not in known]):
            time.sleep(0.05)
        assert [client.wait({"url": f"/v1/try-ons/{job}"})["state"] for job in new] == ["succeeded"]


def ids_of(server):
    return [job["id"] for job in httpx.get(f"{server.url}/v1/try-ons").json()]


def test_half_a_body_makes_no_job(server):
    before = ids_of(server)
    body = form(PAIR)
    with raw(server, {"Content-Length": str(len(body))}) as opened:
        opened.sendall(body[: len(body) // 2])
    time.sleep(0.3)
    assert ids_of(server) == before
    assert httpx.get(f"{server.url}/healthz/live").status_code == 200


def test_a_slow_upload_is_given_up_and_others_are_served_meanwhile(server):
    body = form(PAIR)
    with raw(server, {"Content-Length": str(len(body))}) as opened:
        start = time.monotonic()
        opened.sendall(body[:100])
        assert httpx.get(f"{server.url}/healthz/live").elapsed.total_seconds() < 1.5
        opened.settimeout(10)
        answer = b""
        while b"too_slow" not in answer:
            answer += opened.recv(4096)
        assert b" 408 " in answer.splitlines()[0]
        assert 1.0 < time.monotonic() - start < 8


def test_decompression_bombs_are_refused_by_their_headers(server):
    with Client(server.url, retries=0) as client:
        for side in (50_000, 9_000):
            start = time.monotonic()
            with pytest.raises(ServerError) as caught:
                client.try_on(bomb(side), PAIR["garment"])
            assert (caught.value.status in (413, 422), caught.value.field) == (True, "person")
            assert time.monotonic() - start < 2
        with pytest.raises(ServerError) as caught:
            client.try_on(PAIR["person"] + b"\0" * (5 << 20), PAIR["garment"])
        assert caught.value.code == "too_large"


def bomb(side):
    """A PNG of a few hundred kilobytes that claims `side` times `side` pixels of zeros."""

    def chunk(kind, data):
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    head = side.to_bytes(4, "big") * 2 + bytes((8, 0, 0, 0, 0))
    packed = zlib.compress(bytes(side + 1) * 200)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def form(files):
    """A multipart body with the boundary ``b``."""
    parts = b"".join(
        b'--b\r\nContent-Disposition: form-data; name="%s"; filename="x"\r\n\r\n%s\r\n' % (name.encode(), content)
        for name, content in files.items()
    )
    return parts + b"--b--\r\n"


@contextlib.contextmanager
def raw(server, headers):
    """A connection on which an order has begun."""
    with socket.create_connection(("127.0.0.1", server.port), 10) as opened:
        told = {"Host": "127.0.0.1", "Content-Type": "multipart/form-data; boundary=b"} | headers
        lines = "".join(f"{name}: {value}\r\n" for name, value in told.items())
        opened.sendall(f"POST /v1/try-ons HTTP/1.1\r\n{lines}\r\n".encode())
        yield opened


def test_two_servers_share_a_queue_and_pictures_and_outlive_their_database_and_each_other(tmp_path):
    """One of the servers is killed, then PostgreSQL: every job is made, once, and every server tells it."""
    with PostgreSQL() as postgresql:
        shared = {"database": postgresql.new_database(), "store": str(tmp_path / "pictures")}
        one, two = (ServerProcess(tmp_path / name, **shared).start() for name in ("one", "two"))
        try:
            with Client(one.url, retries=12) as first, Client(two.url, retries=12) as second:
                jobs = {seed: order(first, seed, "sleep 60" if seed < 2 else None) for seed in range(8)}
                in_state(second, jobs[0], "running")
                postgresql.kill()
                unavailable = httpx.get(f"{one.url}{jobs[2]['url']}", timeout=30)
                assert (unavailable.status_code, unavailable.json()["code"]) == (503, "unavailable")
                assert int(unavailable.headers["retry-after"]) >= 1
                postgresql.start()
                found = {seed: second.wait(job, 90) for seed, job in jobs.items()}
                told = {seed: job["outputs"][0]["sha256"] for seed, job in found.items()}
                assert told == {seed: made_of(seed)[1] for seed in found}
                one.kill()
                assert all(second.read(job) for job in jobs.values())
                assert second.wait(order(second, 5), 60)["outputs"][0]["sha256"] == made_of(5)[1]
        finally:
            for server in (one, two):
                server.end()
