"""The optimizer and its rate."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import nn

from idmvton.errors import MissingExtraError
from idmvton.training.sections import OptimizerOptions


def make_optimizer(
    parameters: Iterable[nn.Parameter], options: OptimizerOptions, *, fused: bool = False
) -> torch.optim.Optimizer:
    """AdamW, in 32 or 8 bits; ``fused``: in one kernel, on GPUs.

    Raises:
        MissingExtraError: bitsandbytes is not installed.
    """
    betas = (options.beta1, options.beta2)
    if options.name == "adamw":
        return torch.optim.AdamW(
            parameters,
            lr=options.learning_rate,
            betas=betas,
            eps=options.epsilon,
            weight_decay=options.weight_decay,
            fused=fused,
        )
    try:
        import bitsandbytes
    except ImportError as error:
        raise MissingExtraError(
            "8-bit Adam needs bitsandbytes, which is not installed",
            got=error,
            expected="the extra `adam8bit`",
            fix="pip install 'idmvton[adam8bit]', or set optimizer.name = 'adamw'",
        ) from error
    optimizer: torch.optim.Optimizer = bitsandbytes.optim.AdamW8bit(
        parameters, lr=options.learning_rate, betas=betas, eps=options.epsilon, weight_decay=options.weight_decay
    )
    return optimizer


def rate_at(step: int, num_steps: int, options: OptimizerOptions) -> float:
    """The rate of a step.

    Args:
        step: from 0.
        num_steps: of the training.
        options: warm-up and schedule.
    """
    if step < options.warmup_steps:
        return options.learning_rate * (step + 1) / options.warmup_steps
    if options.schedule == "constant":
        return options.learning_rate
    done = (step - options.warmup_steps) / max(1, num_steps - options.warmup_steps)
    falling = (1 + math.cos(math.pi * min(done, 1.0))) / 2
    return options.learning_rate * (options.final_share + (1 - options.final_share) * falling)
