"""SCHP's two networks and the published rules: a photo of a person becomes ATR's labels and bare neck."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from idmvton.errors import WeightsError
from idmvton.prepare.backends.onnx import OnnxNetwork
from idmvton.prepare.backends.schp.rules import LARGE_HOLE, NUM_ATR_LABELS, NUM_LIP_LABELS, merge_labels
from idmvton.prepare.backends.schp.square import Square
from idmvton.prepare.mask import REFERENCE_HEIGHT

ATR_FILE: Final = "parsing_atr.onnx"
LIP_FILE: Final = "parsing_lip.onnx"
ATR_SIDE: Final = 512
LIP_SIDE: Final = 473
FUSION: Final = 1
"""Which output is used: parsing, fusion, edge."""


class Schp:
    """The two networks. Loaded once, they are called for many pictures.

    Args:
        atr, lip: their ONNX files.
        num_threads: on the CPU; by default one a core.

    Attributes:
        networks: ``"atr"`` and ``"lip"``.

    Raises:
        MissingExtraError: onnxruntime is not installed.
        WeightsError: a file that is missing, damaged or another network.
    """

    def __init__(self, atr: Path, lip: Path, num_threads: int | None = None) -> None:
        self.networks = {
            "atr": _load(atr, ATR_SIDE, NUM_ATR_LABELS, "ATR", num_threads),
            "lip": _load(lip, LIP_SIDE, NUM_LIP_LABELS, "LIP", num_threads),
        }

    @property
    def provider(self) -> str:
        """Where the networks run."""
        return self.networks["atr"].provider

    def __call__(
        self, picture: NDArray[np.uint8], size: tuple[int, int] | None = None, as_published: bool = False
    ) -> NDArray[np.uint8]:
        """Labels of a picture.

        Args:
            picture: uint8 RGB (H, W, 3); the published system uses 512 x 384.
            size: height and width of the labels; by default the picture's.
            as_published: keep the faults of the published rules; see
                :func:`idmvton.prepare.backends.schp.rules.close_holes`.

        Returns:
            uint8 (H, W): ATR's labels, 18 for bare neck and trunk.
        """
        height, width = size or picture.shape[:2]
        atr, lip = (_labels(self.networks[name], picture, (height, width)) for name in ("atr", "lip"))
        large = LARGE_HOLE if as_published else LARGE_HOLE * (height / REFERENCE_HEIGHT) ** 2
        return merge_labels(atr, lip, large, as_published)


def _load(path: Path, side: int, num_labels: int, what: str, num_threads: int | None) -> OnnxNetwork:
    network = OnnxNetwork(path, num_threads)
    outputs = network.output_shapes
    if network.input_shape[-2:] != (side, side) or len(outputs) <= FUSION or outputs[FUSION][1] != num_labels:
        raise WeightsError(
            f"{path} is not SCHP's network for {what}",
            got=f"input {network.input_shape}, outputs {outputs}",
            expected=f"input (1, 3, {side}, {side}), second output (1, {num_labels}, h, w)",
            fix=f"run `idmvton weights get schp-{what.lower()}`",
        )
    return network


def _labels(network: OnnxNetwork, picture: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    height, width = picture.shape[:2]
    square = Square(height, width, network.input_shape[-1])
    return square.labels_in_picture(network(square.encode(picture))[FUSION][0], size)
