"""Pairs of people and garments: the studio, the published data sets, folders of own photos.

    from idmvton.data import VitonHD
    sample = VitonHD("zalando-hd-resized", (1024, 768), split="test", order="unpaired")[0]

The names below are loaded on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from idmvton.data.augment import augmented
    from idmvton.data.augment_options import AugmentOptions
    from idmvton.data.check import check_dataset
    from idmvton.data.dress_code import DressCode
    from idmvton.data.opening import open_dataset
    from idmvton.data.packed import ShardDataset
    from idmvton.data.pairs_folder import PairsFolder
    from idmvton.data.prepare import prepare_dataset
    from idmvton.data.sample import TryOnDataset, TryOnSample
    from idmvton.data.shards import write_shards
    from idmvton.data.viton_hd import VitonHD

_HOMES = {
    "AugmentOptions": "augment_options",
    "DressCode": "dress_code",
    "PairsFolder": "pairs_folder",
    "ShardDataset": "packed",
    "TryOnDataset": "sample",
    "TryOnSample": "sample",
    "VitonHD": "viton_hd",
    "augmented": "augment",
    "check_dataset": "check",
    "open_dataset": "opening",
    "prepare_dataset": "prepare",
    "write_shards": "shards",
}
__all__ = [
    "AugmentOptions",
    "DressCode",
    "PairsFolder",
    "ShardDataset",
    "TryOnDataset",
    "TryOnSample",
    "VitonHD",
    "augmented",
    "check_dataset",
    "open_dataset",
    "prepare_dataset",
    "write_shards",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
