"""What the try-on training starts from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers

from idmvton.checkpoint.parts import WARP_NET, load_part
from idmvton.checkpoint.published import load_checkpoint, load_garment_net, load_training_parts
from idmvton.errors import ConfigError
from idmvton.models.tryon_net import num_input_channels, widen_input
from idmvton.training.initialise import garment_net_from, new_components, new_resampler, tryon_net_from
from idmvton.training.recipe import Recipe
from idmvton.training.sections import (
    ClipOptions,
    DataOptions,
    ImagePromptOptions,
    NoiseOptions,
    TryOnTaskOptions,
    UnetOptions,
    VaeOptions,
)
from idmvton.training.sources import Captioned
from idmvton.weights import is_name, locate

_SHARED = ("vae", "text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2", "scheduler")


def start_components(recipe: Recipe, dataset: Captioned) -> dict[str, Any]:
    """The parts of a pipeline, float32, as ``[tryon]`` says; TryonNet has all its input channels.

    Raises:
        ConfigError: a folder that is needed was not named, or a checkpoint with other input channels.
        WeightsError: a folder that is missing or does not fit.
    """
    options = recipe.section(TryOnTaskOptions)
    if options.init == "random":
        return new_components(
            recipe.section(VaeOptions),
            recipe.section(ClipOptions),
            recipe.section(UnetOptions),
            recipe.section(ImagePromptOptions),
            recipe.section(NoiseOptions),
            captions=dataset.captions(),
            height=recipe.section(DataOptions).height,
        )
    if options.init == "checkpoint":
        components = checkpoint_to_go_on_from(options)
        if WARP_NET in components:
            raise ConfigError(
                "the checkpoint makes drafts, which this task does not train",
                got=f"a {WARP_NET} in {options.checkpoint}",
                fix="set task = 'mini_tryon'",
            )
    elif options.ip_adapter:
        folders = [named_folder(options, name) for name in ("inpainting", "garment", "ip_adapter", "image_encoder")]
        components = load_training_parts(*folders, variant=options.variant)
    else:
        components = parts_without_adapter(recipe)
    net = components["unet"]
    widen_input(net, num_input_channels(net.latent_channels))
    return components


def checkpoint_to_go_on_from(options: TryOnTaskOptions) -> dict[str, Any]:
    """The parts and policies of ``tryon.checkpoint``; raises what :func:`start_components` raises."""
    return load_checkpoint(named_folder(options, "checkpoint"), variant=options.variant)


def parts_without_adapter(recipe: Recipe, change: Callable[[Any], Any] | None = None) -> dict[str, Any]:
    """The paper's parts with a new image prompt; raises what :func:`start_components` raises.

    Args:
        recipe: with the sections of the try-on.
        change: UNet -> UNet, applied to both before they become TryonNet and GarmentNet.
    """
    options = recipe.section(TryOnTaskOptions)
    inpainting, garment, image_encoder = (
        named_folder(options, name) for name in ("inpainting", "garment", "image_encoder")
    )
    parts = {name: load_part(inpainting / name, name, variant=options.variant) for name in _SHARED}
    parts["image_encoder"] = load_part(image_encoder, "image_encoder")
    unet = diffusers.UNet2DConditionModel.from_pretrained(inpainting / "unet", variant=options.variant)
    garment_net = load_garment_net(garment / "unet", variant=options.variant)
    if change is not None:
        unet, garment_net = change(unet), garment_net_from(change(garment_net))
    resampler = new_resampler(
        recipe.section(ImagePromptOptions),
        clip_width=parts["image_encoder"].config.hidden_size,
        text_width=unet.config.cross_attention_dim,
    )
    return parts | {"unet": tryon_net_from(unet, resampler), "unet_encoder": garment_net}


def named_folder(options: TryOnTaskOptions, name: str) -> Path:
    """A path, or a name of the catalogue with or without a path inside."""
    value = getattr(options, name)
    if not value:
        raise ConfigError(
            f"tryon.{name} is not set",
            got=f"tryon.init = {options.init!r}",
            expected="a path, or a name from `idmvton weights list`",
        )
    name, _, inside = value.partition("/")
    if is_name(name):
        return locate(name) / inside
    return Path(value)
