"""The published form of IDM-VTON's attention, stated again from the paper: what ours is measured and tested against.

GarmentNet runs whole; its tokens are recorded before each self-attention. TryonNet concatenates person and garment
tokens, attends with all of them as queries, and keeps the person's half. Without a garment, zero tensors take the
place of its tokens. Nothing is cached: prompts are projected in every layer at every step.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import Attention
from torch import Tensor

from idmvton.models import fused
from idmvton.models.attention import ImagePromptCrossAttention
from idmvton.models.garment_net import GarmentNet
from idmvton.models.tryon_net import TryonNet


def attention(attn: Attention, query_tokens: Tensor, key_tokens: Tensor, to_k: Any = None, to_v: Any = None) -> Tensor:
    """Attention of BNC to BMC tokens, before the output projection."""

    def heads(tokens: Tensor) -> Tensor:
        return tokens.view(tokens.shape[0], tokens.shape[1], attn.heads, -1).permute(0, 2, 1, 3)

    query = heads(attn.to_q(query_tokens))
    key = heads((to_k or attn.to_k)(key_tokens))
    value = heads((to_v or attn.to_v)(key_tokens))
    return F.scaled_dot_product_attention(query, key, value).permute(0, 2, 1, 3).reshape(query_tokens.shape)


class PlainSelfAttention:
    """Concatenate, attend, keep the first half; records its input where there is no garment."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, attn: Attention, hidden_states: Tensor, garment: dict[str, Any], **_: Any) -> Tensor:
        num_person_tokens = hidden_states.shape[1]
        if "record" in garment:
            garment["record"][self.name] = hidden_states
            both = hidden_states
        else:
            both = torch.cat([hidden_states, garment["tokens"][self.name]], dim=1)
        attended = attn.to_out[0](attention(attn, both, both))
        return attended[:, :num_person_tokens]


class PlainCrossAttention:
    """Text, and the image prompt where the layer has one, projected anew in every call."""

    def __init__(self, image_prompt: ImagePromptCrossAttention | None) -> None:
        self.image_prompt = image_prompt

    def __call__(
        self, attn: Attention, hidden_states: Tensor, encoder_hidden_states: Any, garment: Any = None, **_: Any
    ) -> Tensor:
        if self.image_prompt is None:
            return attn.to_out[0](attention(attn, hidden_states, encoder_hidden_states))
        text, (image,) = encoder_hidden_states
        of_text = attention(attn, hidden_states, text)
        of_image = attention(attn, hidden_states, image, self.image_prompt.to_k_ip, self.image_prompt.to_v_ip)
        return attn.to_out[0](of_text + of_image)


@contextlib.contextmanager
def plain_form(unet: TryonNet, unet_encoder: GarmentNet) -> Iterator[None]:
    """Both networks with the plain processors and diffusers' own modules, for the length of the block."""
    ours = [(net, dict(net.attn_processors)) for net in (unet, unet_encoder)]
    for net, processors in ours:
        plain: dict[str, Any] = dict(processors)
        for key, processor in processors.items():
            if key.startswith("encoder_hid_proj."):  # the resampler is the published one in both forms
                continue
            image_prompt = processor if isinstance(processor, ImagePromptCrossAttention) else None
            is_self = key.endswith("attn1.processor")
            plain[key] = PlainSelfAttention(key) if is_self else PlainCrossAttention(image_prompt)
        net.set_attn_processor(plain)
    try:
        with fused.switched("off"):
            yield
    finally:
        for net, processors in ours:
            net.set_attn_processor(processors)


def record(unet_encoder: GarmentNet, latents: Tensor, timestep: Tensor, text: Tensor) -> dict[str, Tensor]:
    """The whole of GarmentNet; its features by layer key. Call inside :func:`plain_form`."""
    tokens: dict[str, Tensor] = {}
    UNet2DConditionModel.forward(
        unet_encoder, latents, timestep, text, cross_attention_kwargs={"garment": {"record": tokens}}
    )
    return tokens


def predict(
    unet: TryonNet,
    channels: Tensor,
    timestep: Tensor,
    text: Tensor,
    image_tokens: Tensor,
    added: Mapping[str, Tensor],
    tokens: Mapping[str, Tensor],
) -> Tensor:
    """TryonNet with one row of garment tokens a row. Call inside :func:`plain_form`."""
    return unet(
        channels,
        timestep,
        encoder_hidden_states=(text, [image_tokens]),
        added_cond_kwargs=dict(added),
        cross_attention_kwargs={"garment": {"tokens": tokens}},
        return_dict=False,
    )[0]


def guided_prediction(
    unet: TryonNet,
    unet_encoder: GarmentNet,
    channels: Tensor,
    garment_latents: Tensor,
    timestep: Tensor,
    text: Tensor,
    image_tokens: Tensor,
    added: Mapping[str, Tensor],
    garment_text: Tensor,
    guidance_scale: float,
) -> Tensor:
    """One guided step as published; ``text``, ``image_tokens`` and ``added`` have 2B rows, unconditional first."""
    tokens = record(unet_encoder, garment_latents, timestep, garment_text)
    doubled = {key: torch.cat([torch.zeros_like(each), each]) for key, each in tokens.items()}
    prediction = predict(unet, torch.cat([channels] * 2), timestep, text, image_tokens, added, doubled)
    unconditional, conditional = prediction.chunk(2)
    return unconditional + guidance_scale * (conditional - unconditional)
