"""Everything that a user can set, declared once: default, range, unit, help.

The library's signatures, the command line and every other surface are built from (or tested against) these
classes; :mod:`idmvton.declared` has how an option is declared.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Self

from idmvton.declared import Option as Option
from idmvton.declared import Options as Options
from idmvton.declared import describe as describe
from idmvton.declared import option as option
from idmvton.types import (
    CATEGORY_WORDS,
    AttentionChoice,
    BackendSet,
    CategoryChoice,
    DTypeName,
    KeepChoice,
    LogChoice,
    MaskShape,
    MemoryMode,
    Quality,
    SchedulerName,
    ShareChoice,
    WebhookChoice,
)

_FEATHER_SHARE = 1 / 128  # of the working height: 8 pixels at the published size
LEAST_SCALE, MOST_SCALE = 0.0, 2.0
"""Of an adapter."""
NEGATIVE_PROMPT = "monochrome, lowres, bad anatomy, worst quality, low quality"


@dataclass(frozen=True, slots=True)
class TryOnOptions(Options):
    """What a caller of a try-on can set; the defaults are those of the published system."""

    num_inference_steps: int | None = option(
        None,
        "Denoising steps; the checkpoint's own number (30 for the published) when not given.",
        flag="steps",
        minimum=1,
        maximum=1000,
    )
    guidance_scale: float | None = option(
        None,
        "Classifier-free guidance, 1 turns it off; the checkpoint's own (2.0 for the published) when not given.",
        flag="guidance",
        minimum=1.0,
        maximum=30.0,
    )
    quality: Quality = option(
        "best",
        "best: as published; balanced and fast: fewer steps and less in each, an approximation that the result names.",
    )
    image_prompt_scale: float = option(
        1.0, "Weight of the garment's image prompt (IP-Adapter).", minimum=0.0, maximum=5.0
    )
    scheduler: SchedulerName | None = option(None, "Sampler; the checkpoint's own when not given.")
    seed: int | None = option(
        None, "Seed of every random draw; drawn and reported when not given.", minimum=0, maximum=2**32 - 1
    )
    negative_prompt: str = option(NEGATIVE_PROMPT, "What the picture should not look like.")
    height: int | None = option(
        None, "Working height; the checkpoint's own when not given.", minimum=8, maximum=8192, unit="pixels"
    )
    width: int | None = option(
        None,
        "Working width; 3/4 of the checkpoint's height when not given.",
        minimum=8,
        maximum=8192,
        unit="pixels",
    )
    paste_back: bool = option(True, "Put the repainted region into the untouched photo, at the photo's own size.")
    keep: KeepChoice = option(
        "auto",
        "Which pixels of the photo stay when pasting back; auto: all that need not change, if labels are known and "
        "nobody drew the mask; mask: those outside the mask.",
    )
    feather: int | None = option(
        None,
        "Width of the soft edge around the mask when pasting back; 1/128 of the working height when not given.",
        minimum=0,
        maximum=256,
        unit="pixels at working size",
    )
    mask_threshold: int | None = option(
        None,
        "Make a grey mask binary: values from this on are repainted.",
        minimum=1,
        maximum=255,
        unit="8-bit value",
    )
    garment_timestep: int | None = option(
        None,
        "Feed GarmentNet this one timestep instead of the checkpoint's policy: the garment is then computed "
        "once for all steps. With the published weights this is an approximation.",
        minimum=0,
        maximum=999,
    )

    @property
    def is_guided(self) -> bool:
        """Whether classifier-free guidance is on."""
        return (self.guidance_scale or 1.0) > 1.0

    def at(self, height: int, width: int, num_inference_steps: int, guidance_scale: float) -> Self:
        """With the working size, in pixels, what follows from it, and the checkpoint's steps and guidance filled in."""
        defaults = {
            "feather": round(height * _FEATHER_SHARE),
            "num_inference_steps": num_inference_steps,
            "guidance_scale": guidance_scale,
        }
        missing: dict[str, Any] = {name: value for name, value in defaults.items() if getattr(self, name) is None}
        return dataclasses.replace(self, height=height, width=width, **missing)


@dataclass(frozen=True, slots=True)
class BackendOptions(Options):
    """Which networks read a photo."""

    backend: BackendSet = option(
        "auto",
        "embedded: networks that come with the library; published: OpenPose, SCHP and DensePose; auto: published "
        "if the model is a published one and their files are on this machine, else embedded.",
    )
    pose_backend: str = option("auto", "The backend that finds people and their joints.", flag="pose")
    outline_backend: str = option("auto", "The backend that outlines the person.", flag="outline")
    labels_backend: str = option("auto", "The backend that labels clothes and skin.", flag="labels")
    body_backend: str = option("auto", "The backend that labels the parts of the body.", flag="body")
    segmenter: str | None = option(
        None, "A segmentation network for the labels: an .onnx file, or a folder as transformers saves it."
    )


