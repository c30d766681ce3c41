"""The service under load: many clients at once, every picture compared with the one that the Python API makes alone.

    python -m benchmarks.service_load --jobs 200 --clients 64

Work is the same on both sides: two prepared people, five garments, a seed of its own for each job; one lane, as many
threads. Half of the API's share runs before the service and half after it. Beside seconds, which other programs on the
machine stretch, the processor's own time is measured.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psutil
from PIL import Image

from idmvton.client import Client, ServerError

EXAMPLES = Path(__file__).parents[1] / "examples"
COLOURS = ((220, 40, 40), (40, 160, 70), (50, 80, 200))


class Work(NamedTuple):
    """A job: the number of its garment, and its seed."""

    garment: int
    seed: int


class Answer(NamedTuple):
    """What became of a job: seconds from the order to the picture, refusals on the way, and its pixels."""

    seconds: float
    pixels: np.ndarray


def garments(folder: Path) -> list[Path]:
    """The two example garments, and three more in other colours."""
    found = [EXAMPLES / "checked_shirt.jpg", EXAMPLES / "striped_hoodie.jpg"]
    shirt = Image.open(found[0]).convert("RGB")
    for number, colour in enumerate(COLOURS):
        tinted = Image.blend(shirt, Image.new("RGB", shirt.size, colour), 0.5)
        white = np.asarray(shirt).min(axis=2) > 235
        pixels = np.where(white[..., None], 255, np.asarray(tinted)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"garment-{number}.png")
        found.append(folder / f"garment-{number}.png")
    return found


class Api:
    """The Python API: person and garments read once, then picture after picture."""

    def __init__(self, threads: int, photos: list[Path], size: int | None) -> None:
        import torch

        from idmvton.engine.job import TryOn
        from idmvton.engine.loading import load_pipeline
        from idmvton.options import ModelOptions, PrepareOptions
        from idmvton.prepare.preparer import preparer_for

        torch.set_num_threads(threads)
        preparer = preparer_for(PrepareOptions(), "mini")
        self.job = TryOn(load_pipeline(ModelOptions(threads=threads)), preparer)
        self.prepared = preparer(EXAMPLES / "person.jpg", photos[0])
        self.pictures = [preparer.read_garment(each, category=self.prepared.category) for each in photos]
        self.size = size
        self(Work(0, 0))

    def __call__(self, work: Work) -> np.ndarray:
        """Makes a picture, and its file as the service does."""
        from idmvton.engine.job import Settings
        from idmvton.engine.ready import with_prepared
        from idmvton.images import save_png
        from idmvton.options import TryOnOptions

        ready = with_prepared(self.prepared, self.pictures[work.garment])
        outcome = self.job(ready, settings=Settings(try_on=TryOnOptions(seed=work.seed, height=self.size)))
        with tempfile.TemporaryDirectory() as folder:
            save_png(outcome.images[0], Path(folder) / "0.png", outcome.provenance[0])
        return np.asarray(outcome.images[0])


def cpu_seconds(process: psutil.Process) -> float:
    """Processor time of a process and its children."""
    each = [process, *process.children(recursive=True)]
    return sum(sum(one.cpu_times()[:2]) for one in each)


def serve(folder: Path, arguments: argparse.Namespace) -> Iterator[tuple[str, psutil.Process]]:
    """``idmvton serve``, ready; its URL and process."""
    port = 8100 + os.getpid() % 800
    command = [sys.executable, "-m", "idmvton", "serve", "--port", str(port), "--state", str(folder / "state")]
    command += ["--threads", str(arguments.threads), "--queue", str(arguments.queue), "--rate", "1000000"]
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, stderr=log, stdout=log)
    try:
        url = f"http://127.0.0.1:{port}"
        with Client(url, retries=30) as client:
            client._send("GET", "/healthz/ready")
        yield url, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(60)


def load(url: str, works: list[Work], photos: list[Path], arguments: argparse.Namespace) -> dict[Work, Answer]:
    """All jobs, by so many clients at once."""
    with Client(url) as client:
        prepared = client.prepare(EXAMPLES / "person.jpg", photos[0])
        client.wait(prepared)
        ids = [client.wait(client.garment(each))["id"] for each in photos]
    own = threading.local()

    def one(work: Work) -> Answer:
        if not hasattr(own, "client"):
            own.client = Client(url, retries=1000)
        start = time.perf_counter()
        options: dict[str, Any] = {"seed": work.seed} | ({"height": arguments.height} if arguments.height else {})
        job = own.client.try_on(prepared=prepared["id"], garment_id=ids[work.garment], **options)
        own.client.wait(job, 3600)
        content = own.client.read(job)
        seconds = time.perf_counter() - start
        return Answer(seconds, np.asarray(Image.open(io.BytesIO(content)).convert("RGB")))

    with ThreadPoolExecutor(arguments.clients) as pool:
        return dict(zip(works, pool.map(one, works), strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=200)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument(
        "--queue", type=int, default=40, help="jobs that may wait: fewer than clients, so that 429s come"
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--height", type=int, help="working height; the checkpoint's own when not given")
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    works = [Work(number % 5, 1000 + number) for number in range(arguments.jobs)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photos = garments(folder)
        api = Api(arguments.threads, photos, arguments.height)
        alone: dict[Work, np.ndarray] = {}
        api_seconds = api_cpu = 0.0

        def by_api(some: list[Work]) -> None:
            nonlocal api_seconds, api_cpu
            start, before = time.perf_counter(), time.process_time()
            for work in some:
                alone[work] = api(work)
            api_seconds += time.perf_counter() - start
            api_cpu += time.process_time() - before

        by_api(works[: len(works) // 2])
        for url, process in serve(folder, arguments):
            before, start = cpu_seconds(process), time.perf_counter()
            answers = load(url, works, photos, arguments)
            seconds, cpu = time.perf_counter() - start, cpu_seconds(process) - before
            lanes = [each.memory_info().rss for each in process.children(recursive=True)]
            memory = {"server": process.memory_info().rss >> 20, "lane": max(lanes) >> 20}
            with Client(url) as client:
                kept = client._send("GET", "/metrics").text
        by_api(works[len(works) // 2 :])
        log = (folder / "server.log").read_text()
    times = sorted(each.seconds for each in answers.values())
    told = {
        "jobs": len(works),
        "answered": len(answers),
        "wrong_pictures": sum(not np.array_equal(answers[work].pixels, alone[work]) for work in works),
        "try_ons_made": next(line for line in kept.splitlines() if line.startswith('idmvton_jobs_total{kind="try_on"')),
        "answers_429": log.count('"status": 429'),
        "answers_5xx": log.count('"status": 5') - log.count('"status": 503'),
        "seconds": {"p50": statistics.median(times), "p95": times[int(0.95 * len(times)) - 1]},
        "service": {"seconds": seconds, "cpu_seconds_a_picture": cpu / len(works)},
        "api": {"seconds": api_seconds, "cpu_seconds_a_picture": api_cpu / len(works)},
        "throughput_ratio": api_seconds / seconds,
        "cpu_ratio": api_cpu / cpu,
        "memory_mib": memory,
        "load_average": os.getloadavg(),
    }
    text = json.dumps(told, indent=2)
    print(text)
    if arguments.output:
        arguments.output.write_text(text)


if __name__ == "__main__":
    try:
        main()
    except ServerError as error:
        sys.exit(str(error))
