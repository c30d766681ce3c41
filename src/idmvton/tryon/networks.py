"""What the stages of a call work with: the networks of a checkpoint, where they run, and how they were trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from idmvton.models.garment_net import GarmentNet
from idmvton.models.tryon_net import TryonNet
from idmvton.tryon.graphs import Graphs
from idmvton.types import TimeIds


@dataclass(frozen=True, slots=True)
class Networks:
    """A view of a pipeline's parts at one moment; no stage changes them.

    Attributes:
        vae: ``AutoencoderKL``.
        text_encoders, tokenizers: both CLIPs, in order; the second one pools.
        image_encoder: ``CLIPVisionModelWithProjection``.
        tryon_net, garment_net: the paper's two UNets.
        device: where they compute.
        time_ids: what TryonNet was trained with.
        graphs: of the two UNets, where they are recorded.
    """

    vae: Any
    text_encoders: tuple[Any, Any]
    tokenizers: tuple[Any, Any]
    image_encoder: Any
    tryon_net: TryonNet
    garment_net: GarmentNet
    device: torch.device
    time_ids: TimeIds
    graphs: Graphs
