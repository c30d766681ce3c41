"""Everything that is measured at full size on a GPU, in one run with a budget of seconds for each part.

Both networks and the encoders have random weights of their published sizes. A part that fails is recorded with its
error, and the next one runs. What was measured is written after every part.

    python -m benchmarks.full_size_gpu --output results.json             # on a GPU of 60 GB or more, ten minutes
    python -m benchmarks.full_size_gpu --size tiny --device cpu --steps 4    # the same code, rehearsed
    python -m benchmarks.full_size_gpu --parts limits forms profile
"""

from __future__ import annotations

import argparse
import gc
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
import torch.nn.functional as F
from tests.plain_form import plain_form
from torch import Tensor, nn

from benchmarks.denoising import SIZES, Case, build, fill
from benchmarks.full_size_customization import Plan, measure_customization
from benchmarks.full_size_training import measure_train_command, measure_training_steps
from benchmarks.training_memory import encoders
from idmvton import TryOnPipeline
from idmvton.devices import synchronize
from idmvton.models import fused
from idmvton.tryon.garment_features import together_on
from idmvton.tryon.graphs import CudaRecorder, EagerRecorder, Graphs, Recorder
from idmvton.types import Size

TINY: dict[str, Any] = {"widths": (32, 64, 64), "heads": (1, 2, 2), "text": 64, "picture": Size(128, 96)}
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
        self.customize_steps = arguments.customize_steps
        self.chosen: dict[str, Any] = TINY if arguments.size == "tiny" else SIZES[arguments.size]
        self.found: dict[str, Any] = {}
        self.generator = np.random.default_rng(0)
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

    def release(self) -> None:
        """Forgets the nets, so that others have room."""
        self._case = None
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def recorder(self) -> Recorder:
        return CudaRecorder(self.device) if self.device.type == "cuda" else EagerRecorder()

    def allocated(self) -> float:
        return torch.cuda.memory_allocated(self.device) / GIB if self.device.type == "cuda" else 0.0

    def peak(self) -> float:
        """Since the statistics were reset, the most that was allocated."""
        return torch.cuda.max_memory_allocated(self.device) / GIB if self.device.type == "cuda" else 0.0

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
            if with_peaks and repeat < 2:
                torch.cuda.reset_peak_memory_stats(self.device)
            start = time.perf_counter()
            result = run()
            synchronize(self.device)
            seconds.append(time.perf_counter() - start)
        peaks = {}
        if with_peaks:
            peaks = {
                "allocated_gib": torch.cuda.max_memory_allocated(self.device) / GIB,
                "reserved_gib": torch.cuda.max_memory_reserved(self.device) / GIB,
            }
        later = seconds[1:] or seconds
        self.tell(name, first=seconds[0], median=statistics.median(later), least=min(later), **peaks)
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


def measure_kernels(bench: Bench) -> None:
    """Each fused kernel at the sizes of the net: its time and its distance from the modules it stands for."""
    device = bench.device
    if device.type != "cuda":
        return
    bench.tell("kernels", work=fused._kernels_work(device))

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, device=device, dtype=torch.bfloat16)

    for channels, side in ((320, (128, 96)), (640, (64, 48)), (1280, (32, 24)), (2560, (32, 24))):
        norm = nn.GroupNorm(32, channels).to(device, torch.bfloat16)
        picture, added = draw(2, channels, *side), draw(2, channels)
        last = picture.contiguous(memory_format=torch.channels_last)
        ours = partial(fused._group_norm, last, norm, added, silu=True)
        _compare(bench, f"group norm {channels}", ours, partial(_stock_group_norm, picture, norm, added))
    for tokens, channels in ((3072, 640), (768, 1280)):
        projected, layer_norm = draw(2, tokens, 8 * channels), nn.LayerNorm(channels).to(device, torch.bfloat16)
        first, second = draw(2, tokens, channels), draw(2, tokens, channels)
        _compare(bench, f"geglu {tokens}", partial(fused._geglu, projected), partial(_stock_geglu, projected))
        ours = partial(_second, fused._add_layer_norm, first, second, layer_norm)
        _compare(bench, f"add and norm {tokens}", ours, partial(_stock_add_norm, first, second, layer_norm))


def _stock_group_norm(picture: Tensor, norm: nn.GroupNorm, added: Tensor) -> Tensor:
    return F.silu(norm(picture + added[..., None, None]))


