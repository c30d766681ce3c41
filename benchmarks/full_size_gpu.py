"""Everything that is measured at full size on a GPU, in one run with a budget of seconds for each part.

Both networks and the encoders have random weights of their published sizes. A part that fails is recorded with its
error, and the next one runs. What was measured is written after every part.

    python -m benchmarks.full_size_gpu --output results.json                    # on a GPU of 40 GB or more
    python -m benchmarks.full_size_gpu --size tiny --device cpu --steps 4       # the same code, rehearsed
    python -m benchmarks.full_size_gpu --parts limits attention forms profile
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import diffusers
import numpy as np
import torch
from torch import Tensor

from benchmarks.denoising import SIZES, Case, build, fill
from benchmarks.plain_form import plain_form
from benchmarks.training_memory import encoders
from idmvton import TryOnPipeline
from idmvton.devices import synchronize
from idmvton.graphs import CudaRecorder, EagerRecorder, Graphs, Recorder
from idmvton.models import kernels
from idmvton.models.attention import KeysValues, attend_in_parts, attend_with_garment
from idmvton.types import Size

TINY = {"widths": (32, 64, 64), "heads": (1, 2, 2), "text": 64, "picture": Size(128, 96)}
GIB = 2**30
KINDS = {  # the first that fits the name of a kernel
    "layout": ("nchwToNhwc", "nhwcToNchw", "transpose"),
    "attention": ("flash", "fmha", "sdpa", "attention"),
    "norm": ("norm", "RowwiseMoments", "ComputeFusedParams", "Welford"),
    "convolution": ("conv", "fprop", "implicit"),
    "product": ("gemm", "nvjet", "cutlass", "splitK", "cublas", "xmma"),
    "cat": ("CatArray",),
    "copy": ("Memcpy", "copy", "Memset"),
    "softmax": ("softmax",),
}


class Bench:
    """What the parts share, and what they found."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.device = torch.device(arguments.device)
        self.steps, self.repeats, self.output = arguments.steps, arguments.repeats, arguments.output
        self.chosen = TINY if arguments.size == "tiny" else SIZES[arguments.size]
        self.found: dict[str, Any] = {}
        self._case: Case | None = None

    @property
    def case(self) -> Case:
        """The nets, built at the first use."""
        if self._case is None:
            start = time.perf_counter()
            pipe = build(self.chosen["widths"], self.chosen["heads"], self.chosen["text"], self.device)
            self._case = Case(pipe, self.chosen["picture"], self.steps)
            synchronize(self.device)
            self.tell("built", seconds=time.perf_counter() - start, allocated_gib=self.allocated())
        return self._case

    def recorder(self) -> Recorder:
        return CudaRecorder(self.device) if self.device.type == "cuda" else EagerRecorder()

    def allocated(self) -> float:
        return torch.cuda.memory_allocated(self.device) / GIB if self.device.type == "cuda" else 0.0

    def tell(self, name: str, **values: Any) -> None:
        """Prints a line and keeps it."""
        values = {key: float(f"{each:.4g}") if isinstance(each, float) else each for key, each in values.items()}
        self.found[name] = values
        print(f"{name}: " + ", ".join(f"{key} {each}" for key, each in values.items()), flush=True)

    def time_run(self, name: str, run: Callable[[], Tensor], repeats: int | None = None) -> Tensor:
        """Seconds (first, then median) and peaks of a whole denoising; returns its last result."""
        seconds, result = [], None
        with_peaks = self.device.type == "cuda"
        for repeat in range(1 + (repeats or self.repeats)):
            if with_peaks and repeat == 0:
                torch.cuda.empty_cache()
            if with_peaks:
                torch.cuda.reset_peak_memory_stats(self.device)
            start = time.perf_counter()
            result = run()
            synchronize(self.device)
            seconds.append(time.perf_counter() - start)
        peaks = {}
        if with_peaks:
            peaks = {
                "allocated_gib": torch.cuda.max_memory_allocated(self.device) / GIB,
                "reserved_gib": torch.cuda.memory_reserved(self.device) / GIB,
            }
        self.tell(name, first=seconds[0], median=statistics.median(seconds[1:]), least=min(seconds[1:]), **peaks)
        assert result is not None
        return result


