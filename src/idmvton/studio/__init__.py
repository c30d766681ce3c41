"""The studio: rendered adults in parametric garments, with exact ground truth.

    from idmvton.studio import sample
    made = sample(seed=0, index=7, split="train", category="upper_body", size=(512, 384))

The names below are loaded on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from idmvton.studio.dataset import StudioStream, make_dataset
    from idmvton.studio.sample_sheet import contact_sheet
    from idmvton.studio.sampling import StudioSample, sample

_HOMES = {
    "StudioSample": "sampling",
    "StudioStream": "dataset",
    "contact_sheet": "sample_sheet",
    "make_dataset": "dataset",
    "sample": "sampling",
}
__all__ = ["StudioSample", "StudioStream", "contact_sheet", "make_dataset", "sample"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
