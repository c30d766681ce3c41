"""How a garment lies on a person, by a checkpoint's WarpNet.

WarpNet sees two windows: of the person, what is to be repainted; of the product picture, the garment. So it does not
have to learn where in a photo people and garments are, and small ones keep their details.

Shape legend: B pairs, H and W pixels of the pictures.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from idmvton.draft.warp_net import NUM_PART_CLASSES, Warp, WarpNet, places, sample_at
from idmvton.images.densepose import parts_of
from idmvton.types import Size

_MARGIN = 1.1
_BACKGROUND_DIFFERENCE = 0.16  # in [-1, 1]: shadows on the background differ less
_LEAST_SHARE = 0.015  # of a row or column that is garment: less is dust
_LEAST_REACH = 0.1
_ALIKE = 0.05  # in [-1, 1]: white garments on white differ little more from the background
_CONTRAST = 0.6  # in [-1, 1]: garments of less are hard to see
_HALF_A_GAP = 0.008  # of the height: the background does not get through narrower gaps
_EXACTLY = 0.004  # in [-1, 1]: a cut-out's background differs by no more than its rounding
_CLEAR = 0.25  # in [-1, 1]: garments that differ by more beside it have no edge that looks like background
_MOSTLY = 0.9  # share of such a gap
_BITE = 4.5e-4  # share of the picture: smaller ones are what a cut-out bites from white stripes
_FRINGE = 0.002  # of the height, inside the garment's edge: there the background mixes in


@dataclass(frozen=True)
class Windows:
    """A window of each picture, with the picture's aspect.

    Attributes:
        centre: float (B, 2), x and y from -1 (left, top) to 1 (right, bottom), outer edges.
        reach: float (B, 1), its height as a share of the picture's.
    """

    centre: Tensor
    reach: Tensor

    def inside(self, flow_B2HW: Tensor) -> Tensor:
        """Places in the pictures -> in the windows."""
        return (flow_B2HW - self.centre[:, :, None, None]) / self.reach[:, :, None, None]

    def outside(self, flow_B2HW: Tensor) -> Tensor:
        """Places in the windows -> in the pictures."""
        return flow_B2HW * self.reach[:, :, None, None] + self.centre[:, :, None, None]

    def colours(self, pictures_BCHW: Tensor, size: Size) -> Tensor:
        """What the windows show, smoothly: float (B, C, height, width)."""
        return F.avg_pool2d(sample_at(pictures_BCHW.float(), self._grid((size.height * 2, size.width * 2))), 2)

    def values(self, maps_BCHW: Tensor, size: Size) -> Tensor:
        """What the windows show, unmixed: the nearest pixels; float (B, C, height, width)."""
        return sample_at(maps_BCHW.float(), self._grid(size), mode="nearest")

    def _grid(self, size: tuple[int, int]) -> Tensor:
        return self.outside(places(size, self.centre).expand(len(self.centre), -1, -1, -1))


def windows_around(shown_B1HW: Tensor) -> Windows:
    """Windows around what is shown (bool), with a margin; the whole picture where nothing or next to nothing is."""
    spans = []
    for axis in (-2, -1):  # over rows: the columns; over columns: the rows
        share = shown_B1HW.float().mean(axis)[:, 0]
        place = places((1, share.shape[-1]), share)[0, 0, 0]
        used = share > _LEAST_SHARE
        spans.append((torch.where(used, place, 2).amin(-1), torch.where(used, place, -2).amax(-1)))
    low, high = (torch.stack(each, -1) for each in zip(*spans, strict=True))
    reach = ((high - low).amax(-1, keepdim=True) / 2 * _MARGIN).clamp(max=1)
    known = reach > _LEAST_REACH
    reach, centre = torch.where(known, reach, 1.0), torch.where(known, (low + high) / 2, 0.0)
    return Windows(torch.minimum(torch.maximum(centre, reach - 1), 1 - reach), reach)


def plain_background(pictures_BCHW: Tensor) -> Tensor:
    """The colours of pictures' borders: (B, C, 1, 1)."""
    sides = (pictures_BCHW[..., 0, :], pictures_BCHW[..., -1, :], pictures_BCHW[..., 0], pictures_BCHW[..., -1])
    return torch.cat(sides, -1).median(-1).values[..., None, None]


def garment_windows(garments_BCHW: Tensor) -> Windows:
    """Windows around garments on a plain background: what differs from the picture's border. Float in [-1, 1]."""
    difference = (garments_BCHW - plain_background(garments_BCHW)).abs().amax(1, keepdim=True)
    return windows_around(difference > _BACKGROUND_DIFFERENCE)


def garment_outlines(garments_BCHW: Tensor) -> Tensor:
    """Where product pictures on a plain background show the garment, less a fringe.

    Background is what looks like the border and reaches it; white prints are garment. Narrow gaps between sleeve and
    trunk are background where they have exactly its colour, between cloth that clearly has not.

    Returns:
        bool (B, 1, H, W).
    """
    differences = (garments_BCHW - plain_background(garments_BCHW)).abs().amax(1).float().cpu().numpy()
    outlines = [_garment_outline(each) for each in differences]
    return torch.from_numpy(np.stack(outlines))[:, None].to(garments_BCHW.device)


