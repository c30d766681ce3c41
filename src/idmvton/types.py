"""The words that users choose from, and records that every part knows. Importing them loads no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

if TYPE_CHECKING:
    import torch

VERSION: Final = "0.1.0"
"""Of this library; also in pyproject.toml."""

Category = Literal["upper_body", "lower_body", "dresses"]
"""What is exchanged."""
CategoryChoice = Literal["auto", "upper", "lower", "dress", "upper_body", "lower_body", "dresses"]
CATEGORY_WORDS: Mapping[str, CategoryChoice] = {
    **dict.fromkeys(("top", "tops", "shirt", "upper-body", "upperbody", "upper-clothes"), "upper"),
    **dict.fromkeys(("bottom", "bottoms", "pants", "trousers", "skirt", "lower-body", "lowerbody"), "lower"),
    **dict.fromkeys(("one-piece", "one-pieces", "onepiece", "overall", "overalls", "full-body", "gown"), "dress"),
}
"""Words that other tools and shops use -> ours; case, spaces and underscores do not count."""
KeepChoice = Literal["auto", "mask"]
MaskShape = Literal["outline", "box"]
BackendSet = Literal["auto", "embedded", "published"]
"""The networks of a preparation: those that come with the library, or those of the published system."""

SchedulerName = Literal["ddpm", "ddim", "dpm++2m", "unipc", "euler", "euler-trailing", "lcm", "tcd"]
DTypeName = Literal["auto", "float32", "bfloat16", "float16"]
OutputType = Literal["pil", "np", "pt", "latent"]
Quality = Literal["best", "balanced", "fast"]
WebhookChoice = Literal["public", "any", "off"]
LogChoice = Literal["json", "text"]
ShareChoice = Literal["on", "off"]
AttentionChoice = Literal["auto", "sage"]
MemoryMode = Literal["auto", "fast", "balanced", "low"]
TimeIds = Literal["height_width", "height_height"]
"""``height_height``: for weights trained with the published training code, which repeats the height."""
GarmentTimestep = int | Literal["each_step"]
"""Which timestep GarmentNet is fed: the current one (published weights), or always the same one."""

Order = Literal["paired", "unpaired"]
"""Which list of pairs of a data set: with a person's own garment, or with another."""
Captions = Literal["tags", "detailed", "naive"]
MissingCaption = Literal["error", "category phrase"]
Orders = Literal["paired", "unpaired", "both"]
MapsOfPeople = Literal["given", "prepared", "both"]
"""A data set's own masks and body maps, those that were made of its photos, or either."""
RenderedCategory = Literal["upper_body", "lower_body", "dresses", "mixed"]
"""What the rendered people of a data set change."""


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
