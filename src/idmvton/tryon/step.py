"""One step of denoising as functions of tensors alone, which CUDA graphs can hold.

Shape legend: B pairs; with guidance the networks see 2B rows, the unconditional half first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from idmvton.models.attention import CONTEXT, AttentionContext, CrossKeysValues, KeysValues
from idmvton.models.kernels import fastest_attention
from idmvton.tryon.conditioning import PersonConditions, guide, tryon_input
from idmvton.tryon.nested import map_tensors

Features = Mapping[str, Tensor | KeysValues]


@dataclass(frozen=True)
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

    def unguided(self, num_pairs: int) -> StepConditions:
        """The conditional rows alone."""
        cross = map_tensors(self.cross, lambda each: each[num_pairs:])
        return replace(
            self,
            text=self.text[num_pairs:],
            added={name: each[num_pairs:] for name, each in self.added.items()},
            cross=cross,
            guidance_scale=None,
        )


Step = tuple[Tensor, Tensor, Features | None]
"""Latents as the scheduler scales the model's input, float32 (B, C, h, w); the timestep, a scalar; the garments'
features at it, unless the conditions have them."""


def predict_noise(unet: Any, conditions: StepConditions, step: Step) -> Tensor:
    """TryonNet's prediction at one step, guided: a function of tensors alone, which a CUDA graph can hold.

    Args:
        unet: TryonNet.
        conditions: of the call.
        step: what differs from step to step.

    Returns:
        float32 (B, C, h, w).
    """
    inputs = _inputs(unet, conditions, step)
    with fastest_attention(step[0].device):
        prediction = unet(*inputs[:2], **inputs[2], return_dict=False)[0]
    return _guided(prediction, conditions)


def predict_and_keep(unet: Any, conditions: StepConditions, step: Step) -> tuple[Tensor, Tensor]:
    """The same, and the deep features that :func:`predict_from_deep` takes at a later step."""
    inputs = _inputs(unet, conditions, step)
    with fastest_attention(step[0].device):
        prediction, deep = unet.denoise(*inputs[:2], **inputs[2])
    return _guided(prediction, conditions), deep


def predict_from_deep(unet: Any, conditions: StepConditions, step: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """The prediction from the outermost blocks alone, with the deep features of an earlier step (DeepCache)."""
    noisy, timestep, deep = step
    inputs = _inputs(unet, conditions, (noisy, timestep, None))
    prediction, _ = unet.denoise(*inputs[:2], **inputs[2], deep=deep)
    return _guided(prediction, conditions)


def _inputs(unet: Any, conditions: StepConditions, step: Step) -> tuple[Tensor, Tensor, dict[str, Any]]:
    noisy, timestep, features = step
    is_guided = conditions.guidance_scale is not None
    context = AttentionContext(
        garment=features or conditions.features or {},
        garment_rows=conditions.garment_rows,
        num_zero_garment=noisy.shape[0] if is_guided else 0,
        cross=conditions.cross,
        image_prompt_scale=conditions.image_prompt_scale,
    )
    rows = torch.cat([noisy, noisy]) if is_guided else noisy
    keywords = {
        "encoder_hidden_states": conditions.text,
        "added_cond_kwargs": dict(conditions.added),
        "cross_attention_kwargs": {CONTEXT: context},
    }
    return tryon_input(rows.to(unet.dtype), conditions.person), timestep, keywords


def _guided(prediction: Tensor, conditions: StepConditions) -> Tensor:
    scale = conditions.guidance_scale
    return prediction.float() if scale is None else guide(prediction.float(), scale)