@dataclass(frozen=True, slots=True)
class PrepareOptions(BackendOptions):
    """How a photo is prepared for a try-on."""

    category: CategoryChoice = option(
        "auto",
        "What is exchanged; auto: by the garment's picture, and upper where the photo shows no legs.",
        aliases=CATEGORY_WORDS,
    )
    person_number: int = option(
        1,
        "Which person of the photo, counted from the largest; 0: the only one, several are an error.",
        flag="person",
        minimum=0,
        maximum=99,
    )
    garment_number: int | None = option(
        None,
        "Which garment of the garment photo, where it shows several, counted from the left; the first of the largest "
        "when not given.",
        minimum=1,
        maximum=99,
    )
    mask_grow: int = option(
        0, "Grow the mask by this, or shrink it if negative.", minimum=-256, maximum=256, unit="pixels of person.png"
    )
    mask_feather: int = option(
        0,
        "Width of the soft edge of mask.png, centred on the outline; a try-on repaints values from 128 on.",
        minimum=0,
        maximum=256,
        unit="pixels of person.png",
    )
    mask_shape: MaskShape = option(
        "outline", "outline: follows body and clothes; box: the rectangle around that, for garments of another cut."
    )
    keep_hands: bool = option(True, "Leave the hands out of the mask.")
    cover_old_garment: bool = option(
        True, "Also cover what the parser left out beside the old garment: hems of long shirts, wide sleeves."
    )
    arm_width: int | None = option(
        None,
        "Width of the arm strokes in the mask; 45 for people seen to the feet, else 60, when not given.",
        minimum=1,
        maximum=256,
        unit="pixels of a picture 512 high",
    )
    as_published: bool = option(
        False, "Make mask and body map as the published demo does, its faults included, at 1024x768."
    )
    demo_crop: bool = option(
        False, "With --as-published: use the largest 3:4 part in the photo's middle, as the demo's crop option does."
    )


@dataclass(frozen=True, slots=True)
class JobOptions(Options):
    """What is asked for of one person and one garment."""

    caption: str | None = option(
        None, 'What the garment is, such as "short sleeve round neck t-shirts"; proposed when not given.'
    )
    num_images: int = option(1, "Number of pictures of the pair; each has the next seed.", minimum=1, maximum=64)


@dataclass(frozen=True, slots=True)
class FolderOptions(Options):
    """How folders of people are dressed."""

    batch_size: int | None = option(
        None,
        "People who are dressed in one garment at a time; the results are the same. When not given: as many as fit "
        "into a GPU's free memory, by what the first picture needed; on a CPU 1.",
        minimum=1,
        maximum=64,
    )


@dataclass(frozen=True, slots=True)
class ModelOptions(Options):
    """Which weights are loaded, and where to."""

    model: str = option(
        "mini", "A checkpoint folder, or a name from `idmvton weights list`; mini comes with the library."
    )
    device: str = option("auto", "auto, cpu, cuda, cuda:N or mps.")
    dtype: DTypeName = option("auto", "Precision of the networks; auto: float32 on CPU, half precision on GPUs.")
    memory: MemoryMode = option(
        "auto",
        "What lies on a GPU. fast: everything; balanced: both UNets, in 8 bits (8 GB); low: one network at a time, in "
        "8 bits (5 GB); auto: the fastest that fits into what is free.",
    )
    attention: AttentionChoice = option(
        "auto",
        "auto: the fastest exact attention; sage: SageAttention, an approximation in 8 bits for NVIDIA GPUs, which has "
        "to be installed.",
    )
    lora: tuple[str, ...] = option(
        (),
        "A LoRA file for TryonNet, such as LCM's, Hyper-SD's or SDXL-Lightning's; FILE=0.6 sets its weight. May be "
        "repeated.",
    )
    adapter: str | None = option(
        None, "What `idmvton customize` made of these weights: its folder, or its file; see `idmvton adapters`."
    )
    adapter_scale: float = option(1.0, "How much of the adapter; 0: nothing.", minimum=LEAST_SCALE, maximum=MOST_SCALE)
    cpu_offload: bool = option(False, "Keep each network on the CPU until it is needed (less GPU memory).")
    variant: str | None = option(
        None, "Part of the weight files' names, such as fp16; the only one there is when not given."
    )
    threads: int | None = option(
        None, "CPU threads of the networks; one per core when not given.", minimum=1, maximum=1024
    )


