"""Seconds and memory of the published networks on a photo: ``python -m benchmarks.published_speed PHOTO [--schp DIR]``.

OpenPose and DensePose run with weights given by formulas. ``DIR`` holds SCHP's files, or what ``tools/schp_size.py``
writes: random weights in networks of the same size; without it SCHP is left out. Each network runs in a process of its
own. Processor seconds of one thread do not depend on what else the machine does; wall-clock seconds do.
"""

from __future__ import annotations

import argparse
import multiprocessing
import pickle
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from idmvton.prepare import demo

GOLDEN = Path(__file__).parents[1] / "tests" / "golden"
RUNS = 5
NETWORKS = ("openpose", "schp", "densepose")


def main() -> None:
    """Measures both, or the one that is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photo", type=Path)
    parser.add_argument("--schp", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", choices=NETWORKS)
    given = parser.parse_args()
    if given.only is None:
        for name in NETWORKS:
            if name == "schp" and given.schp is None:
                print("schp: left out, no --schp DIR")
                continue
            subprocess.run(
                [sys.executable, "-m", "benchmarks.published_speed", *sys.argv[1:], "--only", name], check=True
            )
        return
    torch.set_num_threads(given.threads)
    photo = demo.read_photo(given.photo)
    before = _peak()
    start = time.perf_counter()
    if given.only == "schp":
        run = _schp(photo, given.schp, given.threads)
    else:
        run = _openpose(np.asarray(photo.small)) if given.only == "openpose" else _densepose(np.asarray(photo.person))
    loading = time.perf_counter() - start
    seconds, processor = _timed(run)
    print(
        f"{given.only}: {statistics.median(seconds):.2f} s ({min(seconds):.2f} to {max(seconds):.2f}), "
        f"{min(processor):.2f} s of processor time, loading {loading:.1f} s, "
        f"peak {_peak():.2f} GB ({before:.2f} before)"
    )


def _openpose(small: np.ndarray) -> Callable[[], object]:
    from idmvton.prepare.backends.openpose.estimator import OpenPose
    from idmvton.prepare.self_test.openpose import formula_weights

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "body_pose_model.pth"
        torch.save(formula_weights(GOLDEN / "openpose", "dev"), file)
        pose = OpenPose(file, "cpu")
    return lambda: pose.decode(small)


def _densepose(picture: np.ndarray) -> Callable[[], object]:
    from idmvton.prepare.backends.densepose.reader import DensePoseReader

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model_final_162be9.pkl"
        with multiprocessing.get_context("spawn").Pool(1) as other:  # so that making the file is not measured
            other.apply(_write_densepose, (file,))
        # these weights are sure of nobody: without a limit their best box is read, as somebody in the photo would be
        reader = DensePoseReader(file, "cpu", min_score=0.0)
    return lambda: reader.read(picture)


def _write_densepose(file: Path) -> None:
    from idmvton.prepare.self_test.densepose import formula_weights

    arrays = {name: tensor.numpy() for name, tensor in formula_weights(GOLDEN / "densepose").items()}
    file.write_bytes(pickle.dumps({"model": arrays}, protocol=3))


def _schp(photo: demo.DemoPhoto, folder: Path, threads: int) -> Callable[[], object]:
    from idmvton.prepare.backends.schp.parser import ATR_FILE, LIP_FILE, Schp

    networks = Schp(folder / ATR_FILE, folder / LIP_FILE, threads)
    return lambda: networks(np.asarray(photo.small), (demo.DEMO_SIZE.height, demo.DEMO_SIZE.width))


def _timed(run: Callable[[], object]) -> tuple[list[float], list[float]]:
    """Seconds and processor seconds of each run but the first."""
    seconds, processor = [], []
    for _ in range(RUNS + 1):
        start, used = time.perf_counter(), time.process_time()
        run()
        seconds.append(time.perf_counter() - start)
        processor.append(time.process_time() - used)
    return seconds[1:], processor[1:]


def _peak() -> float:
    """Gigabytes that this process has held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


if __name__ == "__main__":
    main()
