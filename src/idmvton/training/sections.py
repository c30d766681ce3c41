"""What a recipe can set, section by section. Importing this loads no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from idmvton.options import NEGATIVE_PROMPT, Options, option
from idmvton.types import Captions, MapsOfPeople, MissingCaption, Orders, RenderedCategory, TimeIds

TaskName = Literal["tryon", "mini_tryon", "text_to_image", "autoencoder", "contrastive", "warp"]
Precision = Literal["float32", "bfloat16"]
OptimizerName = Literal["adamw", "adamw_8bit"]
Schedule = Literal["constant", "cosine"]
Source = Literal["folder", "shards", "studio"]
ErrorName = Literal["squared", "absolute"]
PredictionType = Literal["epsilon", "v_prediction", "sample"]
Spacing = Literal["leading", "trailing", "linspace"]


@dataclass(frozen=True, slots=True)
class RunOptions(Options):
    """The top of a recipe."""

    task: TaskName = option("tryon", "What is trained.")


@dataclass(frozen=True, slots=True)
class TrainOptions(Options):
    """``[train]``: the loop."""

    steps: int = option(1000, "Optimizer steps.", minimum=1)
    batch_size: int = option(
        24, "Samples of one optimizer step: of all processes and accumulated parts together.", minimum=1
    )
    accumulation: int = option(1, "Parts that each process cuts its share of a batch into.", minimum=1)
    seed: int = option(0, "Decides the order of the samples, their variation, and every draw.", minimum=0)
    precision: Precision = option("float32", "Of the computation; weights, their averages and the VAE stay float32.")
    gradient_checkpointing: bool = option(False, "Compute activations again in the backward pass: less memory.")
    max_grad_norm: float = option(1.0, "Gradients are scaled down to this norm; 0 leaves them.", minimum=0.0)
    ema_decay: float = option(
        0.9999, "Moving average of the weights that pictures and checkpoints use; 0: none.", minimum=0.0, maximum=1.0
    )
    compile: bool = option(False, "Compile the trained networks: slow start, faster steps.")
    device: str = option("auto", "auto, cpu, or cuda; accelerate's launcher decides for several GPUs.")
    workers: int = option(2, "Processes that read samples ahead; 0: none.", minimum=0, unit="processes")
    save_every: int = option(500, "A state to resume from is saved every so many steps.", minimum=1, unit="steps")
    keep: int = option(2, "How many states are kept.", minimum=1)
    save_finished: bool = option(True, "Save a state at the end too, so that more steps can be added.")
    export_every: int = option(
        0, "The checkpoint is written every so many steps and at the end; 0: at the end only.", minimum=0, unit="steps"
    )
    max_minutes: float | None = option(
        None, "Stop after this time, with the state saved; --resume continues.", minimum=0.0, unit="minutes"
    )


@dataclass(frozen=True, slots=True)
class OptimizerOptions(Options):
    """``[optimizer]``: AdamW and its rate."""

    name: OptimizerName = option("adamw", "adamw_8bit needs bitsandbytes; it saves memory and can diverge.")
    learning_rate: float = option(1e-5, "The highest rate.", minimum=0.0)
    weight_decay: float = option(1e-2, "Decoupled weight decay.", minimum=0.0)
    beta1: float = option(0.9, "Of the first moment.", minimum=0.0, maximum=1.0)
    beta2: float = option(0.999, "Of the second moment.", minimum=0.0, maximum=1.0)
    epsilon: float = option(1e-8, "Added to the root of the second moment.", minimum=0.0)
    warmup_steps: int = option(500, "The rate rises linearly for so long.", minimum=0, unit="steps")
    schedule: Schedule = option("constant", "How the rate changes after that.")
    final_share: float = option(0.05, "Where a cosine ends, as a share of the rate.", minimum=0.0, maximum=1.0)


@dataclass(frozen=True, slots=True)
class LoraOptions(Options):
    """``[lora]``: low-rank adapters (peft) instead of all weights."""

    rank: int = option(0, "Of the adapters on the attention projections; 0 trains all weights.", minimum=0)
    alpha: float = option(16.0, "Adapters are scaled by alpha / rank.", minimum=0.0)


@dataclass(frozen=True, slots=True)
class DataOptions(Options):
    """``[data]``: where samples come from."""

    source: Source = option(
        "folder",
        "folder: what `idmvton data check` reads; shards: what `idmvton data pack` wrote; studio: rendered as needed.",
    )
    folder: str = option(
        "", "Of the data set; of shards, one with a folder for each split, also an address such as s3://bucket/shards."
    )
    height: int = option(1024, "Working height.", minimum=8, unit="pixels")
    width: int = option(768, "Working width.", minimum=8, unit="pixels")
    split: str = option("train", "Which list of pairs.")
    order: Orders = option(
        "paired",
        "paired: people in their own garment; unpaired: in the other one, where the truth is known (studio); both.",
    )
    maps: MapsOfPeople = option(
        "given",
        "Masks and body maps; given: the data set's; prepared: what a try-on makes of the photos, for which"
        " `idmvton data prepare --beside` was run; both: each sample with either.",
    )
    category: RenderedCategory = option("mixed", "What the studio renders.")
    num_samples: int | None = option(None, "At most so many samples; the studio renders this many.", minimum=1)
    studio_seed: int = option(0, "Seed of the studio's samples.", minimum=0)
    studio_flow: bool = option(False, "The studio also tells the flow, for `warp` and `mini_tryon.exact_flow`.")
    captions: Captions = option("tags", "detailed and naive are in studio folders only.")
    missing_caption: MissingCaption = option("error", "What to do about garments that nobody described.")
    mask_threshold: int | None = option(None, "Makes grey masks binary.", minimum=1, maximum=255)
    cache: str | None = option(None, "Keep in this folder what the frozen networks make of the samples.")
    cache_variants: int = option(1, "Differently augmented variants of each sample in the cache.", minimum=1)


@dataclass(frozen=True, slots=True)
class MaskOptions(Options):
    """``[masks]``: how masks are varied; the shares of masks that are left alone, grown and made boxes."""

    grown: float = option(0.0, "Share of masks that grow.", minimum=0.0, maximum=1.0)
    box: float = option(0.0, "Share of masks that become their bounding box.", minimum=0.0, maximum=1.0)
    growth: float = option(0.04, "Largest growth, as a share of the height.", minimum=0.0, maximum=0.5)


@dataclass(frozen=True, slots=True)
class ValidationOptions(Options):
    """``[validation]``: pictures and losses on fixed samples with fixed noise."""

    every: int = option(500, "Every so many steps, and at the end; 0: never.", minimum=0, unit="steps")
    patience: int = option(
        0,
        "Stop where the validation loss has not fallen for so many validations, and export the best weights; 0: never.",
        minimum=0,
        unit="validations",
    )
    num_samples: int = option(4, "Pictures.", minimum=1)
    num_losses: int = option(16, "Samples of the loss.", minimum=1)
    split: str = option("test", "Which list of pairs.")
    num_inference_steps: int = option(30, "Denoising steps.", minimum=1, maximum=1000)
    guidance_scale: float = option(2.0, "Classifier-free guidance.", minimum=1.0, maximum=30.0)
    seed: int = option(0, "Of the noise.", minimum=0)


@dataclass(frozen=True, slots=True)
class LogOptions(Options):
    """``[log]``: what is written while training."""

    every: int = option(10, "A line of metrics every so many steps.", minimum=1, unit="steps")
    timestep_bins: int = option(5, "The loss is also given for so many ranges of timesteps.", minimum=1)
    tensorboard: bool = option(False, "Also write for TensorBoard (needs tensorboard).")


@dataclass(frozen=True, slots=True)
class TryOnTaskOptions(Options):
    """``[tryon]``: the paper's task (sections 3 and 4.1)."""

    init: Literal["checkpoint", "parts", "random"] = option(
        "checkpoint", "checkpoint: a folder; parts: the paper's start; random: new networks, sized by the recipe."
    )
    checkpoint: str = option("", "The folder to go on from.")
    inpainting: str = option("", "Parts: an SDXL(-shaped) folder whose unet becomes TryonNet.")
    garment: str = option("", "Parts: an SDXL(-shaped) folder whose unet becomes GarmentNet.")
    ip_adapter: str = option("", "Parts: IP-Adapter Plus; without it the image prompt starts new.")
    image_encoder: str = option("", "Parts: the folder of the CLIP image encoder.")
    variant: str | None = option(None, "Part of the weight files' names, such as fp16.")
    garment_timestep: int | None = option(
        None, "GarmentNet always sees this timestep; the current one when not given.", minimum=0, maximum=999
    )
    time_ids: TimeIds = option("height_width", "height_height: as the published training code.")
    num_inference_steps: int = option(
        30, "How many steps the checkpoint takes where nobody says.", minimum=1, maximum=1000
    )
    guidance_scale: float = option(2.0, "The checkpoint's guidance where nobody says.", minimum=1.0, maximum=30.0)
    negative_prompt: str = option(NEGATIVE_PROMPT, "The prompt of a dropped text, as at inference.")
    drop_text: float = option(0.05, "How often the text alone is dropped.", minimum=0.0, maximum=1.0)
    drop_image_prompt: float = option(0.05, "How often the image prompt alone is dropped.", minimum=0.0, maximum=1.0)
    drop_garment: float = option(0.05, "How often the garment's features alone are dropped.", minimum=0.0, maximum=1.0)
    drop_all: float = option(0.05, "How often all three are dropped together.", minimum=0.0, maximum=1.0)
    min_snr_gamma: float | None = option(
        None,
        "Limit of the signal-to-noise ratio in the weight of a timestep; not weighted when not given.",
        minimum=0.0,
    )
    masked_region_weight: float = option(1.0, "Weight of what is repainted, against 1 elsewhere.", minimum=0.0)
    cache_features: bool = option(
        False, "Keep GarmentNet's features in the cache too, in float16; needs garment_timestep, and much room."
    )


