"""What a new process of ``idmvton try-on`` spends its time on, with ``mini``.

    python benchmarks/cold_start.py [--runs 3]

Prints the median seconds of the whole process and of its parts, each measured in a process of its own that imports
what came before. Run it on an idle machine.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

EXAMPLES = Path(__file__).parents[1] / "examples"
PARTS = (
    ("torch", "import torch"),
    ("diffusers", "from diffusers import AutoencoderKL, UNet2DConditionModel, DiffusionPipeline, DDPMScheduler"),
    ("transformers", "from transformers import CLIPTextModelWithProjection, CLIPVisionModelWithProjection"),
    ("this library", "from idmvton.engine.job import TryOn; from idmvton.tryon.pipeline import TryOnPipeline"),
    ("loading mini", "pipe = TryOnPipeline.from_pretrained('mini', device='cpu')"),
    ("first preparation", f"from idmvton import prepare; prepare({str(EXAMPLES / 'person.jpg')!r})"),
)


def parts_once() -> dict[str, float]:
    """Seconds of each part in one new process."""
    lines = ["import time, json; told = {}"]
    for name, code in PARTS:
        lines += ["start = time.perf_counter()", code, f"told[{name!r}] = time.perf_counter() - start"]
    lines.append("print(json.dumps(told))")
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def whole_once() -> float:
    """Seconds of a whole try-on."""
    with tempfile.TemporaryDirectory() as folder:
        command: list[str | Path] = [
            sys.executable,
            "-m",
            "idmvton",
            "try-on",
            EXAMPLES / "person.jpg",
            EXAMPLES / "checked_shirt.jpg",
        ]
        start = time.perf_counter()
        subprocess.run([*command, "-o", Path(folder) / "out.png"], capture_output=True, check=True)
        return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    whole = [whole_once() for _ in range(options.runs)]
    parts = [parts_once() for _ in range(options.runs)]
    print(f"{'the whole process':20} {statistics.median(whole):5.1f} s")
    for name, _ in PARTS:
        print(f"  {name:18} {statistics.median(part[name] for part in parts):5.1f} s")


if __name__ == "__main__":
    main()
