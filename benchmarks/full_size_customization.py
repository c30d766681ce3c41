"""The part of :mod:`benchmarks.full_size_gpu` that customizes: seconds a step, time for 100 steps, and memory.

    python -m benchmarks.full_size_gpu --parts customize --output results.json              # on a GPU, six minutes
    python -m benchmarks.full_size_gpu --parts customize --size tiny --device cpu --customize-steps 4   # rehearsed

Random weights of the published sizes in float32 lie in the machine's memory (29 GB), as a loaded checkpoint does. What
is measured is the engine's own run: views, the held-out view's checks, writing the adapter.
"""

from __future__ import annotations

import gc
import importlib.util
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from idmvton import TryOnPipeline
from idmvton.checkpoint.adapter_record import FILE
from idmvton.customize.options import CustomizeOptions
from idmvton.customize.run import Customization
from idmvton.data.sample import TryOnSample
from idmvton.errors import ConfigError
from idmvton.images.densepose import colour_parts
from idmvton.prepare.category import clothes_of
from idmvton.prepare.mask import ATR_LABELS
from idmvton.types import Size

GIB = 2**30
CHOICES = {
    "up_attention, 8-bit Adam": CustomizeOptions(layers="up_attention", adam_8bit=True),
    "up_attention": CustomizeOptions(layers="up_attention"),
    "up_attention, LoRA 16": CustomizeOptions(layers="up_attention", lora=16),
}
"""In turn, so that what the aim of 24 GB is about comes first."""
NEEDS = {"up_attention, 8-bit Adam": "bitsandbytes", "up_attention, LoRA 16": "peft"}


@dataclass(frozen=True)
class Plan:
    """What is run.

    Attributes:
        build: makes the pipeline, float32, in the machine's memory.
        size: of the pictures.
        steps: of each customization.
        device: where it is computed.
    """

    build: Callable[[], TryOnPipeline]
    size: Size
    steps: int
    device: torch.device


def drawn_sample(size: Size) -> TryOnSample:
    """A photo of noise, with a garment in its middle."""
    numbers = np.random.default_rng(0)
    mask = np.zeros(size, np.bool_)
    mask[size.height // 4 : 3 * size.height // 4, size.width // 4 : 3 * size.width // 4] = True
    labels = np.where(mask, ATR_LABELS.index(clothes_of("upper_body")[0]), 0).astype(np.uint8)
    person, garment = (Image.fromarray(numbers.integers(0, 255, (*size, 3), dtype=np.uint8)) for _ in range(2))
    body = colour_parts(2 * mask.astype(np.uint8))
    return TryOnSample("drawn", person, garment, mask, body, "checked shirt", "upper_body", labels=labels)


def measure_customization(plan: Plan, tell: Callable[..., None]) -> None:
    """Each choice: what is asked for at the start, a step, all of them with checks and the adapter, the peaks."""
    for name, choices in CHOICES.items():
        needed = NEEDS.get(name)
        if needed and importlib.util.find_spec(needed) is None:
            tell(f"customize, {name}", left_out=f"{needed} is not there")
            continue
        # never settles, so that all steps are run
        values = choices.to_dict() | {"steps": plan.steps, "patience": 1000}
        _measure(name, CustomizeOptions.from_mapping(values), plan, tell)


def _measure(name: str, choices: CustomizeOptions, plan: Plan, tell: Callable[..., None]) -> None:
    on_gpu = plan.device.type == "cuda"
    marks: list[tuple[str, float]] = []

    def report(what: str, *_: object) -> None:
        marks.append((what, time.perf_counter()))

    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        pipe = plan.build()
        built = time.perf_counter()
        if on_gpu:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(plan.device)
        made = Customization(
            pipe, [drawn_sample(plan.size)], Path(folder) / "a", choices, photos={}, device=str(plan.device),
            report=report,
        )  # fmt: skip
        placed = time.perf_counter()
        probe = made.cost()
        probed = time.perf_counter()
        try:
            record = made.run().record
        except ConfigError:  # random weights need not learn: what it took is told all the same
            record = None
        done = time.perf_counter()
        times = [at for what, at in marks if what == "training"]
        steps = [after - before for before, after in itertools.pairwise(times)]
        file = Path(folder) / "a" / FILE
        peaks = {
            "allocated_gib": torch.cuda.max_memory_allocated(plan.device) / GIB if on_gpu else 0.0,
            "reserved_gib": torch.cuda.max_memory_reserved(plan.device) / GIB if on_gpu else 0.0,
        }
        tell(
            f"customize, {name}",
            trained_millions=made.num_trained / 1e6,
            building=built - start,
            placing=placed - built,
            first_step=probe.seconds,
            first_step_gib=probe.mebibytes / 1024,
            step=statistics.median(steps),
            steps=plan.steps,
            all_steps_with_checks_and_adapter=done - probed,
            kept_step=record.steps if record else 0,
            adapter_gib=file.stat().st_size / GIB if file.exists() else 0.0,
            **peaks,
        )
    del made, pipe
    gc.collect()
    if on_gpu:
        torch.cuda.empty_cache()
