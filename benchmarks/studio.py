"""How many complete samples a second the studio makes.

python benchmarks/studio.py [--samples 40] [--workers 2] [--split train]

Counts whole samples written to disk: two photos, two product pictures, the garment on somebody else, body map,
labels, mask, keypoints, captions. Process start and shader compilation are left out by a first round.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time

from idmvton.data.synthetic.dataset import make_dataset
from idmvton.data.synthetic.sampling import Split
from idmvton.data.synthetic.shots import renderer

SIZES = ((256, 192), (512, 384))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=40)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--split", choices=("train", "test", "wild"), default="train")
    options = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, {renderer().context.info['GL_RENDERER']}")
    for size in SIZES:
        rate = measure(size, options.samples, options.workers, options.split)
        print(f"{size[0]}x{size[1]} (height x width), {options.workers} workers: {rate:.2f} samples/s")


def measure(size: tuple[int, int], samples: int, workers: int, split: Split) -> float:
    times: list[float] = []
    first = 4 * workers
    with tempfile.TemporaryDirectory() as folder:
        make_dataset(
            folder,
            pairs=samples + first,
            size=size,
            split=split,
            workers=workers,
            progress=lambda done, total: times.append(time.perf_counter()),
        )
    return (len(times) - first) / (times[-1] - times[first - 1])


if __name__ == "__main__":
    main()
