"""Labels by any segmentation network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn import functional as F

from idmvton.devices import resolve_device
from idmvton.errors import WeightsError
from idmvton.prepare.backends.onnx import OnnxNetwork
from idmvton.prepare.backends.segmenter.settings import Settings, read_settings
from idmvton.prepare.backends.segmenter.sides import is_left
from idmvton.prepare.backends.segmenter.tables import NAMES, PAIRS, table_of

Scores = NDArray[np.float32]

_ONNX_PLACES: Final = ("model.onnx", "onnx/model.onnx")


class Segmenter:
    """A segmentation network and the table of its classes. Loaded once, it is called for many photos.

    Args:
        path: an ``.onnx`` file, or a folder of transformers (``config.json`` and weights) or with ``model.onnx``.
        device: where a network of transformers runs; ``"auto"`` takes a GPU where there is one.

    Attributes:
        settings: what the files beside the network say, the licence too.

    Raises:
        MissingExtraError: an ONNX file, and onnxruntime is not installed.
        WeightsError: files that are missing or damaged, or classes that are not known.
    """

    def __init__(self, path: Path, device: str = "auto") -> None:
        file = _onnx_file(path)
        if file is not None:
            self._run, size = _onnx(file)
        elif (path / "config.json").is_file():
            self._run, size = _transformers(path, device), None
        else:
            raise WeightsError(
                f"{path} holds no segmentation network",
                expected="an .onnx file, or a folder with config.json and weights, or with model.onnx",
            )
        folder = file.parent if file is not None and path.is_file() else path
        self.settings: Settings = read_settings(folder, size)
        self._table = table_of(self.settings.classes, self.settings.classes_from)

    def __call__(self, photo: NDArray[np.uint8], points: NDArray[np.floating]) -> NDArray[np.uint8]:
        """Labels of a photo.

        Args:
            photo: uint8 RGB (H, W, 3).
            points: float (18, 2), the person's OpenPose points in pixels, (0, 0) where missing; they tell left from
                right.

        Returns:
            uint8 (H, W): ATR's labels, 18 for bare neck and trunk.

        Raises:
            WeightsError: the network has another number of classes than the table.
        """
        settings = self.settings
        small = Image.fromarray(photo).resize(settings.size[::-1], settings.resample)
        values = (np.asarray(small, np.float32) / 255 - np.array(settings.mean, np.float32)) / np.array(
            settings.std, np.float32
        )
        scores = self._run(np.ascontiguousarray(values.transpose(2, 0, 1), np.float32)[None])
        if scores.ndim != 4 or scores.shape[1] != len(self._table):
            raise WeightsError(
                "the network and the table of its classes do not fit",
                got=f"scores {scores.shape}",
                expected=f"(1, {len(self._table)}, h, w): the classes of {settings.classes_from}",
            )
        large = F.interpolate(torch.from_numpy(scores), photo.shape[:2], mode="bilinear", align_corners=False)
        return _as_atr(large[0].argmax(0).numpy().astype(np.uint8), self._table, points)


def _as_atr(classes: NDArray[np.uint8], table: tuple[str, ...], points: NDArray[np.floating]) -> NDArray[np.uint8]:
    """A parser's classes (H, W) as our labels."""
    numbers = np.array([0 if name in PAIRS else NAMES.index(name) for name in table], np.uint8)
    labels = numbers[classes]
    for pair, sides in PAIRS.items():
        region = np.isin(classes, [number for number, name in enumerate(table) if name == pair])
        if region.any():
            left, right = (NAMES.index(side) for side in sides)
            labels[region] = np.where(is_left(region, pair, points), np.uint8(left), np.uint8(right))
    return labels


def _onnx_file(path: Path) -> Path | None:
    if path.suffix == ".onnx":
        return path
    return next((path / place for place in _ONNX_PLACES if (path / place).is_file()), None)


def _onnx(file: Path) -> tuple[Callable[[Scores], Scores], tuple[int, int] | None]:
    network = OnnxNetwork(file)
    height, width = network.input_shape[-2:]
    fixed = (height, width) if isinstance(height, int) and isinstance(width, int) else None
    return lambda picture: network(picture)[0], fixed


def _transformers(folder: Path, device: str) -> Callable[[Scores], Scores]:
    from safetensors import SafetensorError
    from transformers import AutoModelForSemanticSegmentation

    where = resolve_device(device)
    try:
        model = AutoModelForSemanticSegmentation.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise WeightsError(
            f"{folder} cannot be loaded as a segmentation network of transformers",
            got=str(error).strip().splitlines()[0][:300],
            expected="config.json and model.safetensors of a network such as SegFormer",
        ) from error
    model = model.to(where).eval()

    @torch.inference_mode()
    def run(picture: Scores) -> Scores:
        return np.asarray(model(pixel_values=torch.from_numpy(picture).to(where)).logits.float().cpu().numpy())

    return run
