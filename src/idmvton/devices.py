"""Where the networks run and in which precision."""

from __future__ import annotations

import psutil
import torch

from idmvton.errors import ConfigError


def resolve_device(name: str | torch.device = "auto") -> torch.device:
    """``auto``: the first of cuda, mps, cpu that is there; otherwise the named device.

    Raises:
        ConfigError: the device is unknown or not there.
    """
    if name == "auto":
        name = next((kind for kind in ("cuda", "mps") if _is_available(torch.device(kind))), "cpu")
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError) as error:
        raise ConfigError("unknown device", got=repr(name), expected="auto, cpu, cuda, cuda:N or mps") from error
    if not _is_available(device):
        raise ConfigError(
            f"the device {str(name)!r} is not there",
            got=f"torch {torch.__version__} with {torch.cuda.device_count()} CUDA devices",
            expected="auto, or a device that `idmvton doctor` lists",
            fix="choose another device, or install a torch build for your accelerator",
        )
    return device


def resolve_dtype(name: str | torch.dtype, device: torch.device) -> torch.dtype:
    """``auto``: float32 on the CPU; on GPUs bfloat16 where they compute it, else float16.

    Raises:
        ConfigError: a precision that the networks do not run in.
    """
    if name != "auto":
        dtype = getattr(torch, name, None) if isinstance(name, str) else name
        if dtype not in (torch.float32, torch.bfloat16, torch.float16):
            raise ConfigError(
                "the networks do not run in this dtype", got=repr(name), expected="auto, float32, bfloat16 or float16"
            )
        return dtype
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    return torch.float16 if device.type == "mps" else torch.float32


def free_bytes(device: torch.device) -> int:
    """Memory that nobody uses: of the GPU on CUDA, else of the machine."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)


def synchronize(device: torch.device) -> None:
    """Waits for the work of an accelerator, so that a clock reads the truth."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def _is_available(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count()
    if device.type == "mps":
        return torch.backends.mps.is_available()
    return device.type == "cpu"
