"""What a customization can set. Importing this loads no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from idmvton.options import Options, option

Layers = Literal["up_attention", "up_blocks", "all_attention", "none"]
Precision = Literal["auto", "float32", "bfloat16"]


@dataclass(frozen=True, slots=True)
class CustomizeOptions(Options):
    """How a checkpoint learns a garment."""

    layers: Layers | None = option(
        None,
        "What of TryonNet is trained. up_attention: the attention layers of its up blocks, as in the paper; up_blocks: "
        "all of these blocks; all_attention: the attention layers of all blocks; none: WarpNet alone. up_attention, "
        "or none for checkpoints with a WarpNet, when not given.",
    )
    warp: bool | None = option(
        None, "Also train WarpNet, which lays the garment; where the checkpoint has one, when not given."
    )
    lora: int = option(0, "Rank of low-rank matrices (peft) instead of the layers themselves; 0: none.", minimum=0)
    steps: int | None = option(
        None, "Optimizer steps, at most; 100, for WarpNet alone 20, when not given.", minimum=1, maximum=100_000
    )
    learning_rate: float | None = option(
        None, "The highest rate; 1e-5, with LoRA and for WarpNet alone 1e-4, when not given.", minimum=0.0, maximum=1.0
    )
    batch_size: int = option(2, "Varied views of the photos in a step.", minimum=1, maximum=256)
    accumulation: int = option(1, "Parts that a step's views are computed in: less memory.", minimum=1, maximum=256)
    vary: float = option(
        1.0, "How much views vary: mirrored, moved, scaled, in other light; 0: not at all.", minimum=0.0, maximum=2.0
    )
    vary_mask: float = option(0.5, "Share of views whose mask grows.", minimum=0.0, maximum=1.0)
    garment_weight: float = option(
        4.0, "Weight of the garment in the loss, against 1 elsewhere.", minimum=0.0, maximum=100.0
    )
    min_timestep: int = option(0, "Timesteps are drawn from this one on.", minimum=0, maximum=999)
    max_timestep: int = option(999, "Timesteps are drawn up to this one.", minimum=0, maximum=999)
    prior: str | None = option(
        None, "A data set whose pairs are mixed in, so that other garments stay as they are (prior preservation)."
    )
    prior_share: float = option(0.25, "Share of the views that come from it.", minimum=0.01, maximum=0.9)
    check_every: int = option(10, "The held-out view is scored every so many steps.", minimum=1, unit="steps")
    patience: int = option(
        3, "Stop where it has not got better for so many times; the best weights count.", minimum=1, maximum=1000
    )
    precision: Precision = option("auto", "Of the computation; auto: bfloat16 on GPUs, else float32.")
    adam_8bit: bool = option(False, "Adam's moments in 8 bits (bitsandbytes, GPUs): less memory.")
    gradient_checkpointing: bool | None = option(
        None, "Compute activations again in the backward pass: less memory; on GPUs when not given."
    )
    max_minutes: float | None = option(
        None, "Stop after this time, with the state saved; --resume continues.", minimum=0.0, unit="minutes"
    )
    seed: int = option(0, "Decides the views and every draw.", minimum=0, maximum=2**32 - 1)
