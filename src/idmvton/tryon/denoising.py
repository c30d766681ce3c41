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
from idmvton.models.attention import CONTEXT, AttentionContext, CrossKeysValues, KeysValues
from idmvton.models.kernels import fastest_attention
from idmvton.tryon.conditioning import PersonConditions, guide, make_time_ids, tryon_input
from idmvton.tryon.garment_features import FeatureSource
from idmvton.tryon.garments import PromptConditions
from idmvton.tryon.networks import Networks
from idmvton.types import Size

Features = Mapping[str, Tensor | KeysValues]
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


@dataclasses.dataclass(frozen=True)
class StepConditions:
    """What TryonNet reads besides latents, timestep and garment features; the same at all steps of a call.

    Attributes:
        person: B rows.
        text: float (B or 2B, T, C), the prompts' states; with guidance the unconditional half comes first.
        added: ``text_embeds`` and ``time_ids``, as many rows.
        cross: layer name -> keys and values of the prompts, as many rows.
        garment_rows: see :class:`~idmvton.models.attention.AttentionContext`.
        features: of the garments, where they are constant over the steps; else None.
        guidance_scale: None without guidance.
        image_prompt_scale: weight of the image prompt.
    """

    person: PersonConditions
    text: Tensor
    added: Mapping[str, Tensor]
    cross: Mapping[str, CrossKeysValues]
    garment_rows: Tensor | None
    features: Features | None
    guidance_scale: float | None
    image_prompt_scale: float


def predict_noise(unet: Any, conditions: StepConditions, step: tuple[Tensor, Tensor, Features | None]) -> Tensor:
    """TryonNet's prediction at one step, guided: a function of tensors alone, which a CUDA graph can hold.

    Args:
        unet: TryonNet.
        conditions: of the call.
        step: float32 (B, C, h, w) latents as the scheduler scales the model's input; the timestep, a scalar; the
            garments' features at it, unless ``conditions`` has them.

    Returns:
        float32 (B, C, h, w).
    """
    noisy, timestep, features = step
    num_pairs, guidance_scale = noisy.shape[0], conditions.guidance_scale
    noisy = noisy if guidance_scale is None else torch.cat([noisy, noisy])
    context = AttentionContext(
        garment=features or conditions.features or {},
        garment_rows=conditions.garment_rows,
        num_zero_garment=0 if guidance_scale is None else num_pairs,
        cross=conditions.cross,
        image_prompt_scale=conditions.image_prompt_scale,
    )
    with fastest_attention(noisy.device):
        prediction = unet(
            tryon_input(noisy.to(unet.dtype), conditions.person),
            timestep,
            encoder_hidden_states=conditions.text,
            added_cond_kwargs=dict(conditions.added),
            cross_attention_kwargs={CONTEXT: context},
            return_dict=False,
        )[0].float()
    return prediction if guidance_scale is None else guide(prediction, guidance_scale)


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

    def _project_prompts(self, distinct: Sequence[PromptConditions], batch_rows: Tensor) -> dict[str, CrossKeysValues]:
        """Keys and values of all cross-attentions: computed for each distinct prompt, then one row a batch row."""
        image_tokens = self.unet.image_tokens(torch.cat([each.clip_hidden_states for each in distinct]))
        projected = self.unet.project_prompts(torch.cat([each.text for each in distinct]), image_tokens)
        return {name: each.rows(batch_rows) for name, each in projected.items()}

    def predict(self, noisy: Tensor, timestep: Tensor, features: Features) -> Tensor:
        """The noise prediction at one step, guided.

        Args:
            noisy: float32 (B, C, h, w), as the scheduler scales the model's input.
            timestep: scalar.
            features: the garments', at this step (:meth:`FeatureSource.at`).

        Returns:
            float32 (B, C, h, w); it holds until the next call.
        """
        function = functools.partial(predict_noise, self.unet)
        is_constant = any(isinstance(each, KeysValues) for each in features.values())
        if not is_constant:
            return self.graphs.run("TryonNet", function, self.conditions, (noisy, timestep, features))
        if self.conditions.features is not features:
            self.conditions = dataclasses.replace(self.conditions, features=features)
        return self.graphs.run("TryonNet", function, self.conditions, (noisy, timestep, None))

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
