"""``idmvton doctor``: what is installed, what the machine has, which weights are there."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from typing import Annotated, Any

import typer

from idmvton.cli.shared import out, print_json, reports_errors

PACKAGES = (
    "idmvton",
    "torch",
    "diffusers",
    "transformers",
    "accelerate",
    "safetensors",
    "huggingface_hub",
    "pillow",
    "numpy",
    "opencv-python-headless",
)


@reports_errors
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Print versions, devices, memory, and which weights are present."""
    report = collect()
    if as_json:
        print_json(report)
        return
    for section, lines in report.items():
        out.print(f"[bold]{section}[/]")
        for name, value in lines.items():
            out.print(f"  {name:<24} {value}", markup=False, soft_wrap=True)


def collect() -> dict[str, dict[str, Any]]:
    """The report: section -> name -> value."""
    from idmvton.devices import resolve_device, resolve_dtype
    from idmvton.weights import CATALOGUE, size_text, status

    device = resolve_device()
    found = {name: status(name) for name in CATALOGUE}
    return {
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}},
        "machine": {
            "system": f"{platform.system()} {platform.machine()}",
            "cores": os.cpu_count(),
            "memory": size_text(_memory_bytes()),
            **_accelerators(),
            "device used": f"{device} in {str(resolve_dtype('auto', device)).removeprefix('torch.')}",
        },
        "weights": {
            name: f"{each.state}{f', {size_text(each.num_bytes)} in {each.path}' if each.path else ''}"
            for name, each in found.items()
        },
    }


def _accelerators() -> dict[str, str]:
    import torch

    from idmvton.weights import size_text

    names = {
        f"cuda:{index}": f"{torch.cuda.get_device_name(index)}, "
        f"{size_text(torch.cuda.get_device_properties(index).total_memory)}"
        for index in range(torch.cuda.device_count())
    }
    if torch.backends.mps.is_available():
        names["mps"] = "Apple GPU, shares the memory of the machine"
    return names or {"accelerator": "none"}


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _memory_bytes() -> int:
    import psutil

    return int(psutil.virtual_memory().total)
