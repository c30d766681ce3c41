"""A try-on with ``mini`` alone, and beside rival processes of the same kind.

    python benchmarks/busy_machine.py [--rivals 1] [--calls 3] [--policy passive active]

Each process has its own pipeline and as many threads as there are cores. ``active`` is libgomp's own behaviour:
threads spin while they wait. Prints the median seconds of a call, and writes JSON with ``--output``.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

EXAMPLES = Path(__file__).parents[1] / "examples"


def work(calls: int) -> None:
    """A process: loads, waits for the word, then calls; one line of seconds on standard output."""
    from idmvton import TryOnPipeline, prepare

    pipe = TryOnPipeline.from_pretrained("mini", device="cpu")
    pipe.set_progress_bar_config(disable=True)
    prepared = prepare(EXAMPLES / "person.jpg", EXAMPLES / "checked_shirt.jpg")
    pipe(prepared, seed=0)
    print("ready", flush=True)
    sys.stdin.readline()
    seconds = []
    for seed in range(calls):
        pipe.garment_cache.match(None)
        start = time.perf_counter()
        pipe(prepared, seed=seed)
        seconds.append(time.perf_counter() - start)
    print(json.dumps(seconds), flush=True)


def measure(policy: str, processes: int, calls: int) -> float:
    """The median seconds of a call in one of several processes that start together."""
    env = os.environ | {"OMP_WAIT_POLICY": policy.upper()}
    env.pop("OMP_NUM_THREADS", None)
    command = [sys.executable, __file__, "--work", "--calls", str(calls)]
    running = [
        subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(processes)
    ]
    for each in running:
        assert each.stdout is not None
        assert each.stdout.readline() == "ready\n"
    for each in running:
        assert each.stdin is not None
        each.stdin.write("go\n")
        each.stdin.flush()
    answers = [each.communicate()[0] for each in running]
    return statistics.median(second for answer in answers for second in json.loads(answer))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rivals", type=int, default=1, help="processes beside the one that is measured")
    parser.add_argument("--calls", type=int, default=3)
    parser.add_argument("--policy", nargs="+", default=["passive", "active"], choices=["passive", "active"])
    parser.add_argument("--output", type=Path)
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(options.calls)
        return
    figures = {}
    for policy in options.policy:
        for processes in (1, 1 + options.rivals):
            seconds = measure(policy, processes, options.calls)
            figures[f"{policy}, {processes} at once"] = round(seconds, 2)
            print(f"{policy:8} {processes} at once: {seconds:.2f} s a call", flush=True)
    if options.output:
        options.output.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
