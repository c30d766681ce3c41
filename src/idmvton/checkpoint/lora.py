"""LoRA files on TryonNet, such as those of LCM, Lightning and Hyper-SD: low-rank changes of its layers, added exactly.

Layers are looked up by the names that each program gives them: peft and diffusers (old and new), and kohya with the
names of diffusers or of SDXL's own code.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import torch.nn.functional as F
from diffusers import UNet2DConditionModel
from torch import Tensor, nn

from idmvton.checkpoint.parts import list_faults
from idmvton.errors import WeightsError
from idmvton.models.changed_weights import LowRank
from idmvton.weights import read_tensors

_PART: Final = re.compile(
    r"(?P<layer>.+?)(?:[._]lora)?\."
    r"(?:(?P<down>lora_A(?:\.default)?\.weight|lora_down\.weight|down\.weight)"
    r"|(?P<up>lora_B(?:\.default)?\.weight|lora_up\.weight|up\.weight)|(?P<alpha>alpha))"
)
_WRAPPERS: Final = ("base_model.model.", "unet.")
_INNER: Final = {
    "conv1": "in_layers.2",
    "conv2": "out_layers.3",
    "time_emb_proj": "emb_layers.1",
    "conv_shortcut": "skip_connection",
}
_OUTER: Final = {
    "conv_in": "input_blocks.0.0",
    "conv_out": "out.2",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
}


def read_lora(path: Path, network: UNet2DConditionModel) -> dict[str, LowRank]:
    """What a LoRA file changes in a network.

    Args:
        path: a ``.safetensors`` or ``.bin`` file.
        network: TryonNet. The file may be of an SDXL net with fewer input channels: those stand in front in TryonNet's.

    Returns:
        Parameter -> its difference.

    Raises:
        WeightsError: no weights, or layers that the network does not have.
    """
    layers = {spelling: name for name in _layers(network) for spelling in _spellings(network, name)}
    found = defaultdict[str, dict[str, Tensor]](dict)
    unknown = []
    for name, tensor in read_tensors(path).items():
        match = _PART.fullmatch(name)
        layer = layers.get(_unwrapped(match["layer"])) if match else None
        if match is None or match.lastgroup is None or layer is None:
            unknown.append(name)
        else:
            found[layer][match.lastgroup] = tensor
    halves = [layer for layer, parts in found.items() if not {"down", "up"} <= parts.keys()]
    changes, shapes = {}, []
    for layer, parts in found.items():
        if layer not in halves:
            try:
                changes[f"{layer}.weight"] = _low_rank(layer, parts, network.get_submodule(layer).weight)
            except ValueError as error:
                shapes.append(f"{layer}: {error}")
    lines = list_faults({"not known": unknown, "without their other half": halves, "of the wrong shape": shapes})
    if lines or not changes:
        raise WeightsError(
            f"{path} does not fit TryonNet",
            got="\n    ".join(lines) or "no layers",
            expected="a LoRA file for the UNet of SDXL alone, as peft, diffusers or kohya save it",
            fix=_hint(unknown),
        )
    return changes


def _hint(unknown: list[str]) -> str | None:
    if any(name.startswith(("lora_te", "text_encoder")) for name in unknown):
        return "save the LoRA without its text encoders"
    if any("hada_" in name or "lokr_" in name or "dora_scale" in name for name in unknown):
        return "LoHa, LoKr and DoRA are other methods: use a plain LoRA"
    return None


def _layers(network: nn.Module) -> Iterator[str]:
    for name, module in network.named_modules():
        weight = getattr(module, "weight", None)
        if isinstance(weight, Tensor) and weight.dim() in (2, 4):
            yield name


def _unwrapped(layer: str) -> str:
    for prefix in _WRAPPERS:
        layer = layer.removeprefix(prefix)
    return layer


def _spellings(network: UNet2DConditionModel, name: str) -> Iterator[str]:
    """What files call a layer."""
    yield name
    yield f"lora_unet_{name.replace('.', '_')}"
    if inner := _name_in_sdxl(name, network.config.layers_per_block + 1, network):
        yield f"lora_unet_{inner.replace('.', '_')}"
    if match := re.fullmatch(r"(.+\.attn[12])\.(to_.+?)(?:\.0)?", name):
        yield f"{match[1]}.processor.{match[2]}"


def _name_in_sdxl(name: str, step: int, network: nn.Module) -> str | None:
    """A layer's name in SDXL's own code; ``step``: its blocks a level and one."""
    if name in _OUTER:
        return _OUTER[name]
    if match := re.fullmatch(r"mid_block\.(resnets|attentions)\.(\d)\.(.+)", name):
        number = 1 if match[1] == "attentions" else 2 * int(match[2])
        return f"middle_block.{number}.{_INNER.get(match[3], match[3])}"
    match = re.fullmatch(r"(down|up)_blocks\.(\d)\.(resnets|attentions|downsamplers|upsamplers)\.(\d)\.(.+)", name)
    if match is None:
        return None
    side, level, kind, number, inner = match[1], int(match[2]), match[3], int(match[4]), match[5]
    inner = _INNER.get(inner, inner)
    if kind == "downsamplers":
        return f"input_blocks.{(level + 1) * step}.0.op"
    if kind == "upsamplers":
        place = 2 if hasattr(network.get_submodule(f"up_blocks.{level}"), "attentions") else 1
        return f"output_blocks.{level * step + step - 1}.{place}.{inner}"
    place = 1 if kind == "attentions" else 0
    first, word = (1, "input_blocks") if side == "down" else (0, "output_blocks")
    return f"{word}.{first + level * step + number}.{place}.{inner}"


def _low_rank(layer: str, parts: Mapping[str, Tensor], weight: Tensor) -> LowRank:
    """A layer's change, in the form of its weight; input channels that the file does not know are 0.

    Raises:
        ValueError: it does not fit the weight.
    """
    down, up = parts["down"], parts["up"]
    rank = down.shape[0]
    if weight.dim() == 2 and down.shape[2:] == (1, 1):
        down = down[..., 0, 0]
    if weight.dim() == 4 and down.dim() == 2:
        down = down[..., None, None]
    missing = weight.shape[1] - down.shape[1]
    if layer == "conv_in" and missing > 0:
        down = F.pad(down, (0, 0, 0, 0, 0, missing))
    fits = up.dim() in (2, 4) and up.shape[1] == rank and up[0, 0].numel() == 1
    if not fits or (len(up), *down.shape[1:]) != tuple(weight.shape):
        raise ValueError(f"{list(up.shape)} times {list(parts['down'].shape)}, expected {list(weight.shape)}")
    alpha = float(parts["alpha"]) if "alpha" in parts else rank
    return LowRank(down, up.flatten(1), alpha / rank)
