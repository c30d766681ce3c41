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
from accelerate.hooks import ModelHook, add_hook_to_module, remove_hook_from_module
from accelerate.utils import send_to_device
from torch import nn

from idmvton.devices import free_bytes
from idmvton.errors import ConfigError
from idmvton.models import fused
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


def spare_memory(vae: nn.Module) -> None:
    """Lets a VAE hold fewer copies of a picture: channels last, fused norms, activations in place. Not for training."""
    fused.install(vae)
    nn.Module.to(vae, memory_format=torch.channels_last)  # type: ignore[call-overload]
    for module in vae.modules():
        if isinstance(module, nn.SiLU):
            module.inplace = True


class Visit(ModelHook):
    """Brings a module to the GPU when it is called, one at a time; what waits on the CPU is not copied back.

    Args:
        device: the GPU.
        guests: all visits; the others end when this one begins.
    """

    def __init__(self, device: torch.device, guests: dict[nn.Module, Visit]) -> None:
        super().__init__()
        self.device, self.guests = device, guests
        self._own: list[tuple[torch.Tensor, torch.Tensor]] = []
        self._is_there = False

    def init_hook(self, module: nn.Module) -> nn.Module:
        """Takes the weights, which are on the CPU, into memory that is quick to copy from."""
        for each in (*module.parameters(), *module.buffers()):
            waiting = each.data.cpu()
            each.data = waiting.pin_memory() if self.device.type == "cuda" else waiting
            self._own.append((each, each.data))
        return module

    def pre_forward(self, module: nn.Module, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        """Before each use."""
        if not self._is_there:
            for guest in self.guests.values():
                guest.end()
            for each, waiting in self._own:
                each.data = waiting.to(self.device, non_blocking=True)
            self._is_there = True
        return send_to_device(args, self.device), send_to_device(kwargs, self.device)

    def end(self) -> None:
        """The GPU's copy goes."""
        for each, waiting in self._own:
            each.data = waiting
        self._is_there = False


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
        self._guests: dict[nn.Module, Visit] = {}
        spare_memory(vae)
        if mode == "fast":
            for network in networks:
                network.lay_out_for_gpus()
            return
        vae.enable_tiling()
        for network in networks:
            shrink(network, device)
            network.lay_out_for_gpus()
            if mode == "low":
                self._invite(network)
        for module in (*encoders, vae):
            self._invite(module)

    def _invite(self, module: nn.Module) -> None:
        visit = Visit(self.device, self._guests)
        add_hook_to_module(module, visit)
        self._guests[module] = visit

    def leave(self) -> None:
        """Leaves everything that only visits on the CPU; at the end of a call."""
        for visit in self._guests.values():
            visit.end()

    def undo(self) -> None:
        """Lets every module stay where it then is; for another placement."""
        self.leave()
        for module in self._guests:
            remove_hook_from_module(module)
        self._guests.clear()

    @property
    def about(self) -> str:
        """The mode in words, for the result."""
        return {
            "fast": "fast",
            "balanced": "balanced: UNet weights in 8 bits, encoders and VAE on the CPU until needed, VAE in tiles",
            "low": "low: one network at a time, UNet weights in 8 bits, VAE in tiles",
        }[self.mode]
