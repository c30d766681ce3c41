"""Low-rank adapters on TryonNet's attention projections, by peft."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from idmvton.errors import MissingExtraError
from idmvton.models.tryon_net import TryonNet
from idmvton.training.sections import LoraOptions
from idmvton.weights import write_tensors

TARGETS = ("to_q", "to_k", "to_v", "to_out.0", "to_k_ip", "to_v_ip")


def add_adapters(unet: TryonNet, options: LoraOptions) -> None:
    """Freezes the net and adds adapters, which are then all that is trained.

    Raises:
        MissingExtraError: peft is not installed.
    """
    peft = _peft()
    unet.requires_grad_(False)
    config = peft.LoraConfig(r=options.rank, lora_alpha=options.alpha, target_modules=list(TARGETS))
    peft.inject_adapter_in_model(config, unet)


@contextlib.contextmanager
def without_adapters(unet: TryonNet, folder: Path | None) -> Iterator[TryonNet]:
    """The net with its adapters merged into the weights; itself where there are none.

    Args:
        unet: stays as it is.
        folder: where the adapters are written to; None: there are none.
    """
    if folder is None:
        yield unet
        return
    peft = _peft()
    alphas = {
        f"{name}.alpha": torch.tensor(float(layer.lora_alpha["default"]))
        for name, layer in unet.named_modules()
        if isinstance(layer, peft.tuners.lora.LoraLayer)
    }
    write_tensors(peft.get_peft_model_state_dict(unet) | alphas, folder / "adapters.safetensors")
    merged: Any = copy.deepcopy(unet)
    for name, layer in list(merged.named_modules()):
        if isinstance(layer, peft.tuners.lora.LoraLayer):
            layer.merge()
            parent, _, child = name.rpartition(".")
            setattr(merged.get_submodule(parent), child, layer.get_base_layer())
    yield merged


def _peft() -> Any:
    try:
        import peft
    except ImportError as error:
        raise MissingExtraError(
            "adapters need peft, which is not installed",
            got=error,
            expected="the extra `lora`",
            fix="pip install 'idmvton[lora]', or set lora.rank = 0",
        ) from error
    return peft