def _stock_geglu(projected: Tensor) -> Tensor:
    hidden, gate = projected.chunk(2, dim=-1)
    return hidden * F.gelu(gate)


def _stock_add_norm(tokens: Tensor, change: Tensor, norm: nn.LayerNorm) -> Tensor:
    result: Tensor = norm(tokens + change)
    return result


def _second(function: Callable[..., Any], *arguments: Any) -> Tensor:
    result: Tensor = function(*arguments)[1]
    return result


def _compare(bench: Bench, name: str, ours: Callable[[], Tensor], stock: Callable[[], Tensor]) -> None:
    forms = {"fused": ours, "stock": stock}
    results = {form: run().float() for form, run in forms.items()}
    error = (results["fused"] - results["stock"]).norm() / results["stock"].norm()
    times = {}
    for form, run in forms.items():
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            for _ in range(20):
                run()
        times[f"{form}_microseconds"] = milliseconds(graph.replay, bench.device, 10) * 50
    bench.tell(name, **times, difference=error.item())


def measure_forms(bench: Bench) -> None:
    """Whole denoising: the published form, ours, and ours as graphs; equal to each other."""
    case, pipe = bench.case, bench.case.pipe
    pipe.feature_cache.max_bytes = 0
    with plain_form(pipe.unet, pipe.unet_encoder):
        expected = bench.time_run("published, eager", case.plain)
    for net in (pipe.unet, pipe.unet_encoder):
        net.lay_out_for_gpus()
    pipe.graphs = Graphs(bench.recorder())
    result = bench.time_run("ours, default", partial(case.ours, together=together_on(bench.device)))
    _distance(bench, "difference of ours from the published form", result, expected)
    _time_replays(bench)
    steps, case.num_steps = case.num_steps, 6
    replayed = case.ours(together=together_on(bench.device))
    pipe.graphs.is_enabled = False
    eager = bench.time_run("ours, eager, 6 steps", partial(case.ours, together=together_on(bench.device)), 1)
    _distance(bench, "difference of graphs from eager, 6 steps", replayed, eager)
    case.num_steps = steps
    pipe.graphs = Graphs(bench.recorder())
    bench.time_run("ours, fixed garment timestep", partial(case.ours, 0), 1)
    pipe.graphs = Graphs(bench.recorder())


def _distance(bench: Bench, name: str, result: Tensor, other: Tensor) -> None:
    largest = (result - other).abs().max() / other.std()
    bench.tell(name, largest=largest.item(), typical=((result - other).norm() / other.norm()).item())


def _time_replays(bench: Bench) -> None:
    """Milliseconds of each recorded network alone."""
    entries: Any = bench.case.pipe.graphs._recorded.items()
    for key, recorded in entries:
        if recorded is not None:
            bench.tell(f"replay of {key[0]}", ms=milliseconds(recorded.replay, bench.device, 20))


def measure_profile(bench: Bench) -> None:
    """Kernels of one step of ours by kind, from graphs."""
    if bench.device.type != "cuda":
        return
    case = bench.case
    case.pipe.feature_cache.max_bytes = 0
    case.pipe.graphs = Graphs(bench.recorder())
    steps, case.num_steps = case.num_steps, 5
    case.ours()
    case.ours()
    _profile(bench, "ours, graphs", case.ours, 5)
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


def measure_batches(bench: Bench) -> None:
    """Pictures an hour, denoising alone, of several people in one garment at a time."""
    pipe = bench.case.pipe
    pipe.feature_cache.max_bytes = 0
    for num_people in (1, 2, 4, 8):
        case = Case(pipe, bench.chosen["picture"], 6, num_people)
        pipe.graphs = Graphs(bench.recorder())
        if bench.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(bench.device)
        case.ours()
        start = time.perf_counter()
        case.ours()
        synchronize(bench.device)
        seconds = (time.perf_counter() - start) / case.num_steps * 30
        bench.tell(
            f"batch of {num_people}",
            seconds_of_30_steps=seconds,
            pictures_an_hour=3600 * num_people / seconds,
            peak_gib=bench.peak(),
        )
    pipe.graphs = Graphs(bench.recorder())


def build_whole(bench: Bench) -> TryOnPipeline:
    """The pipeline with encoders and a VAE of the published sizes beside the nets."""
    return with_encoders(bench, bench.case.pipe)


