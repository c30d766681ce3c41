"""Weights that are changed and come back: adapters put onto the networks of a pipeline, and taken off again.

Changes are differences, so that several can be put on together and each can have a scale. They are written in place:
what was recorded of a network, and weights that lie behind one another, stay valid, and caches see it. Each weight that
is changed is kept as it was; where the last change leaves, it comes back bit by bit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor, nn

from idmvton.errors import WeightsError


@dataclass(frozen=True, slots=True, eq=False)
class LowRank:
    """A difference as the product of two thin matrices (LoRA): ``factor * up @ down``.

    Attributes:
        down: float (rank, in), or (rank, in, height, width) of a convolution.
        up: float (out, rank), or (out, rank, 1, 1).
        factor: what the product is multiplied by; 1 in an adapter's file.
    """

    down: Tensor
    up: Tensor
    factor: float = 1.0

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the weight."""
        return len(self.up), *self.down.shape[1:]

    def dense(self) -> Tensor:
        """The difference itself, float32."""
        return self.factor * (self.up.flatten(1).float() @ self.down.flatten(1).float()).view(self.shape)


Difference: TypeAlias = "Tensor | LowRank"


@dataclass(frozen=True, slots=True, eq=False)
class _Change:
    differences: Mapping[str, Difference]
    scale: float


class ChangedWeights:
    """What is put onto some networks.

    Args:
        networks: tells the networks by name, as they are now; a weight is called ``NETWORK.NAME``, by its name in the
            network.
    """

    def __init__(self, networks: Callable[[], Mapping[str, nn.Module]]) -> None:
        self.networks = networks
        self._originals: dict[str, Tensor] = {}
        self._changes: dict[str, _Change] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """What is put on, in order."""
        return tuple(self._changes)

    def put_on(self, name: str, differences: Mapping[str, Difference], scale: float = 1.0) -> None:
        """Adds ``scale`` times the differences to the weights; at 0 the weights stay what they are, bit by bit.

        Args:
            name: of the change; one of this name leaves first.
            differences: weight -> its difference, of the weight's shape.
            scale: how much of them.

        Raises:
            WeightsError: there is no such weight (nor one in 8 bits), or it has another shape.
        """
        weights = self._weights()
        for weight, difference in differences.items():
            _check(weight, weights.get(weight), difference)
        touched = set(differences) | self._forget(name)
        if scale:
            self._changes[name] = _Change(dict(differences), scale)
        self._write(touched, weights)

    def take_off(self, name: str) -> None:
        """The weights without this change; nothing happens where it is not put on."""
        self._write(self._forget(name), self._weights())

    def originals(self) -> dict[str, Tensor]:
        """Every weight as it is without any change."""
        return {name: self._originals.get(name, weight.detach()) for name, weight in self._weights().items()}

    def _forget(self, name: str) -> set[str]:
        change = self._changes.pop(name, None)
        return set() if change is None else set(change.differences)

    def _weights(self) -> dict[str, nn.Parameter]:
        return {
            f"{part}.{name}": weight
            for part, network in self.networks().items()
            for name, weight in getattr(network, "_orig_mod", network).named_parameters()
        }

    @torch.no_grad()
    def _write(self, touched: set[str], weights: Mapping[str, nn.Parameter]) -> None:
        """Gives each weight its original and all differences; without any, the original alone."""
        for weight in sorted(touched):
            parameter = weights[weight]
            changes = [each for each in self._changes.values() if weight in each.differences]
            if not changes:
                if weight in self._originals:
                    parameter.copy_(self._originals.pop(weight))
                continue
            if weight not in self._originals:
                self._originals[weight] = parameter.detach().to("cpu", copy=True)
            value = self._originals[weight].to(parameter.device, torch.float32)
            for change in changes:
                difference = change.differences[weight]
                dense = difference.dense() if isinstance(difference, LowRank) else difference
                value = value + change.scale * dense.to(value)
            parameter.copy_(value)


def _check(name: str, weight: nn.Parameter | None, difference: Difference) -> None:
    if weight is None:
        raise WeightsError(
            "a changed weight is not in the networks, or lies there in 8 bits",
            got=name,
            expected="weights of the checkpoint that the adapter was made for",
            fix="with --memory balanced or low name the adapter when the model is loaded (--adapter, adapter=)",
        )
    if tuple(weight.shape) != tuple(difference.shape):
        raise WeightsError(
            f"a changed weight has another shape: {name}", got=tuple(difference.shape), expected=tuple(weight.shape)
        )
