"""A TensorFlow Lite network as a function of one picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from idmvton.errors import WeightsError
from idmvton.quiet import without_native_notes

Floats = NDArray[np.floating]


def sigmoid(values: Floats) -> NDArray[np.float32]:
    """From logits to shares, without overflow."""
    return np.asarray(1 / (1 + np.exp(-np.clip(values, -60, 60))), np.float32)


class Network:
    """One network, loaded.

    Args:
        file: a ``.tflite`` file with one input.
        num_threads: how many threads it may use.

    Raises:
        WeightsError: the file is not one.
    """

    def __init__(self, file: Path, num_threads: int) -> None:
        from ai_edge_litert.interpreter import Interpreter

        try:
            with without_native_notes():
                self._interpreter = Interpreter(model_path=str(file), num_threads=num_threads)
                self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError, OSError) as error:
            raise WeightsError(
                f"{file} cannot be read as a network",
                got=str(error).splitlines()[0],
                expected="a whole .tflite file",
                fix="run `idmvton weights verify pose`, and `idmvton weights get pose` to fetch it again",
            ) from error
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._outputs = [each["index"] for each in self._interpreter.get_output_details()]

    def __call__(self, picture: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """The outputs, in the file's order, for one picture float32 (S, S, 3) in the network's range."""
        self._interpreter.set_tensor(self._input, picture[None])
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(index) for index in self._outputs]
