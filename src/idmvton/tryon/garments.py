"""What is encoded of garments: once for each distinct garment, kept from call to call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from idmvton.captions.templates import garment_prompt, tryon_prompt
from idmvton.images import clip_pixel_values, to_vae_tensor
from idmvton.models.latents import encode_latents
from idmvton.models.text import PromptEmbeds, encode_prompts
from idmvton.tryon.garment_cache import GarmentCache
from idmvton.tryon.inputs import Garment, Pairs
from idmvton.tryon.networks import Networks

Part = TypeVar("Part")


@dataclass(frozen=True)
class PromptConditions:
    """Prompts and image prompts, G rows; one where a single garment is meant.

    Attributes:
        text: float (G, T, C), both text encoders' penultimate states.
        pooled: float (G, projection width).
        clip_hidden_states: float (G, patches + 1, width), CLIP's penultimate states of the pictures.
    """

    text: Tensor
    pooled: Tensor
    clip_hidden_states: Tensor

    def row(self, index: int) -> PromptConditions:
        """A copy of one row."""
        parts = (self.text, self.pooled, self.clip_hidden_states)
        return PromptConditions(*(part[index, None].clone() for part in parts))


@dataclass(frozen=True)
class GarmentTexts:
    """What captions and CLIP say of garments; G rows, one where a single garment is meant.

    Attributes:
        key: equal for equal garments.
        prompt: "model is wearing [V]" and the garment's picture, for TryonNet.
        garment_text: float (G, T, C), "a photo of [V]", for GarmentNet.
    """

    key: str
    prompt: PromptConditions
    garment_text: Tensor

    def row(self, index: int, key: str) -> GarmentTexts:
        """A copy of one row, under its own key."""
        return GarmentTexts(key, self.prompt.row(index), self.garment_text[index, None].clone())

    def shown(self, latents: Tensor) -> GarmentConditions:
        """With the product pictures that GarmentNet sees: float (G, C, h, w)."""
        return GarmentConditions(self.key, self.prompt, self.garment_text, latents)

    def drafted(self, latents: Tensor, person: int) -> GarmentConditions:
        """As it lies on a person of the call, which GarmentNet sees instead: float (G, C, h, w)."""
        return GarmentConditions(f"{self.key} on {person}", self.prompt, self.garment_text, latents, False)


@dataclass(frozen=True)
class GarmentConditions(GarmentTexts):
    """What does not depend on the step.

    Attributes:
        latents: float (G, C, h, w), of what GarmentNet sees: the product picture, or of a draft the garment as it lies.
        is_reusable: whether later calls can use what is computed of it.
    """

    latents: Tensor
    is_reusable: bool = True


class GarmentEncoder:
    """Encodes garments.

    Args:
        networks: of these, the VAE and the encoders are used.
        cache: where conditions are kept.
    """

    def __init__(self, networks: Networks, cache: GarmentCache) -> None:
        self.networks, self.cache = networks, cache

    def encode(self, garments: Sequence[Garment]) -> list[GarmentConditions]:
        """Conditions of distinct garments whose product pictures GarmentNet sees."""
        latents = self._kept("latents", garments, self._encode_pictures)
        return [texts.shown(each) for texts, each in zip(self.encode_texts(garments), latents, strict=True)]

    def encode_drafted(self, pairs: Pairs, pictures_BCHW: Tensor) -> list[GarmentConditions]:
        """Conditions of garments as they lie on people, one a distinct pair.

        Args:
            pairs: the pairs of the call.
            pictures_BCHW: float RGB in [-1, 1], one a distinct pair.
        """
        texts, latents = self.encode_texts(pairs.garments), self.encode_shown(pictures_BCHW).split(1)
        lying = zip(pairs.distinct, latents, strict=True)
        return [texts[garment].drafted(each, person) for (person, garment), each in lying]

    def encode_texts(self, garments: Sequence[Garment]) -> list[GarmentTexts]:
        """What captions and CLIP say of distinct garments, in one batch; those in the cache cost nothing."""
        return self._kept("texts", garments, self._encode_texts)

    def encode_unconditional(self, negative_prompt: str) -> PromptConditions:
        """The other side of guidance: the negative prompt and the CLIP features of an all-zero input."""
        key = ("negative prompt", negative_prompt)
        conditions: PromptConditions | None = self.cache.get(key, "conditions")
        if conditions is None:
            side = self.networks.image_encoder.config.image_size
            conditions = self._prompt_conditions(self._embed([negative_prompt]), torch.zeros(1, 3, side, side))
            self.cache.put(key, "conditions", conditions, in_use=[key], device=self.networks.device)
        return conditions

    def encode_pixels(self, captions: Sequence[str], pictures_BCHW: Tensor, clip_input: Tensor) -> GarmentConditions:
        """Conditions of B garments together, without the cache.

        Args:
            captions: B phrases [V].
            pictures_BCHW: what GarmentNet sees, float RGB in [-1, 1].
            clip_input: float (B, 3, side, side), see :func:`idmvton.images.clip_pixel_values`.
        """
        return self._texts_of(captions, clip_input).shown(self.encode_shown(pictures_BCHW))

    def encode_shown(self, pictures_BCHW: Tensor) -> Tensor:
        """Latents of what GarmentNet sees: float RGB in [-1, 1] -> float (B, C, h, w)."""
        latents = encode_latents(self.networks.vae, pictures_BCHW.to(self.networks.device))
        return latents.to(self.networks.garment_net.dtype)

    def _kept(
        self, name: str, garments: Sequence[Garment], encode: Callable[[Sequence[Garment]], list[Part]]
    ) -> list[Part]:
        """A part of each garment's conditions: from the cache, the missing ones encoded in one batch."""
        keys = [garment.key for garment in garments]
        found: dict[str, Part | None] = {key: self.cache.get(key, name) for key in keys}
        missing = [garment for garment in garments if found[garment.key] is None]
        for garment, part in zip(missing, encode(missing) if missing else [], strict=True):
            found[garment.key] = part
            self.cache.put(garment.key, name, part, in_use=keys, device=self.networks.device)
        return [part for part in found.values() if part is not None]

    def _encode_pictures(self, garments: Sequence[Garment]) -> list[Tensor]:
        latents = self.encode_shown(to_vae_tensor([each.image for each in garments]))
        return [latents[row, None].clone() for row in range(len(garments))]

    def _encode_texts(self, garments: Sequence[Garment]) -> list[GarmentTexts]:
        side = self.networks.image_encoder.config.image_size
        clip_input = clip_pixel_values([each.image for each in garments], side)
        texts = self._texts_of([each.caption for each in garments], clip_input)
        return [texts.row(row, each.key) for row, each in enumerate(garments)]

    def _texts_of(self, captions: Sequence[str], clip_input: Tensor) -> GarmentTexts:
        count = len(captions)
        texts = self._embed([*map(tryon_prompt, captions), *map(garment_prompt, captions)])
        prompt = self._prompt_conditions(PromptEmbeds(texts.tokens[:count], texts.pooled[:count]), clip_input)
        return GarmentTexts("", prompt, texts.tokens[count:])

    def _embed(self, prompts: Sequence[str]) -> PromptEmbeds:
        networks = self.networks
        embeds = encode_prompts(prompts, networks.tokenizers, networks.text_encoders, networks.device)
        return PromptEmbeds(*(each.to(networks.tryon_net.dtype) for each in (embeds.tokens, embeds.pooled)))

    def _prompt_conditions(self, texts: PromptEmbeds, clip_input: Tensor) -> PromptConditions:
        encoder = self.networks.image_encoder
        clip_input = clip_input.to(self.networks.device, encoder.dtype)
        hidden = encoder(clip_input, output_hidden_states=True).hidden_states[-2].to(self.networks.tryon_net.dtype)
        return PromptConditions(texts.tokens, texts.pooled, hidden)
