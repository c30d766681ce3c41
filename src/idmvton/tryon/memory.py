"""How much of a checkpoint lies on the GPU, in which precision: the modes of ``--memory``.

======== ===================================================== ====================================
mode     on the GPU                                            on the CPU until needed
======== ===================================================== ====================================
fast     everything, in half precision                         nothing
balanced both UNets with weights in 8 bits                     encoders and VAE
low      one network at a time, UNets with weights in 8 bits   everything else, garments' features
======== ===================================================== ====================================

In ``low`` GarmentNet runs first, for all steps, and then TryonNet. In ``balanced`` and ``low`` the VAE works in tiles.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from accelerate import cpu_offload_with_hook
from torch import nn

from idmvton.devices import free_bytes
from idmvton.errors import ConfigError
from idmvton.models.eight_bit import shrink
from idmvton.types import MemoryMode

GIB = 2**30
WORKING_BYTES = 5 * GIB
"""Beside the weights, for a picture of 1024x768; the VAE in float32 needs most of it."""
BALANCED_BYTES = 8 * GIB
"""What ``balanced`` needs in all with weights of the published size."""
PUBLISHED_WEIGHTS = 13.5 * GIB


def choose_mode(wanted: MemoryMode, device: torch.device, parts: Mapping[str, Any]) -> MemoryMode:
    """``auto`` -> the fastest mode that fits into the memory that is free.

    Args:
        wanted: what the caller asks for.
        device: where the networks are to compute.
        parts: of the checkpoint; the modules among them are counted.

    Raises:
        ConfigError: a mode for GPUs on another device.
    """
    if device.type != "cuda":
        if wanted in ("balanced", "low"):
            raise ConfigError(
                f"the memory mode {wanted!r} needs a GPU", got=f"device {device}", expected="auto or fast, or cuda"
            )
        return "fast"
    if wanted != "auto":
        return wanted
    weights = sum(each.numel() * each.element_size() for part in parts.values() if isinstance(part, nn.Module)
                  for each in part.parameters())  # fmt: skip
    free = free_bytes(device)
    if free >= weights + WORKING_BYTES:
        return "fast"
    return "balanced" if free >= BALANCED_BYTES * weights / PUBLISHED_WEIGHTS else "low"


def work_in_place(vae: nn.Module) -> None:
    """Lets a VAE's activations overwrite the norms before them, which nothing else reads: not for training."""
    for module in vae.modules():
        if isinstance(module, nn.SiLU):
            module.inplace = True


class Placement:
    """Puts the parts of a checkpoint where a mode wants them.

    Args:
        mode: ``fast``, ``balanced`` or ``low``.
        device: where the networks compute.
        encoders: those that are needed once a call, in the order of their use.
        networks: GarmentNet and TryonNet.
        vae: ``AutoencoderKL``.
    """

    def __init__(
        self, mode: MemoryMode, device: torch.device, encoders: list[nn.Module], networks: list[Any], vae: Any
    ) -> None:
        self.mode, self.device = mode, device
        self._hooks: list[Any] = []
        work_in_place(vae)
        if mode == "fast":
            for network in networks:
                network.lay_out_for_gpus()
            return
        vae.enable_tiling()
        for network in networks:
            shrink(network, device)
            network.lay_out_for_gpus()
            if mode == "low":
                nn.Module.to(network, "cpu")
        visiting = [*encoders, *(networks if mode == "low" else []), vae]
        previous = None
        for module in visiting:
            _, previous = cpu_offload_with_hook(module, device, previous)
            self._hooks.append(previous)

    def leave(self) -> None:
        """Sends everything that only visits back to the CPU; at the end of a call."""
        for hook in self._hooks:
            hook.offload()

    @property
    def about(self) -> str:
        """The mode in words, for the result."""
        return {
            "fast": "fast",
            "balanced": "balanced: UNet weights in 8 bits, encoders and VAE on the CPU until needed, VAE in tiles",
            "low": "low: one network at a time, UNet weights in 8 bits, VAE in tiles",
        }[self.mode]
