"""Garment self-attention: the published form (concatenate, attend, keep half) against ours, in one run.

Both forms do one layer of a guided batch: one unconditional row (zero garment tokens) and one conditional row.
Times are medians of interleaved repetitions; the memory is what PyTorch's allocator held at its peak beyond the
inputs (CUDA), or by how much the resident set of a fresh process grew at its peak (CPU on Linux).

    python -m benchmarks.attention                    # CPU, float32
    python -m benchmarks.attention --device cuda      # bfloat16
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import time
from collections.abc import Callable

import torch
from diffusers.models.attention_processor import Attention
from tests.plain_form import PlainSelfAttention
from torch import Tensor

from benchmarks.memory import peak_memory
from idmvton.devices import resolve_dtype, synchronize
from idmvton.models.attention import AttentionContext, GarmentSelfAttention

HEAD_SIZE = 64
SHAPES = {192: 1280, 768: 1280, 3072: 640}  # tokens -> channels: a level of SDXL at 256x192, and two at 1024x768


class Layer:
    """One self-attention layer and its inputs, in both forms."""

    def __init__(self, num_tokens: int, channels: int, device: torch.device, dtype: torch.dtype) -> None:
        torch.manual_seed(0)
        self.attn = Attention(query_dim=channels, heads=channels // HEAD_SIZE, dim_head=HEAD_SIZE).to(device, dtype)
        self.person = torch.randn(2, num_tokens, channels, device=device, dtype=dtype, requires_grad=True)
        self.garment = torch.randn(1, num_tokens, channels, device=device, dtype=dtype, requires_grad=True)
        self.forms: dict[str, Callable[[], Tensor]] = {"plain": self.plain, "ours": self.ours}

    def plain(self) -> Tensor:
        tokens = torch.cat([torch.zeros_like(self.garment), self.garment])
        return PlainSelfAttention("layer")(self.attn, self.person, garment={"tokens": {"layer": tokens}})

    def ours(self) -> Tensor:
        context = AttentionContext({"layer": self.garment}, num_zero_garment=1)
        return GarmentSelfAttention("layer")(self.attn, self.person, garment=context)

    def run(self, form: str, backward: bool) -> None:
        if not backward:
            with torch.no_grad():
                self.forms[form]()
            return
        self.forms[form]().sum().backward()


def seconds(layer: Layer, form: str, backward: bool) -> float:
    synchronize(layer.person.device)
    start = time.perf_counter()
    layer.run(form, backward)
    synchronize(layer.person.device)
    return time.perf_counter() - start


def peak_bytes(shape: tuple[int, int], device: torch.device, dtype: torch.dtype, form: str, backward: bool) -> int:
    """Peak memory of one run beyond what lies there before it."""
    layer = Layer(*shape, device, dtype)
    with peak_memory(device) as peak:
        layer.run(form, backward)
    return peak.num_bytes


def peak_in_fresh_process(*arguments: object) -> int:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(peak_bytes, arguments)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, default=15)
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    dtype = resolve_dtype("auto", device)
    print(f"torch {torch.__version__}, {device}, {dtype}, {torch.get_num_threads()} threads\n")
    print("| tokens | channels | pass | plain, ms | ours, ms | time ratio | plain, MB | ours, MB | memory ratio |")
    print("|---|---|---|---|---|---|---|---|---|")
    for num_tokens, channels in SHAPES.items():
        layer = Layer(num_tokens, channels, device, dtype)
        for backward in (False, True):
            for form in layer.forms:
                layer.run(form, backward)
            runs = {form: [0.0] * arguments.repeats for form in layer.forms}
            for repeat in range(arguments.repeats):
                for form in layer.forms:
                    runs[form][repeat] = seconds(layer, form, backward)
            plain, ours = (statistics.median(runs[form]) for form in ("plain", "ours"))
            memory = [
                peak_in_fresh_process((num_tokens, channels), device, dtype, form, backward)
                for form in ("plain", "ours")
            ]
            print(
                f"| {num_tokens} | {channels} | {'forward + backward' if backward else 'forward'} "
                f"| {plain * 1e3:.1f} | {ours * 1e3:.1f} | {ours / plain:.2f} "
                f"| {memory[0] / 2**20:.0f} | {memory[1] / 2**20:.0f} | {memory[1] / max(memory[0], 1):.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
