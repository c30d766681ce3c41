"""The region proposal network: boxes that may hold a person. Parameter names are those of the published file."""

from __future__ import annotations

import math
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from idmvton.prepare.backends.densepose.backbone import LEVEL_STRIDES, PYRAMID_CHANNELS
from idmvton.prepare.backends.densepose.boxes import apply_deltas, clip_boxes, suppress_doubles

ANCHOR_SIZES: Final = {"p2": 32, "p3": 64, "p4": 128, "p5": 256, "p6": 512}
"""Level -> the square root of its anchors' area, in pixels."""
ANCHOR_RATIOS: Final = (0.5, 1.0, 2.0)
"""Height over width of the anchors at one place."""
MAX_PROPOSALS: Final = 1000
"""Of each level before doubles are dropped, and of all levels after."""
MAX_OVERLAP: Final = 0.7
_WEIGHTS: Final = (1.0, 1.0, 1.0, 1.0)


def make_anchors(level: str, height: int, width: int) -> Tensor:
    """The anchors of a level with ``height`` x ``width`` cells: (height * width * 3, 4), pixels of the picture."""
    size, stride = ANCHOR_SIZES[level], LEVEL_STRIDES[level]
    shapes = []
    for ratio in ANCHOR_RATIOS:
        anchor_width = math.sqrt(size**2 / ratio)
        anchor_height = ratio * anchor_width
        shapes.append([-anchor_width / 2, -anchor_height / 2, anchor_width / 2, anchor_height / 2])
    x, y = torch.arange(width) * stride, torch.arange(height) * stride
    rows, columns = torch.meshgrid(y, x, indexing="ij")
    places = torch.stack([columns, rows, columns, rows], -1).reshape(-1, 1, 4)
    return (places.float() + torch.tensor(shapes)).reshape(-1, 4)


class ProposalHead(nn.Module):
    """Scores and moves the anchors of one level."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(PYRAMID_CHANNELS, PYRAMID_CHANNELS, 3, padding=1)
        self.objectness_logits = nn.Conv2d(PYRAMID_CHANNELS, len(ANCHOR_RATIOS), 1)
        self.anchor_deltas = nn.Conv2d(PYRAMID_CHANNELS, 4 * len(ANCHOR_RATIOS), 1)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, 256, H, W) to logits (B, 3, H, W) and deltas (B, 12, H, W), four for each anchor."""
        hidden = F.relu_(self.conv(features))
        return self.objectness_logits(hidden), self.anchor_deltas(hidden)


class ProposalGenerator(nn.Module):
    """Proposals of all levels."""

    def __init__(self) -> None:
        super().__init__()
        self.rpn_head = ProposalHead()

    def forward(self, levels: dict[str, Tensor], height: int, width: int) -> Tensor:
        """Finds proposals.

        Args:
            levels: p2 to p6 of one picture, each (1, 256, h, w).
            height, width: of the picture without padding, in pixels.

        Returns:
            At most 1000 boxes (N, 4) in pixels, best first.
        """
        boxes, scores = [], []
        for name, features in levels.items():
            level_boxes, level_scores = self._of_level(name, features, height, width)
            kept = suppress_doubles(level_boxes, level_scores, MAX_OVERLAP)
            boxes.append(level_boxes[kept])
            scores.append(level_scores[kept])
        best = torch.argsort(torch.cat(scores), descending=True, stable=True)[:MAX_PROPOSALS]
        return torch.cat(boxes)[best]

    def _of_level(self, name: str, features: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
        logits, deltas = self.rpn_head(features)
        rows, columns = features.shape[2:]
        scores = logits[0].permute(1, 2, 0).reshape(-1)
        per_anchor = deltas[0].reshape(len(ANCHOR_RATIOS), 4, rows, columns).permute(2, 3, 0, 1).reshape(-1, 4)
        anchors = make_anchors(name, rows, columns).to(features.device)
        scores, best = torch.sort(scores, descending=True, stable=True)
        scores, best = scores[:MAX_PROPOSALS], best[:MAX_PROPOSALS]
        boxes = clip_boxes(apply_deltas(anchors[best], per_anchor[best], _WEIGHTS), height, width)
        usable = torch.isfinite(boxes).all(1) & torch.isfinite(scores) & (boxes[:, 2:] > boxes[:, :2]).all(1)
        return boxes[usable], scores[usable]
