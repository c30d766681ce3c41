"""How well a garment lies on a photo of somebody who wears it: the loss that WarpNet is customized by.

No true flow is known. What is known is what the photo shows: where the garment is seen, and its colours there.

Shape legend: B pairs, H and W pixels.
"""

from __future__ import annotations

from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

from idmvton.draft.warp_net import Warp, sample_at

_SCALES: Final = (2, 4, 8)  # pixels that are averaged: coarse ones say where to move
_LIGHT: Final = 16  # of these: differences of the colour that are wider are light and shade, which the flow cannot mend
_NEAR: Final = 4  # pixels between which slopes are compared
_LEAST: Final = 1e-3


def warp_losses(
    warp: Warp, before: Warp, garment_B3HW: Tensor, person_B3HW: Tensor, worn_B1HW: Tensor, mask_B1HW: Tensor
) -> dict[str, Tensor]:
    """The parts of the loss, float (B,) each.

    Args:
        warp: how the garment lies, with gradients.
        before: how it lay by the checkpoint's own WarpNet.
        garment_B3HW, person_B3HW: float RGB in [-1, 1], the product picture and the photo.
        worn_B1HW: 1 where the photo shows the garment, else 0.
        mask_B1HW: 1 where it may lie.

    Returns:
        ``colours``: the difference of the photo and of what the flow fetches, at several sizes; ``outline``: the
        cross-entropy of where the garment is seen; ``slopes``: how much the flow's slopes changed.
    """
    fetched = sample_at(garment_B3HW, warp.flow)
    colours = torch.stack([_difference(fetched, person_B3HW, worn_B1HW, size) for size in _SCALES]).mean(0)
    crossed = F.binary_cross_entropy_with_logits(warp.outline.float(), worn_B1HW, reduction="none")
    outline = _mean(crossed, mask_B1HW)
    moved = warp.flow - before.flow
    across = (moved[..., :, _NEAR:] - moved[..., :, :-_NEAR]).abs().mean((1, 2, 3))
    down = (moved[..., _NEAR:, :] - moved[..., :-_NEAR, :]).abs().mean((1, 2, 3))
    return {"colours": colours, "outline": outline, "slopes": (across + down) * moved.shape[-2] / (2 * _NEAR)}


def _difference(fetched: Tensor, person: Tensor, worn: Tensor, size: int) -> Tensor:
    """The mean difference on the garment, of pictures averaged over squares, apart from light and shade."""
    weight = F.avg_pool2d(worn, size)
    difference = F.avg_pool2d((fetched - person) * worn, size) / weight.clamp(min=_LEAST)
    reach = 2 * (_LIGHT // 2) + 1
    share = F.avg_pool2d(weight, reach, 1, reach // 2)
    light = F.avg_pool2d(difference * weight, reach, 1, reach // 2) / share.clamp(min=_LEAST)
    return _mean((difference - light).abs().mean(1, keepdim=True), weight)


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    return (values * weight).sum((1, 2, 3)) / weight.sum((1, 2, 3)).clamp(min=_LEAST)
