"""Decoded pictures -> what the caller asked for, and how it was made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from idmvton.drafting import spread
from idmvton.framing import paste_back
from idmvton.images import from_vae_tensor, mask_to_tensor, to_numpy, to_pil, to_vae_tensor
from idmvton.inputs import Pairs
from idmvton.options import TryOnOptions
from idmvton.types import OutputType

_SMOOTH: Final = 8  # pixels: details that the VAE loses are no shift of colours


@dataclass(frozen=True, slots=True)
class TryOnResult:
    """Pictures and how they were made.

    Attributes:
        images: one picture a pair: PIL RGB, float HWC in [0, 1] (``"np"``) or float CHW in [0, 1] (``"pt"``);
            empty with ``output_type="latent"``.
        latents: float (pairs, C, h, w), the final latents in the scale the UNet works in.
        seed: the seed of each picture; ``None`` where the caller gave generators.
        options: the options of the call, with working size and feather filled in.
        captions: the phrase [V] of each picture.
        timings: seconds of each stage, in order.
        made_with: weights, scheduler, policies, device, library versions.
        warnings: what the caller should know, in words.
    """

    images: list[Any]
    latents: Tensor
    seed: tuple[int | None, ...]
    options: TryOnOptions
    captions: tuple[str, ...]
    timings: Mapping[str, float]
    made_with: Mapping[str, str]
    warnings: tuple[str, ...]

    def provenance(self, index: int = 0) -> dict[str, Any]:
        """How picture ``index`` was made, as plain values ready for JSON."""
        return {
            **self.options.to_dict(),
            "seed": self.seed[index],
            "caption": self.captions[index],
            "timings": {stage: round(seconds, 4) for stage, seconds in self.timings.items()},
            "made_with": dict(self.made_with),
            "warnings": list(self.warnings),
        }


def match_colours(pictures: Tensor, pairs: Pairs) -> Tensor:
    """Shifts colours by what decoding changed around the mask, spread into it: no seam is left on plain walls.

    Args:
        pictures: decoded, float (B, 3, H, W) in [0, 1].
        pairs: the photos at working size, and masks.
    """
    people = [pairs.people[row] for row in pairs.person_rows]
    photos = from_vae_tensor(to_vae_tensor([each.image for each in people])).to(pictures)
    is_kept = 1 - mask_to_tensor([each.mask for each in people]).to(pictures)
    changed, known = (F.avg_pool2d(each, _SMOOTH) for each in ((photos - pictures) * is_kept, is_kept))
    shift = spread(changed / known.clamp(min=1e-3), (known > 0.25).to(known))
    return (pictures + F.interpolate(shift, pictures.shape[-2:], mode="bilinear", align_corners=False)).clamp(0, 1)


def finish(pictures: Tensor, pairs: Pairs, options: TryOnOptions, output_type: OutputType) -> list[Any]:
    """Decoded pictures -> what the caller asked for, pasted into the photos if so.

    Args:
        pictures: float (B, 3, H, W) in [0, 1].
        pairs: the photos and masks.
        options: of these, ``paste_back`` and ``feather`` are used.
        output_type: "pil", "np" or "pt".
    """
    if options.paste_back:
        people = [pairs.people[row] for row in pairs.person_rows]
        pasted = [
            paste_back(picture, each.photo, each.photo_mask, each.framing, options.feather or 0)
            for picture, each in zip(to_pil(pictures), people, strict=True)
        ]
        if output_type == "pil":
            return pasted
        arrays = [np.asarray(picture, dtype=np.float32) / 255 for picture in pasted]
    elif output_type == "pil":
        return to_pil(pictures)
    else:
        arrays = list(to_numpy(pictures))
    if output_type == "np":
        return arrays
    return [torch.from_numpy(array).permute(2, 0, 1) for array in arrays]
