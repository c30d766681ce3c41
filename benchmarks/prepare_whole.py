"""How right the whole preparation's mask is, and what a photo costs, by stage.

python -m benchmarks.prepare_whole [--people 60] [--split test] [--threads 2]

Rendered people, the embedded backends, default options. Quality is measured on photos of 512x384, cost on photos of
1024x768, warm; on a machine with other work, look at the processor time. Memory is the most that the process has beyond
what it has with torch and the pictures loaded.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections import defaultdict
from typing import Final, get_args

import numpy as np
import psutil
import torch

from benchmarks.parsing import Shares
from idmvton.errors import PreparationError
from idmvton.options import PrepareOptions
from idmvton.prepare.preparer import Preparer
from idmvton.studio.sampling import Split, StudioSample, sample

QUALITY_SIZE: Final = (512, 384)
COST_SIZE: Final = (1024, 768)
SEED: Final = 23


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=60)
    parser.add_argument("--timed", type=int, default=9)
    parser.add_argument("--split", choices=get_args(Split), default="test")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    large = [sample(SEED, index, options.split, "mixed", COST_SIZE) for index in range(options.timed)]
    people = [sample(SEED, index, options.split, "mixed", QUALITY_SIZE) for index in range(options.people)]
    print(f"{platform.machine()}, {os.cpu_count()} cores, {options.threads} threads, split {options.split!r}")
    preparer = Preparer()
    measure_cost(preparer, large)
    measure_quality(preparer, people)


def measure_cost(preparer: Preparer, people: list[StudioSample]) -> None:
    """Prints seconds by stage, and memory."""
    process = psutil.Process()
    before = process.memory_info().rss
    preparer(people[0].person)
    stages: dict[str, list[float]] = defaultdict(list)
    peak = 0
    for each in people:
        start, processor = time.perf_counter(), time.process_time()
        prepared = preparer(each.person, options=PrepareOptions(category=each.category))
        stages["whole photo"].append(time.perf_counter() - start)
        stages["processor time of it"].append(time.process_time() - processor)
        for stage, seconds in prepared.timings.items():
            stages[stage].append(seconds)
        start = time.perf_counter()
        prepared.overlay()
        stages["overlay (when saved)"].append(time.perf_counter() - start)
        start = time.perf_counter()
        preparer.read_garment(each.garment)
        stages["garment photo"].append(time.perf_counter() - start)
        peak = max(peak, process.memory_info().rss)
    for stage, values in stages.items():
        print(f"{stage:22} {statistics.median(values):6.3f} s (median of {len(values)})")
    print(f"{'memory':22} {(peak - before) / 2**20:6.0f} MB more")


def measure_quality(preparer: Preparer, people: list[StudioSample]) -> None:
    """Prints how much of the old garment the masks cover, and how much of what stays they touch."""
    shares = Shares()
    failed = []
    for each in people:
        try:
            prepared = preparer(each.person, options=PrepareOptions(category=each.category))
        except PreparationError as error:
            failed.append(f"{each.index}: {error.what}")
            continue
        shares.add(each, prepared.photo_mask)
    for name, values in shares.covered.items():
        print(
            f"{name}: covers {np.mean(values):.1%} of the old garment (worst {min(values):.1%}, {len(values)} people)"
        )
    for name, values in shares.touched.items():
        print(f"{name}: touched {np.mean(values):.1%} (worst {max(values):.1%})")
    print(f"{len(failed)} people could not be prepared", *failed, sep="\n  ")


if __name__ == "__main__":
    main()
