"""What is computed for garments: once for each distinct garment, kept from call to call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from idmvton.conditioning import GarmentTimestep
from idmvton.images import clip_pixel_values, to_vae_tensor
from idmvton.inputs import Garment
from idmvton.models.attention import CrossKeysValues, KeysValues
from idmvton.models.latents import encode_latents
from idmvton.models.text import encode_prompts
from idmvton.prepare.caption import garment_prompt, tryon_prompt
from idmvton.types import GarmentFeatures

if TYPE_CHECKING:
    from idmvton.pipeline import TryOnPipeline

Tokens = Mapping[str, Tensor]
"""Layer name -> float (1, M, C), the features of one garment at one timestep."""


@dataclass(frozen=True)
class PromptConditions:
    """A prompt and an image prompt, one row each.

    Attributes:
        text: float (1, T, C), both text encoders' penultimate states.
        pooled: float (1, projection width).
        clip_hidden_states: float (1, patches + 1, width), CLIP's penultimate states of the picture.
    """

    text: Tensor
    pooled: Tensor
    clip_hidden_states: Tensor


@dataclass(frozen=True)
class GarmentConditions:
    """What does not depend on the person or the step.

    Attributes:
        key: equal for equal garments.
        prompt: "model is wearing [V]" and the garment's picture, for TryonNet.
        garment_text: float (1, T, C), "a photo of [V]", for GarmentNet.
        latents: float (1, C, h, w), the garment's latents.
    """

    key: str
    prompt: PromptConditions
    garment_text: Tensor
    latents: Tensor


class GarmentEncoder:
    """Encodes garments with the networks and the cache of a pipeline."""

    def __init__(self, pipe: TryOnPipeline) -> None:
        self.pipe = pipe
        self.cache = pipe.garment_cache

    def encode(self, garments: Sequence[Garment]) -> list[GarmentConditions]:
        """Conditions of garments; those in the cache cost nothing."""
        return [self._cached(garment.key, partial(self._encode, garment)) for garment in garments]

    def encode_unconditional(self, negative_prompt: str) -> PromptConditions:
        """The other side of guidance: the negative prompt and the CLIP features of an all-zero input."""
        return self._cached(
            ("negative prompt", negative_prompt),
            lambda: self._encode_prompt(negative_prompt, self._clip_input_like_nothing()),
        )

    def _cached(self, key: Any, compute: Callable[[], Any]) -> Any:
        conditions = self.cache.get(key, "conditions")
        if conditions is None:
            conditions = compute()
            self.cache.put(key, "conditions", conditions)
        return conditions

    def _encode(self, garment: Garment) -> GarmentConditions:
        pipe = self.pipe
        device = pipe._execution_device
        clip_input = clip_pixel_values([garment.image], pipe.image_encoder.config.image_size)
        prompt = self._encode_prompt(tryon_prompt(garment.caption), clip_input)
        garment_text = encode_prompts([garment_prompt(garment.caption)], pipe.tokenizers, pipe.text_encoders)
        latents = encode_latents(pipe.vae, to_vae_tensor([garment.image]).to(device))
        dtype = pipe.unet_encoder.dtype
        return GarmentConditions(garment.key, prompt, garment_text.tokens.to(dtype), latents.to(dtype))

    def _encode_prompt(self, prompt: str, clip_input: Tensor) -> PromptConditions:
        pipe = self.pipe
        embeds = encode_prompts([prompt], pipe.tokenizers, pipe.text_encoders)
        clip_input = clip_input.to(pipe._execution_device, pipe.image_encoder.dtype)
        hidden = pipe.image_encoder(clip_input, output_hidden_states=True).hidden_states[-2]
        dtype = pipe.unet.dtype
        return PromptConditions(embeds.tokens.to(dtype), embeds.pooled.to(dtype), hidden.to(dtype))

    def _clip_input_like_nothing(self) -> Tensor:
        side = self.pipe.image_encoder.config.image_size
        return torch.zeros(1, 3, side, side)


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
        self.cache = pipe.garment_cache
        self._text_keys_values: dict[tuple[str, ...], Mapping[str, CrossKeysValues]] = {}
        self._ahead: dict[float, list[Tokens]] = {}
        self._keys_values: Mapping[str, KeysValues] | None = None

    def compute_ahead(self, timesteps: Sequence[float]) -> None:
        """Runs GarmentNet for all steps now, so that it and TryonNet are never needed at the same time."""
        if self.policy == "each_step":
            self._ahead = {timestep: self._tokens(timestep) for timestep in timesteps}
        elif not self._cached_keys_values():
            self._ahead = {float(self.policy): self._tokens(float(self.policy))}

    def at(self, timestep: float) -> Mapping[str, Tensor | KeysValues]:
        """What :class:`~idmvton.models.attention.AttentionContext` takes as ``garment``, at one step."""
        if self.policy == "each_step":
            return self._stacked(timestep)
        if self._keys_values is None:
            self._keys_values = self._cached_keys_values() or self._project(float(self.policy))
        return self._keys_values

    def _cached_keys_values(self) -> dict[str, KeysValues] | None:
        rows = [self.cache.get(garment.key, ("keys and values", self.policy)) for garment in self.garments]
        found = [row for row in rows if row is not None]
        if len(found) < len(rows):
            return None
        return {name: KeysValues(*map(torch.cat, zip(*(row[name] for row in found), strict=True))) for name in found[0]}

    def _project(self, timestep: float) -> dict[str, KeysValues]:
        projected = self.pipe.unet.project_garment(GarmentFeatures(self._stacked(timestep)))
        for row, garment in enumerate(self.garments):
            keys_values = {name: each.row(row) for name, each in projected.items()}
            self.cache.put(garment.key, ("keys and values", self.policy), keys_values)
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
                self.cache.put(garment.key, ("features", timestep), tokens)
        return [tokens for tokens in rows.values() if tokens is not None]

    def _run_garment_net(self, garments: Sequence[GarmentConditions], timestep: float) -> GarmentFeatures:
        net = self.pipe.unet_encoder
        text = torch.cat([garment.garment_text for garment in garments])
        keys = tuple(garment.key for garment in garments)
        if keys not in self._text_keys_values:
            self._text_keys_values[keys] = net.project_text(text)
        latents = torch.cat([garment.latents for garment in garments])
        return net(latents, torch.tensor(timestep, device=latents.device), text, self._text_keys_values[keys])
