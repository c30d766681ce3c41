"""How conditions enter TryonNet: channel order, time ids, mask size, guidance batching.

The pipeline and training share these functions, so that both speak to the network in the same way. The prompts
come from :mod:`idmvton.captions.templates`.

Shape legend: B rows, C latent channels, H and W pixels, h and w latent pixels.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from idmvton.errors import ConfigError
from idmvton.models.latents import encode_latents
from idmvton.options import TryOnOptions
from idmvton.types import Size, TimeIds


def check_policies(
    garment_timestep: Any, time_ids: Any, num_inference_steps: Any, guidance_scale: Any, match_colours: Any
) -> None:
    """Checks the policies that a checkpoint carries.

    Args:
        garment_timestep: a :data:`GarmentTimestep`.
        time_ids: a :data:`TimeIds`.
        num_inference_steps, guidance_scale: of a call that does not say, in the ranges of
            :class:`idmvton.options.TryOnOptions`.
        match_colours: bool, see :func:`idmvton.tryon.outputs.match_colours`.

    Raises:
        ConfigError: an unknown one.
    """
    is_number = isinstance(garment_timestep, int) and not isinstance(garment_timestep, bool)
    if garment_timestep != "each_step" and not (is_number and 0 <= garment_timestep < 1000):
        raise ConfigError("unknown garment_timestep", got=repr(garment_timestep), expected="'each_step', or 0 to 999")
    _check_time_ids(time_ids)
    if None in (num_inference_steps, guidance_scale):
        raise ConfigError("a checkpoint must know its steps and guidance", got="None", expected="numbers")
    TryOnOptions(num_inference_steps=num_inference_steps, guidance_scale=guidance_scale)
    if not isinstance(match_colours, bool):
        raise ConfigError("unknown match_colours", got=repr(match_colours), expected="true or false")


def _check_time_ids(style: Any) -> None:
    if style not in get_args(TimeIds):
        raise ConfigError("unknown time_ids", got=repr(style), expected=" or ".join(get_args(TimeIds)))


@dataclass(frozen=True)
class PersonConditions:
    """What TryonNet sees of P people besides the noisy latents.

    Attributes:
        mask: float (P, 1, h, w) in {0, 1}, 1 = repaint.
        masked_latents: float (P, C, h, w), latents of the person with the masked pixels at mid grey.
        densepose_latents: float (P, C, h, w).
        draft_latents: float (P, C, h, w), latents of what :class:`idmvton.draft.drafter.Draft` shows of the person;
            ``None`` for checkpoints without a WarpNet, such as the published.
    """

    mask: Tensor
    masked_latents: Tensor
    densepose_latents: Tensor
    draft_latents: Tensor | None = None

    @property
    def channels(self) -> Tensor:
        """The channels after the noisy latents, in order: float (P, 2C + 1 or 3C + 1, h, w)."""
        draft = [] if self.draft_latents is None else [self.draft_latents]
        return torch.cat([self.mask, self.masked_latents, self.densepose_latents, *draft], dim=1)

    def with_draft(self, latents: Tensor) -> PersonConditions:
        """With what a draft shows of the people: float (P, C, h, w)."""
        return dataclasses.replace(self, draft_latents=latents.to(self.mask.dtype))

    def rows(self, index: Sequence[int]) -> PersonConditions:
        """The people at ``index``, one row each."""
        picked = list(index)
        draft = None if self.draft_latents is None else self.draft_latents[picked]
        return PersonConditions(self.mask[picked], self.masked_latents[picked], self.densepose_latents[picked], draft)


def encode_person(
    vae: Any, pictures_BCHW: Tensor, mask_B1HW: Tensor, body_maps_BCHW: Tensor, dtype: torch.dtype
) -> PersonConditions:
    """Mask, masked picture and body map as TryonNet sees them.

    Args:
        vae: ``AutoencoderKL``.
        pictures_BCHW: float RGB in [-1, 1].
        mask_B1HW: float in {0, 1}, 1 = repaint.
        body_maps_BCHW: float RGB in [-1, 1].
        dtype: of the result.
    """
    masked_latents = encode_latents(vae, mask_out(pictures_BCHW, mask_B1HW))
    return PersonConditions(
        mask=shrink_mask(mask_B1HW, Size(*masked_latents.shape[-2:])).to(dtype),
        masked_latents=masked_latents.to(dtype),
        densepose_latents=encode_latents(vae, body_maps_BCHW).to(dtype),
    )


def mask_out(person_BCHW: Tensor, mask_B1HW: Tensor) -> Tensor:
    """The person with every pixel to be repainted at 0, mid grey in [-1, 1]."""
    return person_BCHW * (mask_B1HW < 0.5)


def shrink_mask(mask_B1HW: Tensor, latent_size: Size) -> Tensor:
    """The mask at latent size: nearest neighbour, as the published system does. Returns B1hw."""
    return F.interpolate(mask_B1HW, size=tuple(latent_size), mode="nearest")


def tryon_input(noisy_BChw: Tensor, person: PersonConditions) -> Tensor:
    """TryonNet's input, float (B, 3C + 1, h, w): noisy latents, mask, masked image, densepose (section 3.2).

    A draft, where there is one, adds C channels.
    ``person`` may have half the rows of the noisy latents: both halves of guidance see the same person.
    """
    repeats = noisy_BChw.shape[0] // person.mask.shape[0]
    return torch.cat([noisy_BChw, person.channels.to(noisy_BChw.dtype).repeat(repeats, 1, 1, 1)], dim=1)


def make_time_ids(size: Size, style: str = "height_width") -> Tensor:
    """SDXL's micro-conditioning: original size, crop top-left, target size; float (1, 6).

    Args:
        size: the working size.
        style: a :data:`TimeIds`.

    Raises:
        ConfigError: an unknown style.
    """
    _check_time_ids(style)
    second = size.width if style == "height_width" else size.height
    return torch.tensor([[size.height, second, 0, 0, size.height, second]], dtype=torch.float32)


def guide(prediction: Tensor, guidance_scale: float) -> Tensor:
    """Classifier-free guidance. (2B, ...), the unconditional half first -> (B, ...)."""
    unconditional, conditional = prediction.chunk(2)
    return unconditional + guidance_scale * (conditional - unconditional)
