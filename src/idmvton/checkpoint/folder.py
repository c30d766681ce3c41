"""What a checkpoint's folder must hold, told without loading anything."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from idmvton.errors import WeightsError, some_of
from idmvton.types import Size

NETWORKS: Final = ("vae", "text_encoder", "text_encoder_2", "image_encoder", "unet", "unet_encoder")
FOLDERS: Final = (*NETWORKS, "tokenizer", "tokenizer_2", "scheduler")
UNET_STEM: Final = "diffusion_pytorch_model"


def stem_of(name: str) -> str:
    """How the weight files of a network start: diffusers' name or transformers'."""
    return UNET_STEM if name in ("vae", "unet", "unet_encoder", "warp_net") else "model"


def find_parts(folder: Path, base: Path | None = None) -> dict[str, Path]:
    """Where each part lies: in the folder, else in the base.

    Raises:
        WeightsError: a part is missing.
    """
    places = [place for place in (folder, base) if place is not None]
    parts = {name: place / name for place in reversed(places) for name in FOLDERS if (place / name).is_dir()}
    missing = [name for name in FOLDERS if name not in parts]
    if missing:
        found = some_of(sorted(each.name for each in folder.iterdir())) if folder.is_dir() else "no such folder"
        raise WeightsError(
            f"{folder} is not an IDM-VTON checkpoint",
            got=found or "an empty folder",
            expected=f"the folders {', '.join(FOLDERS)}; missing: {', '.join(missing)}",
            fix="`idmvton weights list` names the checkpoints that can be downloaded",
        )
    return parts


def read_config(folder: Path, name: str = "config.json") -> dict[str, Any]:
    """Reads a JSON object.

    Raises:
        WeightsError: it is missing, or something else.
    """
    path = folder / name
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f"cannot read {path}", got=error, expected="a JSON file") from error
    if not isinstance(config, dict):
        raise WeightsError(f"cannot use {path}", got=type(config).__name__, expected="a JSON object")
    return config


def sizes_of(parts: dict[str, Path]) -> tuple[Size, int]:
    """The working size of a checkpoint, not yet a multiple of what its networks need, and that multiple.

    Raises:
        WeightsError: a config that is missing or damaged.
    """
    unet, vae = (read_config(parts[name]) for name in ("unet", "vae"))
    try:
        vae_factor = int(2 ** (len(vae["block_out_channels"]) - 1))
        height = int(unet["sample_size"]) * vae_factor
        return Size(height, round(height * 3 / 4)), int(vae_factor * 2 ** (len(unet["block_out_channels"]) - 1))
    except (KeyError, TypeError) as error:
        raise WeightsError(f"cannot use the configuration of {parts['unet'].parent}", got=error) from error
