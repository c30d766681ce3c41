"""Sixty-four clients at once on a small queue: nothing lost, nothing twice, no wrong picture, polite refusals."""

import hashlib
import io
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
from PIL import Image
from tests.fake_lane import picture
from tests.server_process import ServerProcess

from idmvton.client import Client

JOBS, CLIENTS = 200, 64
PERSON, GARMENT = picture("red"), picture("blue")


def colour_of(seed):
    """What the fake worker makes, computed without it."""
    sha = hashlib.sha256(repr(seed).encode())
    for content in (GARMENT, PERSON):
        sha.update(content)
    return tuple(sha.digest()[:3])


def test_many_clients_at_once(tmp_path):
    own = threading.local()
    with ServerProcess(tmp_path / "state", {"rate": 1_000_000}, queue=20, queue_of_caller=20) as server:

        def one(seed):
            if not hasattr(own, "client"):
                own.client = Client(server.url, retries=1000)
            job = own.client.try_on(PERSON, GARMENT, seed=seed)
            own.client.wait(job, 300)
            shown = Image.open(io.BytesIO(own.client.read(job)))
            return job["id"], shown.getpixel((0, 0))

        with ThreadPoolExecutor(CLIENTS) as pool:
            found = list(pool.map(one, range(JOBS)))
        made = httpx.get(f"{server.url}/metrics").text
        refused = [line for line in server.log.read_text().splitlines() if '"status": 429' in line]
    assert [colour for _, colour in found] == [colour_of(seed) for seed in range(JOBS)]
    assert len({job for job, _ in found}) == JOBS
    assert f'idmvton_jobs_total{{kind="try_on",state="succeeded"}} {JOBS:.1f}' in made
    assert 'state="failed"' not in made
    assert refused
    assert '"level": "error"' not in server.log.read_text()
