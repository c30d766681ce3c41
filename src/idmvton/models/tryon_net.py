"""TryonNet: the inpainting UNet that repaints the person in the garment (paper section 3.2).

Shape legend: see :mod:`idmvton.models.attention`.
"""

from __future__ import annotations

from typing import Any

from diffusers import UNet2DConditionModel
from diffusers.models.embeddings import IPAdapterPlusImageProjection
from diffusers.utils.accelerate_utils import apply_forward_hook
from torch import Tensor, nn

from idmvton.errors import ConfigError
from idmvton.models import fused
from idmvton.models.attention import (
    CrossKeysValues,
    GarmentSelfAttention,
    ImagePromptCrossAttention,
    KeysValues,
    is_in_place,
    project,
)
from idmvton.models.fixed_processors import FixedProcessors
from idmvton.types import GarmentFeatures


def num_input_channels(latent_channels: int, *, drafted: bool = False) -> int:
    """Channels of TryonNet's input: noisy, masked-image and densepose latents, and the mask.

    ``drafted``: and the latents of a draft (:mod:`idmvton.draft.drafter`).
    """
    return (4 if drafted else 3) * latent_channels + 1


def check_channels(net: TryonNet, *, drafted: bool) -> None:
    """Makes sure that TryonNet's input is what the pipeline gives it.

    Raises:
        ConfigError: it is not.
    """
    expected = num_input_channels(net.latent_channels, drafted=drafted)
    if net.config.in_channels != expected:
        raise ConfigError(
            "TryonNet does not fit the other parts",
            got=f"{net.config.in_channels} input channels",
            expected=f"{expected}, {'with' if drafted else 'without'} a WarpNet",
        )


