"""Putting the tensors of a file into a network of ours, strictly."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from torch import Tensor, nn

from idmvton.errors import WeightsError

_SHOWN: Final = 5


def fill_network(network: nn.Module, tensors: Mapping[str, Tensor], path: Path, what: str, fix: str) -> None:
    """Gives a network its weights and makes it ready for use.

    Args:
        network: on the meta device; it takes the tensors themselves, not copies.
        tensors: name -> tensor.
        path: where they come from, for the message.
        what: the network's name, for the message.
        fix: what to do if they do not fit.

    Raises:
        WeightsError: other names or shapes than the network's; the first few of each kind are listed.
    """
    expected = network.state_dict()
    misfits = {
        "missing": [name for name in expected if name not in tensors],
        "not known": [name for name in tensors if name not in expected],
        "of another shape": [
            f"{name} {tuple(tensors[name].shape)} instead of {tuple(expected[name].shape)}"
            for name in expected
            if name in tensors and tensors[name].shape != expected[name].shape
        ],
    }
    lines = [
        f"{len(names)} {kind}: {', '.join(names[:_SHOWN])}{', ...' if len(names) > _SHOWN else ''}"
        for kind, names in misfits.items()
        if names
    ]
    if lines:
        raise WeightsError(
            f"{path} does not hold {what}", got="; ".join(lines), expected=f"{len(expected)} tensors", fix=fix
        )
    network.load_state_dict(dict(tensors), assign=True)
    network.eval().requires_grad_(False)