def with_encoders(bench: Bench, nets: TryOnPipeline) -> TryOnPipeline:
    """The pipeline of two nets, and the other networks of the published sizes."""
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
    """A whole call, pictures in and pictures out, a new garment each time: each memory mode, and the published loop."""
    pipe = build_whole(bench)
    bench.case.pipe.graphs = Graphs(bench.recorder())
    bench.tell("weights", allocated_gib=bench.allocated())
    with mock.patch("idmvton.tryon.pipeline.Denoiser", partial(Published, bench.case)):
        _time_calls(bench, pipe, "published loop", 1)
    for mode in ("fast", "balanced", "low"):
        start = time.perf_counter()
        if pipe.placement is not None:
            pipe.placement.undo()
        pipe.place(mode, bench.device)
        bench.tell(f"placing {mode}", seconds=time.perf_counter() - start, allocated_gib=bench.allocated())
        _time_calls(bench, pipe, mode, 1 if mode == "low" else 2)
        if mode == "fast":
            for quality in ("balanced", "fast"):
                _time_calls(bench, pipe, f"fast, quality {quality}", 1, quality=quality)


def _time_calls(bench: Bench, pipe: TryOnPipeline, name: str, repeats: int, **options: Any) -> None:
    size = bench.chosen["picture"]
    mask = np.zeros((size.height, size.width), np.bool_)
    mask[size.height // 4 : size.height // 2] = True
    timings: dict[str, float] = {}

    def picture() -> np.ndarray:
        return bench.generator.integers(0, 255, (size.height, size.width, 3), dtype=np.uint8)

    def call() -> Tensor:
        result = pipe(picture(), picture(), mask, picture(), "shirt", height=size.height, width=size.width, seed=1,
                      num_inference_steps=bench.steps, guidance_scale=2.0, paste_back=False, **options)  # fmt: skip
        timings.update(result.timings)
        return result.latents

    bench.time_run(f"whole call, {name}", call, repeats)
    bench.tell(f"stages, {name}", **timings)


def measure_compiled(bench: Bench) -> None:
    """The published form under torch.compile; the last part, since compiling takes long."""
    bench.release()
    case = bench.case
    start = time.perf_counter()
    compiled = torch.compile(diffusers.UNet2DConditionModel.forward)
    with (
        mock.patch.object(diffusers.UNet2DConditionModel, "forward", compiled),
        plain_form(case.pipe.unet, case.pipe.unet_encoder),
    ):
        steps, case.num_steps = case.num_steps, 2
        case.plain()
        synchronize(bench.device)
        bench.tell("compiling the published form", seconds=time.perf_counter() - start)
        case.num_steps = steps
        bench.time_run("published, compiled", case.plain, 2)


class Published:
    """Stands for the denoiser of a call: the published loop with the conditions of a case."""

    def __init__(self, case: Case, *arguments: Any, **options: Any) -> None:
        self.case = case

    def run(self, *arguments: Any) -> Tensor:
        with plain_form(self.case.pipe.unet, self.case.pipe.unet_encoder):
            return self.case.plain()


def measure_customizing(bench: Bench) -> None:
    """What a customization takes at full size, with and without less memory."""
    bench.release()

    def whole() -> TryOnPipeline:
        widths, heads, text = (bench.chosen[name] for name in ("widths", "heads", "text"))
        nets = build(widths, heads, text, bench.device, torch.float32)  # random numbers are made faster there
        return with_encoders(bench, nets).to("cpu")

    measure_customization(Plan(whole, bench.chosen["picture"], bench.customize_steps, bench.device), bench.tell)


def measure_training(bench: Bench) -> None:
    """Training steps at full size, and a whole tiny training by the command."""
    bench.release()
    measure_train_command(bench.device, bench.tell)
    if bench.chosen is not TINY:
        measure_training_steps(bench.device, bench.time_run)


PARTS: dict[str, Callable[[Bench], None]] = {
    "limits": measure_limits,
    "kernels": measure_kernels,
    "forms": measure_forms,
    "whole": measure_whole,
    "batches": measure_batches,
    "profile": measure_profile,
    "training": measure_training,
    "customize": measure_customizing,
    "compiled": measure_compiled,
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
    parser.add_argument("--customize-steps", type=int, default=100, help="of each customization")
    parser.add_argument("--seconds", type=float, default=300, help="no part starts after so many")
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
