"""What is read from the features of a box: how sure, where exactly, and DensePose's maps.

Parameter names are those of the published file. N counts boxes.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from idmvton.prepare.backends.densepose.backbone import PYRAMID_CHANNELS

BOX_CELLS: Final = 7
BODY_CELLS: Final = 28
NUM_COARSE: Final = 2
NUM_FINE: Final = 25
_BODY_CHANNELS: Final = 512
_NUM_BODY_CONVS: Final = 8
_DECODER_STEPS: Final = {"p2": 0, "p3": 1, "p4": 2, "p5": 3}


class BodyMaps(NamedTuple):
    """DensePose's maps of boxes, 112 x 112 cells each.

    Attributes:
        coarse: logits of background and body, (N, 2, 112, 112).
        fine: logits of background and the 24 parts, (N, 25, 112, 112).
        u, v: coordinates on the surface of each part, about 0 to 1, (N, 25, 112, 112); channel 0 means nothing.
    """

    coarse: Tensor
    fine: Tensor
    u: Tensor
    v: Tensor


class BoxHead(nn.Module):
    """The features of boxes as vectors."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(PYRAMID_CHANNELS * BOX_CELLS**2, 1024)
        self.fc2 = nn.Linear(1024, 1024)

    def forward(self, cells: Tensor) -> Tensor:
        """(N, 256, 7, 7) to (N, 1024)."""
        return F.relu_(self.fc2(F.relu_(self.fc1(cells.flatten(1)))))


class BoxPredictor(nn.Module):
    """Whether a box holds a person, and the box that would hold them better."""

    def __init__(self) -> None:
        super().__init__()
        self.cls_score = nn.Linear(1024, 2)
        self.bbox_pred = nn.Linear(1024, 4)

    def forward(self, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 1024) to logits of person and background (N, 2) and deltas (N, 4)."""
        return self.cls_score(vectors), self.bbox_pred(vectors)


class ActiveConv(nn.Conv2d):
    """A 3 x 3 convolution followed by ReLU."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, H, W) to (B, out, H, W)."""
        return F.relu_(super().forward(x))


class Decoder(nn.Module):
    """All levels of the pyramid as one map at stride 4."""

    def __init__(self) -> None:
        super().__init__()
        for level, num_steps in _DECODER_STEPS.items():
            layers: list[nn.Module] = [ActiveConv(PYRAMID_CHANNELS, PYRAMID_CHANNELS) for _ in range(num_steps or 1)]
            for step in range(num_steps):
                layers.insert(2 * step + 1, nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False))
            self.add_module(level, nn.Sequential(*layers))
        self.predictor = nn.Conv2d(PYRAMID_CHANNELS, PYRAMID_CHANNELS, 1)

    def forward(self, levels: dict[str, Tensor]) -> Tensor:
        """p2 to p5 to (B, 256, H / 4, W / 4)."""
        summed: Tensor | None = None
        for level in _DECODER_STEPS:
            decoded = self.get_submodule(level)(levels[level])
            summed = decoded if summed is None else summed.add_(decoded)
        return self.predictor(summed)


class BodyHead(nn.Sequential):
    """Eight convolutions over the cells of a box."""

    def __init__(self) -> None:
        super().__init__()
        for number in range(1, _NUM_BODY_CONVS + 1):
            channels = PYRAMID_CHANNELS if number == 1 else _BODY_CHANNELS
            self.add_module(f"body_conv_fcn{number}", ActiveConv(channels, _BODY_CHANNELS))


class BodyPredictor(nn.Module):
    """The features of a box as DensePose's maps."""

    def __init__(self) -> None:
        super().__init__()
        self.ann_index_lowres = _enlarging(NUM_COARSE)
        self.index_uv_lowres = _enlarging(NUM_FINE)
        self.u_lowres = _enlarging(NUM_FINE)
        self.v_lowres = _enlarging(NUM_FINE)

    def forward(self, features: Tensor) -> BodyMaps:
        """(N, 512, 28, 28) to the maps."""
        layers = (self.ann_index_lowres, self.index_uv_lowres, self.u_lowres, self.v_lowres)
        return BodyMaps(*(F.interpolate(layer(features), scale_factor=2, mode="bilinear") for layer in layers))


def _enlarging(num_channels: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(_BODY_CHANNELS, num_channels, 4, stride=2, padding=1)
