"""Captions for garments that nobody described."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

from PIL import Image

from idmvton.captions.captioner import Captioner
from idmvton.captions.templates import DEFAULT_CAPTION
from idmvton.errors import PreparationError
from idmvton.prepare.garment_words import garment_words
from idmvton.tryon.pipeline import TryOnPipeline
from idmvton.types import Category
from idmvton.weights import status

CLIP = "clip-vit-large-patch14"
"""Describes garments for checkpoints with large text encoders, such as the published ones."""


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
        pipe: for those with large text encoders :data:`CLIP` describes, if it is on this machine; else, and without it,
            the embedded network that reads garments (:mod:`idmvton.prepare.garment_words`).
    """

    def __init__(self, pipe: TryOnPipeline) -> None:
        self.pipe = pipe

    @functools.cached_property
    def clip(self) -> Captioner | None:
        """Loaded at the first garment without a caption: a large CLIP takes seconds to load."""
        if self.pipe.drafter is not None:  # mini's own text encoders know only the words of the studio's captions
            return None
        found = status(CLIP)
        return Captioner.from_clip(found.path) if found.present and found.path else None

    def __call__(self, garment: Image.Image, category: Category | None, caption: str | None = None) -> Described:
        """Describes a garment.

        Args:
            garment: RGB, on white.
            category: only items of this part of the body are considered.
            caption: what the user says it is; then nothing is proposed.
        """
        if caption is not None:
            return Described(caption, {})
        if self.clip is not None:
            proposal = self.clip(garment, category)
            return Described(proposal.caption, dict(proposal.words))
        try:
            found = garment_words(garment, category=category)
        except PreparationError:
            note = f"the garment was not described: it is called {DEFAULT_CAPTION!r}; give --caption"
            return Described(DEFAULT_CAPTION, {}, (note,))
        return Described(found.caption, dict(found.words))
