"""The service under load: many clients at once, every picture compared with the one that the Python API makes alone.

    python -m benchmarks.service_load --jobs 200 --clients 64

Work is the same on both sides: a prepared person, five garments, four seeds, a caption; one lane, as many
threads. The API makes ten of
the twenty different pictures before the service runs, and ten after it. Beside seconds, which other programs on the
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
CAPTION = "short sleeve t-shirt"
COLOURS = ((220, 40, 40), (40, 160, 70), (50, 80, 200))


class Work(NamedTuple):
    """A job: its number, the number of its garment, and its seed."""

    number: int
    garment: int
    seed: int


class Answer(NamedTuple):
    """What became of a job: seconds from the order to the picture, refusals on the way, and its pixels."""

    seconds: float
    pixels: np.ndarray


def person(folder: Path, height: int) -> Path:
    """The example person, of this height."""
    return _resized(EXAMPLES / "person.jpg", folder / "person.png", height)


def _resized(source: Path, target: Path, height: int) -> Path:
    picture = Image.open(source).convert("RGB")
    picture.resize((round(picture.width * height / picture.height), height), Image.Resampling.LANCZOS).save(target)
    return target


def garments(folder: Path, height: int) -> list[Path]:
    """The two example garments, and three more in other colours."""
    names = ("checked_shirt", "striped_hoodie")
    found = [_resized(EXAMPLES / f"{name}.jpg", folder / f"{name}.png", height) for name in names]
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

    def __init__(self, arguments: argparse.Namespace, someone: Path, photos: list[Path]) -> None:
        import torch

        from idmvton.engine.job import TryOn
        from idmvton.engine.loading import load_pipeline
        from idmvton.options import ModelOptions, PrepareOptions
        from idmvton.prepare.preparer import preparer_for

        torch.set_num_threads(arguments.threads)
        preparer = preparer_for(PrepareOptions(), arguments.model)
        self.job = TryOn(load_pipeline(ModelOptions(model=arguments.model, threads=arguments.threads)), preparer)
        self.prepared = preparer(someone, photos[0])
        self.pictures = [preparer.read_garment(each, category=self.prepared.category) for each in photos]
        self.options = {"height": arguments.height, "num_inference_steps": arguments.steps}
        self(Work(0, 0, 0))

    def __call__(self, work: Work) -> np.ndarray:
        """Makes a picture, and its file as the service does."""
        from idmvton.engine.job import Settings
        from idmvton.engine.ready import with_prepared
        from idmvton.images import save_png
        from idmvton.options import JobOptions, TryOnOptions

        ready = with_prepared(self.prepared, self.pictures[work.garment])
        settings = Settings(JobOptions(CAPTION), TryOnOptions(seed=work.seed, **self.options))
        outcome = self.job(ready, settings=settings)
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
    command += [
        "--threads",
        str(arguments.threads),
        "--model",
        arguments.model,
        "--queue",
        str(arguments.queue),
        "--rate",
        "1000000",
    ]
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, stderr=log, stdout=log)
    try:
        url = f"http://127.0.0.1:{port}"
        with Client(url, retries=300) as client:
            client._send("GET", "/healthz/ready")
        yield url, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(60)


def load(
    url: str, works: list[Work], someone: Path, photos: list[Path], arguments: argparse.Namespace
) -> dict[Work, Answer]:
    """All jobs, by so many clients at once."""
    with Client(url) as client:
        prepared = client.prepare(someone, photos[0])
        client.wait(prepared)
        ids = [client.wait(client.garment(each))["id"] for each in photos]
    own = threading.local()

    def one(work: Work) -> Answer:
        if not hasattr(own, "client"):
            own.client = Client(url, retries=1000)
        start = time.perf_counter()
        options: dict[str, Any] = {"seed": work.seed, "caption": CAPTION}
        options |= {"height": arguments.height, "num_inference_steps": arguments.steps}
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
    parser.add_argument("--queue", type=int, default=40, help="jobs that may wait; fewer than clients: 429s come")
    parser.add_argument("--photo", type=int, default=1024, help="height of the photos")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--model", default="mini")
    parser.add_argument("--steps", type=int, help="denoising steps; the checkpoint's own when not given")
    parser.add_argument("--height", type=int, help="working height; the checkpoint's own when not given")
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    works = [Work(number, number % 5, 1000 + number // 5 % 4) for number in range(arguments.jobs)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        someone, photos = person(folder, arguments.photo), garments(folder, arguments.photo)
        api = Api(arguments, someone, photos)
        alone: dict[tuple[int, ...], np.ndarray] = {}
        api_seconds = api_cpu = 0.0

        def by_api(some: list[Work]) -> None:
            nonlocal api_seconds, api_cpu
            start, before = time.perf_counter(), time.process_time()
            for work in some:
                alone[work[1:]] = api(work)
            api_seconds += time.perf_counter() - start
            api_cpu += time.process_time() - before

        by_api(works[:10])
        for url, process in serve(folder, arguments):
            before, start = cpu_seconds(process), time.perf_counter()
            answers = load(url, works, someone, photos, arguments)
            seconds, cpu = time.perf_counter() - start, cpu_seconds(process) - before
            lanes = [each.memory_info().rss for each in process.children(recursive=True)]
            memory = {"server": process.memory_info().rss >> 20, "lane": max(lanes) >> 20}
            with Client(url) as client:
                kept = client._send("GET", "/metrics").text
        by_api(works[10:20])
        log = (folder / "server.log").read_text()
    times = sorted(each.seconds for each in answers.values())
    told = {
        "jobs": len(works),
        "answered": len(answers),
        "wrong_pictures": sum(not np.array_equal(answers[work].pixels, alone[work[1:]]) for work in works),
        "try_ons_made": next(line for line in kept.splitlines() if line.startswith('idmvton_jobs_total{kind="try_on"')),
        "answers_429": log.count('"status": 429'),
        "answers_5xx": log.count('"status": 5') - log.count('"status": 503'),
        "seconds": {"p50": statistics.median(times), "p95": times[int(0.95 * len(times)) - 1]},
        "service": {"seconds": seconds, "cpu_seconds_a_picture": cpu / len(works)},
        "api": {"pictures": 20, "seconds": api_seconds, "cpu_seconds_a_picture": api_cpu / 20},
        "throughput_ratio": (api_seconds / 20) / (seconds / len(works)),
        "cpu_ratio": (api_cpu / 20) / (cpu / len(works)),
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
