"""How long a try-on takes with the default options, by stage, and how much memory: a new process, and a warm one.

    python -m benchmarks.mini_speed PERSON GARMENT [--repeats 3]

Cold is `idmvton try-on PERSON GARMENT` from the start of the process to its end. Warm is everything after loading, in
a process that has done it before, with another garment's features in no cache.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from idmvton import TryOnPipeline
from idmvton.engine.describer import Describer
from idmvton.options import PrepareOptions
from idmvton.prepare.preparer import preparer_for


def cold(person: Path, garment: Path, model: str) -> tuple[float, float]:
    """Seconds and peak GiB of a whole process."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            "-m",
            "idmvton",
            "try-on",
            str(person),
            str(garment),
            "--model",
            model,
            "--seed",
            "0",
        ]
        start = time.perf_counter()
        subprocess.run([*command, "-o", f"{folder}/out.png"], check=True, capture_output=True)
        seconds = time.perf_counter() - start
    return seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20


def warm(person: Path, garment: Path, model: str, repeats: int) -> dict[str, float]:
    """Seconds of each stage, of the quickest repeat."""
    pipe = TryOnPipeline.from_pretrained(model, device="cpu")
    pipe.set_progress_bar_config(disable=True)
    prepare, describe = preparer_for(PrepareOptions()), Describer(pipe)
    best: dict[str, float] = {}
    for _ in range(repeats + 1):
        pipe.garment_cache.clear()
        pipe.feature_cache.clear()
        start = time.perf_counter()
        prepared = prepare(person, garment)
        assert prepared.garment is not None
        ready = time.perf_counter()
        caption = describe(prepared.garment, prepared.category).caption
        described = time.perf_counter()
        result = pipe(person=prepared, garment=prepared.garment, caption=caption, seed=0)
        stages = {
            **{f"prepare: {stage}": seconds for stage, seconds in prepared.timings.items()},
            "caption": described - ready,
            **dict(result.timings),
            "together": time.perf_counter() - start,
        }
        if not best or stages["together"] < best["together"]:
            best = stages
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("person", type=Path)
    parser.add_argument("garment", type=Path)
    parser.add_argument("--model", default="mini")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    arguments = parser.parse_args()
    pictures = (arguments.person, arguments.garment, arguments.model)
    runs = [cold(*pictures) for _ in range(arguments.repeats)]
    stages = warm(*pictures, arguments.repeats)
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    table = Table("stage", "seconds")
    for name, seconds in stages.items():
        table.add_row(name, f"{seconds:.2f}")
    table.add_row("a whole new process", f"{min(seconds for seconds, _ in runs):.2f}")
    table.caption = f"peak memory {max(memory for _, memory in runs):.2f} GiB cold, {own:.2f} GiB warm"
    Console().print(table)
    if arguments.json:
        figures = {"stages": stages, "cold": runs, "warm_peak_gib": own}
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
