"""Which weights a customization trains, by their names, and their low-rank form."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from torch import nn

from idmvton.customize.options import Layers
from idmvton.errors import ConfigError, MissingExtraError

PATTERNS: Final[dict[Layers, str]] = {
    "up_attention": r"up_blocks\.\d+\.attentions\..*\.attn[12]\.",
    "up_blocks": r"up_blocks\.",
    "all_attention": r".*\.attn[12]\.",
    "none": r"(?!)",
}
"""Layers -> what the names of their weights start with. Attention layers include those of the image prompt."""


def chosen_weights(network: nn.Module, layers: Layers) -> list[str]:
    """The names of the weights of some layers, in the network's order.

    Raises:
        ConfigError: the network has no such layers.
    """
    names = [name for name, _ in network.named_parameters() if re.match(PATTERNS[layers], name)]
    if not names and layers != "none":
        raise ConfigError("TryonNet has no such layers", got=layers, expected="one of " + ", ".join(PATTERNS))
    return names


def train_only(network: nn.Module, names: Iterable[str]) -> None:
    """Freezes a network but for some weights."""
    network.requires_grad_(False)
    for name in names:
        network.get_parameter(name).requires_grad_(True)


def add_low_rank(network: nn.Module, names: Iterable[str], rank: int) -> list[str]:
    """Puts low-rank matrices beside the linear layers among some weights; they are then all that is trained.

    The weights' own names change while they are there (``.base_layer``).

    Args:
        network: is changed in place.
        names: of weights; those of other layers, and biases, stay as they are.
        rank: of the matrices, which start as no change.

    Returns:
        The names of the weights that have them.

    Raises:
        MissingExtraError: peft is not installed.
    """
    modules = {name.removesuffix(".weight") for name in names if name.endswith(".weight")}
    linear = [name for name in modules if isinstance(network.get_submodule(name), nn.Linear)]
    linear = sorted(linear)
    network.requires_grad_(False)
    peft = _peft()
    peft.inject_adapter_in_model(peft.LoraConfig(r=rank, lora_alpha=rank, target_modules=linear), network)
    return [f"{name}.weight" for name in linear]


def _peft() -> Any:
    try:
        import peft
    except ImportError as error:
        raise MissingExtraError(
            "low-rank matrices need peft, which is not installed",
            got=error,
            expected="the extra `lora`",
            fix="pip install 'idmvton[lora]', or leave --lora out",
        ) from error
    return peft
