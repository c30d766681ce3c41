"""New, randomly initialised networks of any size, with the classes of the published checkpoint."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import diffusers
import transformers
from diffusers.models.embeddings import IPAdapterPlusImageProjection
from torch import nn

from idmvton.captions.templates import garment_prompt, tryon_prompt
from idmvton.errors import ConfigError
from idmvton.models.attention import ImagePromptCrossAttention
from idmvton.models.garment_net import GarmentNet
from idmvton.models.image_prompt import HEAD_SIZE
from idmvton.models.tryon_net import TryonNet, num_input_channels, widen_input
from idmvton.options import NEGATIVE_PROMPT
from idmvton.training.sections import ClipOptions, ImagePromptOptions, NoiseOptions, UnetOptions, VaeOptions
from idmvton.training.tokenizer import train_tokenizer

_TEXT_HEAD, _IMAGE_HEAD = 32, 32
_FIRST_LOG_VARIANCE = -6.0


def new_vae(options: VaeOptions) -> diffusers.AutoencoderKL:
    """A VAE; each channel count but the first halves the picture. Its latents are not scaled yet.

    The posterior starts narrow: noise as large as the latents would hide them from a decoder that knows nothing yet.
    """
    num_sizes = len(options.block_out_channels)
    vae = diffusers.AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * num_sizes,
        up_block_types=("UpDecoderBlock2D",) * num_sizes,
        block_out_channels=options.block_out_channels,
        layers_per_block=options.layers_per_block,
        latent_channels=options.latent_channels,
        norm_num_groups=options.norm_num_groups,
        mid_block_add_attention=options.attention,
        scaling_factor=1.0,
    )
    nn.init.constant_(vae.quant_conv.bias[options.latent_channels :], _FIRST_LOG_VARIANCE)
    return vae


def new_clip(options: ClipOptions, captions: Iterable[str]) -> dict[str, Any]:
    """Tokenizers, text encoders and image encoder.

    Args:
        options: the sizes.
        captions: phrases [V]; the tokenizers learn from them, in both prompts.

    Raises:
        ConfigError: not two widths, or widths that heads do not divide.
    """
    if len(options.text_widths) != 2 or any(width % _TEXT_HEAD for width in options.text_widths):
        raise ConfigError(
            "text_widths cannot be used", got=options.text_widths, expected=f"two multiples of {_TEXT_HEAD}"
        )
    if options.image_width % _IMAGE_HEAD:
        raise ConfigError("image_width cannot be used", got=options.image_width, expected="a multiple of 32")
    phrases = list(captions)
    texts = [*map(tryon_prompt, phrases), *map(garment_prompt, phrases)] + [NEGATIVE_PROMPT] * len(phrases)
    tokenizer = train_tokenizer(texts, options.vocabulary, options.num_tokens)
    configs = [_text_config(options, width, tokenizer) for width in options.text_widths]
    configs[0].hidden_act = "quick_gelu"  # as published
    vision = transformers.CLIPVisionConfig(
        hidden_size=options.image_width,
        intermediate_size=4 * options.image_width,
        num_hidden_layers=options.image_layers,
        num_attention_heads=options.image_width // _IMAGE_HEAD,
        image_size=options.image_size,
        patch_size=options.patch_size,
        projection_dim=options.projection,
        hidden_act="gelu",
    )
    return {
        "tokenizer": tokenizer,
        "tokenizer_2": tokenizer,
        "text_encoder": transformers.CLIPTextModel(configs[0]),
        "text_encoder_2": transformers.CLIPTextModelWithProjection(configs[1]),
        "image_encoder": transformers.CLIPVisionModelWithProjection(vision),
    }


def _text_config(options: ClipOptions, width: int, tokenizer: Any) -> Any:
    return transformers.CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=options.text_layers,
        num_attention_heads=width // _TEXT_HEAD,
        max_position_embeddings=options.num_tokens,
        projection_dim=options.projection,
        hidden_act="gelu",
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def new_unet(
    options: UnetOptions, *, latent_channels: int, text_width: int, pooled_width: int, latent_height: int
) -> diffusers.UNet2DConditionModel:
    """An SDXL-shaped text-to-image UNet.

    Args:
        options: the sizes.
        latent_channels: of the VAE.
        text_width: channels of both text encoders together.
        pooled_width: of the pooled text.
        latent_height: of the working size.

    Raises:
        ConfigError: sizes that do not fit each other.
    """
    widths, layers = options.block_out_channels, options.transformer_layers
    divisors = {"head_size": options.head_size, "norm_num_groups": options.norm_num_groups}
    misfits = [name for name, divisor in divisors.items() if any(width % divisor for width in widths)]
    if len(widths) != len(layers) or not layers or not layers[-1] or misfits:
        raise ConfigError(
            "the sizes of [unet] do not fit each other",
            got=f"block_out_channels={widths}, transformer_layers={layers}, {divisors}",
            expected="as many counts of layers as of channels, the last not 0; channels in multiples of "
            "head_size and norm_num_groups",
        )
    return diffusers.UNet2DConditionModel(
        sample_size=latent_height,
        in_channels=latent_channels,
        out_channels=latent_channels,
        down_block_types=tuple("CrossAttnDownBlock2D" if count else "DownBlock2D" for count in layers),
        up_block_types=tuple("CrossAttnUpBlock2D" if count else "UpBlock2D" for count in reversed(layers)),
        block_out_channels=widths,
        layers_per_block=options.layers_per_block,
        transformer_layers_per_block=[max(count, 1) for count in layers],
        attention_head_dim=[width // options.head_size for width in widths],
        norm_num_groups=options.norm_num_groups,
        cross_attention_dim=text_width,
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=options.time_embedding,
        projection_class_embeddings_input_dim=pooled_width + 6 * options.time_embedding,
    )


def new_resampler(options: ImagePromptOptions, *, clip_width: int, text_width: int) -> IPAdapterPlusImageProjection:
    """The image prompt's resampler."""
    return IPAdapterPlusImageProjection(
        embed_dims=clip_width,
        output_dims=text_width,
        hidden_dims=options.width,
        depth=options.depth,
        dim_head=HEAD_SIZE,
        heads=options.heads,
        num_queries=options.num_tokens,
    )


