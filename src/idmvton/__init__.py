"""Virtual try-on with IDM-VTON (arXiv 2403.05139).

Public names are imported on first use: ``import idmvton`` loads neither torch nor diffusers.

    from idmvton import TryOnPipeline, prepare

    pipe = TryOnPipeline.from_pretrained("path/to/checkpoint")
    prepared = prepare("person.jpg", "garment.jpg")
    result = pipe(person=prepared, garment=prepared.garment, caption="short sleeve t-shirt")
    result.images[0].save("out.png")
"""

from __future__ import annotations

import importlib

TYPE_CHECKING = False  # not from typing: what is imported here runs before the command line can handle Ctrl-C

# The first import of the package `prepare` puts it under this name. Here the name is the function's.
importlib.import_module("idmvton.prepare")
del globals()["prepare"]

if TYPE_CHECKING:
    from idmvton.checkpoint.published import load_checkpoint, load_training_parts, save_checkpoint
    from idmvton.client import Client
    from idmvton.errors import IdmVtonError
    from idmvton.options import TryOnOptions
    from idmvton.prepare import Prepared, prepare, read_prepared
    from idmvton.tryon.outputs import TryOnResult
    from idmvton.tryon.pipeline import TryOnPipeline
    from idmvton.types import GarmentFeatures

    __version__: str

_HOME = {
    "Client": "client",
    "GarmentFeatures": "types",
    "IdmVtonError": "errors",
    "Prepared": "prepare",
    "TryOnOptions": "options",
    "TryOnPipeline": "tryon.pipeline",
    "TryOnResult": "tryon.outputs",
    "load_checkpoint": "checkpoint.published",
    "load_training_parts": "checkpoint.published",
    "prepare": "prepare",
    "read_prepared": "prepare",
    "save_checkpoint": "checkpoint.published",
}

__all__ = [
    "Client",
    "GarmentFeatures",
    "IdmVtonError",
    "Prepared",
    "TryOnOptions",
    "TryOnPipeline",
    "TryOnResult",
    "load_checkpoint",
    "load_training_parts",
    "prepare",
    "read_prepared",
    "save_checkpoint",
]


def __getattr__(name: str) -> object:
    if name == "__version__":
        return importlib.import_module("idmvton.types").VERSION
    if name not in _HOME:
        raise AttributeError(f"module 'idmvton' has no attribute {name!r}")
    found = getattr(importlib.import_module(f"idmvton.{_HOME[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
