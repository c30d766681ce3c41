"""A draft of the result, for checkpoints with a WarpNet.

The surroundings are spread into what is to be repainted, the body gets the colour of the skin that is seen, and the
garment lies on it as WarpNet says. Colours, edges and textures are then in their places, and what is left to small
networks is to correct them. TryonNet sees the draft without the garment, and GarmentNet the garment, which it passes on
through the self-attention (section 3.2): without it, nobody knows what the garment looks like. It is no part of the
published system.

Shape legend: B pairs, H and W pixels.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from idmvton.draft.colours import spread
from idmvton.draft.outline import settle_outlines
from idmvton.draft.warp import body_parts, garment_outlines, lay_garments
from idmvton.draft.warp_net import Warp, WarpNet, places, sample_at
from idmvton.images.densepose import HANDS, HEAD

_HANDS_TELL: Final = 1e-4  # body maps of hands show sleeves and trousers too
_OTHERS_TELL: Final = 1e-7  # clothes tell next to nothing; for where neither face nor hands are seen
_MARGIN: Final = 0.025  # of the height: so near to the body, clothes are seen and not the surroundings
_LEAST_SHARE: Final = 1e-3
_SHOWN: Final = 0.5  # share of the cut-out from which on the product picture tells a colour


class Draft(NamedTuple):
    """A draft in two parts that add up to it, and how the garment lies.

    Attributes:
        person: float BCHW in [-1, 1], what TryonNet sees: the picture itself where nothing is repainted, else
            surroundings and body, and mid grey where the garment lies.
        garment: float BCHW in [-1, 1], what GarmentNet sees: the garment as it lies there, on mid grey.
        opacity: float (B, 1, H, W) in [0, 1], how much of each pixel the finished picture shows of it.
        flow: float (B, 2, H, W), where the product picture shows each pixel, from -1 (left, top) to 1.
    """

    person: Tensor
    garment: Tensor
    opacity: Tensor
    flow: Tensor

    @property
    def whole(self) -> Tensor:
        """The draft of the result: float BCHW in [-1, 1]."""
        return self.person + self.garment


class Drafter:
    """Drafts of people in garments that a WarpNet lays.

    Args:
        net: frozen; nothing in it is changed.
    """

    def __init__(self, net: WarpNet) -> None:
        self.net = net

    def __call__(
        self, pictures_BCHW: Tensor, mask_B1HW: Tensor, body_maps_BCHW: Tensor, garments_BCHW: Tensor
    ) -> Draft:
        """Drafts of B pairs; see :func:`draft_results`."""
        pairs = pictures_BCHW, mask_B1HW, body_maps_BCHW, garments_BCHW
        return draft_results(*pairs, lay_garments(self.net, *pairs))


def draft_results(
    pictures_BCHW: Tensor, mask_B1HW: Tensor, body_maps_BCHW: Tensor, garments_BCHW: Tensor, warp: Warp
) -> Draft:
    """Drafts of people in garments.

    Args:
        pictures_BCHW: float RGB in [-1, 1].
        mask_B1HW: float in {0, 1}, 1 = repaint.
        body_maps_BCHW: float RGB in [-1, 1], in the palette.
        garments_BCHW: float RGB in [-1, 1], the product pictures.
        warp: how they lie on the people, at the pictures' size.

    Returns:
        The draft, float32.
    """
    pictures, parts, is_kept = pictures_BCHW.float(), body_parts(body_maps_BCHW), mask_B1HW < 0.5
    is_body = parts > 0
    skin = spread(pictures, is_kept * _likely_skin(parts))
    reach = round(_MARGIN * is_body.shape[-2])
    near_body = F.max_pool2d(is_body.float(), 2 * reach + 1, 1, reach)
    below = torch.where(is_body, skin, spread(pictures, is_kept * (1 - near_body)))
    is_garment = garment_outlines(garments_BCHW).float()
    share = sample_at(is_garment, warp.flow)
    garment = sample_at(garments_BCHW.float() * is_garment, warp.flow) / share.clamp(min=_LEAST_SHARE)
    garment = torch.where(share > _SHOWN, garment, spread(garment, (share > _SHOWN).float()))
    outline = settle_outlines(warp.outline.float(), share, parts, ~is_kept)
    person = torch.where(is_kept, pictures, below * (1 - outline.drawn))
    return Draft(person, garment * outline.drawn, outline.settled, warp.flow)


def _likely_skin(parts_B1HW: Tensor) -> Tensor:
    """How much a pixel tells of the skin: the middle of the head's lower half, else hands, else other parts.

    Returns:
        float (B, 1, H, W) in [0, 1].
    """
    is_head, is_hand = (torch.isin(parts_B1HW, parts_B1HW.new_tensor(which)) for which in (HEAD, HANDS))
    place = places(parts_B1HW.shape[-2:], is_head.float())
    count = is_head.sum((2, 3), keepdim=True).clamp(min=1)
    away = place - (place * is_head).sum((2, 3), keepdim=True) / count
    deviation = ((away**2 * is_head).sum((2, 3), keepdim=True) / count).sqrt()
    is_face = is_head & (away[:, 1:] >= 0) & (away[:, :1].abs() <= deviation[:, :1])
    return (is_face + _HANDS_TELL * is_hand + _OTHERS_TELL * (parts_B1HW > 0)).clamp(max=1)
