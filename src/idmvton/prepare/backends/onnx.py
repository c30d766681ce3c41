"""ONNX networks on onnxruntime: the best provider that is there, and no silent fall back to the CPU."""

from __future__ import annotations

import importlib
import os
import warnings
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from idmvton.errors import IdmVtonWarning, MissingExtraError, WeightsError
from idmvton.weights.sniff import check_not_a_stand_in

PROVIDERS: Final = ("CUDAExecutionProvider", "CoreMLExecutionProvider", "CPUExecutionProvider")
"""Where a network may run, the quickest first."""
EXTRA: Final = "published"
_CPU: Final = PROVIDERS[-1]


class ProviderWarning(IdmVtonWarning):
    """A network runs on the CPU although the machine has something quicker."""


def import_onnxruntime() -> Any:
    """The package.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        return importlib.import_module("onnxruntime")
    except ImportError as error:
        raise MissingExtraError(
            "onnxruntime is not installed; the network is an ONNX file",
            got=str(error),
            fix=f"pip install 'idmvton[{EXTRA}]' (or onnxruntime-gpu on a machine with an NVIDIA GPU)",
        ) from error


class OnnxNetwork:
    """A network with one picture as input. Loaded once, it is called for many.

    Args:
        path: the ONNX file.
        num_threads: on the CPU; by default one a core.

    Attributes:
        provider: where it really runs.
        input_shape: as the file says; text or ``None`` where a side is free.
        output_shapes: likewise, in the file's order.

    Raises:
        MissingExtraError: onnxruntime is not installed.
        WeightsError: no such file, or not an ONNX network.
    """

    def __init__(self, path: Path, num_threads: int | None = None) -> None:
        runtime = import_onnxruntime()
        check_not_a_stand_in(path)
        there = runtime.get_available_providers()
        wanted = [name for name in PROVIDERS if name in there]
        settings = runtime.SessionOptions()
        settings.intra_op_num_threads = num_threads or 0
        settings.enable_cpu_mem_arena = False  # as quick without, and half a gigabyte less for two networks
        settings.log_severity_level = 4  # what matters is told below
        try:
            self._session = runtime.InferenceSession(str(path), settings, providers=wanted)
        except Exception as error:  # onnxruntime has a class for each kind of damage, and no common base
            raise WeightsError(
                f"{path} cannot be loaded as an ONNX network",
                got=str(error).strip().splitlines()[0][:300],
                expected="the whole file, as it was published",
                fix="fetch it again",
            ) from error
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        if len(inputs) != 1:
            raise WeightsError(f"{path} is another network", got=f"{len(inputs)} inputs", expected="one, a picture")
        self.path = path
        self._input = inputs[0].name
        self._type = np.float16 if "float16" in inputs[0].type else np.float32
        self.input_shape: tuple[Any, ...] = tuple(inputs[0].shape)
        self.output_shapes: tuple[tuple[Any, ...], ...] = tuple(tuple(each.shape) for each in outputs)
        self.provider: str = self._session.get_providers()[0]
        _tell(path, wanted[0], self.provider)

    def __call__(self, picture: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """All outputs, in the file's order.

        Args:
            picture: float32 (B, C, H, W), of the input's shape.
        """
        outputs = self._session.run(None, {self._input: picture.astype(self._type, copy=False)})
        return [np.asarray(each, np.float32) for each in outputs]


def _tell(path: Path, wanted: str, got: str) -> None:
    """Warns where a network runs on the CPU beside something quicker."""
    if got != _CPU:
        return
    if wanted != _CPU:
        why = f"{wanted} was refused when {path.name} was loaded: its libraries (CUDA, cuDNN) may not fit onnxruntime"
    elif _has_nvidia_gpu():
        why = "this onnxruntime knows no GPU: install onnxruntime-gpu in its place"
    else:
        return
    warnings.warn(f"{path.name} runs on the CPU although a quicker device is there. {why}", ProviderWarning, 4)


def _has_nvidia_gpu() -> bool:
    return os.path.exists("/proc/driver/nvidia/version")