def milliseconds(run: Callable[[], Any], device: torch.device, repeats: int = 30) -> float:
    """Of one call, the mean of many after three that warm up."""
    for _ in range(3):
        run()
    synchronize(device)
    start = time.perf_counter()
    for _ in range(repeats):
        run()
    synchronize(device)
    return (time.perf_counter() - start) / repeats * 1e3


def measure_limits(bench: Bench) -> None:
    """What the card can do: a large product, a large copy, and one empty launch."""
    device = bench.device
    side = 8192 if device.type == "cuda" else 256
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    product = milliseconds(lambda: a @ b, device, 10)
    large = torch.empty(side * side * 16, device=device, dtype=dtype)
    copied = torch.empty_like(large)
    copy = milliseconds(lambda: copied.copy_(large), device, 10)
    small = torch.zeros(1, device=device)
    launch = milliseconds(lambda: small.add_(1), device, 300)
    bytes_moved = 2 * large.numel() * large.element_size()
    bench.tell(
        "limits",
        teraflops=2 * side**3 / product / 1e9,
        terabytes_per_second=bytes_moved / copy / 1e9,
        launch_microseconds=launch * 1e3,
    )


def measure_attention(bench: Bench) -> None:
    """Kernels that give the logarithm too, and the forms made of them, at both levels of the net."""
    device = bench.device
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    ops = torch.ops.aten
    named: dict[str, Callable[..., Any]] = {"ours": kernels.attend_with_logsumexp}
    if device.type == "cuda":
        named |= {
            "flash": lambda *parts: ops._scaled_dot_product_flash_attention(*parts)[:2],
            "cudnn": lambda *parts: ops._scaled_dot_product_cudnn_attention(*parts, None, True)[:2],
            "efficient": lambda *parts: ops._scaled_dot_product_efficient_attention(*parts, None, True)[:2],
        }
    for tokens, heads in ((3072, 10), (768, 20)) if device.type == "cuda" else ((64, 2),):
        packed = torch.randn(2, tokens, 3, heads, 64, device=device, dtype=dtype)
        query, *person = (each.transpose(1, 2) for each in packed.unbind(2))
        garment = [each[:1] for each in torch.randn(2, 1, heads, tokens, 64, device=device, dtype=dtype)]
        for name, kernel in named.items():
            try:
                bench.tell(f"kernel {name} {tokens}", **_about_kernel(kernel, query, *person))
            except Exception as error:
                bench.tell(f"kernel {name} {tokens}", failed=str(error)[:300])
        for name, form in {"cat": _joined, "parts": _in_parts}.items():
            with kernels.fastest_attention(device):
                run = partial(form, query, KeysValues(*person), KeysValues(*garment))
                bench.tell(f"form {name} {tokens}", microseconds=milliseconds(run, device) * 1e3)


def _about_kernel(kernel: Callable[..., Any], query: Tensor, keys: Tensor, values: Tensor) -> dict[str, Any]:
    scores = query.double() @ keys.double().mT / 8
    exact = scores.softmax(-1) @ values.double(), scores.logsumexp(-1)
    attended, logsumexp = kernel(query, keys, values)
    logsumexp = logsumexp.reshape(*query.shape[:2], -1)[..., : query.shape[2]]
    return {
        "microseconds": milliseconds(partial(kernel, query, keys, values), query.device) * 1e3,
        "error": ((attended - exact[0]).norm() / exact[0].norm()).item(),
        "error_of_logarithm": (logsumexp - exact[1]).abs().max().item(),
        "is_token_major": attended.transpose(1, 2).is_contiguous(),
    }


