"""The exponential moving average of the trained weights."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping

import torch
from torch import Tensor, nn


class MovingAverage:
    """Averages of parameters, float32, beside them on their device.

    Update n (from 1) moves the average by ``1 - min(decay, (1 + n) / (10 + n))`` towards the weights, so that the
    start of the training is forgotten.

    Args:
        parameters: what is averaged; the same objects throughout.
        decay: how much of the average stays at each update.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], decay: float) -> None:
        self.parameters = list(parameters)
        self.decay, self.num_updates = decay, 0
        self.averages: list[Tensor] = [each.detach().clone().float() for each in self.parameters]

    @torch.no_grad()
    def update(self) -> None:
        """Takes the weights in, after an optimizer step."""
        self.num_updates += 1
        decay = min(self.decay, (1 + self.num_updates) / (10 + self.num_updates))
        torch._foreach_lerp_(self.averages, [each.detach().float() for each in self.parameters], 1 - decay)

    @contextlib.contextmanager
    @torch.no_grad()
    def in_place(self) -> Iterator[None]:
        """The parameters hold the averages inside the block, and their own values after it."""
        own = [each.detach().clone() for each in self.parameters]
        _write(self.parameters, self.averages)
        try:
            yield
        finally:
            _write(self.parameters, own)

    def state_dict(self) -> dict[str, Tensor]:
        """Everything that resuming needs; of averages that are sharded, this process's part."""
        parts = {f"{number:05d}": _local(each) for number, each in enumerate(self.averages)}
        return parts | {"num_updates": torch.tensor(self.num_updates)}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """The inverse of :meth:`state_dict`.

        Raises:
            ValueError: a size mismatch: the averages are of another network.
        """
        parts = {f"{number:05d}": _local(each) for number, each in enumerate(self.averages)}
        saved = {name: tuple(each.shape) for name, each in state.items() if name != "num_updates"}
        own = {name: tuple(each.shape) for name, each in parts.items()}
        if saved != own:
            name = min(name for name in saved.keys() | own.keys() if saved.get(name) != own.get(name))
            raise ValueError(f"size mismatch of average {name}: {saved.get(name)} saved, {own.get(name)} here")
        self.num_updates = int(state["num_updates"])
        for name, average in parts.items():
            average.copy_(state[name])


def _local(tensor: Tensor) -> Tensor:
    """The part of a sharded tensor that this process has; of others, all."""
    to_local = getattr(tensor, "to_local", None)  # a DTensor has it; to import its class takes a second
    return tensor if to_local is None else to_local()


def _write(parameters: list[nn.Parameter], values: list[Tensor]) -> None:
    """In place, as an optimizer does, so that caches of what the network computes see it."""
    with torch.no_grad():
        for parameter, value in zip(parameters, values, strict=True):
            parameter.copy_(value)
