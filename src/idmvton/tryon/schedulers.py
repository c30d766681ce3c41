"""The samplers that can be chosen by name."""

from __future__ import annotations

from typing import Any, get_args

import diffusers
from torch import Tensor

from idmvton.checkpoint.parts import has_noise_schedule
from idmvton.errors import ConfigError
from idmvton.types import SchedulerName

_CLASSES: dict[str, tuple[type[Any], dict[str, Any]]] = {
    "ddpm": (diffusers.DDPMScheduler, {}),
    "ddim": (diffusers.DDIMScheduler, {"set_alpha_to_one": False}),
    "dpm++2m": (diffusers.DPMSolverMultistepScheduler, {"algorithm_type": "dpmsolver++", "solver_order": 2}),
    "unipc": (diffusers.UniPCMultistepScheduler, {}),
    "euler": (diffusers.EulerDiscreteScheduler, {}),
    "lcm": (diffusers.LCMScheduler, {}),
}


def make_scheduler(current: Any, name: str | None = None) -> Any:
    """A fresh scheduler with the noise schedule of ``current``.

    Args:
        current: the pipeline's scheduler; it is not changed.
        name: one of :data:`idmvton.types.SchedulerName`; None keeps the class of ``current``. ``lcm`` wants
            weights that were distilled for it.

    Raises:
        ConfigError: an unknown name, or a scheduler without a noise schedule.
    """
    if not has_noise_schedule(current):
        raise ConfigError(
            "the scheduler does not fit the networks",
            got=type(current).__name__,
            expected="one that adds noise by alphas_cumprod (DDPM, DDIM, Euler, DPMSolverMultistep, UniPC, LCM)",
        )
    if name is None:
        return type(current).from_config(current.config)
    if name not in _CLASSES:
        raise ConfigError("unknown scheduler", got=repr(name), expected=", ".join(get_args(SchedulerName)))
    scheduler_class, settings = _CLASSES[name]
    return scheduler_class.from_config(current.config, **settings)


def set_timesteps(scheduler: Any, num_inference_steps: int) -> Tensor:
    """Spreads the steps over the schedule.

    Returns:
        The timesteps, (steps,), on the CPU: schedulers read them as numbers, for which an accelerator would wait.

    Raises:
        ConfigError: the scheduler cannot take so many steps.
    """
    try:
        scheduler.set_timesteps(num_inference_steps, device="cpu")
        if scheduler.timesteps.max() >= scheduler.config.num_train_timesteps:
            raise ValueError(f"the schedule has {scheduler.config.num_train_timesteps} timesteps, and an offset")
    except ValueError as error:
        raise ConfigError(f"{type(scheduler).__name__} cannot take {num_inference_steps} steps", got=error) from error
    return scheduler.timesteps
