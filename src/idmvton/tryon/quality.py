"""Fewer steps and less in each: the presets of ``--quality``, every one but ``best`` an approximation."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

from idmvton.options import TryOnOptions
from idmvton.types import Quality, SchedulerName


@dataclass(frozen=True)
class Preset:
    """What a quality changes.

    Attributes:
        share: of the checkpoint's own number of steps.
        scheduler: for fewer steps than that; None keeps the checkpoint's own.
        guided: between which shares of the steps guidance is computed. At the first steps it narrows what can come
            out, at the last ones it changes little (Kynkäänniemi et al., arXiv 2404.07724).
        full_every: TryonNet runs whole every so many steps; between them its outermost blocks work on the deep
            features of the last whole one (DeepCache, arXiv 2312.00858).
    """

    share: float
    scheduler: SchedulerName | None
    guided: tuple[float, float]
    full_every: int


PRESETS: dict[Quality, Preset] = {
    "best": Preset(1.0, None, (0.0, 1.0), 1),
    "balanced": Preset(0.5, "dpm++2m", (0.0, 0.8), 1),
    "fast": Preset(1 / 3, "dpm++2m", (0.0, 0.6), 2),
}


@dataclass(frozen=True)
class StepPlan:
    """How one step is computed.

    Attributes:
        is_guided: with both halves of guidance, where a call has guidance.
        keeps_deep: keeps deep features for steps after it.
        reuses_deep: takes them.
    """

    is_guided: bool = True
    keeps_deep: bool = False
    reuses_deep: bool = False


FULL = StepPlan()


def with_preset(options: TryOnOptions, own_steps: int) -> TryOnOptions:
    """Fills in steps and scheduler where the caller gave none.

    Args:
        options: with a quality.
        own_steps: the checkpoint's own number.
    """
    preset = PRESETS[options.quality]
    steps = options.num_inference_steps or max(1, math.ceil(own_steps * preset.share))
    scheduler = options.scheduler or (preset.scheduler if steps < own_steps else None)
    return dataclasses.replace(options, num_inference_steps=steps, scheduler=scheduler)


def plan_steps(quality: Quality, num_steps: int) -> list[StepPlan]:
    """How each step of a call is computed."""
    preset = PRESETS[quality]
    start, stop = (share * num_steps for share in preset.guided)
    guided = [start <= step < stop or num_steps == 1 for step in range(num_steps)]
    reuses = [False] * (num_steps + 1)
    since_full = 0
    for step in range(1, num_steps - 1):
        since_full += 1
        if since_full < preset.full_every and (guided[step - 1] or not guided[step]):
            reuses[step] = True
        else:
            since_full = 0
    return [StepPlan(guided[step], reuses[step + 1] and not reuses[step], reuses[step]) for step in range(num_steps)]


def is_exact(quality: Quality, plans: list[StepPlan], own_steps: int) -> bool:
    """Whether a quality leaves nothing out."""
    return quality == "best" or (len(plans) == own_steps and all(plan == FULL for plan in plans))


def about(quality: Quality, plans: list[StepPlan], own_steps: int, *, is_guided: bool = True) -> str:
    """A quality in words, for the result of a call, guided or not; its name alone where it leaves nothing out."""
    if is_exact(quality, plans, own_steps):
        return quality
    told = [f"{len(plans)} steps instead of {own_steps}"] if len(plans) != own_steps else []
    unguided = sum(not plan.is_guided for plan in plans)
    told += [f"the last {unguided} without guidance"] if unguided and is_guided else []
    reused = sum(plan.reuses_deep for plan in plans)
    told += [f"{reused} with deep features of the step before"] if reused else []
    return f"{quality}, an approximation: " + ", ".join(told)