@dataclass(frozen=True, slots=True)
class VaeOptions(Options):
    """``[vae]``: the size of a new VAE; each channel count but the first halves the picture."""

    block_out_channels: tuple[int, ...] = option((32, 64, 128), "Channels of each size.", minimum=1)
    layers_per_block: int = option(1, "ResNet blocks of each size.", minimum=1)
    latent_channels: int = option(4, "Channels of the latents.", minimum=1)
    norm_num_groups: int = option(8, "Groups of the normalisation.", minimum=1)
    attention: bool = option(False, "Self-attention at the smallest size.")


@dataclass(frozen=True, slots=True)
class ClipOptions(Options):
    """``[clip]``: the sizes of new text and image encoders."""

    vocabulary: int = option(1024, "Words and parts of words, at most.", minimum=514)
    num_tokens: int = option(32, "Tokens of a text, start and end included.", minimum=8)
    text_widths: tuple[int, ...] = option((96, 160), "Channels of the two text encoders.", minimum=8)
    text_layers: int = option(4, "Layers of each text encoder.", minimum=2)
    image_width: int = option(192, "Channels of the image encoder.", minimum=8)
    image_layers: int = option(6, "Layers of the image encoder.", minimum=2)
    image_size: int = option(112, "Side of the square that the image encoder reads.", minimum=16, unit="pixels")
    patch_size: int = option(16, "Side of a patch.", minimum=2, unit="pixels")
    projection: int = option(160, "Channels of the common space.", minimum=8)