class TryonNet(FixedProcessors, UNet2DConditionModel):
    """A stock SDXL inpainting UNet with garment self-attention and an image prompt.

    Its forward pass is the stock one, called with
    ``cross_attention_kwargs={"garment": AttentionContext(...)}`` and ``encoder_hidden_states`` either
    ``(text BTC, [image tokens BIC])`` or, when the context carries the projected prompts, anything of the batch's
    size. Build with :meth:`from_config` and then :meth:`install_processors`.
    """

    def install_processors(self, resampler: IPAdapterPlusImageProjection) -> None:
        """Replaces the attention processors and attaches the resampler; to be called once.

        Args:
            resampler: turns CLIP hidden states into image tokens of ``cross_attention_dim`` channels.

        Raises:
            ConfigError: the resampler's output does not fit the cross-attentions.
        """
        width = self.config.cross_attention_dim
        if resampler.norm_out.weight.shape[0] != width:
            raise ConfigError(
                "the resampler does not fit TryonNet",
                got=f"image tokens of {resampler.norm_out.weight.shape[0]} channels",
                expected=f"cross_attention_dim={width}",
            )
        processors: dict[str, object] = {}
        for key in self.attn_processors:
            name = key.removesuffix(".processor")
            if name.endswith("attn1"):
                processors[key] = GarmentSelfAttention(name, in_place=is_in_place(self.config, name))
            else:
                hidden_size = self.get_submodule(name).to_q.out_features
                processors[key] = ImagePromptCrossAttention(name, hidden_size, width)
        self.set_attn_processor(processors)
        fused.install(self)
        self.encoder_hid_proj = resampler

    @apply_forward_hook
    def denoise(
        self,
        sample: Tensor,
        timestep: Tensor,
        *,
        encoder_hidden_states: Tensor,
        added_cond_kwargs: dict[str, Tensor],
        cross_attention_kwargs: dict[str, Any],
        deep: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """The stock forward pass, which also tells its deep features, or starts from those of another step.

        Args:
            sample, timestep, encoder_hidden_states, added_cond_kwargs, cross_attention_kwargs: as the stock forward
                pass takes them, with the prompts projected in the context.
            deep: what enters the last up block, of an earlier step: then only the blocks of the latents' own
                resolution are computed.

        Returns:
            The prediction, and what entered the last up block.
        """
        attention = {
            "encoder_hidden_states": encoder_hidden_states,
            "cross_attention_kwargs": cross_attention_kwargs,
        }
        temb = self.time_embedding(self.get_time_embed(sample, timestep))
        added = self.get_aug_embed(temb, encoder_hidden_states, added_cond_kwargs)
        temb = temb if added is None else temb + added

        hidden = self.conv_in(sample)
        first, *others = self.down_blocks
        skips = [hidden]
        for block in [first] if deep is not None else [first, *others]:
            hidden, block_skips = block(hidden, temb, **self._attending(block, attention))
            skips += block_skips
        last = self.up_blocks[-1]
        skips = skips[: len(last.resnets)] if deep is not None else skips
        if deep is None:
            hidden = self.mid_block(hidden, temb, **attention)
            for block in self.up_blocks[:-1]:
                block_skips, skips = skips[-len(block.resnets) :], skips[: -len(block.resnets)]
                size = skips[-1].shape[-2:]
                with_text = self._attending(block, attention)
                hidden = block(hidden, tuple(block_skips), temb, upsample_size=size, **with_text)
            deep = hidden
        hidden = last(deep, tuple(skips), temb, **self._attending(last, attention))
        return self.conv_out(self.conv_act(self.conv_norm_out(hidden))), deep

    @staticmethod
    def _attending(block: nn.Module, attention: dict[str, Any]) -> dict[str, Any]:
        return attention if hasattr(block, "attentions") else {}

    @apply_forward_hook
    def image_tokens(self, clip_hidden_states: Tensor) -> Tensor:
        """CLIP's penultimate hidden states -> image tokens BIC, through the resampler.

        Args:
            clip_hidden_states: float (B, patches + 1, clip width).
        """
        return self.encoder_hid_proj(clip_hidden_states)

    @apply_forward_hook
    def project_garment(self, features: GarmentFeatures) -> dict[str, KeysValues]:
        """Keys and values of garment features in every self-attention.

        Worth doing where the features are constant over the steps; otherwise the layers do it themselves.
        """
        return {name: project(self.get_submodule(name), tokens) for name, tokens in features.tokens.items()}

    @apply_forward_hook
    def project_prompts(self, text_BTC: Tensor, image_BIC: Tensor) -> dict[str, CrossKeysValues]:
        """Keys and values of text and image prompt in every cross-attention; constant over the steps.

        Raises:
            ConfigError: the attention processors were exchanged.
        """
        projected = {}
        for key, processor in self.attn_processors.items():
            if key.endswith("attn2.processor"):
                if not isinstance(processor, ImagePromptCrossAttention):
                    raise ConfigError(
                        "TryonNet's attention processors were exchanged",
                        got=f"{type(processor).__name__} at {key}",
                        expected="the processors of install_processors: they are the try-on",
                        fix="load the pipeline again and leave its attention as it is",
                    )
                layer = self.get_submodule(processor.name)
                projected[processor.name] = processor.project(layer, text_BTC, image_BIC)
        return projected

    @property
    def latent_channels(self) -> int:
        """Channels of the latents that this net denoises."""
        return int(self.config.out_channels)


def widen_input(unet: UNet2DConditionModel, num_channels: int) -> None:
    """Widens ``conv_in`` in place: old weights stay in front, new channels start at zero (section 3.2).

    A 9-channel inpainting UNet has (noisy latents 4, mask 1, masked image 4) in TryonNet's own order, so only the
    densepose channels are new; a 4-channel text-to-image UNet has the noisy latents alone.

    Args:
        unet: any UNet of at most ``num_channels`` input channels.
        num_channels: the new number of input channels.

    Raises:
        ConfigError: the UNet has more channels already.
    """
    old = unet.conv_in
    if old.in_channels > num_channels:
        raise ConfigError("cannot narrow conv_in", got=old.in_channels, expected=f"at most {num_channels}")
    new = nn.Conv2d(num_channels, old.out_channels, old.kernel_size, old.stride, old.padding)
    new = new.to(old.weight.device, old.weight.dtype)
    new.weight.data.zero_()
    new.weight.data[:, : old.in_channels] = old.weight.data
    if new.bias is not None and old.bias is not None:
        new.bias.data.copy_(old.bias.data)
    unet.conv_in = new
    unet.register_to_config(in_channels=num_channels)
