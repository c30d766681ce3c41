"""Operations that launch kernels, and floating-point operations, a step: the published form against ours, on the CPU.

A trace of whole denoisings by narrow nets of SDXL's depth, with what a GPU would run: GarmentNet at several timesteps
at once, joined projections. Views and allocations launch nothing and are not counted. On a GPU one operation is about
one kernel; a CUDA graph launches all of a step's by one call.

    python -m benchmarks.launches            # a table by operation
    python -m benchmarks.launches --json     # {"published": n, "ours": n, "ratio": r}
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import diffusers
import torch
from tests.plain_form import plain_form
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop

from benchmarks.denoising import Case, build
from idmvton.tryon.garment_features import TIMESTEPS_TOGETHER
from idmvton.types import Size

WIDTHS, HEADS, TEXT, PICTURE = (32, 64, 64), (1, 2, 2), 64, Size(128, 96)
STEPS = 2 * TIMESTEPS_TOGETHER
_ALLOCATING = ("empty", "new_empty", "empty_like", "empty_strided", "lift_fresh", "detach")
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
            self.counts[name] += 1
        return result


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


def trace(run: Callable[[], Tensor], steps: int) -> Traced:
    """Runs a denoising of ``steps`` steps and counts."""
    flops = FlopCounterMode(display=False, custom_mapping={_CPU_ATTENTION: _attention_flops})
    launches = Launches()
    with flops:
        run()
    with launches:
        run()
    counts = {name: number / steps for name, number in launches.counts.most_common()}
    return Traced(sum(counts.values()), flops.get_total_flops() / steps, counts)


def trace_both() -> tuple[Traced, Traced]:
    """The published form, and ours."""
    case = Case(build(WIDTHS, HEADS, TEXT, torch.device("cpu")), PICTURE, STEPS)
    pipe = case.pipe
    pipe.feature_cache.max_bytes = 0
    with plain_form(pipe.unet, pipe.unet_encoder):
        published = trace(case.plain, STEPS)
    for net in (pipe.unet, pipe.unet_encoder):
        net.join_projections()
    return published, trace(lambda: case.ours(together=TIMESTEPS_TOGETHER), STEPS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print only the numbers of launches and their ratio")
    arguments = parser.parse_args()
    diffusers.utils.logging.set_verbosity_error()
    published, ours = trace_both()
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