@dataclass(frozen=True, slots=True)
class UnetOptions(Options):
    """``[unet]``: the size of a new SDXL-shaped UNet."""

    block_out_channels: tuple[int, ...] = option((64, 128, 256), "Channels of each size.", minimum=8)
    transformer_layers: tuple[int, ...] = option(
        (0, 1, 2), "Transformer blocks of each size; 0: none there.", minimum=0
    )
    layers_per_block: int = option(1, "ResNet blocks of each size.", minimum=1)
    head_size: int = option(32, "Channels of an attention head.", minimum=4)
    norm_num_groups: int = option(16, "Groups of the normalisation.", minimum=1)
    time_embedding: int = option(32, "Channels that each of the six time ids is embedded in.", minimum=8)


@dataclass(frozen=True, slots=True)
class ImagePromptOptions(Options):
    """``[image_prompt]``: the size of a new resampler."""

    num_tokens: int = option(16, "Image tokens.", minimum=1)
    width: int = option(128, "Channels inside.", minimum=8)
    depth: int = option(2, "Layers.", minimum=1)
    heads: int = option(2, "Attention heads, of 64 channels each.", minimum=1)


@dataclass(frozen=True, slots=True)
class NoiseOptions(Options):
    """``[noise]``: the noise schedule of a new checkpoint; SDXL's where not given."""

    beta_start: float = option(0.00085, "Of the scaled-linear schedule.", minimum=1e-6, maximum=1.0)
    beta_end: float = option(0.012, "Of the scaled-linear schedule.", minimum=1e-6, maximum=1.0)
    prediction_type: PredictionType = option("epsilon", "What the networks predict.")
    zero_terminal_snr: bool = option(False, "The last timestep is pure noise; not with epsilon.")
    timestep_spacing: Spacing = option("leading", "How inference spreads its steps.")


TRYON_SECTIONS: Final[dict[str, type[Options]]] = {
    "tryon": TryOnTaskOptions,
    "masks": MaskOptions,
    "lora": LoraOptions,
    "vae": VaeOptions,
    "clip": ClipOptions,
    "unet": UnetOptions,
    "image_prompt": ImagePromptOptions,
    "noise": NoiseOptions,
}
"""The sections of the try-on that not every task has; the networks' are for a random start."""
