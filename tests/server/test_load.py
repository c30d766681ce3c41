"""Sixty-four clients at once on a small queue: nothing lost, nothing twice, no wrong picture, polite refusals."""

import io
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
from PIL import Image
from tests.server.conftest import PAIR, made_of

from idmvton.client import Client

JOBS, CLIENTS = 128, 64


def test_many_clients_at_once(server):
    own = threading.local()

    def one(seed):
        if not hasattr(own, "client"):
            own.client = Client(server.url, retries=1000)
        job = own.client.try_on(PAIR["person"], PAIR["garment"], seed=seed)
        own.client.wait(job, 300)
        shown = Image.open(io.BytesIO(own.client.read(job)))
        return job["id"], shown.getpixel((0, 0))

    before, start = jobs_of(server), len(server.log.read_text())
    with ThreadPoolExecutor(CLIENTS) as pool:
        found = list(pool.map(one, range(JOBS)))
    log = server.log.read_text()[start:]
    assert [colour for _, colour in found] == [made_of(seed)[0] for seed in range(JOBS)]
    assert len({job for job, _ in found}) == JOBS
    assert {state: count - before.get(state, 0) for state, count in jobs_of(server).items()} == {
        state: JOBS * (state == "succeeded") for state in jobs_of(server)
    }
    assert '"status": 429' in log
    assert '"level": "error"' not in log


def jobs_of(server):
    """How many try-ons ended in each state, when none is left."""
    until, text = time.monotonic() + 30, 'state="queued"'
    while re.search('state="(queued|running)"', text) and time.monotonic() < until:
        text = httpx.get(f"{server.url}/metrics").text
    counts = re.findall(r'idmvton_jobs_total\{kind="try_on",state="(\w+)"\} ([0-9.]+)', text)
    return {state: float(count) for state, count in counts}