def _garment_outline(difference: NDArray[np.float32]) -> NDArray[np.bool_]:
    """The same for one picture (H, W) of how far colours are from the background's."""
    gap, fringe, near = (
        np.ones((side,) * 2, np.uint8)
        for side in (_odd(len(difference) * _HALF_A_GAP), _odd(len(difference) * _FRINGE), 3)
    )
    alike = (difference < _ALIKE).astype(np.uint8)
    background = _from_border(cv2.morphologyEx(alike, cv2.MORPH_OPEN, gap))
    count, pieces = cv2.connectedComponents(((difference < _EXACTLY) & ~background).astype(np.uint8), connectivity=4)
    is_clear = cv2.dilate(difference, np.ones((3 * len(gap),) * 2, np.uint8)) > _CLEAR
    clear, area = (np.bincount(pieces[where], minlength=count) for where in (is_clear, np.ones_like(background)))
    is_gap = (clear > _MOSTLY * area) & (area > _BITE * difference.size)
    is_gap &= np.isin(np.arange(count), pieces[cv2.dilate(background.astype(np.uint8), near) > 0])
    is_gap[0] = False
    gaps = cv2.dilate(is_gap[pieces].astype(np.uint8), np.ones((5, 5), np.uint8)) & alike
    inside = (~(background | (gaps > 0))).astype(np.uint8)
    return np.asarray(cv2.erode(inside, fringe, borderValue=1) > 0)


def _odd(half: float) -> int:
    """The side of a brush that reaches so many pixels."""
    return 2 * round(half) + 1


def _from_border(alike: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """What hangs together with the outside of the picture."""
    _, pieces = cv2.connectedComponents(np.pad(alike, 1, constant_values=1), connectivity=4)
    return np.asarray(pieces[1:-1, 1:-1] == pieces[0, 0])


def stand_out(garments_BCHW: Tensor, outlines_B1HW: Tensor | None = None) -> Tensor:
    """Product pictures whose garments hardly differ from the background, such as white on white, with more contrast.

    All of the garment becomes darker, or on a dark background lighter, until half of it differs clearly.

    Args:
        garments_BCHW: float RGB in [-1, 1], on a plain background.
        outlines_B1HW: bool, :func:`garment_outlines` of them where that is known.

    Returns:
        float BCHW in [-1, 1]; clear garments as they are.
    """
    background = plain_background(garments_BCHW)
    outlines = garment_outlines(garments_BCHW) if outlines_B1HW is None else outlines_B1HW
    is_light = background.mean(1, keepdim=True) >= 0
    differences = garments_BCHW - background

    def middle(values_B1HW: Tensor) -> Tensor:
        return torch.where(outlines, values_B1HW, torch.nan).flatten(1).nanmedian(1).values[:, None, None, None]

    is_faint = middle(differences.abs().amax(1, keepdim=True)) < _CONTRAST
    away = torch.where(is_light, -1, 1)
    missing = (_CONTRAST - middle(differences.mean(1, keepdim=True) * away)).clamp(min=0)
    return torch.where(outlines & is_faint, garments_BCHW + away * missing, garments_BCHW).clamp(-1, 1)


def body_parts(body_maps_BCHW: Tensor) -> Tensor:
    """Body maps in the palette, float RGB in [-1, 1] -> DensePose's parts, uint8 (B, 1, H, W) in 0 to 24."""
    maps = ((body_maps_BCHW + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    parts = np.stack([parts_of(Image.fromarray(each))[0] for each in maps])
    return torch.from_numpy(parts)[:, None].to(body_maps_BCHW.device)


def person_planes(
    windows: Windows, pictures_BCHW: Tensor, mask_B1HW: Tensor, body_maps_BCHW: Tensor, size: Size
) -> Tensor:
    """WarpNet's view of people.

    Args:
        windows: around what is repainted.
        pictures_BCHW: float RGB in [-1, 1].
        mask_B1HW: float in {0, 1}, 1 = repaint.
        body_maps_BCHW: float RGB in [-1, 1], in the palette.
        size: the net's own.

    Returns:
        float32 (B, 29, height, width): body parts one-hot (25), mask, masked picture in [-1, 1].
    """
    return planes_of_parts(windows, pictures_BCHW, mask_B1HW, body_parts(body_maps_BCHW), size)


def planes_of_parts(
    windows: Windows, pictures_BCHW: Tensor, mask_B1HW: Tensor, parts_B1HW: Tensor, size: Size
) -> Tensor:
    """The same, from body parts 0 to 24 (B, 1, H, W)."""
    mask, parts = (windows.values(each, size) for each in (mask_B1HW, parts_B1HW))
    one_hot = F.one_hot(parts[:, 0].long(), NUM_PART_CLASSES).permute(0, 3, 1, 2)
    return torch.cat([one_hot.float(), mask, windows.colours(pictures_BCHW, size) * (1 - mask)], 1)


def lay_garments(
    net: WarpNet, pictures_BCHW: Tensor, mask_B1HW: Tensor, body_maps_BCHW: Tensor, garments_BCHW: Tensor
) -> Warp:
    """How garments lie on people.

    Args:
        net: where each pixel of a person finds its fabric.
        pictures_BCHW, mask_B1HW, body_maps_BCHW: the people, see :func:`person_planes`.
        garments_BCHW: float RGB in [-1, 1], the product pictures, of the people's size.

    Returns:
        The warp at the pictures' size; its flow in places of the product pictures.
    """
    own = Size(net.config.height, net.config.width)
    shown = stand_out(garments_BCHW.float())
    people, garments = windows_around(mask_B1HW > 0.5), garment_windows(shown)
    person = person_planes(people, pictures_BCHW, mask_B1HW, body_maps_BCHW, own)
    warp = net(person.to(net.dtype), garments.colours(shown, own).to(net.dtype))
    everywhere = people.inside(places(garments_BCHW.shape[-2:], mask_B1HW).expand(len(mask_B1HW), -1, -1, -1))
    flow, outline = (sample_at(each.float(), everywhere) for each in warp)
    return Warp(garments.outside(flow), outline)
