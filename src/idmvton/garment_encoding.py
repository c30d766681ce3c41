"""What is computed for garments: once for each distinct garment, kept from call to call."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from idmvton.garment_cache import GarmentCache
from idmvton.images import clip_pixel_values, to_vae_tensor
from idmvton.inputs import Garment
from idmvton.models.attention import CrossKeysValues, KeysValues
from idmvton.models.latents import encode_latents
from idmvton.models.text import PromptEmbeds, encode_prompts
from idmvton.prepare.caption import garment_prompt, tryon_prompt
from idmvton.types import GarmentFeatures, GarmentTimestep

if TYPE_CHECKING:
    from idmvton.pipeline import TryOnPipeline

Tokens = Mapping[str, Tensor]
"""Layer name -> float (1, M, C), the features of one garment at one timestep."""


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
class GarmentConditions:
    """What does not depend on the step; G rows, one where a single garment is meant.

    Attributes:
        key: equal for equal garments, within a call.
        prompt: "model is wearing [V]" and the garment's picture, for TryonNet.
        garment_text: float (G, T, C), "a photo of [V]", for GarmentNet.
        latents: float (G, C, h, w), of what GarmentNet sees: the product picture, or with a WarpNet, which needs the
            person for it, the garment as it lies (:class:`idmvton.drafting.Draft`); ``None`` until that is known.
    """

    key: str
    prompt: PromptConditions
    garment_text: Tensor
    latents: Tensor | None

    def on(self, person: int, latents: Tensor) -> GarmentConditions:
        """One garment as it lies on a person of the call: float (1, C, h, w)."""
        return dataclasses.replace(self, key=f"{self.key} on {person}", latents=latents)

    def row(self, index: int, key: str) -> GarmentConditions:
        """A copy of one row, under its own key."""
        latents = None if self.latents is None else self.latents[index, None].clone()
        return GarmentConditions(key, self.prompt.row(index), self.garment_text[index, None].clone(), latents)


class GarmentEncoder:
    """Encodes garments with the networks and the cache of a pipeline."""

    def __init__(self, pipe: TryOnPipeline) -> None:
        self.pipe = pipe
        self.device = pipe._execution_device

    def encode(self, garments: Sequence[Garment]) -> list[GarmentConditions]:
        """Conditions of distinct garments, in one batch; those in the cache cost nothing."""
        keys = [garment.key for garment in garments]
        found = {key: self.pipe.garment_cache.get(key, "conditions") for key in keys}
        missing = [garment for garment in garments if found[garment.key] is None]
        for conditions in self._encode(missing) if missing else []:
            found[conditions.key] = conditions
            self.pipe.garment_cache.put(conditions.key, "conditions", conditions, in_use=keys, device=self.device)
        return [conditions for conditions in found.values() if conditions is not None]

    def encode_unconditional(self, negative_prompt: str) -> PromptConditions:
        """The other side of guidance: the negative prompt and the CLIP features of an all-zero input."""
        key = ("negative prompt", negative_prompt)
        conditions: PromptConditions | None = self.pipe.garment_cache.get(key, "conditions")
        if conditions is None:
            side = self.pipe.image_encoder.config.image_size
            conditions = self._prompt_conditions(self._texts([negative_prompt]), torch.zeros(1, 3, side, side))
            self.pipe.garment_cache.put(key, "conditions", conditions, in_use=[key], device=self.device)
        return conditions

    def _encode(self, garments: Sequence[Garment]) -> list[GarmentConditions]:
        pictures = [each.image for each in garments]
        clip_input = clip_pixel_values(pictures, self.pipe.image_encoder.config.image_size)
        shown = to_vae_tensor(pictures) if self.pipe.warp_net is None else None
        encoded = self.encode_pixels([each.caption for each in garments], shown, clip_input)
        return [encoded.row(row, each.key) for row, each in enumerate(garments)]

    def encode_pixels(
        self, captions: Sequence[str], pictures_BCHW: Tensor | None, clip_input: Tensor
    ) -> GarmentConditions:
        """Conditions of B garments together, without the cache.

        Args:
            captions: B phrases [V].
            pictures_BCHW: what GarmentNet sees, float RGB in [-1, 1]; None where that is not known yet.
            clip_input: float (B, 3, side, side), see :func:`idmvton.images.clip_pixel_values`.
        """
        count = len(captions)
        texts = self._texts([*map(tryon_prompt, captions), *map(garment_prompt, captions)])
        prompt = self._prompt_conditions(PromptEmbeds(texts.tokens[:count], texts.pooled[:count]), clip_input)
        latents = None
        if pictures_BCHW is not None:
            latents = encode_latents(self.pipe.vae, pictures_BCHW.to(self.device)).to(self.pipe.unet_encoder.dtype)
        return GarmentConditions("", prompt, texts.tokens[count:], latents)

    def _texts(self, prompts: Sequence[str]) -> PromptEmbeds:
        dtype = self.pipe.unet.dtype
        embeds = encode_prompts(prompts, self.pipe.tokenizers, self.pipe.text_encoders, self.device)
        return PromptEmbeds(embeds.tokens.to(dtype), embeds.pooled.to(dtype))

    def _prompt_conditions(self, texts: PromptEmbeds, clip_input: Tensor) -> PromptConditions:
        encoder = self.pipe.image_encoder
        clip_input = clip_input.to(self.device, encoder.dtype)
        hidden = encoder(clip_input, output_hidden_states=True).hidden_states[-2].to(self.pipe.unet.dtype)
        return PromptConditions(texts.tokens, texts.pooled, hidden)


class GarmentSteps:
    """The features of G distinct garments over the steps of one call.

    Args:
        pipe: the pipeline.
        garments: G distinct garments.
        policy: ``each_step``: GarmentNet runs at the current timestep. A number: it runs at that timestep, and
            its features and their keys and values serve all steps.
        keep_on: where features wait until they are asked for.
    """

    def __init__(
        self,
        pipe: TryOnPipeline,
        garments: Sequence[GarmentConditions],
        policy: GarmentTimestep,
        keep_on: torch.device,
    ) -> None:
        self.pipe, self.garments, self.policy, self.keep_on = pipe, garments, policy, keep_on
        self.cache = pipe.feature_cache if pipe.warp_net is None else GarmentCache(0)  # they lie so on one person
        self.keys = [garment.key for garment in garments]
        self._text_keys_values: dict[tuple[str, ...], Mapping[str, CrossKeysValues]] = {}
        self._ahead: dict[float, list[Tokens]] = {}
        self._keys_values: Mapping[str, KeysValues] | None = None

    def compute_ahead(self, timesteps: Sequence[float]) -> None:
        """Runs GarmentNet for all steps now, so that it and TryonNet are never needed at the same time."""
        if self.policy == "each_step":
            self._ahead = {timestep: self._tokens(timestep) for timestep in timesteps}
            return
        self._keys_values = self._cached_keys_values()
        if self._keys_values is None:
            self._ahead = {float(self.policy): self._tokens(float(self.policy))}

    def at(self, timestep: float) -> Mapping[str, Tensor | KeysValues]:
        """What :class:`~idmvton.models.attention.AttentionContext` takes as ``garment``, at one step."""
        if self.policy == "each_step":
            return self._stacked(timestep)
        if self._keys_values is None:
            self._keys_values = self._cached_keys_values() or self._project(float(self.policy))
        return self._keys_values

    def _cached_keys_values(self) -> Mapping[str, KeysValues] | None:
        rows = [self.cache.get(garment.key, ("keys and values", self.policy)) for garment in self.garments]
        found: list[Mapping[str, KeysValues]] = [row for row in rows if row is not None]
        if len(found) < len(rows):
            return None
        if len(found) == 1:
            return found[0]
        return {name: KeysValues(*map(torch.cat, zip(*(row[name] for row in found), strict=True))) for name in found[0]}

    def _project(self, timestep: float) -> dict[str, KeysValues]:
        projected = self.pipe.unet.project_garment(GarmentFeatures(self._stacked(timestep)))
        for row, garment in enumerate(self.garments):
            keys_values = {name: each.row(row) for name, each in projected.items()}
            self._keep(garment, ("keys and values", self.policy), keys_values, self.pipe._execution_device)
        return projected

    def _stacked(self, timestep: float) -> dict[str, Tensor]:
        """Layer name -> (G, M, C), on the device of the computation."""
        rows = self._ahead.get(timestep) or self._tokens(timestep)
        device = self.pipe._execution_device
        return {
            name: (torch.cat([row[name] for row in rows]) if len(rows) > 1 else rows[0][name]).to(device)
            for name in rows[0]
        }

    def _tokens(self, timestep: float) -> list[Tokens]:
        """Features of each garment: from the cache, or computed in one batch."""
        rows = {garment.key: self.cache.get(garment.key, ("features", timestep)) for garment in self.garments}
        missing = [garment for garment in self.garments if rows[garment.key] is None]
        features = self._run_garment_net(missing, timestep).tokens if missing else {}
        for row, garment in enumerate(missing):
            tokens = {
                name: (each[row : row + 1].clone() if len(missing) > 1 else each).to(self.keep_on)
                for name, each in features.items()
            }
            rows[garment.key] = tokens
            if self.policy == "each_step":  # otherwise their keys and values are kept
                self._keep(garment, ("features", timestep), tokens, self.keep_on)
        return [tokens for tokens in rows.values() if tokens is not None]

    def _keep(
        self,
        garment: GarmentConditions,
        part: tuple[str, GarmentTimestep | float],
        entry: Mapping[str, Tensor | KeysValues],
        device: torch.device,
    ) -> None:
        self.cache.put(garment.key, part, entry, in_use=self.keys, device=device)

    def _run_garment_net(self, garments: Sequence[GarmentConditions], timestep: float) -> GarmentFeatures:
        net = self.pipe.unet_encoder
        text = torch.cat([garment.garment_text for garment in garments])
        keys = tuple(garment.key for garment in garments)
        if keys not in self._text_keys_values:
            self._text_keys_values[keys] = net.project_text(text)
        assert all(garment.latents is not None for garment in garments)
        latents = torch.cat([garment.latents for garment in garments if garment.latents is not None])
        return net(latents, torch.tensor(timestep, device=latents.device), text, self._text_keys_values[keys])
