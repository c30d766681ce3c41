"""The product picture, warped onto the person by a checkpoint's WarpNet.

Shape legend: B pairs, H and W pixels of the pictures.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from idmvton.models.warp_net import NUM_PARTS, Warp, WarpNet, sample_at
from idmvton.prepare.densepose import parts_of
from idmvton.types import Size


def person_planes(pictures_BCHW: Tensor, mask_B1HW: Tensor, body_maps_BCHW: Tensor, size: Size) -> Tensor:
    """WarpNet's view of people.

    Args:
        pictures_BCHW: float RGB in [-1, 1].
        mask_B1HW: float in {0, 1}, 1 = repaint.
        body_maps_BCHW: float RGB in [-1, 1], in the palette.
        size: the net's own.

    Returns:
        float32 (B, 29, height, width): body parts one-hot (25), mask, masked picture in [-1, 1].
    """
    mask = F.interpolate(mask_B1HW.float(), tuple(size), mode="nearest")
    maps = ((F.interpolate(body_maps_BCHW.float(), tuple(size), mode="nearest") + 1) * 127.5).round().byte()
    parts = [parts_of(Image.fromarray(each))[0] for each in maps.permute(0, 2, 3, 1).cpu().numpy()]
    one_hot = F.one_hot(torch.from_numpy(np.stack(parts)).long().to(mask.device), NUM_PARTS).permute(0, 3, 1, 2)
    pictures = F.interpolate(pictures_BCHW.float(), tuple(size), mode="area")
    return torch.cat([one_hot.float(), mask, pictures * (1 - mask)], 1)


def garment_planes(garments_BCHW: Tensor, size: Size) -> Tensor:
    """WarpNet's view of product pictures, float RGB in [-1, 1]: the same at the net's own size."""
    return F.interpolate(garments_BCHW.float(), tuple(size), mode="area")


def warp_garments(
    net: WarpNet, pictures_BCHW: Tensor, mask_B1HW: Tensor, body_maps_BCHW: Tensor, garments_BCHW: Tensor
) -> Tensor:
    """Garments as they lie on people.

    Args:
        net: where each pixel of a person finds its fabric.
        pictures_BCHW, mask_B1HW, body_maps_BCHW: the people, see :func:`person_planes`.
        garments_BCHW: float RGB in [-1, 1], the product pictures.

    Returns:
        float32 BCHW in [-1, 1]; mid grey where the garment is not seen.
    """
    own = Size(net.config.height, net.config.width)
    person = person_planes(pictures_BCHW, mask_B1HW, body_maps_BCHW, own)
    warp = net(person.to(net.dtype), garment_planes(garments_BCHW, own).to(net.dtype))
    return apply_warp(warp, garments_BCHW, mask_B1HW)


def apply_warp(warp: Warp, garments_BCHW: Tensor, mask_B1HW: Tensor) -> Tensor:
    """Samples product pictures by a warp, at their own size.

    Args:
        warp: of any size.
        garments_BCHW: float, the product pictures in [-1, 1].
        mask_B1HW: float, 1 = repaint; nothing is seen outside it.

    Returns:
        float BCHW in [-1, 1], mid grey where the garment is not seen.
    """
    flow, outline = (
        F.interpolate(each.float(), size=garments_BCHW.shape[-2:], mode="bilinear", align_corners=False)
        for each in warp
    )
    return sample_at(garments_BCHW.float(), flow) * outline.sigmoid() * mask_B1HW
