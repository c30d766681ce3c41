"""Adapters: what a customization changes of a checkpoint, as one safetensors file.

It holds the differences of the changed weights, or low-rank matrices whose product they are, and a few values of each
weight as it was: an adapter only fits the weights that it was trained on, in whatever precision they are loaded.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from idmvton.checkpoint.adapter_record import AGAIN, AdapterRecord, read_record
from idmvton.errors import WeightsError
from idmvton.models.changed_weights import Difference, LowRank
from idmvton.weights import read_tensors, write_tensors

DOWN: Final = ".lora_down"
UP: Final = ".lora_up"
_BASE: Final = "base_values"
_VALUES: Final = 16  # of each weight
_ROUNDING: Final = 0.01  # of a value: half precision rounds by half of this
_LEAST: Final = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Adapter:
    """An adapter in memory.

    Attributes:
        record: how it was made.
        differences: weight, as ``unet.NAME`` or ``warp_net.NAME``, -> its difference.
        base_values: float32, some values of these weights as they were.
    """

    record: AdapterRecord
    differences: Mapping[str, Difference]
    base_values: Tensor

    def check_base(self, weights: Mapping[str, Tensor], called: str) -> None:
        """Makes sure that the adapter was made for these weights.

        Args:
            weights: as they are without any change.
            called: their name, for the message.

        Raises:
            WeightsError: it was made for others.
        """
        changed = self.differences
        fits = all(name in weights and tuple(weights[name].shape) == tuple(changed[name].shape) for name in changed)
        if fits:
            own = base_values({name: weights[name] for name in changed})
            off = (own - self.base_values).abs() > _ROUNDING * self.base_values.abs() + _LEAST
            fits = not bool(off.any())
        if not fits:
            raise WeightsError(
                "the adapter was made for other weights",
                got=f"weights {called}",
                expected=f"weights {self.record.base}",
                fix="load those with --model, or customize these with `idmvton customize`",
            )


def base_values(weights: Mapping[str, Tensor]) -> Tensor:
    """A few values of each weight, in the order of their names: float32 (N,), on the CPU."""
    taken = []
    for name in sorted(weights):
        flat = weights[name].detach().flatten()
        places = torch.linspace(0, flat.numel() - 1, min(_VALUES, flat.numel()), device=flat.device).long()
        taken.append(flat[places].float().cpu())
    return torch.cat(taken) if taken else torch.zeros(0)


def write_adapter(adapter: Adapter, file: Path) -> AdapterRecord:
    """Writes an adapter; the file is whole or not there.

    Returns:
        Its record, with the digest.

    Raises:
        WeightsError: it cannot be written.
    """
    tensors = {_BASE: adapter.base_values}
    for name, difference in adapter.differences.items():
        if isinstance(difference, LowRank):
            tensors |= {name + DOWN: difference.down, name + UP: difference.factor * difference.up}
        else:
            tensors[name] = difference
    record = dataclasses.replace(adapter.record, digest=_digest(tensors))
    write_tensors(tensors, file, record.note())
    return record


def read_adapter(file: Path) -> Adapter:
    """Reads an adapter.

    Raises:
        WeightsError: the file is damaged, or no adapter of this library.
    """
    record = read_record(file)
    tensors = read_tensors(file, suffixes=(".safetensors",))
    if _BASE not in tensors or _digest(tensors) != record.digest:
        raise WeightsError(
            f"{file} is damaged",
            got="tensors that are not those that were written",
            fix=AGAIN,
        )
    values = tensors.pop(_BASE)
    low_rank = {name.removesuffix(DOWN) for name in tensors if name.endswith(DOWN)}
    differences: dict[str, Difference] = {
        name: tensor for name, tensor in tensors.items() if not name.endswith((DOWN, UP))
    }
    differences |= {name: LowRank(tensors[name + DOWN], tensors[name + UP]) for name in low_rank}
    return Adapter(record, dict(sorted(differences.items())), values)


def _digest(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, types, shapes and values."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        plain = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {plain.dtype} {list(plain.shape)}".encode())
        digest.update(plain.view(torch.uint8).numpy().data)
    return digest.hexdigest()
