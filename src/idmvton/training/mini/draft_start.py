"""What the try-on from a draft starts from: the parts of the try-on, a trained WarpNet, channels for the draft."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from idmvton.checkpoint.parts import WARP_NET, load_part
from idmvton.errors import ConfigError
from idmvton.models.tryon_net import num_input_channels, widen_input
from idmvton.training.mini.fine_attention import with_fine_attention
from idmvton.training.mini.linear_start import start_as_copy
from idmvton.training.mini.stage_sections import MiniTryOnOptions
from idmvton.training.recipe import Recipe
from idmvton.training.sections import TryOnTaskOptions
from idmvton.training.sources import Captioned
from idmvton.training.start import checkpoint_to_go_on_from, parts_without_adapter, start_components


def start_with_draft(recipe: Recipe, dataset: Captioned) -> dict[str, Any]:
    """The parts of a pipeline, float32, as ``[tryon]`` and ``[mini_tryon]`` say.

    Raises:
        ConfigError: a folder that is needed was not named, or a start that has no place for what is asked for.
        WeightsError: a folder that is missing or does not fit.
    """
    options, tryon = recipe.section(MiniTryOnOptions), recipe.section(TryOnTaskOptions)
    components = _components(recipe, dataset)
    if options.warp_net:
        components[WARP_NET] = load_part(Path(options.warp_net) / WARP_NET, WARP_NET)
    if WARP_NET not in components:
        raise ConfigError(
            "there is no network that makes drafts",
            got=f"mini_tryon.warp_net = {options.warp_net!r}, tryon.init = {tryon.init!r}",
            fix="name a mini_tryon.warp_net, or set task = 'tryon', which needs none",
        )
    net = components["unet"]
    widen_input(net, num_input_channels(net.latent_channels, drafted=True))
    if options.start == "copy":
        prediction = components["scheduler"].config.prediction_type
        if prediction != "sample":
            raise ConfigError("TryonNet cannot start as a copy", got=f"it predicts {prediction}", expected="sample")
        start_as_copy(net, components["unet_encoder"])
    return components


def _components(recipe: Recipe, dataset: Captioned) -> dict[str, Any]:
    options = recipe.section(TryOnTaskOptions)
    if recipe.section(MiniTryOnOptions).fine_attention:
        if options.init != "parts" or options.ip_adapter:
            raise ConfigError(
                "this start has no place for mini_tryon.fine_attention",
                got=f"tryon.init = {options.init!r}, tryon.ip_adapter = {options.ip_adapter!r}",
                expected="tryon.init = 'parts' without an IP-Adapter",
            )
        return parts_without_adapter(recipe, with_fine_attention)
    if options.init == "checkpoint":
        return checkpoint_to_go_on_from(options)
    return start_components(recipe, dataset)
