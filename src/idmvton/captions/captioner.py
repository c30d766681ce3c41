"""Proposes the phrase [V] for a garment picture, zero-shot with a CLIP over a vocabulary of attributes (section 3.3).

The paper takes sleeve length, neckline and item from a fashion tagger. Here a CLIP compares the picture with the
prompts of all words: first the items, then, for the item that won, sleeve lengths, necklines, colours and patterns.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

import torch
import torch.nn.functional as F
import transformers
from PIL import Image
from torch import Tensor

from idmvton.captions.templates import (
    COLOURS,
    ITEMS,
    NECKLINES,
    PATTERNS,
    SLEEVES,
    compose_caption,
    garment_prompt,
)
from idmvton.checkpoint.parts import load_part, quiet_transformers
from idmvton.errors import ConfigError, WeightsError
from idmvton.images import clip_pixel_values
from idmvton.types import Category
from idmvton.weights import locate

LOGIT_SCALE = 100.0
"""What cosines are multiplied by before the softmax, where an image encoder's config has no ``logit_scale``: the value
that CLIP's training ends at."""
MIN_CONFIDENCE = 0.4
"""A word less probable than this is left out of the phrase; the item never is."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A proposed caption.

    Attributes:
        caption: the phrase [V].
        category: the part of the body that the item dresses.
        words: attribute (item, sleeve, neckline, colour, pattern) -> the best word and its probability, 0 to 1, among
            the words of that attribute. Attributes that the item does not have are left out.
    """

    caption: str
    category: Category
    words: Mapping[str, tuple[str, float]]


class HasEncoders(Protocol):
    """A pipeline of SDXL's kind with an image encoder."""

    image_encoder: Any
    text_encoder_2: Any
    tokenizer_2: Any


class Captioner:
    """Compares pictures and phrases with a pair of encoders of one embedding space.

    Args:
        image_encoder: ``CLIPVisionModelWithProjection``.
        text_encoder: ``CLIPTextModelWithProjection``, trained together with it.
        tokenizer: the text encoder's.
        logit_scale: of the pair's contrastive training.

    Raises:
        ConfigError: the encoders do not share an embedding space.
    """

    def __init__(
        self, image_encoder: Any, text_encoder: Any, tokenizer: Any, *, logit_scale: float = LOGIT_SCALE
    ) -> None:
        widths = [encoder.config.projection_dim for encoder in (image_encoder, text_encoder)]
        if widths[0] != widths[1]:
            raise ConfigError(
                "the encoders of this checkpoint were not trained together",
                got=f"image embeddings of {widths[0]} numbers, text embeddings of {widths[1]}",
                expected="one embedding space",
                fix="give the captioner a whole CLIP, such as openai/clip-vit-large-patch14",
            )
        self.image_encoder, self.text_encoder, self.tokenizer = image_encoder, text_encoder, tokenizer
        self.logit_scale = logit_scale
        self._text_embeddings = functools.lru_cache(maxsize=1024)(self._embed_texts)

    @classmethod
    def from_pipeline(cls, pipe: HasEncoders) -> Self:
        """Uses a checkpoint's own encoders. Those of the published checkpoints are of two different CLIPs."""
        return cls(pipe.image_encoder, pipe.text_encoder_2, pipe.tokenizer_2, logit_scale=_scale_of(pipe.image_encoder))

    @classmethod
    def from_pretrained(cls, model: str | Path) -> Self:
        """Loads the encoders of a try-on checkpoint, or a whole CLIP.

        Args:
            model: a folder of either, or a name from ``idmvton weights list``.

        Raises:
            WeightsError: neither is there, or it cannot be read.
            ConfigError: the checkpoint's encoders are of two different CLIPs.
        """
        folder = locate(model)
        if not (folder / "text_encoder_2").is_dir():
            return cls.from_clip(folder)
        parts = [load_part(folder / name, name) for name in ("image_encoder", "text_encoder_2", "tokenizer_2")]
        return cls(*parts, logit_scale=_scale_of(parts[0]))

    @classmethod
    def from_clip(cls, folder: str | Path) -> Self:
        """Loads a whole CLIP from a folder on the disk.

        Raises:
            WeightsError: there is none, or it cannot be read.
        """
        try:
            with quiet_transformers():
                clip: Any = transformers.CLIPModel.from_pretrained(folder, local_files_only=True).eval()
            tokenizer = transformers.CLIPTokenizer.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError) as error:
            raise WeightsError(f"cannot load a CLIP from {folder}", got=str(error)[:500]) from error
        with torch.device("meta"):
            image_encoder = transformers.CLIPVisionModelWithProjection(clip.config.vision_config)
            text_encoder = transformers.CLIPTextModelWithProjection(clip.config.text_config)
        image_encoder.vision_model, image_encoder.visual_projection = clip.vision_model, clip.visual_projection
        text_encoder.text_model, text_encoder.text_projection = clip.text_model, clip.text_projection
        return cls(image_encoder.eval(), text_encoder.eval(), tokenizer, logit_scale=clip.logit_scale.exp().item())

    @torch.no_grad()
    def __call__(self, garment: Image.Image, category: Category | None = None) -> Proposal:
        """Describes a garment.

        Args:
            garment: RGB, the product picture.
            category: only items of this part of the body are considered.
        """
        picture = self._embed_picture(garment)
        items = [item for item, part in ITEMS.items() if category in (None, part)]
        words = {"item": self._best(picture, items, items)}
        item = words["item"][0]
        has_sleeves = ITEMS[item] != "lower_body"
        choices: dict[str, Sequence[str]] = {"sleeve": SLEEVES, "neckline": NECKLINES} if has_sleeves else {}
        for attribute, vocabulary in {**choices, "colour": tuple(COLOURS), "pattern": PATTERNS}.items():
            phrases = [f"{word} {item}" for word in vocabulary]
            words[attribute] = self._best(picture, vocabulary, phrases)
        sure = {name: word for name, (word, confidence) in words.items() if confidence >= MIN_CONFIDENCE}
        return Proposal(compose_caption(**sure | {"item": item}), ITEMS[item], words)

    def _best(self, picture: Tensor, words: Sequence[str], phrases: Sequence[str]) -> tuple[str, float]:
        texts = self._text_embeddings(tuple(map(garment_prompt, phrases)))
        probabilities = (self.logit_scale * picture @ texts.mT).softmax(-1)[0]
        best = int(probabilities.argmax())
        return words[best], float(probabilities[best])

    def _embed_picture(self, picture: Image.Image) -> Tensor:
        """Float (1, D), of length 1. The whole garment is shown: CLIP's centre crop would cut collars and hems."""
        side = max(picture.size)
        square = Image.new("RGB", (side, side), (255, 255, 255))
        square.paste(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
        encoder = self.image_encoder
        pixels = clip_pixel_values([square], encoder.config.image_size).to(encoder.device, encoder.dtype)
        return F.normalize(encoder(pixels).image_embeds.float(), dim=-1)

    def _embed_texts(self, texts: tuple[str, ...]) -> Tensor:
        """Float (texts, D), of length 1."""
        encoder = self.text_encoder
        tokens = self.tokenizer(list(texts), padding="max_length", truncation=True, return_tensors="pt")
        return F.normalize(encoder(tokens.input_ids.to(encoder.device)).text_embeds.float(), dim=-1)


def _scale_of(image_encoder: Any) -> float:
    return float(getattr(image_encoder.config, "logit_scale", LOGIT_SCALE))
