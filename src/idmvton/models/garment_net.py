"""GarmentNet: the frozen text-to-image UNet whose self-attention inputs are the garment's features (section 3.2).

Shape legend: see :mod:`idmvton.models.attention`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from diffusers.utils.accelerate_utils import apply_forward_hook
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from idmvton.errors import ConfigError
from idmvton.models import fused
from idmvton.models.attention import (
    CONTEXT,
    CrossKeysValues,
    RecordingContext,
    RecordingSelfAttention,
    TextCrossAttention,
    is_in_place,
    project,
)
from idmvton.models.fixed_processors import FixedProcessors
from idmvton.types import GarmentFeatures


class GarmentNet(FixedProcessors, UNet2DConditionModel):
    """A stock text-to-image UNet that returns features instead of a noise prediction.

    Parameter names are the stock ones, which are the published ones. The forward pass ends at the input of the
    last self-attention: what comes after it (the rest of that block, the last up block, ``conv_out``) is kept for
    saving but never computed. Build with :meth:`from_config` and then :meth:`install_processors`.
    """

    def install_processors(self) -> None:
        """Replaces the attention processors; to be called once after the UNet is built.

        Raises:
            ConfigError: a UNet with parts that the forward pass does not compute.
        """
        self._refuse_unsupported()
        processors: dict[str, object] = {}
        for key in self.attn_processors:
            name = key.removesuffix(".processor")
            if name.endswith("attn1"):
                processors[key] = RecordingSelfAttention(name, in_place=is_in_place(self.config, name))
            else:
                processors[key] = TextCrossAttention(name)
        self.set_attn_processor(processors)
        fused.install(self)

    def _refuse_unsupported(self) -> None:
        """Raises ConfigError for what :meth:`forward` does not compute."""
        unsupported = {
            "addition_embed_type": self.config.addition_embed_type is not None,
            "class_embed_type": self.config.class_embed_type is not None or self.config.num_class_embeds is not None,
            "center_input_sample": bool(self.config.center_input_sample),
            "encoder_hid_dim_type": self.config.encoder_hid_dim_type is not None,
            "time_embedding_act_fn": self.config.time_embedding_act_fn is not None,
            "mid_block_type": self.config.mid_block_type != "UNetMidBlock2DCrossAttn",
            "only_cross_attention": bool(self.config.only_cross_attention),
            "up_block_types": not set(self.config.up_block_types) <= {"UpBlock2D", "CrossAttnUpBlock2D"}
            or "CrossAttnUpBlock2D" not in self.config.up_block_types,
        }
        for name, is_unsupported in unsupported.items():
            if is_unsupported:
                raise ConfigError(
                    f"GarmentNet does not support this {name}",
                    got=repr(self.config[name]),
                    expected="a text-to-image UNet such as SDXL's, without added conditions",
                )

    @apply_forward_hook
    def project_text(self, text_GTC: Tensor) -> dict[str, CrossKeysValues]:
        """Keys and values of the prompt in every cross-attention; constant over the steps.

        Args:
            text_GTC: float (G, T, C), the prompt embeddings.
        """
        names = (key.removesuffix(".processor") for key in self.attn_processors)
        unused = f"{self._last_block_name()}.attn2"
        return {
            name: CrossKeysValues(project(self.get_submodule(name), text_GTC), None)
            for name in names
            if name.endswith("attn2") and name != unused
        }

    def forward(
        self,
        latents: Tensor,
        timestep: Tensor | float,
        text_GTC: Tensor,
        cross: Mapping[str, CrossKeysValues] | None = None,
    ) -> GarmentFeatures:
        """The garment's features.

        Args:
            latents: float (G, C, h, w), the garment's clean latents in the VAE's scaled space.
            timestep: scalar or (G,), the step that the features are for.
            text_GTC: float (G, T, C), embeddings of "a photo of [V]".
            cross: what :meth:`project_text` returned for ``text_GTC``, to save doing it again.

        Returns:
            The tokens that enter each self-attention, in the order of execution.
        """
        context = RecordingContext({}, cross or {})
        attention = {"encoder_hidden_states": text_GTC, "cross_attention_kwargs": {CONTEXT: context}}

        # 1. Time
        temb = self.time_embedding(self.get_time_embed(latents, timestep))

        # 2. Down
        sample = self.conv_in(latents)
        skips = [sample]
        for block in self.down_blocks:
            with_text = attention if hasattr(block, "attentions") else {}
            sample, block_skips = block(sample, temb, **with_text)
            skips += block_skips

        # 3. Middle
        sample = self.mid_block(sample, temb, **attention)

        # 4. Up, as far as the input of the last self-attention
        last = self._last_up_block()
        for block in self.up_blocks[:last]:
            block_skips, skips = skips[-len(block.resnets) :], skips[: -len(block.resnets)]
            with_text = attention if hasattr(block, "attentions") else {}
            sample = block(sample, tuple(block_skips), temb, upsample_size=skips[-1].shape[-2:], **with_text)
        if self.is_gradient_checkpointing and torch.is_grad_enabled():
            tokens = checkpoint(self._last_tokens, sample, skips, temb, attention, use_reentrant=False)
        else:
            tokens = self._last_tokens(sample, skips, temb, attention)
        context.tokens[f"{self._last_block_name()}.attn1"] = tokens
        return GarmentFeatures(context.tokens)

    def _last_tokens(self, sample: Tensor, skips: list[Tensor], temb: Tensor, attention: dict[str, Any]) -> Tensor:
        """The last up block with attention, as far as the last norm1. Returns GMC."""
        up_block = self.up_blocks[self._last_up_block()]
        *transformers, last_transformer = up_block.attentions
        skips = skips[-len(up_block.resnets) :]
        for resnet, transformer in zip(up_block.resnets, transformers, strict=False):
            sample = resnet(torch.cat([sample, skips.pop()], dim=1), temb)
            sample = transformer(sample, return_dict=False, **attention)[0]
        sample = up_block.resnets[-1](torch.cat([sample, skips.pop()], dim=1), temb)

        tokens = last_transformer.norm(sample)
        if last_transformer.use_linear_projection:
            tokens = last_transformer.proj_in(tokens.flatten(2).transpose(1, 2))
        else:
            tokens = last_transformer.proj_in(tokens).flatten(2).transpose(1, 2)
        *blocks, last_block = last_transformer.transformer_blocks
        for block in blocks:
            tokens = block(tokens, **attention)
        return last_block.norm1(tokens)

    def _last_up_block(self) -> int:
        return max(index for index, block in enumerate(self.up_blocks) if hasattr(block, "attentions"))

    def _last_block_name(self) -> str:
        """The name of the last transformer block, whose self-attention input is the last feature."""
        index = self._last_up_block()
        attentions = self.up_blocks[index].attentions
        depth = len(attentions[-1].transformer_blocks)
        return f"up_blocks.{index}.attentions.{len(attentions) - 1}.transformer_blocks.{depth - 1}"
