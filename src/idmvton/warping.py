"""The product picture, warped onto the person by a checkpoint's WarpNet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from idmvton.images import mask_to_tensor, to_vae_tensor
from idmvton.models.warp_net import NUM_PARTS, Warp, WarpNet, sample_at
from idmvton.prepare.densepose import parts_of
from idmvton.types import Size


class Wearer(NamedTuple):
    """What WarpNet reads of a person: RGB, bool mask (True = repaint) and RGB body map, of one size."""

    image: Image.Image
    mask: np.ndarray
    densepose: Image.Image


def person_planes(people: Sequence[Wearer], size: Size) -> Tensor:
    """WarpNet's view of people: float32 (B, 29, H, W); body parts one-hot, mask, masked picture in [-1, 1]."""
    shape = (size.width, size.height)
    parts = [parts_of(each.densepose.resize(shape, Image.Resampling.NEAREST))[0] for each in people]
    one_hot = F.one_hot(torch.from_numpy(np.stack(parts)).long(), NUM_PARTS).permute(0, 3, 1, 2).float()
    masks = [np.asarray(Image.fromarray(each.mask).resize(shape, Image.Resampling.NEAREST)) for each in people]
    mask = mask_to_tensor(masks)
    pictures = to_vae_tensor([each.image.resize(shape, Image.Resampling.BOX) for each in people])
    return torch.cat([one_hot, mask, pictures * (1 - mask)], 1)


def garment_planes(garments: Sequence[Image.Image], size: Size) -> Tensor:
    """WarpNet's view of product pictures: float32 (B, 3, H, W) in [-1, 1]."""
    return to_vae_tensor([each.resize((size.width, size.height), Image.Resampling.BOX) for each in garments])


def warp_garments(net: WarpNet, people: Sequence[Wearer], garments: Sequence[Image.Image]) -> Tensor:
    """Garments as they lie on people.

    Args:
        net: where each pixel of a person finds its fabric.
        people: B people of one size.
        garments: B product pictures of that size.

    Returns:
        float32 (B, 3, H, W) in [-1, 1] on the net's device; mid grey where the garment is not seen.
    """
    own = Size(net.config.height, net.config.width)
    planes = (person_planes(people, own), garment_planes(garments, own))
    warp = net(*(each.to(net.device, net.dtype) for each in planes))
    mask = mask_to_tensor([each.mask for each in people]).to(net.device)
    return apply_warp(warp, to_vae_tensor(garments).to(net.device), mask)


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
    return sample_at(garments_BCHW, flow) * outline.sigmoid() * mask_B1HW
