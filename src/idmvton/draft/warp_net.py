"""WarpNet: where each pixel of a person finds its fabric in the product picture.

Small models that are trained from scratch find the correspondence between person and garment late; large pretrained
ones bring it along. A checkpoint may therefore hold a WarpNet: it predicts a flow from the person to the product
picture and the new garment's outline, for a draft (:mod:`idmvton.draft.drafter`). It is no part of
the published system.

Shape legend: B pairs, C channels, H and W pixels of WarpNet's own size, T tokens.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn

NUM_PART_CLASSES = 25
PERSON_CHANNELS = NUM_PART_CLASSES + 1 + 3 + 2  # body parts, mask, masked picture, place
GARMENT_CHANNELS = 3 + 2  # picture, place


class Warp(NamedTuple):
    """A prediction of WarpNet.

    Attributes:
        flow: float (B, 2, H, W), x and y in the picture of the garment for each pixel of the person, from -1 (left,
            top) to 1 (right, bottom), outer edges.
        outline: float (B, 1, H, W), logit of whether the new garment is seen there.
    """

    flow: Tensor
    outline: Tensor


class WarpNet(ModelMixin, ConfigMixin):
    """Predicts flow and outline, from coarse to fine.

    Args:
        height, width: the size it works at, pixels; multiples of 16.
        channels: of the four levels, from fine to coarse.
        num_layers: transformer layers at the coarsest level.
    """

    @register_to_config
    def __init__(
        self,
        height: int = 128,
        width: int = 96,
        channels: tuple[int, int, int, int] = (24, 48, 80, 128),
        num_layers: int = 3,
    ) -> None:
        super().__init__()
        self.person_levels = _encoder(PERSON_CHANNELS, channels)
        self.garment_levels = _encoder(GARMENT_CHANNELS, channels)
        coarse = channels[-1]
        tokens = (height // 16) * (width // 16)
        self.person_place = nn.Parameter(torch.randn(1, tokens, coarse) * 0.02)
        self.garment_place = nn.Parameter(torch.randn(1, tokens, coarse) * 0.02)
        self.fusion = nn.ModuleList(
            nn.TransformerDecoderLayer(coarse, 4, 2 * coarse, dropout=0.0, batch_first=True, norm_first=True)
            for _ in range(num_layers)
        )
        self.refine = nn.ModuleList(
            _Refine(fine, garment=fine, above=above)
            for fine, above in zip(channels[-2::-1], channels[:0:-1], strict=True)
        )
        self.coarse_flow = nn.Conv2d(coarse, 2, 1)
        self.last = nn.Conv2d(channels[0], 4 * 3, 3, padding=1)

    def forward(self, person_BCHW: Tensor, garment_BCHW: Tensor) -> Warp:
        """Predicts the warp.

        Args:
            person_BCHW: float (B, 29, H, W): body parts one-hot (25), mask (1 = repaint), and the masked picture in
                [-1, 1].
            garment_BCHW: float (B, 3, H, W), the product picture in [-1, 1].
        """
        place = places(person_BCHW.shape[-2:], person_BCHW).expand(len(person_BCHW), -1, -1, -1)
        person = _levels(self.person_levels, torch.cat([person_BCHW, place], 1))
        garment = _levels(self.garment_levels, torch.cat([garment_BCHW, place], 1))
        top = person[-1]
        tokens = top.flatten(2).mT + self.person_place
        memory = garment[-1].flatten(2).mT + self.garment_place
        for layer in self.fusion:
            tokens = layer(tokens, memory)
        state = tokens.mT.reshape(top.shape)
        flow = places(top.shape[-2:], top.float()) + self.coarse_flow(state)  # in full precision, whatever the net's
        for refine, skip, features in zip(self.refine, person[-2::-1], garment[-2::-1], strict=True):
            state, flow = refine(state, flow, skip, features)
        final = F.pixel_shuffle(self.last(state), 2)
        flow = F.interpolate(flow, scale_factor=2, mode="bilinear", align_corners=False) + final[:, :2]
        return Warp(flow, final[:, 2:])


class _Refine(nn.Module):
    """One level finer: looks at the garment where the flow points so far, and corrects the flow."""

    def __init__(self, fine: int, *, garment: int, above: int) -> None:
        super().__init__()
        self.merge = nn.Conv2d(fine + garment + above + 2, fine, 3, padding=1)
        self.block = _Block(fine, fine)
        self.flow = nn.Conv2d(fine, 2, 3, padding=1)

    def forward(self, state: Tensor, flow: Tensor, skip: Tensor, garment: Tensor) -> tuple[Tensor, Tensor]:
        state, flow = (F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False) for x in (state, flow))
        state = self.block(self.merge(torch.cat([state, skip, sample_at(garment, flow), flow.to(state.dtype)], 1)))
        return state, flow + self.flow(state)


class _Block(nn.Module):
    """A residual block, halving the size if ``stride`` is 2."""

    def __init__(self, channels_in: int, channels_out: int, stride: int = 1) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(8, channels_in)
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride, 1)
        self.norm2 = nn.GroupNorm(8, channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1)
        same = channels_in == channels_out and stride == 1
        self.skip = nn.Identity() if same else nn.Conv2d(channels_in, channels_out, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(F.silu(self.norm1(x)))
        return self.skip(x) + self.conv2(F.silu(self.norm2(y)))


def _encoder(channels_in: int, channels: tuple[int, ...]) -> nn.ModuleList:
    """Levels at 1/2, 1/4, 1/8 and 1/16 of the size."""
    first = nn.Sequential(nn.Conv2d(channels_in, channels[0], 4, 2, 1), _Block(channels[0], channels[0]))
    others = [
        nn.Sequential(_Block(fine, coarse, stride=2), _Block(coarse, coarse))
        for fine, coarse in itertools.pairwise(channels)
    ]
    return nn.ModuleList([first, *others])


def _levels(encoder: nn.ModuleList, x: Tensor) -> list[Tensor]:
    features = []
    for level in encoder:
        x = level(x)
        features.append(x)
    return features


def places(size: Sequence[int], like: Tensor) -> Tensor:
    """The middle of each pixel, x and y in -1 to 1, outer edges: (1, 2, height, width), of ``like``'s kind."""
    height, width = size
    y, x = (
        (torch.arange(side, device=like.device, dtype=like.dtype) + 0.5) * (2 / side) - 1 for side in (height, width)
    )
    return torch.stack([x.expand(height, width), y[:, None].expand(height, width)])[None]


def sample_at(pictures_BCHW: Tensor, flow_B2HW: Tensor, mode: str = "bilinear") -> Tensor:
    """The pictures' values where the flow points; border values beyond. Float (B, C, flow's H, W)."""
    grid = flow_B2HW.permute(0, 2, 3, 1).float()
    sampled = F.grid_sample(pictures_BCHW.float(), grid, mode=mode, padding_mode="border", align_corners=False)
    return sampled.to(pictures_BCHW.dtype)
