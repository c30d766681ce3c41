"""Puts a trained checkpoint into the library as ``mini``: half precision, the deterministic sampler.

    python tools/export_mini.py runs/mini_tryon/checkpoint --decoder runs/mini_vae_decoder/checkpoint

The VAE stays in float32 as :func:`idmvton.models.latents.vae_dtype` demands; everything is a few tens of megabytes.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

import torch
from diffusers import DDIMScheduler

from idmvton.checkpoint.parts import load_part
from idmvton.checkpoint.published import load_checkpoint, save_checkpoint

MINI = Path(__file__).parents[1] / "src" / "idmvton" / "assets" / "mini"


def same_latents(vae: Any, other: Any) -> Any:
    """``other``, if its encoder is that of ``vae``."""
    own, others = (
        {name: each for name, each in net.state_dict().items() if name.startswith(("encoder.", "quant_conv."))}
        for net in (vae, other)
    )
    is_scaled = vae.config.scaling_factor != other.config.scaling_factor
    if is_scaled or own.keys() != others.keys() or any(not torch.equal(own[name], others[name]) for name in own):
        raise SystemExit("the other VAE has another encoder: TryonNet was not trained on its latents")
    return other


def main() -> None:
    """Converts, and tells the sizes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--decoder", type=Path, help="has a `vae` with the same latents, whose decoder is taken")
    parser.add_argument("--output", type=Path, default=MINI)
    arguments = parser.parse_args()
    parts = load_checkpoint(arguments.checkpoint, dtype=torch.float16)
    if arguments.decoder is not None:
        parts["vae"] = same_latents(parts["vae"], load_part(arguments.decoder / "vae", "vae"))
    parts["scheduler"] = DDIMScheduler.from_config(parts["scheduler"].config)
    if parts.get("warp_net") is not None:
        parts["warp_net"].half()
    shutil.rmtree(arguments.output, ignore_errors=True)
    save_checkpoint(parts, arguments.output)
    for path in arguments.output.glob("*/config.json"):
        config = json.loads(path.read_text())
        config.pop("_name_or_path", None)  # where the weights were on the machine that trained them
        path.write_text(json.dumps(config, indent=2) + "\n")
    sizes = {path: path.stat().st_size for path in arguments.output.rglob("*.safetensors")}
    for path, size in sorted(sizes.items()):
        print(f"{size / 1e6:7.2f} MB  {path.relative_to(arguments.output)}")
    print(f"{sum(sizes.values()) / 1e6:7.2f} MB  together")


if __name__ == "__main__":
    main()
