"""How many complete samples a second the studio makes, and how much processor time one takes.

python benchmarks/studio.py [--samples 40] [--workers 2] [--split train]

Counts whole samples written to disk: two photos, two product pictures, the garment on somebody else, body map,
labels, mask, keypoints, captions. Process start and shader compilation are left out by a first round. On a machine
that others use too, the processor time of one process is the fair number.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time

from idmvton.studio.dataset import make_dataset
from idmvton.studio.sampling import Split
from idmvton.studio.shots import renderer

SIZES = ((256, 192), (512, 384))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=40)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--split", choices=("train", "test", "wild"), default="train")
    options = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, {renderer().context.info['GL_RENDERER']}")
    for size in SIZES:
        wall, _ = measure(size, options.samples, options.workers, options.split)
        _, busy = measure(size, options.samples, 0, options.split)
        print(
            f"{size[0]}x{size[1]} (height x width), {options.workers} workers: {1 / wall:.2f} samples/s, load "
            f"{os.getloadavg()[0]:.1f}; one process: {busy:.3f} s of processor time a sample"
        )


def measure(size: tuple[int, int], samples: int, workers: int, split: Split) -> tuple[float, float]:
    """Seconds a sample, and seconds of this process's processor time a sample."""
    wall: list[float] = []
    busy: list[float] = []
    first = 4 * max(workers, 2)

    def tick(done: int, total: int) -> None:
        wall.append(time.perf_counter())
        busy.append(time.process_time())

    with tempfile.TemporaryDirectory() as folder:
        make_dataset(folder, pairs=samples + first, size=size, split=split, workers=workers, progress=tick)
    wall_s, busy_s = ((times[-1] - times[first - 1]) / (len(times) - first) for times in (wall, busy))
    return wall_s, busy_s


if __name__ == "__main__":
    main()