def _joined(query: Tensor, person: KeysValues, garment: KeysValues) -> Tensor:
    """The row with a garment, by one attention."""
    return attend_with_garment(query[1:], KeysValues(*(each[1:] for each in person)), garment)


def _in_parts(query: Tensor, person: KeysValues, garment: KeysValues) -> Tensor:
    """Both rows, by two attentions."""
    return attend_in_parts(query, person, garment, 1)


def measure_forms(bench: Bench) -> None:
    """Whole denoising: the published form, ours, and ours as graphs; equal to each other."""
    case, pipe = bench.case, bench.case.pipe
    pipe.feature_cache.max_bytes = 0
    with plain_form(pipe.unet, pipe.unet_encoder):
        expected = bench.time_run("published, eager", case.plain)

    def compare(name: str, result: Tensor, other: Tensor = expected) -> None:
        bench.tell(name, largest=((result - other).abs().max() / other.std()).item(),
                   typical=((result - other).norm() / other.norm()).item())  # fmt: skip

    ours = bench.time_run("ours, eager", lambda: case.ours(together=1), 1)
    compare("difference of ours from the published form", ours)
    for net in (pipe.unet, pipe.unet_encoder):
        net.join_projections()
    joined = bench.time_run("ours, eager, joined products", lambda: case.ours(together=1), 1)
    compare("difference of joined products", joined, ours)
    for together in (1, 3, 5):
        pipe.graphs = Graphs(bench.recorder())
        graphs = bench.time_run(
            f"ours, graphs, {together} timesteps together", lambda n=together: case.ours(together=n)
        )
        compare(f"difference of graphs {together} from eager", graphs, joined)
        bench.tell(f"recorded {together}", graphs=pipe.graphs.num_recorded, is_on=pipe.graphs.is_enabled)
    fixed = bench.time_run("ours, graphs, fixed garment timestep", lambda: case.ours(0))
    pipe.graphs.is_enabled = False
    compare("difference of the fixed timestep's graphs from eager", fixed, case.ours(0))


def measure_profile(bench: Bench) -> None:
    """Kernels of one step by kind: the published form, and ours from graphs."""
    if bench.device.type != "cuda":
        return
    case, pipe = bench.case, bench.case.pipe
    pipe.feature_cache.max_bytes = 0
    pipe.graphs = Graphs(bench.recorder())
    steps, case.num_steps = case.num_steps, 5
    case.ours(together=5)
    case.ours(together=5)  # records GarmentNet, which runs once in so few steps
    _profile(bench, "ours, graphs", lambda: case.ours(together=5), 5)
    case.num_steps = 2
    with plain_form(pipe.unet, pipe.unet_encoder):
        case.plain()
        _profile(bench, "published", case.plain, 2)
    case.num_steps = steps


def _profile(bench: Bench, name: str, run: Callable[[], Any], steps: int) -> None:
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CUDA]) as profiler:
        run()
        synchronize(bench.device)
    kinds: dict[str, list[float]] = {}
    rows = []
    for event in profiler.key_averages():
        if not event.self_device_time_total:
            continue
        kind = next((kind for kind, words in KINDS.items() if any(w.lower() in event.key.lower() for w in words)), None)
        total = kinds.setdefault(kind or "elementwise and other", [0, 0.0])
        total[0] += event.count
        total[1] += event.self_device_time_total / 1e3
        rows.append((event.self_device_time_total / 1e3 / steps, event.count / steps, event.key[:160]))
    for kind, (count, milli) in sorted(kinds.items(), key=lambda item: -item[1][1]):
        bench.tell(f"profile, {name}, {kind}", kernels_a_step=count / steps, ms_a_step=milli / steps)
    total_ms, total_count = sum(each[0] for each in rows), sum(each[1] for each in rows)
    bench.tell(f"profile, {name}, all", kernels_a_step=total_count, ms_a_step=total_ms)
    bench.found[f"profile, {name}, kernels"] = sorted(rows, reverse=True)[:60]


