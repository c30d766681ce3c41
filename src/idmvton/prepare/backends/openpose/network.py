"""OpenPose's body network: heatmaps of 18 joints and fields that point along 19 limbs.

Six stages look at the same features; each but the first also sees what the one before it said (Cao et al., "Realtime
Multi-Person 2D Pose Estimation using Part Affinity Fields", section 2).

Shapes: B pictures, C channels, H x W pixels of the network's input, h x w = H / 8 x W / 8.
"""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn

from idmvton.prepare.backends.loading import fill_network
from idmvton.weights.files import read_tensors

STRIDE: Final = 8
"""Pixels of the input for each pixel of the maps."""
NUM_FIELDS: Final = 38
"""Channels of the limbs' fields: x and y for each of 19 limbs."""
NUM_HEATMAPS: Final = 19
"""18 joints and the background."""
NUM_STAGES: Final = 6
_FEATURES: Final = 128

# Name and output channels of each convolution of the trunk; a pool comes before those whose name starts a new group.
_TRUNK: Final = (
    ("conv1_1", 64), ("conv1_2", 64), ("conv2_1", 128), ("conv2_2", 128), ("conv3_1", 256), ("conv3_2", 256),
    ("conv3_3", 256), ("conv3_4", 256), ("conv4_1", 512), ("conv4_2", 512), ("conv4_3_CPM", 256), ("conv4_4_CPM", 128),
)  # fmt: skip
_POOL_BEFORE: Final = ("conv2_1", "conv3_1", "conv4_1")
_BRANCHES: Final = (("L1", NUM_FIELDS), ("L2", NUM_HEATMAPS))
# The published network has a ReLU behind this last convolution, and behind no other last one.
_RECTIFIED: Final = "Mconv7_stage6_L2"


class BodyNet(nn.Module):
    """The network of ``body_pose_model.pth``; its parameters have the file's names."""

    def __init__(self) -> None:
        super().__init__()
        channels = 3
        for name, width in _TRUNK:
            self.add_module(name, nn.Conv2d(channels, width, 3, padding=1))
            channels = width
        for stage in range(1, NUM_STAGES + 1):
            for branch, outputs in _BRANCHES:
                for name, layer in _branch(stage, branch, outputs).items():
                    self.add_module(name, layer)

    def forward(self, picture_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        """What the last stage says.

        Args:
            picture_BCHW: float (B, 3, H, W), BGR / 256 - 0.5; H and W are multiples of 8.

        Returns:
            The limbs' fields (B, 38, h, w) and the heatmaps (B, 19, h, w), about -1 to 1.
        """
        features_BChw = self.features(picture_BCHW)
        inputs_BChw = features_BChw
        for stage in range(1, NUM_STAGES + 1):
            fields_BChw, heatmaps_BChw = self.stage(stage, inputs_BChw)
            inputs_BChw = torch.cat([fields_BChw, heatmaps_BChw, features_BChw], dim=1)
        return fields_BChw, heatmaps_BChw

    def features(self, picture_BCHW: Tensor) -> Tensor:
        """What every stage looks at: float (B, 128, h, w)."""
        x_BCHW = picture_BCHW
        for name, _ in _TRUNK:
            if name in _POOL_BEFORE:
                x_BCHW = nn.functional.max_pool2d(x_BCHW, 2)
            x_BCHW = self.get_submodule(name)(x_BCHW).relu_()
        return x_BCHW

    def stage(self, stage: int, inputs_BChw: Tensor) -> tuple[Tensor, Tensor]:
        """Fields and heatmaps of one stage, from 1.

        Args:
            stage: its number.
            inputs_BChw: the features; from the second stage on fields, heatmaps and features, in this order.
        """
        fields_BChw, heatmaps_BChw = (self._run(stage, branch, inputs_BChw) for branch, _ in _BRANCHES)
        return fields_BChw, heatmaps_BChw

    def _run(self, stage: int, branch: str, x_BChw: Tensor) -> Tensor:
        names = _names(stage, branch)
        for name in names:
            x_BChw = self.get_submodule(name)(x_BChw)
            if name != names[-1] or name == _RECTIFIED:
                x_BChw = x_BChw.relu_()
        return x_BChw


def _names(stage: int, branch: str) -> list[str]:
    if stage == 1:
        return [f"conv5_{number}_CPM_{branch}" for number in range(1, 6)]
    return [f"Mconv{number}_stage{stage}_{branch}" for number in range(1, 8)]


def _branch(stage: int, branch: str, outputs: int) -> OrderedDict[str, nn.Conv2d]:
    """The convolutions of one branch: 3 x 3 and 512 wide in the middle in the first stage, 7 x 7 later."""
    names = _names(stage, branch)
    kernel, middle = (3, 512) if stage == 1 else (7, _FEATURES)
    channels = _FEATURES if stage == 1 else NUM_FIELDS + NUM_HEATMAPS + _FEATURES
    layers: OrderedDict[str, nn.Conv2d] = OrderedDict()
    for name in names[:-2]:
        layers[name] = nn.Conv2d(channels, _FEATURES, kernel, padding=kernel // 2)
        channels = _FEATURES
    layers[names[-2]] = nn.Conv2d(_FEATURES, middle, 1)
    layers[names[-1]] = nn.Conv2d(middle, outputs, 1)
    return layers


def load_body_net(path: Path) -> BodyNet:
    """The network with the weights of a file, ready for use.

    Args:
        path: ``body_pose_model.pth``, read as plain tensors only, or the same tensors as safetensors.

    Raises:
        WeightsError: no such file, another file, or other tensors than the network's.
    """
    tensors = read_tensors(path, torch.float32, suffixes=(".pth", ".safetensors"))
    with torch.device("meta"):
        network = BodyNet()
    fill_network(network, tensors, path, "OpenPose's body network", "run `idmvton weights get openpose-body`")
    return network
