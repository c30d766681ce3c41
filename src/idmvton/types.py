"""Frozen records that cross the borders between the parts. Importing them loads no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    import torch

    from idmvton.options import TryOnOptions

Category = Literal["upper_body", "lower_body", "dresses"]
"""What is exchanged."""


class Size(NamedTuple):
    """A picture's size in pixels, height first as everywhere in this library."""

    height: int
    width: int

    def __str__(self) -> str:
        return f"{self.height}x{self.width} (height x width)"


@dataclass(frozen=True, slots=True)
class GarmentFeatures:
    """Low-level features of garments: what GarmentNet's self-attentions read (paper section 3.2).

    Attributes:
        tokens: layer name -> float (garments, tokens, channels), in the order of execution. The names are
            those of the self-attentions, equal in GarmentNet and TryonNet.
    """

    tokens: Mapping[str, torch.Tensor]


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
    latents: torch.Tensor
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
