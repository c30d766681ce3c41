"""Captions for garments that nobody described, from the CLIP that suits a checkpoint."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

from PIL import Image

from idmvton.captions.captioner import Captioner
from idmvton.captions.templates import DEFAULT_CAPTION
from idmvton.errors import ConfigError
from idmvton.tryon.pipeline import TryOnPipeline
from idmvton.types import Category
from idmvton.weights import status

CLIP = "clip-vit-large-patch14"
"""Describes garments for checkpoints whose own encoders are of two different CLIPs, such as the published ones."""


@dataclass(frozen=True, slots=True)
class Described:
    """The phrase [V] of a garment, and where it comes from.

    Attributes:
        caption: the phrase.
        words: attribute -> (word, its probability); empty where the phrase is not a captioner's.
        warnings: what the caller should know.
    """

    caption: str
    words: dict[str, tuple[str, float]]
    warnings: tuple[str, ...] = ()

    def about(self) -> dict[str, Any]:
        """For the result: how sure the captioner was of each word; nothing where there was none."""
        words = {name: [word, round(sure, 3)] for name, (word, sure) in self.words.items()}
        return {"caption_words": words} if words else {}


class Describer:
    """Describes garments for one pipeline.

    Args:
        pipe: its own encoders are used if they belong together, else :data:`CLIP` if it is on this machine.
    """

    def __init__(self, pipe: TryOnPipeline) -> None:
        self.pipe = pipe

    @functools.cached_property
    def captioner(self) -> Captioner | None:
        """Found when the first garment has no caption: a whole CLIP takes a while to load."""
        try:
            return Captioner.from_pipeline(self.pipe)
        except ConfigError:
            clip = status(CLIP)
            return Captioner.from_clip(clip.path) if clip.present and clip.path else None

    def __call__(self, garment: Image.Image, category: Category | None, caption: str | None = None) -> Described:
        """Describes a garment.

        Args:
            garment: RGB, on white.
            category: only items of this part of the body are considered.
            caption: what the user says it is; then nothing is proposed.
        """
        if caption is not None:
            return Described(caption, {})
        if self.captioner is None:
            note = (
                f"the garment was not described: it is called {DEFAULT_CAPTION!r}; give --caption, or run "
                f"`idmvton weights get {CLIP}` to have captions proposed"
            )
            return Described(DEFAULT_CAPTION, {}, (note,))
        proposal = self.captioner(garment, category)
        return Described(proposal.caption, dict(proposal.words))
