"""Where the new garment is seen: WarpNet's outline, with the shape that the product picture has.

WarpNet's own outline is right on the whole, but it tears: a neckline runs down the chest, a white shirt on white has
holes. The flow knows better which spot of the product picture lies where. So on the trunk the garment is solid unless
the product picture shows an opening there; only what lies in front (arms, hair) is left to the outline alone. No slit
is left between a sleeve and the trunk that it touches. A hem that ends a little above what stays on below is drawn down
to it, trousers to the shoes, and their waistband up to the top that stays on.

Shape legend: B pairs, H and W pixels.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

_TRUNK: Final = (1, 2)
_LEGS: Final = tuple(range(7, 15))
_FEET: Final = (5, 6)
_ARMS: Final = tuple(range(15, 23))
_CHEST: Final = 0.5  # of the trunk, from above: trousers and skirts cover none of it
_LITTLE: Final = 0.1  # of the garment
_SLIT: Final = 0.008  # of the height: half of the widest slit between sleeve and trunk
_TEAR: Final = 0.02  # of the height: half of the widest tear that is mended
_HEM: Final = 0.035  # of the height: so far above what stays on a hem is drawn down to it
_NICK: Final = 0.004  # of the height: half of the widest nick of an edge that is mended anywhere
_EDGE: Final = 0.003  # of the height: deviation of the blur that makes edges smooth curves
_HAZE: Final = 3.0  # what is undecided is better drawn with an edge than as a wide haze
_STEEPNESS: Final = 1.6  # of the edge after that: it is about one and a half of these deviations wide


class Outline(NamedTuple):
    """Where the new garment is seen: float (B, 1, H, W) in [0, 1] each, 0 outside the mask.

    Attributes:
        drawn: as the draft draws it, with edges as hazy as WarpNet is unsure of them: the networks settle them.
        settled: as the finished picture has it, with smooth, sharp edges.
    """

    drawn: Tensor
    settled: Tensor


def settle_outlines(logits_B1HW: Tensor, carried_B1HW: Tensor, parts_B1HW: Tensor, mask_B1HW: Tensor) -> Outline:
    """Where the new garments are seen.

    Args:
        logits_B1HW: float, WarpNet's outline.
        carried_B1HW: float in [0, 1], the product picture's cut-out, carried by the flow.
        parts_B1HW: body parts, 0 to 24.
        mask_B1HW: bool, what may be repainted.

    """
    height = logits_B1HW.shape[-2]
    tear, hem, nick, slit = (max(1, round(share * height)) for share in (_TEAR, _HEM, _NICK, _SLIT))
    can_be = (carried_B1HW > 0.5) & mask_B1HW
    sure = (logits_B1HW > 0) & can_be
    sure = _grown(_shrunk(sure, 1), 3) & sure
    is_trunk, is_arm = (torch.isin(parts_B1HW, parts_B1HW.new_tensor(which)) for which in (_TRUNK, _ARMS))
    mended = _shrunk(_grown(sure, tear), tear) & can_be & is_trunk
    whole = sure | mended
    whole = whole | _between(whole, parts_B1HW, mask_B1HW, hem)
    beside_arms = _grown(is_arm, slit) & (parts_B1HW > 0)
    whole = whole | (_shrunk(_grown(whole, slit), slit) & beside_arms & mask_B1HW)
    whole = whole | (_shrunk(_grown(whole, nick), nick) & mask_B1HW)
    drawn = torch.where(_shrunk(whole | ~mask_B1HW, nick), 1.0, (_HAZE * logits_B1HW).sigmoid() * carried_B1HW)
    settled = (0.5 + _STEEPNESS * (_blurred(whole.float(), _EDGE * height) - 0.5)).clamp(0, 1)
    return Outline(drawn * mask_B1HW, settled * mask_B1HW)


def _between(whole_B1HW: Tensor, parts_B1HW: Tensor, mask_B1HW: Tensor, reach: int) -> Tensor:
    """What lies between a garment and what stays on a little below it; of trousers and skirts also above: bool."""
    is_trunk, is_leg, is_foot = (torch.isin(parts_B1HW, parts_B1HW.new_tensor(each)) for each in (_TRUNK, _LEGS, _FEET))
    can_be = (is_trunk | is_leg) & mask_B1HW
    stays_on = (is_trunk | is_foot) & ~mask_B1HW
    below = _grown_down(whole_B1HW, reach) & _grown_up(stays_on, reach)
    above = _grown_up(whole_B1HW, reach) & _grown_down(is_trunk & ~mask_B1HW, reach)
    rows = is_trunk.any(-1, keepdim=True).cumsum(-2)
    is_chest = is_trunk & (rows <= _CHEST * rows.amax(-2, keepdim=True))
    on_chest, area = ((each.sum((-2, -1), keepdim=True)) for each in (whole_B1HW & is_chest, whole_B1HW))
    return can_be & (below | (above & (on_chest < _LITTLE * area)))


def _grown_up(mask_B1HW: Tensor, pixels: int) -> Tensor:
    """A mask (bool) grown upward only."""
    return _grown_down(mask_B1HW.flip(-2), pixels).flip(-2)


def _grown(mask_B1HW: Tensor, pixels: int) -> Tensor:
    """A mask (bool) grown by a square brush."""
    tall = F.max_pool2d(mask_B1HW.float(), (2 * pixels + 1, 1), 1, (pixels, 0))
    return F.max_pool2d(tall, (1, 2 * pixels + 1), 1, (0, pixels)) > 0


def _shrunk(mask_B1HW: Tensor, pixels: int) -> Tensor:
    """The opposite; nothing shrinks from the border inward."""
    return ~_grown(~mask_B1HW, pixels)


def _grown_down(mask_B1HW: Tensor, pixels: int) -> Tensor:
    """A mask (bool) grown downward only."""
    return F.max_pool2d(F.pad(mask_B1HW.float(), (0, 0, pixels, 0)), (pixels + 1, 1), 1) > 0


def _blurred(values_B1HW: Tensor, deviation: float) -> Tensor:
    """A Gaussian blur; the border's values go on beyond it."""
    reach = max(1, round(3 * deviation))
    offsets = torch.arange(-reach, reach + 1, device=values_B1HW.device, dtype=values_B1HW.dtype)
    kernel = torch.exp(-0.5 * (offsets / deviation) ** 2)
    kernel = kernel / kernel.sum()
    padded = F.pad(values_B1HW, (reach,) * 4, mode="replicate")
    return F.conv2d(F.conv2d(padded, kernel[None, None, :, None]), kernel[None, None, None])
