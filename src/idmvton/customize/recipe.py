"""A customization as a recipe of the training loop."""

from __future__ import annotations

from typing import Any, Final

from idmvton.customize.options import CustomizeOptions
from idmvton.devices import resolve_device
from idmvton.errors import ConfigError
from idmvton.training.recipe import Recipe, make_recipe
from idmvton.tryon.pipeline import TryOnPipeline
from idmvton.types import Size

PAPER_RATE: Final = 1e-5
LORA_RATE: Final = 1e-4
WARP_RATE: Final = 1e-4
PAPER_STEPS: Final = 100
WARP_STEPS: Final = 20
_DRAWS: Final = 8  # of noise and timestep for each held-out view, where a picture takes many steps
_NEVER: Final = 10**9


def recipe_of(pipe: TryOnPipeline, choices: CustomizeOptions, device: str, size: Size) -> Recipe:
    """Everything that the loop and the task read.

    Args:
        pipe: the checkpoint; its policies decide what is predicted, and when.
        choices: of the user.
        device: auto, cpu, cuda.
        size: of the pictures.

    Raises:
        ConfigError: choices that do not fit the checkpoint or one another.
    """
    drafts = pipe.warp_net is not None
    check_choices(choices, drafts=drafts)
    policy = pipe.config.garment_timestep
    values = {
        "task": "mini_tryon" if drafts else "tryon",
        "train": _training(choices, device, drafts=drafts),
        "optimizer": {
            "name": "adamw_8bit" if choices.adam_8bit else "adamw",
            "learning_rate": rate_of(choices, drafts=drafts),
            "weight_decay": 0.0,
            "warmup_steps": min(10, steps_of(choices, drafts=drafts) // 5),
        },
        "data": {"height": size.height, "width": size.width},
        "augment": _variation(choices.vary),
        "masks": {"grown": choices.vary_mask},
        "validation": {
            "every": choices.check_every,
            "patience": choices.patience,
            "num_samples": 1,
            "num_losses": 64,
            "seed": choices.seed,
        },
        "log": {"every": 1},
        "tryon": {
            "garment_timestep": None if policy == "each_step" else policy,
            "time_ids": pipe.config.time_ids,
            "num_inference_steps": pipe.config.num_inference_steps,
            "guidance_scale": pipe.config.guidance_scale,
            **dict.fromkeys(("drop_text", "drop_image_prompt", "drop_garment", "drop_all"), 0.0),
        },
    }
    if drafts:
        one_step, last = takes_one_step(pipe), int(pipe.scheduler.config.num_train_timesteps) - 1
        values["mini_tryon"] = {
            "error": "absolute" if one_step else "squared",
            "min_timestep": last if one_step else 0,
        }
    return make_recipe(values, "customize")


def _training(choices: CustomizeOptions, device: str, *, drafts: bool) -> dict[str, Any]:
    on_gpu = resolve_device(device).type != "cpu"
    checkpointing = on_gpu if choices.gradient_checkpointing is None else choices.gradient_checkpointing
    return {
        "steps": steps_of(choices, drafts=drafts),
        "batch_size": choices.batch_size,
        "accumulation": choices.accumulation,
        "seed": choices.seed,
        "precision": ("bfloat16" if on_gpu else "float32") if choices.precision == "auto" else choices.precision,
        "gradient_checkpointing": checkpointing,
        "ema_decay": 0.0,
        "device": device,
        "workers": 0,
        "save_every": _NEVER,
        "save_finished": False,
        "keep": 1,
        "max_minutes": choices.max_minutes,
    }


def _variation(vary: float) -> dict[str, float]:
    return {
        "flip": min(1.0, 0.5 * vary),
        "affine": min(1.0, 0.8 * vary),
        "shift": min(0.4, 0.1 * vary),
        "scale": min(0.5, 0.15 * vary),
        "colour": min(1.0, 0.5 * vary),
        "brightness": min(0.5, 0.1 * vary),
        "contrast": min(0.5, 0.1 * vary),
        "saturation": min(0.5, 0.1 * vary),
        "hue": min(180.0, 5.0 * vary),
    }


def takes_one_step(pipe: TryOnPipeline) -> bool:
    """Whether the checkpoint's pictures take one step, from nothing but noise."""
    return int(pipe.config.num_inference_steps) == 1


def num_draws(pipe: TryOnPipeline) -> int:
    """How often each held-out view is scored."""
    return 1 if takes_one_step(pipe) else _DRAWS


def rate_of(choices: CustomizeOptions, *, drafts: bool) -> float:
    """The highest learning rate."""
    if choices.learning_rate is not None:
        return choices.learning_rate
    if _is_warp_alone(choices, drafts=drafts):
        return WARP_RATE
    return LORA_RATE if choices.lora else PAPER_RATE


def steps_of(choices: CustomizeOptions, *, drafts: bool) -> int:
    """Optimizer steps, at most."""
    if choices.steps is not None:
        return choices.steps
    return WARP_STEPS if _is_warp_alone(choices, drafts=drafts) else PAPER_STEPS


def _is_warp_alone(choices: CustomizeOptions, *, drafts: bool) -> bool:
    return drafts and choices.layers in (None, "none")


def check_choices(choices: CustomizeOptions, *, drafts: bool) -> None:
    """Makes sure that choices train something, and what is meant.

    Args:
        choices: of the user.
        drafts: whether the checkpoint has a WarpNet.

    Raises:
        ConfigError: they do not.
    """
    if choices.warp and not drafts:
        raise ConfigError("the checkpoint has no WarpNet to train", got="--warp", fix="leave it out")
    if choices.layers == "none" and not drafts:
        raise ConfigError("nothing would be trained", got="--layers none", expected="layers of TryonNet")
    if drafts and choices.warp is False and choices.layers in (None, "none"):
        raise ConfigError("nothing would be trained", got="--no-warp without --layers", fix="name --layers")
    if choices.lora and drafts and choices.layers in (None, "none"):
        raise ConfigError(
            "low-rank matrices are for TryonNet's layers, of which none is trained",
            got=f"--lora {choices.lora}",
            fix="name --layers, or leave --lora out",
        )
    if choices.min_timestep > choices.max_timestep:
        raise ConfigError("the range of timesteps is empty", got=f"{choices.min_timestep} to {choices.max_timestep}")
