"""Writes ONNX networks of SCHP's size with random weights, to measure speed and memory where the real files are not.

``python tools/schp_size.py DIR`` writes ``parsing_atr.onnx`` and ``parsing_lip.onnx``: CE2P on a ResNet-101, 66.7 M
parameters, 267 MB each, the published inputs and outputs. It needs the package ``onnx``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

NETWORKS = (("atr", 18, 512), ("lip", 20, 473))


def _conv(inputs: int, outputs: int, kernel: int = 1, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    padding = dilation * (kernel // 2)
    layer = nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(outputs), nn.ReLU())


class _Bottleneck(nn.Module):
    def __init__(self, inputs: int, width: int, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        last = nn.Sequential(nn.Conv2d(width, 4 * width, 1, bias=False), nn.BatchNorm2d(4 * width))
        self.way = nn.Sequential(_conv(inputs, width), _conv(width, width, 3, stride, dilation), last)
        is_same = inputs == 4 * width and stride == 1
        self.short = nn.Identity() if is_same else nn.Conv2d(inputs, 4 * width, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.way(x) + self.short(x))


def _stage(inputs: int, width: int, count: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    first = _Bottleneck(inputs, width, stride, dilation)
    return nn.Sequential(first, *(_Bottleneck(4 * width, width, 1, dilation) for _ in range(count - 1)))


class ParsingNet(nn.Module):
    """ResNet-101, pyramid pooling, an edge branch and the fusion of both."""

    def __init__(self, num_labels: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(_conv(3, 64, 3, 2), _conv(64, 64, 3), _conv(64, 128, 3), nn.MaxPool2d(3, 2, 1))
        self.stages = nn.ModuleList(
            [_stage(128, 64, 3), _stage(256, 128, 4, 2), _stage(512, 256, 23, 2), _stage(1024, 512, 3, 1, 2)]
        )
        self.pools = nn.ModuleList(_conv(2048, 512) for _ in range(4))
        self.joined = _conv(4096, 512, 3)
        self.edges = nn.ModuleList(_conv(width, 256) for width in (256, 512, 1024))
        self.edge_maps = nn.ModuleList(nn.Conv2d(256, 2, 3, padding=1) for _ in range(3))
        self.edge = nn.Conv2d(6, 2, 1)
        self.coarse, self.fine = _conv(512, 256), _conv(256, 48)
        self.decoded = nn.Sequential(_conv(304, 256), _conv(256, 256))
        self.parsing = nn.Conv2d(256, num_labels, 1)
        self.fusion = nn.Sequential(_conv(1024, 256), nn.Conv2d(256, num_labels, 1))

    def forward(self, picture: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Parsing, fusion and edge at a quarter of the picture's size."""
        x, levels = self.stem(picture), []
        for stage in self.stages:
            x = stage(x)
            levels.append(x)
        size, small = levels[0].shape[2:], x.shape[2:]
        pooled = [
            _to(pool(_to(x, (cells, cells))), small) for pool, cells in zip(self.pools, (1, 2, 3, 6), strict=True)
        ]
        context = self.joined(torch.cat([*pooled, x], 1))
        edges = [layer(level) for layer, level in zip(self.edges, levels, strict=False)]
        maps = [_to(layer(edge), size) for layer, edge in zip(self.edge_maps, edges, strict=True)]
        decoded = self.decoded(torch.cat([_to(self.coarse(context), size), self.fine(levels[0])], 1))
        fused = self.fusion(torch.cat([decoded, *(_to(edge, size) for edge in edges)], 1))
        return self.parsing(decoded), fused, self.edge(torch.cat(maps, 1))


def _to(x: Tensor, size: tuple[int, ...]) -> Tensor:
    height, width = (int(side) for side in size)
    return F.interpolate(x, (height, width), mode="bilinear", align_corners=True)


def main() -> None:
    """Writes both networks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    for name, num_labels, side in NETWORKS:
        torch.manual_seed(0)
        network = ParsingNet(num_labels).eval()
        picture = torch.zeros(1, 3, side, side)
        path = folder / f"parsing_{name}.onnx"
        torch.onnx.export(network, (picture,), path, dynamo=False, input_names=["input.1"], opset_version=17)
        print(path, sum(each.numel() for each in network.parameters()))


if __name__ == "__main__":
    main()
