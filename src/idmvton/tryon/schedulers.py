"""The samplers that can be chosen by name."""

from __future__ import annotations

import copy
from typing import Any, get_args

import diffusers
import torch
from torch import Tensor

from idmvton.errors import ConfigError
from idmvton.types import SchedulerName

_CLASSES: dict[str, tuple[type[Any], dict[str, Any]]] = {
    "ddpm": (diffusers.DDPMScheduler, {}),
    "ddim": (diffusers.DDIMScheduler, {"set_alpha_to_one": False}),
    "dpm++2m": (diffusers.DPMSolverMultistepScheduler, {"algorithm_type": "dpmsolver++", "solver_order": 2}),
    "unipc": (diffusers.UniPCMultistepScheduler, {}),
    "euler": (diffusers.EulerDiscreteScheduler, {}),
    "euler-trailing": (diffusers.EulerDiscreteScheduler, {"timestep_spacing": "trailing"}),
    "lcm": (diffusers.LCMScheduler, {}),
    "tcd": (diffusers.TCDScheduler, {}),
}

_PREDICTIONS = ("epsilon", "v_prediction", "sample")


def make_scheduler(current: Any, name: str | None = None) -> Any:
    """A fresh scheduler with the noise schedule of ``current``.

    Args:
        current: the pipeline's scheduler; it is not changed.
        name: one of :data:`idmvton.types.SchedulerName`; None keeps the class of ``current``. ``lcm``,
            ``tcd`` and ``euler-trailing`` are for weights, or LoRA files, that were distilled for them: those of LCM,
            of Hyper-SD and of SDXL-Lightning.

    Raises:
        ConfigError: an unknown name, or a current scheduler that the networks were not trained for.
    """
    check_scheduler(current)
    if name is None:
        return type(current).from_config(current.config)
    if name not in _CLASSES:
        raise ConfigError("unknown scheduler", got=repr(name), expected=", ".join(get_args(SchedulerName)))
    scheduler_class, settings = _CLASSES[name]
    return scheduler_class.from_config(current.config, **settings)


def _try_step(scheduler: Any) -> None:
    """One step of a copy on one number: what a scheduler cannot do shows before the networks run.

    Raises:
        ConfigError: the step fails.
    """
    noise = torch.zeros(1, 1, 1, 1)
    trial = copy.deepcopy(scheduler)
    try:
        timestep = trial.timesteps[0]
        trial.step(noise, timestep, trial.scale_model_input(noise, timestep), return_dict=False)
    except (NotImplementedError, TypeError, AssertionError) as error:
        raise ConfigError(
            f"{type(scheduler).__name__} cannot be used with these weights",
            got=f"prediction_type {scheduler.config.get('prediction_type')!r}: {error}",
            expected="a scheduler whose step takes such a prediction, the timestep and the latents",
            fix="leave the scheduler as it is, or use ddim, ddpm, dpm++2m or unipc",
        ) from error


def check_scheduler(scheduler: Any) -> None:
    """Makes sure that a scheduler takes what the networks predict: noise, velocity or the sample, on a noise schedule.

    Raises:
        ConfigError: a flow-matching scheduler, one without a noise schedule, or one that steps need more for.
    """
    config = getattr(scheduler, "config", {})
    prediction = config.get("prediction_type")
    faults = []
    if "FlowMatch" in type(scheduler).__name__ or config.get("use_flow_sigmas") or prediction == "flow_prediction":
        faults.append("it is for flow matching")
    elif prediction not in _PREDICTIONS:
        faults.append(f"its prediction_type is {prediction!r}")
    if not hasattr(scheduler, "alphas_cumprod") or not hasattr(scheduler, "scale_model_input"):
        faults.append("it has no schedule of noise over timesteps")
    if faults:
        raise ConfigError(
            "the scheduler does not fit the networks",
            got=f"{type(scheduler).__name__}: {', '.join(faults)}",
            expected=f"a scheduler of diffusers with a prediction_type of {', '.join(_PREDICTIONS)}",
            fix="leave scheduler= out, or use one of " + ", ".join(get_args(SchedulerName)),
        )


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
        _try_step(scheduler)
    except ValueError as error:
        raise ConfigError(f"{type(scheduler).__name__} cannot take {num_inference_steps} steps", got=error) from error
    return scheduler.timesteps
