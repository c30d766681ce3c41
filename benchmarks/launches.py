"""Kernels launched, and floating-point operations, a step: the published form against ours, counted on the CPU.

A trace of whole denoisings by narrow nets of SDXL's depth, with what a GPU would run: joined projections, and each
fused kernel counted as what it launches. Views and allocations launch nothing and are not counted. Every other
operation counts as one kernel, a group norm as the three that PyTorch makes of it. A CUDA graph launches all of a
step's by one call.

    python -m benchmarks.launches            # a table by operation
    python -m benchmarks.launches --json     # {"published": n, "ours": n, "ratio": r}
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any
from unittest import mock

import diffusers
import torch
import torch.nn.functional as F
from tests.plain_form import plain_form
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop

from benchmarks.denoising import Case, build
from idmvton.models import fused, kernels
from idmvton.tryon.garment_features import TIMESTEPS_TOGETHER
from idmvton.types import Size

WIDTHS, HEADS, TEXT, PICTURE = (32, 64, 64), (1, 2, 2), 64, Size(128, 96)
STEPS = 6
_ALLOCATING = ("empty", "new_empty", "empty_like", "empty_strided", "lift_fresh", "detach")
_KERNELS = {"native_group_norm": 3}
_FUSED = {"_geglu": 1, "_group_norm": 3, "_add_layer_norm": 1}
_CPU_ATTENTION = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu


class Launches(TorchDispatchMode):
    """Counts operations by name, views and allocations left out."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **kwargs or {})
        name = function.overloadpacket.__name__
        if name not in _ALLOCATING and not _is_view(function, args, result):
            self.counts[name] += _KERNELS.get(name, 1)
        return result

    @contextlib.contextmanager
    def with_fused_kernels(self) -> Iterator[None]:
        """Counts what the fused kernels launch, and computes what they do without counting."""
        with contextlib.ExitStack() as stack:
            stack.enter_context(mock.patch.object(fused, "is_available", return_value=True))
            stack.enter_context(mock.patch.object(fused, "merge_parts", partial(self._counted, "merge", 1, _merge)))
            for name, number in _FUSED.items():
                stand_in = partial(self._counted, name, number, globals()[name])
                stack.enter_context(mock.patch.object(fused, name, stand_in))
            yield

    def _counted(self, name: str, number: int, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        before = self.counts.copy()
        result = function(*arguments, **options)
        self.counts = before
        self.counts[name] += number
        return result


def _geglu(projected: Tensor) -> Tensor:
    hidden, gate = projected.chunk(2, dim=-1)
    return hidden * F.gelu(gate)


def _group_norm(picture: Tensor, norm: nn.GroupNorm, added: Tensor | None = None, *, silu: bool = False) -> Tensor:
    picture = picture if added is None else picture + added[..., None, None]
    normed = F.group_norm(picture, norm.num_groups, norm.weight, norm.bias, norm.eps)
    return F.silu(normed) if silu else normed


def _add_layer_norm(tokens: Tensor, change: Tensor, norm: nn.LayerNorm) -> tuple[Tensor, Tensor]:
    total = tokens + change
    return total, norm(total)


def _merge(attended: Any, of_garment: Any, zero_rows: int, log_zeros: float) -> bool:
    values, logsumexp = attended
    if zero_rows:
        kernels.scale_for_zeros((values[:zero_rows], logsumexp[:zero_rows]), round(math.exp(log_zeros)))
    if of_garment is not None:
        kernels.merge((values[zero_rows:], logsumexp[zero_rows:]), of_garment)
    return True


def _is_view(function: Any, args: Any, result: Any) -> bool:
    """Whether an operation only looks at its input in another way."""
    if function._schema.is_mutable:
        return False
    storages = {each.untyped_storage()._cdata for each in tree_leaves(args) if isinstance(each, Tensor)}
    made = [each for each in tree_leaves(result) if isinstance(each, Tensor)]
    return bool(made) and all(each.untyped_storage()._cdata in storages for each in made)


def _attention_flops(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    return int(sdpa_flop(query, key, value))


@dataclass(frozen=True)
class Traced:
    """Of one step, on average over a denoising."""

    launches: float
    flops: float
    counts: dict[str, float]


def trace(run: Callable[[], Tensor], steps: int, *, is_fused: bool, counts_flops: bool) -> Traced:
    """Runs a denoising of ``steps`` steps and counts."""
    flops = FlopCounterMode(display=False, custom_mapping={_CPU_ATTENTION: _attention_flops})
    launches = Launches()
    if counts_flops:
        with flops:
            run()
    with launches, launches.with_fused_kernels() if is_fused else contextlib.nullcontext():
        run()
    counts = {name: number / steps for name, number in launches.counts.most_common()}
    return Traced(sum(counts.values()), flops.get_total_flops() / steps, counts)


def trace_both(steps: int = STEPS, *, counts_flops: bool = True) -> tuple[Traced, Traced]:
    """The published form, and ours."""
    case = Case(build(WIDTHS, HEADS, TEXT, torch.device("cpu")), PICTURE, steps)
    pipe = case.pipe
    pipe.feature_cache.max_bytes = 0
    with plain_form(pipe.unet, pipe.unet_encoder):
        published = trace(case.plain, steps, is_fused=False, counts_flops=counts_flops)
    for net in (pipe.unet, pipe.unet_encoder):
        net.join_projections()
    ours = partial(case.ours, together=TIMESTEPS_TOGETHER)
    return published, trace(ours, steps, is_fused=True, counts_flops=counts_flops)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print only the numbers of launches and their ratio")
    arguments = parser.parse_args()
    diffusers.utils.logging.set_verbosity_error()
    published, ours = trace_both(counts_flops=not arguments.json)
    ratio = ours.launches / published.launches
    if arguments.json:
        print(json.dumps({"published": round(published.launches), "ours": round(ours.launches), "ratio": ratio}))
        return
    print("| operation | published | ours |\n|---|---|---|")
    for name in sorted(published.counts | ours.counts, key=lambda each: -published.counts.get(each, 0)):
        print(f"| {name} | {published.counts.get(name, 0):.1f} | {ours.counts.get(name, 0):.1f} |")
    print(f"| all | {published.launches:.0f} | {ours.launches:.0f} |")
    print(f"\nours launches {ratio:.2f} of the published form's; floating-point operations: ", end="")
    print(f"{ours.flops / published.flops:.2f}. As a CUDA graph ours is 1 launch a step.")


if __name__ == "__main__":
    main()
