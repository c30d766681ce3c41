"""Colours of small networks: known ones spread into what is not known, and what a VAE shifts shifted back.

Shape legend: B pictures, H and W pixels.
"""

from __future__ import annotations

from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

_SMOOTH: Final = 8  # pixels: details that the VAE loses are no shift of colours


def spread(pictures_BCHW: Tensor, known_B1HW: Tensor) -> Tensor:
    """Fills pictures smoothly from where they are known: pull-push (Gortler et al., "The Lumigraph", 1996).

    Args:
        pictures_BCHW: float.
        known_B1HW: float in [0, 1], how much a pixel counts.

    Returns:
        float BCHW, the pictures where known is 1; 0 if nothing is known at all.
    """
    colours, weights = [pictures_BCHW], [known_B1HW]
    while max(colours[-1].shape[-2:]) > 1:
        pooled = [F.avg_pool2d(each, 2, ceil_mode=True) for each in (colours[-1] * weights[-1], weights[-1])]
        colours.append(pooled[0] / pooled[1].clamp(min=torch.finfo(pooled[1].dtype).tiny))
        weights.append((4 * pooled[1]).clamp(max=1))
    filled = colours[-1]
    for colour, weight in zip(colours[-2::-1], weights[-2::-1], strict=True):
        filled = F.interpolate(filled, colour.shape[-2:], mode="bilinear", align_corners=False)
        filled = torch.lerp(filled, colour, weight)
    return filled


def match_colours(pictures_BCHW: Tensor, photos_BCHW: Tensor, mask_B1HW: Tensor) -> Tensor:
    """Shifts colours by what decoding changed around the mask, spread into it: no seam is left on plain walls.

    Args:
        pictures_BCHW: decoded, float RGB in [0, 1].
        photos_BCHW: float RGB in [0, 1], the photos at the same size.
        mask_B1HW: float in {0, 1}, 1 = repainted.

    Returns:
        float BCHW in [0, 1].
    """
    is_kept = 1 - mask_B1HW
    changed, known = (F.avg_pool2d(each, _SMOOTH) for each in ((photos_BCHW - pictures_BCHW) * is_kept, is_kept))
    shift = spread(changed / known.clamp(min=1e-3), (known > 0.25).to(known))
    shift = F.interpolate(shift, pictures_BCHW.shape[-2:], mode="bilinear", align_corners=False)
    return (pictures_BCHW + shift).clamp(0, 1)
