"""Learned perceptual distances: LPIPS (Zhang et al. 2018) and shift-tolerant LPIPS (Ghildyal and Liu 2022).

Both normalize the features of a backbone at every place to length one, square the differences, weight the channels
by a learned head, and average over the picture. They are different metrics: ST-LPIPS is never reported as LPIPS.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal, Self

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from idmvton.errors import InputError, WeightsError
from idmvton.evaluate.backbones import CHANNELS, Backbone, FeatureStack, build, build_shift_tolerant
from idmvton.evaluate.extra import require
from idmvton.types import Size

_SHIFT: Final = (-0.030, -0.088, -0.188)  # of pictures in [-1, 1]; with the scale, the mean and deviation of ImageNet
_SCALE: Final = (0.458, 0.448, 0.450)
_SMALL_LPIPS: Final = (1e-8, 0.0)  # as torchmetrics
_SMALL_SHIFT_TOLERANT: Final = (0.0, 1e-10)
_SMALLEST_SIDE: Final = 32


class PerceptualDistance(nn.Module):
    """The distance of two pictures in the features of a backbone.

    Args:
        backbone: gives the features.
        channels: of each of the features, for their heads.
        small: added to the squared length of features, and to their length: keeps empty ones from dividing by zero.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, backbone: FeatureStack, channels: tuple[int, ...], small: tuple[float, float]) -> None:
        super().__init__()
        self.backbone = backbone
        self.heads = nn.ParameterList([torch.zeros(1, width, 1, 1) for width in channels])
        self.register_buffer("shift", torch.tensor(_SHIFT)[None, :, None, None])
        self.register_buffer("scale", torch.tensor(_SCALE)[None, :, None, None])
        self.small = small
        self.weights_hash = ""
        self.requires_grad_(False).eval()

    @classmethod
    def lpips(cls, name: Backbone, backbone_file: Path) -> Self:
        """LPIPS 0.1 with the heads that torchmetrics carries.

        Args:
            name: the backbone.
            backbone_file: the ImageNet weights of the public model zoo, with keys ``features.*``.

        Raises:
            WeightsError: the file is not that backbone's.
            MissingExtraError: torchmetrics is not installed.
        """
        heads_file = Path(require("torchmetrics.functional.image").__file__).parent / "lpips_models" / f"{name}.pth"
        metric = cls(build(name), CHANNELS[name], _SMALL_LPIPS)
        tensors = read_pickled_tensors(backbone_file)
        used = {key: value for key, value in tensors.items() if key.startswith("features.")}
        heads = read_pickled_tensors(heads_file)
        metric._load(used, {key: heads[key] for key in heads if key.startswith("lin")}, backbone_file)
        metric.weights_hash = digest(backbone_file, heads_file)
        return metric

    @classmethod
    def shift_tolerant(cls, name: Literal["alex", "vgg"], file: Path) -> Self:
        """ST-LPIPS with the whole network of one file.

        Args:
            name: the backbone.
            file: ``alex_shift_tolerant.pth`` or ``vgg_shift_tolerant.pth``.

        Raises:
            WeightsError: the file is not that network's.
        """
        metric = cls(build_shift_tolerant(name), CHANNELS[name], _SMALL_SHIFT_TOLERANT)
        tensors = read_pickled_tensors(file)
        layers = {
            f"features.{'.'.join(key.split('.')[2:])}": value
            for key, value in tensors.items()
            if key.startswith("net.slice")
        }
        metric._load(layers, {key: tensors[key] for key in tensors if key.startswith("lin")}, file)
        metric.weights_hash = digest(file)
        return metric

    @torch.no_grad()
    def forward(self, first_B3HW: Tensor, second_B3HW: Tensor) -> Tensor:
        """The distance of each pair of pictures.

        Args:
            first_B3HW, second_B3HW: float RGB in [-1, 1], of one size, sides of at least 32 pixels.

        Returns:
            float (B,), 0 for equal pictures.

        Raises:
            InputError: other shapes, or pictures too small for the network.
        """
        check_pair(first_B3HW, second_B3HW)
        both = (torch.cat([first_B3HW, second_B3HW]) - self.shift) / self.scale
        total = both.new_zeros(len(first_B3HW))
        for features, head in zip(self.backbone(both), self.heads, strict=True):
            squared, plain = self.small
            unit = features / ((features.square().sum(1, keepdim=True) + squared).sqrt() + plain)
            first, second = unit.chunk(2)
            total += ((first - second) ** 2 * head).sum(1).mean((1, 2))
        return total

    def compare(self, first: NDArray[np.uint8], second: NDArray[np.uint8], size: Size | None = None) -> float:
        """The distance of two pictures, uint8 (H, W, 3), shrunk to ``size`` by averaging where one is given."""
        pair = [first, second]
        if size is not None and first.shape[:2] != tuple(size):
            pair = [cv2.resize(each, (size.width, size.height), interpolation=cv2.INTER_AREA) for each in pair]
        tensors = (torch.from_numpy(each).permute(2, 0, 1)[None].float() / 127.5 - 1 for each in pair)
        return float(self(*tensors))

    def _load(self, layers: Mapping[str, Tensor], heads: Mapping[str, Tensor], file: Path) -> None:
        wanted = {name: value.shape for name, value in self.backbone.state_dict().items()}
        found = {name: value.shape for name, value in layers.items()}
        named = {f"lin{number}.model.1.weight": number for number in range(len(self.heads))}
        if wanted != found or heads.keys() != named.keys():
            wrong = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
            raise WeightsError(
                f"{file.name} does not hold the weights of this backbone",
                got=f"other tensors or shapes at {', '.join(wrong[:3]) or 'the heads'}",
                expected=f"{len(wanted)} tensors of {type(self.backbone).__name__}",
                fix="download the file again",
            )
        self.backbone.load_state_dict(dict(layers))
        for name, number in named.items():
            self.heads[number].copy_(heads[name])


def check_pair(first: Tensor, second: Tensor) -> None:
    """Refuses pictures that cannot be compared.

    Raises:
        InputError: shapes that differ, that are not (B, 3, H, W), or sides under 32 pixels.
    """
    if first.shape != second.shape or first.ndim != 4 or first.shape[1] != 3:
        raise InputError(
            "the pictures cannot be compared",
            got=f"shapes {tuple(first.shape)} and {tuple(second.shape)}",
            expected="two batches of RGB pictures of one size, (B, 3, H, W)",
        )
    if min(first.shape[2:]) < _SMALLEST_SIDE:
        raise InputError(
            "the pictures are too small for this metric",
            got=f"{first.shape[2]}x{first.shape[3]}",
            expected=f"sides of at least {_SMALLEST_SIDE} pixels",
        )


def read_pickled_tensors(file: Path) -> dict[str, Tensor]:
    """The tensors of a PyTorch file, on the CPU; anything but tensors in it is refused, nothing in it is run.

    Raises:
        WeightsError: the file is missing, damaged, or holds something else.
    """
    try:
        found = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for damaged files
        raise WeightsError(
            f"{file.name} cannot be read as weights",
            got=f"{type(error).__name__}: {str(error).splitlines()[0][:200]}",
            expected="a PyTorch file that holds only tensors",
            fix="download the file again",
        ) from error
    if not isinstance(found, dict) or not all(isinstance(value, Tensor) for value in found.values()):
        raise WeightsError(f"{file.name} holds other things than tensors", got=type(found).__name__)
    return found


def digest(*files: Path) -> str:
    """SHA-256 of files, one after the other."""
    total = hashlib.sha256()
    for file in files:
        total.update(file.read_bytes())
    return total.hexdigest()
