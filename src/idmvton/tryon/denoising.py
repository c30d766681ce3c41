"""The denoising loop: GarmentNet's features, TryonNet's prediction, guidance, the scheduler's step."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor

from idmvton.errors import InputError, NumericsError
from idmvton.models.attention import CrossKeysValues, KeysValues
from idmvton.tryon.conditioning import PersonConditions, make_time_ids
from idmvton.tryon.garment_features import FeatureSource
from idmvton.tryon.garments import PromptConditions
from idmvton.tryon.networks import Networks
from idmvton.tryon.quality import FULL, StepPlan
from idmvton.tryon.step import Features, StepConditions, predict_and_keep, predict_from_deep, predict_noise
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
        self.unet, self.graphs = networks.tryon_net, networks.graphs
        device, dtype = networks.device, self.unet.dtype
        is_identity = list(garment_rows) == list(range(len(prompts)))
        rows = torch.tensor(garment_rows, device=device)
        distinct = [*prompts] if unconditional is None else [unconditional, *prompts]
        batch_rows = rows if unconditional is None else torch.cat([torch.zeros_like(rows), rows + 1])
        time_ids = make_time_ids(size, networks.time_ids).to(device, dtype)
        self.conditions = StepConditions(
            person=person,
            text=torch.cat([each.text for each in distinct])[batch_rows],
            added={
                "text_embeds": torch.cat([each.pooled for each in distinct])[batch_rows],
                "time_ids": time_ids.expand(len(batch_rows), -1),
            },
            cross=self._project_prompts(distinct, batch_rows),
            garment_rows=None if is_identity or len(prompts) == 1 else rows,
            features=None,
            guidance_scale=None if unconditional is None else guidance_scale,
            image_prompt_scale=image_prompt_scale,
        )
        self.unguided = None if unconditional is None else self.conditions.unguided(len(garment_rows))
        self._deep = torch.empty(0, device=device)

    def _project_prompts(self, distinct: Sequence[PromptConditions], batch_rows: Tensor) -> dict[str, CrossKeysValues]:
        """Keys and values of all cross-attentions: computed for each distinct prompt, then one row a batch row."""
        image_tokens = self.unet.image_tokens(torch.cat([each.clip_hidden_states for each in distinct]))
        projected = self.unet.project_prompts(torch.cat([each.text for each in distinct]), image_tokens)
        return {name: each.rows(batch_rows) for name, each in projected.items()}

    def predict(self, noisy: Tensor, timestep: Tensor, features: Features | None, planned: StepPlan = FULL) -> Tensor:
        """The noise prediction at one step, guided.

        Args:
            noisy: float32 (B, C, h, w), as the scheduler scales the model's input.
            timestep: scalar.
            features: the garments', at this step (:meth:`FeatureSource.at`); not read where deep ones are reused.
            planned: how the step is computed.

        Returns:
            float32 (B, C, h, w); it holds until the next call.
        """
        if features is not None and any(isinstance(each, KeysValues) for each in features.values()):
            self._set_features(features)
            features = None
        conditions = self.conditions
        if self.unguided is not None and not planned.is_guided:
            conditions = self.unguided
        if planned.reuses_deep:
            kept = self._deep if self._deep.shape[0] == conditions.text.shape[0] else self._deep[noisy.shape[0] :]
            return self._run("shallow", predict_from_deep, conditions, (noisy, timestep, kept))
        if not planned.keeps_deep:
            return self._run("TryonNet", predict_noise, conditions, (noisy, timestep, features))
        prediction, self._deep = self._run("TryonNet, kept", predict_and_keep, conditions, (noisy, timestep, features))
        return prediction

    def _run(self, name: str, function: Any, conditions: StepConditions, step: Any) -> Any:
        return self.graphs.run(name, functools.partial(function, self.unet), conditions, step)

    def _set_features(self, features: Features) -> None:
        """Takes features that are constant over the steps among the conditions."""
        if self.conditions.features is not features:
            self.conditions = dataclasses.replace(self.conditions, features=features)
            self.unguided = self.unguided and dataclasses.replace(self.unguided, features=features)

    def run(
        self,
        latents: Tensor,
        scheduler: Any,
        timesteps: Tensor,
        features: FeatureSource,
        generators: Generators,
        on_step: OnStep | None = None,
        plan: Sequence[StepPlan] | None = None,
    ) -> Tensor:
        """The loop.

        Args:
            latents: float32 (B, C, h, w), noise of standard deviation 1.
            scheduler: fresh, with its timesteps set.
            timesteps: (steps,), on the CPU.
            features: the garments'.
            generators: for schedulers that add noise at each step.
            on_step: see :data:`OnStep`.
            plan: how each step is computed; wholly when not given.

        Returns:
            The final latents.

        Raises:
            NumericsError: they are not finite.
        """
        extra = _accepted(scheduler.step, {"generator": generators, "eta": 0.0})
        latents = latents * scheduler.init_noise_sigma
        for step, (timestep, on_device) in enumerate(zip(timesteps, timesteps.to(latents.device), strict=True)):
            planned = FULL if plan is None else plan[step]
            of_garments = None if planned.reuses_deep else features.at(timestep.item())
            scaled = scheduler.scale_model_input(latents, timestep)
            prediction = self.predict(scaled, on_device, of_garments, planned)
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
