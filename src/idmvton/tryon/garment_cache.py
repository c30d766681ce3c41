"""A cache of what was computed for garments, limited in bytes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Hashable, Iterable
from typing import Any

import torch
from torch import nn

from idmvton.devices import free_bytes
from idmvton.tryon.nested import num_bytes

MAX_SEEN = 1024
"""Garments that are remembered as seen."""


class GarmentCache:
    """Least recently used garments leave first.

    An entry belongs to a garment and has a part, such as its features at one timestep. Garments of the call that
    adds an entry never leave for it: steps come round in order, so with too little room the oldest would always
    be needed next. What does not fit is not kept, and computed again next time.

    Args:
        max_bytes: the limit of all tensors together; 0 turns the cache off; None takes a quarter of the memory
            that is free (what the cache itself holds counts as free).
    """

    def __init__(self, max_bytes: int | None = None) -> None:
        self.max_bytes = max_bytes
        self.num_bytes = 0
        self._garments: OrderedDict[Hashable, dict[Hashable, Any]] = OrderedDict()
        self._seen: OrderedDict[Hashable, None] = OrderedDict()
        self._state: Hashable = None

    def match(self, state: Hashable) -> None:
        """Empties the cache unless it was filled in this state of the networks (a :func:`fingerprint`)."""
        if state != self._state:
            self.clear()
            self._state = state

    def saw(self, garment: Hashable) -> bool:
        """Whether an earlier call asked for this garment; a new one is noted."""
        is_known = garment in self._seen
        self._seen[garment] = None
        self._seen.move_to_end(garment)
        while len(self._seen) > MAX_SEEN:
            self._seen.popitem(last=False)
        return is_known

    def get(self, garment: Hashable, part: Hashable) -> Any | None:
        """The entry, or None."""
        parts = self._garments.get(garment)
        if parts is None or part not in parts:
            return None
        self._garments.move_to_end(garment)
        return parts[part]

    def put(
        self, garment: Hashable, part: Hashable, entry: Any, *, in_use: Collection[Hashable], device: torch.device
    ) -> None:
        """Keeps an entry if it fits, at the cost of the garments that were used longest ago.

        Args:
            garment, part: what the entry is.
            entry: tensors, nested as :func:`num_bytes` understands.
            in_use: the garments of the running call.
            device: whose memory the entry is in.
        """
        size = num_bytes(entry)
        limit = (free_bytes(device) + self.num_bytes) // 4 if self.max_bytes is None else self.max_bytes
        for oldest in list(self._garments):
            if self.num_bytes + size <= limit:
                break
            if oldest not in in_use:
                self.num_bytes -= num_bytes(self._garments.pop(oldest, None))
        if self.num_bytes + size <= limit:
            parts = self._garments.setdefault(garment, {})
            self.num_bytes += size - num_bytes(parts.get(part))
            parts[part] = entry
            self._garments.move_to_end(garment)

    def clear(self) -> None:
        """Forgets everything."""
        self._garments.clear()
        self.num_bytes = 0


def fingerprint(modules: Iterable[nn.Module]) -> Hashable:
    """Tells states of networks apart: parameters replaced, moved, cast or written to, and autocast.

    Writes through ``parameter.data`` (diffusers' ``EMAModel.copy_to`` does that) leave no trace: after those, call
    :meth:`GarmentCache.clear`.
    """
    parameters = (parameter for module in modules for parameter in module.parameters())
    versions = tuple(
        (id(each), 0 if each.is_inference() else each._version, each.dtype, each.device) for each in parameters
    )
    autocast = tuple(torch.get_autocast_dtype(kind) for kind in ("cpu", "cuda") if torch.is_autocast_enabled(kind))
    return hash((versions, autocast))