def build_whole(bench: Bench) -> TryOnPipeline:
    """The pipeline with encoders and a VAE of the published sizes beside the nets."""
    nets = bench.case.pipe
    made = encoders() if bench.chosen is not TINY else encoders(2, (32, 32), 32)
    text_encoders = list(made["text encoders"].children())
    parts = {"text_encoder": text_encoders[0], "text_encoder_2": text_encoders[1], "vae": made["VAE"]}
    parts |= {"image_encoder": made["image encoder"]}
    for name, part in parts.items():
        fill(part, bench.device, torch.float32 if name == "vae" else nets.unet.dtype)
    pipe = TryOnPipeline(**nets.components | parts)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def measure_whole(bench: Bench) -> None:
    """A whole call, pictures in and pictures out: the published loop and ours, new garments each time."""
    pipe, size = build_whole(bench), bench.chosen["picture"]
    bench.tell("weights", allocated_gib=bench.allocated())
    generator = np.random.default_rng(0)

    def picture() -> np.ndarray:
        return generator.integers(0, 255, (size.height, size.width, 3), dtype=np.uint8)

    mask = np.zeros((size.height, size.width), bool)
    mask[size.height // 4 : size.height // 2] = True
    timings: dict[str, float] = {}

    def call(**options: Any) -> Tensor:
        result = pipe(picture(), picture(), mask, picture(), "shirt", height=size.height, width=size.width, seed=1,
                      num_inference_steps=bench.steps, guidance_scale=2.0, paste_back=False, **options)  # fmt: skip
        timings.update(result.timings)
        return result.latents

    for name, cache_bytes, options in (
        ("whole call, ours", 0, {}),
        ("whole call, ours, fixed timestep", 0, {"garment_timestep": 0}),
    ):
        pipe.feature_cache.max_bytes = cache_bytes
        bench.time_run(name, lambda options=options: call(**options))
        bench.tell(f"stages of {name}", **timings)
    pipe.graphs.clear()
    with mock.patch("idmvton.pipeline.Denoiser", partial(Published, bench.case)):
        bench.time_run("whole call, published loop", call)
    bench.tell("stages of the published loop", **timings)


class Published:
    """Stands for the denoiser of a call: the published loop with the conditions of a case."""

    def __init__(self, case: Case, *arguments: Any, **options: Any) -> None:
        self.case = case

    def run(self, *arguments: Any) -> Tensor:
        with plain_form(self.case.pipe.unet, self.case.pipe.unet_encoder):
            return self.case.plain()


PARTS: dict[str, Callable[[Bench], None]] = {
    "limits": measure_limits,
    "attention": measure_attention,
    "forms": measure_forms,
    "profile": measure_profile,
    "whole": measure_whole,
}


def environment(device: torch.device) -> dict[str, str]:
    """The card and the versions."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    return {"device": name, "torch": torch.__version__, "diffusers": diffusers.__version__}


def selected(parts: list[str], seconds: float) -> Iterator[tuple[str, Callable[[Bench], None]]]:
    """The parts to run, while there is time."""
    end = time.perf_counter() + seconds
    for name in parts:
        if time.perf_counter() < end:
            yield name, PARTS[name]
        else:
            print(f"{name}: no time left", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=[*SIZES, "tiny"], default="full")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=120, help="no part starts after so many")
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=list(PARTS))
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    diffusers.utils.logging.set_verbosity_error()
    bench = Bench(arguments)
    bench.tell("environment", **environment(bench.device))
    for name, part in selected(arguments.parts, arguments.seconds):
        start = time.perf_counter()
        try:
            part(bench)
        except Exception:
            bench.tell(f"{name} failed", error=traceback.format_exc()[-1500:])
        bench.tell(f"seconds of {name}", seconds=time.perf_counter() - start)
        if arguments.output:
            arguments.output.write_text(json.dumps(bench.found, indent=1))


if __name__ == "__main__":
    main()
