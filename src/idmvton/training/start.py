"""What the try-on training starts from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import diffusers

from idmvton.checkpoint import load_checkpoint, load_garment_net, load_training_parts
from idmvton.checkpoint_parts import WARP_NET, load_part
from idmvton.errors import ConfigError
from idmvton.models.tryon_net import num_input_channels, widen_input
from idmvton.training.initialise import (
    garment_net_from,
    new_components,
    new_resampler,
    tryon_net_from,
    with_fine_attention,
)
from idmvton.training.linear_start import start_as_copy
from idmvton.training.options import (
    ClipOptions,
    DataOptions,
    ImagePromptOptions,
    NoiseOptions,
    TryonOptions,
    UnetOptions,
    VaeOptions,
)
from idmvton.training.recipe import Recipe
from idmvton.training.sources import Captioned
from idmvton.weights import CATALOGUE, locate

_SHARED = ("vae", "text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2", "scheduler")


def start_components(recipe: Recipe, dataset: Captioned) -> dict[str, Any]:
    """The parts of a pipeline, float32, as ``[tryon]`` says; TryonNet has channels for the draft.

    Raises:
        ConfigError: a folder that is needed was not named, or more input channels than the recipe has a use for.
        WeightsError: a folder that is missing or does not fit.
    """
    components = _components(recipe, dataset)
    options, net = recipe.section(TryonOptions), components["unet"]
    if options.warp_net:
        components[WARP_NET] = load_part(Path(options.warp_net) / WARP_NET, WARP_NET)
    widen_input(net, num_input_channels(net.latent_channels, drafted=WARP_NET in components))
    if options.start == "copy":
        prediction = components["scheduler"].config.prediction_type
        if prediction != "sample":
            raise ConfigError("TryonNet cannot start as a copy", got=f"it predicts {prediction}", expected="sample")
        start_as_copy(net, components["unet_encoder"])
    return components


def _components(recipe: Recipe, dataset: Captioned) -> dict[str, Any]:
    options = recipe.section(TryonOptions)
    if options.fine_attention and (options.init != "parts" or options.ip_adapter):
        raise ConfigError(
            "this start has no place for tryon.fine_attention",
            got=f"tryon.init = {options.init!r}, tryon.ip_adapter = {options.ip_adapter!r}",
            expected="tryon.init = 'parts' without an IP-Adapter",
        )
    if options.init == "checkpoint":
        return load_checkpoint(_named(options, "checkpoint"), variant=options.variant)
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
    inpainting, garment, image_encoder = (_named(options, name) for name in ("inpainting", "garment", "image_encoder"))
    if options.ip_adapter:
        adapter = _named(options, "ip_adapter")
        return load_training_parts(inpainting, garment, adapter, image_encoder, variant=options.variant)
    parts = {name: load_part(inpainting / name, name, variant=options.variant) for name in _SHARED}
    parts["image_encoder"] = load_part(image_encoder, "image_encoder")
    unet = diffusers.UNet2DConditionModel.from_pretrained(inpainting / "unet", variant=options.variant)
    garment_net = load_garment_net(garment / "unet", variant=options.variant)
    if options.fine_attention:
        unet, garment_net = with_fine_attention(unet), garment_net_from(with_fine_attention(garment_net))
    resampler = new_resampler(
        recipe.section(ImagePromptOptions),
        clip_width=parts["image_encoder"].config.hidden_size,
        text_width=unet.config.cross_attention_dim,
    )
    return parts | {
        "unet": tryon_net_from(unet, resampler),
        "unet_encoder": garment_net,
    }


def _named(options: TryonOptions, name: str) -> Path:
    """A path, or a name of the catalogue with or without a path inside."""
    value = getattr(options, name)
    if not value:
        raise ConfigError(
            f"tryon.{name} is not set",
            got=f"tryon.init = {options.init!r}",
            expected="a path, or a name from `idmvton weights list`",
        )
    name, _, inside = value.partition("/")
    if not Path(value).exists() and name in CATALOGUE:
        return locate(name) / inside
    return Path(value)