def new_scheduler(options: NoiseOptions) -> diffusers.DDPMScheduler:
    """SDXL's noise schedule, as changed by the options."""
    return diffusers.DDPMScheduler(
        beta_schedule="scaled_linear",
        beta_start=options.beta_start,
        beta_end=options.beta_end,
        prediction_type=options.prediction_type,
        rescale_betas_zero_snr=options.zero_terminal_snr,
        timestep_spacing=options.timestep_spacing,
        clip_sample=False,
        steps_offset=1,
    )


def tryon_net_from(unet: diffusers.UNet2DConditionModel, resampler: IPAdapterPlusImageProjection) -> TryonNet:
    """TryonNet that starts as a text-to-image or inpainting UNet; the input is widened with channels of zeros.

    The image prompt's keys and values start as those of the text.
    """
    net = TryonNet.from_config(unet.config)
    net.load_state_dict(unet.state_dict())
    net.install_processors(resampler)
    for processor in net.attn_processors.values():
        if isinstance(processor, ImagePromptCrossAttention):
            layer = net.get_submodule(processor.name)
            processor.to_k_ip.load_state_dict(layer.to_k.state_dict())
            processor.to_v_ip.load_state_dict(layer.to_v.state_dict())
    widen_input(net, num_input_channels(net.latent_channels))
    return net


def garment_net_from(unet: diffusers.UNet2DConditionModel) -> GarmentNet:
    """GarmentNet with the weights of a text-to-image UNet; added conditions are left out."""
    config = dict(unet.config) | {"addition_embed_type": None, "projection_class_embeddings_input_dim": None}
    net = GarmentNet.from_config(config)
    tensors = {name: each for name, each in unet.state_dict().items() if not name.startswith("add_embedding.")}
    net.load_state_dict(tensors)
    net.install_processors()
    return net


def new_components(
    vae: VaeOptions,
    clip: ClipOptions,
    unet: UnetOptions,
    image_prompt: ImagePromptOptions,
    noise: NoiseOptions,
    *,
    captions: Iterable[str],
    height: int,
) -> dict[str, Any]:
    """A complete new checkpoint, as :func:`idmvton.checkpoint.published.load_checkpoint` returns one.

    Args:
        vae, clip, unet, image_prompt, noise: the sizes of its parts.
        captions: that the tokenizers learn from.
        height: the working height, pixels.
    """
    autoencoder = new_vae(vae)
    encoders = new_clip(clip, captions)
    start = new_unet(
        unet,
        latent_channels=vae.latent_channels,
        text_width=sum(clip.text_widths),
        pooled_width=clip.projection,
        latent_height=height // 2 ** (len(vae.block_out_channels) - 1),
    )
    resampler = new_resampler(image_prompt, clip_width=clip.image_width, text_width=sum(clip.text_widths))
    return {
        "vae": autoencoder,
        **encoders,
        "unet": tryon_net_from(start, resampler),
        "unet_encoder": garment_net_from(start),
        "scheduler": new_scheduler(noise),
    }