@dataclass(frozen=True, slots=True)
class ServiceOptions(Options):
    """How the service works: lanes, queue, what it keeps, and its limits."""

    state: str = option("idmvton-state", "Folder of the journal, and of the pictures unless --store says otherwise.")
    database: str | None = option(
        None, "postgresql://...: the journal of several servers that share one queue; SQLite in --state when not given."
    )
    store: str | None = option(
        None, "Where pictures are: a folder, or a URL such as s3://bucket/place; a folder in --state when not given."
    )
    lanes: int = option(1, "Processes, each with the model loaded once; a GPU has one.", minimum=1, maximum=64)
    warm_up: bool = option(True, "Make a picture before the first order, which would else be slow.")
    adapters: str | None = option(None, "Folder of adapters that orders may name.")
    queue: int = option(1000, "Jobs that may wait.", minimum=1, maximum=1_000_000)
    queue_of_caller: int = option(500, "Jobs of one caller that may wait.", minimum=1, maximum=1_000_000)
    run_length: int = option(
        8, "Jobs in a row that a lane may prefer because they share a garment or person.", minimum=1, maximum=1000
    )
    retention: float = option(
        24.0, "A finished job and its pictures are deleted after this.", minimum=0.0, maximum=87600.0, unit="hours"
    )
    job_timeout: float = option(
        600.0, "A job that runs for longer is given up.", minimum=1.0, maximum=86400.0, unit="seconds"
    )
    adapter_timeout: float = option(
        3600.0, "The same for making an adapter.", minimum=1.0, maximum=86400.0, unit="seconds"
    )
    lane_memory: float | None = option(
        None,
        "A lane that takes more is replaced; an equal share of 90 % of the machine when not given.",
        minimum=0.1,
        maximum=4096.0,
        unit="GiB",
    )
    max_images: int = option(8, "Pictures of one order.", minimum=1, maximum=64)
    max_steps: int = option(100, "Denoising steps of one order.", minimum=1, maximum=1000)
    max_side: int = option(1536, "Working height and width of one order.", minimum=8, maximum=8192, unit="pixels")


@dataclass(frozen=True, slots=True)
class LimitOptions(Options):
    """What is taken from people who are not this machine's owner."""

    max_body: float = option(32.0, "A request's body.", minimum=0.001, maximum=4096.0, unit="MiB")
    max_pixels: float = option(40.0, "A photo.", minimum=0.001, maximum=120.0, unit="megapixels")
    max_batch: int = option(500, "Pairs of one batch.", minimum=1, maximum=100_000)


@dataclass(frozen=True, slots=True)
class WebOptions(LimitOptions):
    """Where the page is open, and for whom."""

    host: str = option("127.0.0.1", "Address to listen on; 0.0.0.0 opens the page to other machines.")
    port: int = option(7860, "Port to listen on.", minimum=1, maximum=65535)
    auth: str | None = option(None, "File with name:password in each line; only these people may enter.")
    share: ShareChoice = option("off", "on: also reachable from everywhere, through gradio's servers.")


@dataclass(frozen=True, slots=True)
class ServerOptions(LimitOptions):
    """How the REST server listens, whom it serves, and what it takes."""

    host: str = option("127.0.0.1", "Address to listen on; others than this machine's own need --keys.")
    port: int = option(8000, "Port to listen on; 0 takes a free one.", minimum=0, maximum=65535)
    keys: str | None = option(
        None,
        "TOML file of API keys, hashed; --make-key NAME makes one. Without it only this machine is served.",
    )
    upload_seconds: float = option(60.0, "A request's body must have come by then.", minimum=0.1, maximum=3600.0)
    max_wait: float = option(120.0, "`Prefer: wait` waits at most this.", minimum=0.0, maximum=3600.0, unit="seconds")
    rate: int = option(600, "Requests of a caller in a minute; a key may have its own.", minimum=1, maximum=1_000_000)
    fetch_urls: bool = option(False, "Also take photos as http(s) URLs; internal addresses are always refused.")
    webhooks: WebhookChoice = option(
        "public", "Where webhooks may go: public addresses, any (internal ones too), or off: nowhere."
    )
    webhook_secret: str | None = option(
        None, "File with the secret that signs webhooks; one is made in --state when not given."
    )
    log: LogChoice = option("json", "json: a JSON document a line; text: for people.")
