"""A cache of what was computed for garments, limited in bytes."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from collections.abc import Hashable, Iterable, Mapping
from typing import Any

import torch
from torch import nn

DEFAULT_MAX_BYTES = 512 * 2**20


class GarmentCache:
    """Least recently used garments leave first.

    An entry belongs to a garment and has a part: its conditions, or its features at one timestep. Parts of the
    garment in use never push each other out: what does not fit is not kept, and computed again next time.

    Args:
        max_bytes: the limit of all tensors together; 0 turns the cache off.
    """

    def __init__(self, max_bytes: int = DEFAULT_MAX_BYTES) -> None:
        self.max_bytes = max_bytes
        self.num_bytes = 0
        self._garments: OrderedDict[Hashable, dict[Hashable, Any]] = OrderedDict()
        self._weights: Hashable = None

    def match(self, weights: Hashable) -> None:
        """Empties the cache unless it was filled with these weights (a :func:`fingerprint`)."""
        if weights != self._weights:
            self.clear()
            self._weights = weights

    def get(self, garment: Hashable, part: Hashable) -> Any | None:
        """The entry, or None."""
        parts = self._garments.get(garment)
        if parts is None or part not in parts:
            return None
        self._garments.move_to_end(garment)
        return parts[part]

    def put(self, garment: Hashable, part: Hashable, entry: Any) -> None:
        """Keeps an entry if it fits, at the cost of the garments that were used longest ago."""
        size = num_bytes(entry)
        while self.num_bytes + size > self.max_bytes and next(iter(self._garments), garment) != garment:
            _, parts = self._garments.popitem(last=False)
            self.num_bytes -= num_bytes(parts)
        if self.num_bytes + size <= self.max_bytes:
            parts = self._garments.setdefault(garment, {})
            self.num_bytes += size - num_bytes(parts.get(part))
            parts[part] = entry
            self._garments.move_to_end(garment)

    def clear(self) -> None:
        """Forgets everything."""
        self._garments.clear()
        self.num_bytes = 0


def num_bytes(entry: Any) -> int:
    """Bytes of the tensors in nested mappings, sequences and dataclasses."""
    if isinstance(entry, torch.Tensor):
        return entry.numel() * entry.element_size()
    if isinstance(entry, Mapping):
        return sum(map(num_bytes, entry.values()))
    if dataclasses.is_dataclass(entry):
        return sum(num_bytes(getattr(entry, item.name)) for item in dataclasses.fields(entry))
    if isinstance(entry, Iterable) and not isinstance(entry, str | bytes):
        return sum(map(num_bytes, entry))
    return 0


def fingerprint(modules: Iterable[nn.Module]) -> Hashable:
    """Tells weights apart: changes when a parameter is replaced, moved, cast or written to (by an optimizer)."""
    parameters = (parameter for module in modules for parameter in module.parameters())
    return hash(tuple((id(each), each._version, each.dtype, each.device) for each in parameters))
