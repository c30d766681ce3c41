"""LoRA files that are put onto TryonNet and taken off again."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from idmvton.checkpoint.lora import read_lora
from idmvton.errors import ConfigError
from idmvton.models.changed_weights import ChangedWeights
from idmvton.options import LEAST_SCALE, MOST_SCALE
from idmvton.resume import digest

LoraFile: TypeAlias = "str | os.PathLike[str] | tuple[str | os.PathLike[str], float]"
"""A file, or a file and its scale."""


class Loras:
    """The LoRA files that are on a pipeline.

    Args:
        changed: of the pipeline. Changes of several files, and of an adapter, add up.
    """

    def __init__(self, changed: ChangedWeights) -> None:
        self._changed = changed
        self._told: dict[str, str] = {}

    def put_on(self, file: str | os.PathLike[str], scale: float = 1.0) -> None:
        """Adds what a file changes, exactly; one of the same name leaves first.

        Args:
            file: see :func:`idmvton.checkpoint.lora.read_lora`.
            scale: how much of it; at 0 nothing.

        Raises:
            ConfigError: a scale that is out of range.
            WeightsError: the file is damaged, does not fit TryonNet, or TryonNet is in 8 bits.
        """
        if not LEAST_SCALE <= scale <= MOST_SCALE:
            expected = f"a number from {LEAST_SCALE:g} to {MOST_SCALE:g}"
            raise ConfigError("the scale of a LoRA file is out of range", got=scale, expected=expected)
        path = Path(file)
        differences = read_lora(path, self._changed.networks()["unet"])
        self._changed.put_on(f"lora {path}", {f"unet.{name}": each for name, each in differences.items()}, scale)
        self._told[str(path)] = f"{path.name} at {digest(path)}, scale {scale:g}"

    def put_on_all(self, files: Sequence[LoraFile]) -> None:
        """Puts several files on, in order."""
        for each in files:
            self.put_on(*(each if isinstance(each, tuple) else (each,)))

    def take_off(self, file: str | os.PathLike[str]) -> None:
        """The weights without a file, bit by bit as they were; nothing happens where it is not on."""
        path = Path(file)
        self._changed.take_off(f"lora {path}")
        self._told.pop(str(path), None)

    @property
    def about(self) -> str:
        """Names, digests and scales, for the result; empty where there are none."""
        return "; ".join(self._told.values())
