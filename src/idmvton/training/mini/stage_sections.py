"""What recipes of mini can set besides the sections of the published method. Importing this loads no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from idmvton.options import NEGATIVE_PROMPT, Options, option
from idmvton.training.sections import (
    TRYON_SECTIONS,
    ClipOptions,
    ErrorName,
    MaskOptions,
    NoiseOptions,
    UnetOptions,
    VaeOptions,
)

VaeStart = Literal["random", "codec"]
UnetStart = Literal["random", "latents"]


@dataclass(frozen=True, slots=True)
class MiniTryOnOptions(Options):
    """``[mini_tryon]``: the try-on from a draft, in one step; besides ``[tryon]``."""

    warp_net: str = option(
        "", "The folder that has `warp_net`: TryonNet then also sees a draft, and GarmentNet the garment as it lies."
    )
    exact_flow: bool = option(
        False,
        "Correct WarpNet's flow by the renders' own, also in the validation loss: or TryonNet learns to blur what lies "
        "a few pixels off. Every sample needs a flow.",
    )
    fine_attention: bool = option(
        False, "Parts: both nets get attention at the latents' own resolution, in place: details pass through it."
    )
    start: Literal["trained", "copy"] = option(
        "trained",
        "copy: TryonNet's first guess is the draft, whatever the noise; needs fine_attention, a garment's UNet that "
        "started with `text_to_image.start = latents`, and nets that predict the sample.",
    )
    error: ErrorName = option("squared", "absolute: what cannot be known is predicted sharp; for one step.")
    min_timestep: int = option(
        0, "Timesteps are drawn from this one on; 999 trains a try-on of one step.", minimum=0, maximum=999
    )
    match_colours: bool = option(False, "The checkpoint's results follow the photo's colours around the mask.")


@dataclass(frozen=True, slots=True)
class TextToImageOptions(Options):
    """``[text_to_image]``: people and garments from captions; becomes GarmentNet and TryonNet's start."""

    init: str | None = option(None, "A UNet folder to go on from; a new one, sized by [unet], when not given.")
    vae: str = option("", "The folder that has `vae`.")
    text: str = option("", "The folder that has the text encoders and tokenizers.")
    person: float = option(1.0, "How often, against the others, a person is shown.", minimum=0.0)
    garment: float = option(1.0, "How often a garment is shown.", minimum=0.0)
    side_by_side: float = option(0.0, "How often both are shown, the garment on the left.", minimum=0.0)
    drop_text: float = option(0.1, "How often the text is dropped.", minimum=0.0, maximum=1.0)
    negative_prompt: str = option(NEGATIVE_PROMPT, "The prompt of a dropped text.")
    min_snr_gamma: float | None = option(None, "As for the try-on.", minimum=0.0)
    start: UnetStart = option("random", "latents: the first features hold the latents, and go on to.")


@dataclass(frozen=True, slots=True)
class AutoencoderOptions(Options):
    """``[autoencoder]``: the VAE."""

    init: str | None = option(None, "A VAE folder to go on from; a new one, sized by [vae], when not given.")
    person: float = option(1.0, "How often, against the others, a person is shown.", minimum=0.0)
    garment: float = option(1.0, "How often a garment is shown.", minimum=0.0)
    densepose: float = option(0.5, "How often a body map is shown.", minimum=0.0)
    masked: float = option(0.5, "How often a person with the mask greyed out is shown.", minimum=0.0)
    crop: int = option(0, "Side of a random square crop; 0 takes the whole picture.", minimum=0, unit="pixels")
    l1_weight: float = option(1.0, "Of the absolute difference.", minimum=0.0)
    gradient_weight: float = option(1.0, "Of the difference of neighbouring pixels' differences.", minimum=0.0)
    num_scales: int = option(3, "Sizes, each half of the one before, at which gradients are compared.", minimum=1)
    kl_weight: float = option(1e-6, "Of the divergence from a normal distribution.", minimum=0.0)
    decoder_only: bool = option(False, "The latents stay what they are, for networks that were trained on them.")
    start: VaeStart = option(
        "random",
        "Of a new VAE; codec: three latent channels start as the mean colours, and the decoder interpolates them.",
    )


@dataclass(frozen=True, slots=True)
class ContrastiveOptions(Options):
    """``[contrastive]``: small CLIP encoders from garments and their captions."""

    drop_words: float = option(0.2, "How often each word of a caption is left out.", minimum=0.0, maximum=0.9)
    worn: float = option(0.3, "How often a garment is shown worn, where there is such a picture.", minimum=0.0)
    temperature: float = option(0.07, "At the start; it is learned.", minimum=0.001, maximum=1.0)
    crop: float = option(0.2, "Largest share of the side that a random crop takes away.", minimum=0.0, maximum=0.8)


@dataclass(frozen=True, slots=True)
class WarpOptions(Options):
    """``[warp]``: WarpNet, from rendered people whose flow into the product picture is known."""

    init: str | None = option(None, "A WarpNet folder to go on from; a new one, of this size, when not given.")
    height: int = option(128, "Of WarpNet's own pictures; a multiple of 16.", minimum=32, unit="pixels")
    width: int = option(96, "Likewise.", minimum=32, unit="pixels")
    channels: tuple[int, ...] = option((24, 48, 80, 128), "Of the four levels, from fine to coarse.", minimum=8)
    num_layers: int = option(3, "Transformer layers at the coarsest level.", minimum=1)
    flow_weight: float = option(1.0, "Of the flow's error.", minimum=0.0)
    slope_weight: float = option(0.2, "Of the error of the flow's slopes: without it stripes wave.", minimum=0.0)
    colour_weight: float = option(0.2, "Of the difference of the colours that both flows fetch.", minimum=0.0)
    outline_weight: float = option(0.2, "Of the outline's cross-entropy.", minimum=0.0)
    turn: float = option(6.0, "Product pictures are turned by up to this.", minimum=0.0, unit="degrees")
    zoom: float = option(0.12, "They are scaled by up to this, as a share.", minimum=0.0, maximum=0.5)
    shear: float = option(0.06, "They are sheared by up to this.", minimum=0.0, maximum=0.5)
    shift: float = option(0.05, "They are moved by up to this share of their size.", minimum=0.0, maximum=0.5)


SECTIONS: Final[dict[str, dict[str, type[Options]]]] = {
    "mini_tryon": TRYON_SECTIONS | {"mini_tryon": MiniTryOnOptions},
    "text_to_image": {"text_to_image": TextToImageOptions, "unet": UnetOptions, "noise": NoiseOptions},
    "autoencoder": {"autoencoder": AutoencoderOptions, "vae": VaeOptions},
    "warp": {"warp": WarpOptions, "masks": MaskOptions},
    "contrastive": {"contrastive": ContrastiveOptions, "clip": ClipOptions},
}
"""Task -> the sections of its recipes that not every task has."""
