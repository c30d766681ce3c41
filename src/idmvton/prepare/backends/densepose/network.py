"""DensePose R-CNN (R50-FPN, schedule s1x) in plain PyTorch: a person detector and the body maps of what it finds.

Parameter names and shapes equal those of the published file ``model_final_162be9.pkl``.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from idmvton.prepare.backends.densepose.backbone import FeaturePyramid
from idmvton.prepare.backends.densepose.boxes import apply_deltas, clip_boxes, suppress_doubles
from idmvton.prepare.backends.densepose.heads import (
    BODY_CELLS,
    BOX_CELLS,
    BodyHead,
    BodyMaps,
    BodyPredictor,
    BoxHead,
    BoxPredictor,
    Decoder,
)
from idmvton.prepare.backends.densepose.proposals import ProposalGenerator
from idmvton.prepare.backends.densepose.roi_align import pooled, roi_align

PIXEL_MEANS: Final = (103.53, 116.28, 123.675)
"""Mean blue, green and red of the pictures it was trained on; they are subtracted."""
SIZE_DIVISOR: Final = 32
MAX_OVERLAP: Final = 0.5
MAX_DETECTIONS: Final = 100
_BOX_LEVELS: Final = ((2, "p2"), (3, "p3"), (4, "p4"), (5, "p5"))
_BOX_WEIGHTS: Final = (10.0, 10.0, 5.0, 5.0)


class Detections(NamedTuple):
    """People of one picture, the surest first.

    Attributes:
        boxes: (N, 4), x0, y0, x1, y1 in pixels of the network's picture.
        scores: (N,), from 0 to 1.
    """

    boxes: Tensor
    scores: Tensor


class RegionHeads(nn.Module):
    """Everything that reads the pyramid's features inside boxes."""

    def __init__(self) -> None:
        super().__init__()
        self.box_head = BoxHead()
        self.box_predictor = BoxPredictor()
        self.decoder = Decoder()
        self.densepose_head = BodyHead()
        self.densepose_predictor = BodyPredictor()

    def judge(self, levels: dict[str, Tensor], boxes: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (N, 2) of person and background, and deltas (N, 4), of boxes (N, 4)."""
        cells = pooled([(number, levels[name][0]) for number, name in _BOX_LEVELS], boxes, BOX_CELLS)
        return self.box_predictor(self.box_head(cells))

    def body_maps(self, levels: dict[str, Tensor], boxes: Tensor) -> BodyMaps:
        """DensePose's maps of boxes (N, 4)."""
        cells = roi_align(self.decoder(levels)[0], boxes, 1 / 4, BODY_CELLS)
        return self.densepose_predictor(self.densepose_head(cells))


class DensePoseNet(nn.Module):
    """The network: pictures of one size, one at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = FeaturePyramid()
        self.proposal_generator = ProposalGenerator()
        self.roi_heads = RegionHeads()

    def levels(self, picture: Tensor) -> dict[str, Tensor]:
        """The pyramid p2 to p6 of a picture.

        Args:
            picture: float (3, H, W), BGR from 0 to 255.

        Returns:
            Level -> features (1, 256, h, w) of the picture padded to multiples of 32.
        """
        return self.backbone(padded(picture))

    def detect(self, levels: dict[str, Tensor], height: int, width: int, min_score: float) -> Detections:
        """Finds people.

        Args:
            levels: what :meth:`levels` returned.
            height, width: of that picture, in pixels, without padding.
            min_score: people below or at this score, from 0 to 1, are dropped.
        """
        proposals = self.proposal_generator(levels, height, width)
        logits, deltas = self.roi_heads.judge(levels, proposals)
        boxes = apply_deltas(proposals, deltas, _BOX_WEIGHTS)
        scores = F.softmax(logits, 1)[:, 0]
        usable = torch.isfinite(boxes).all(1) & torch.isfinite(scores) & (scores > min_score)
        boxes, scores = clip_boxes(boxes[usable], height, width), scores[usable]
        kept = suppress_doubles(boxes, scores, MAX_OVERLAP)[:MAX_DETECTIONS]
        return Detections(boxes[kept], scores[kept])


def padded(picture: Tensor) -> Tensor:
    """A picture (3, H, W), BGR from 0 to 255, as the network reads it: (1, 3, H', W'), zeros right and below."""
    means = picture.new_tensor(PIXEL_MEANS)[:, None, None]
    height, width = picture.shape[1:]
    return F.pad((picture - means)[None], (0, -width % SIZE_DIVISOR, 0, -height % SIZE_DIVISOR))
