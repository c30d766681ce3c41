"""The denoising loop: GarmentNet's features, TryonNet's prediction, guidance, the scheduler's step."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor

from idmvton.errors import InputError, NumericsError
from idmvton.models.attention import CONTEXT, AttentionContext, CrossKeysValues, KeysValues
from idmvton.tryon.conditioning import PersonConditions, guide, make_time_ids, tryon_input
from idmvton.tryon.garment_features import FeatureSource
from idmvton.tryon.garments import PromptConditions
from idmvton.tryon.networks import Networks
from idmvton.types import Size

Generators = torch.Generator | Sequence[torch.Generator]
OnStep = Callable[[int, Tensor, Tensor], Tensor]
"""Called with the step, its timestep and the latents after it; returns the latents to go on with."""


def initial_latents(given: Tensor | None, shape: tuple[int, ...], generators: Any, device: torch.device) -> Tensor:
    """The noise that denoising starts from, before the scheduler's ``init_noise_sigma``.

    Args:
        given: the caller's own, or None to draw them.
        shape: (pairs, C, h, w).
        generators: one for each pair, or one for all. Noise is drawn on the generator's device, in float32.
        device: where the result is.

    Raises:
        InputError: latents of another shape, or with NaN.
    """
    if given is None:
        return randn_tensor(shape, generators, device, torch.float32)
    if tuple(given.shape) != shape or not torch.isfinite(given).all():
        faults = "" if torch.isfinite(given).all() else " with NaN or infinite values"
        raise InputError(
            "the latents cannot be used",
            got=f"shape {tuple(given.shape)}{faults}",
            expected=f"shape {shape}, finite",
        )
    return given.to(device, torch.float32)


class Denoiser:
    """Denoises B pairs of one call.

    Args:
        networks: of these, TryonNet is run.
        person: B rows.
        garment_rows: for each pair, its garment among G.
        prompts: of the G garments.
        unconditional: the other side of guidance; None without guidance.
        size: the working size.
        guidance_scale: of classifier-free guidance.
        image_prompt_scale: weight of the image prompt.
    """

    def __init__(
        self,
        networks: Networks,
        person: PersonConditions,
        garment_rows: Sequence[int],
        prompts: Sequence[PromptConditions],
        unconditional: PromptConditions | None,
        *,
        size: Size,
        guidance_scale: float,
        image_prompt_scale: float,
    ) -> None:
        self.unet, self.person = networks.tryon_net, person
        self.guidance_scale, self.image_prompt_scale = guidance_scale, image_prompt_scale
        self.guided = unconditional is not None
        self.num_pairs = len(garment_rows)
        device, dtype = networks.device, self.unet.dtype

        is_identity = list(garment_rows) == list(range(len(prompts)))
        rows = torch.tensor(garment_rows, device=device)
        self.garment_rows = None if is_identity or len(prompts) == 1 else rows

        distinct = [*prompts] if unconditional is None else [unconditional, *prompts]
        batch_rows = rows if unconditional is None else torch.cat([torch.zeros_like(rows), rows + 1])
        self.text = torch.cat([each.text for each in distinct])[batch_rows]
        time_ids = make_time_ids(size, networks.time_ids).to(device, dtype)
        self.added = {
            "text_embeds": torch.cat([each.pooled for each in distinct])[batch_rows],
            "time_ids": time_ids.expand(len(batch_rows), -1),
        }
        self.cross = self._project_prompts(distinct, batch_rows)

    def _project_prompts(self, distinct: Sequence[PromptConditions], batch_rows: Tensor) -> dict[str, CrossKeysValues]:
        """Keys and values of all cross-attentions: computed for each distinct prompt, then one row a batch row."""
        image_tokens = self.unet.image_tokens(torch.cat([each.clip_hidden_states for each in distinct]))
        projected = self.unet.project_prompts(torch.cat([each.text for each in distinct]), image_tokens)
        return {name: each.rows(batch_rows) for name, each in projected.items()}

    def predict(self, noisy: Tensor, timestep: Tensor, features: Mapping[str, Tensor | KeysValues]) -> Tensor:
        """The noise prediction at one step, guided.

        Args:
            noisy: float32 (B, C, h, w), as the scheduler scales the model's input.
            timestep: scalar.
            features: the garments', at this step (:meth:`FeatureSource.at`).

        Returns:
            float32 (B, C, h, w).
        """
        noisy = torch.cat([noisy, noisy]) if self.guided else noisy
        context = AttentionContext(
            garment=features,
            garment_rows=self.garment_rows,
            num_zero_garment=self.num_pairs if self.guided else 0,
            cross=self.cross,
            image_prompt_scale=self.image_prompt_scale,
        )
        prediction = self.unet(
            tryon_input(noisy.to(self.unet.dtype), self.person),
            timestep,
            encoder_hidden_states=self.text,
            added_cond_kwargs=self.added,
            cross_attention_kwargs={CONTEXT: context},
            return_dict=False,
        )[0].float()
        return guide(prediction, self.guidance_scale) if self.guided else prediction

    def run(
        self,
        latents: Tensor,
        scheduler: Any,
        timesteps: Tensor,
        features: FeatureSource,
        generators: Generators,
        on_step: OnStep | None = None,
    ) -> Tensor:
        """The loop.

        Args:
            latents: float32 (B, C, h, w), noise of standard deviation 1.
            scheduler: fresh, with its timesteps set.
            timesteps: (steps,), on the CPU.
            features: the garments'.
            generators: for schedulers that add noise at each step.
            on_step: see :data:`OnStep`.

        Returns:
            The final latents.

        Raises:
            NumericsError: they are not finite.
        """
        extra = _accepted(scheduler.step, {"generator": generators, "eta": 0.0})
        latents = latents * scheduler.init_noise_sigma
        for step, (timestep, on_device) in enumerate(zip(timesteps, timesteps.to(latents.device), strict=True)):
            prediction = self.predict(
                scheduler.scale_model_input(latents, timestep), on_device, features.at(timestep.item())
            )
            latents = scheduler.step(prediction, timestep, latents, return_dict=False, **extra)[0]
            if on_step is not None:
                latents = on_step(step, timestep, latents)
        if not torch.isfinite(latents).all():
            raise NumericsError(
                "the networks produced NaN or infinite values",
                got=f"after {len(timesteps)} steps in {self.unet.dtype} on {latents.device}",
                fix="use a wider precision (bfloat16 or float32), or check the weights with `idmvton weights verify`",
            )
        return latents


def _accepted(function: Callable[..., Any], keywords: Mapping[str, Any]) -> dict[str, Any]:
    """The keywords that a scheduler's step takes; they differ from one to the next."""
    parameters = inspect.signature(function).parameters
    return {name: value for name, value in keywords.items() if name in parameters}
