"""Whole denoising of one picture with random weights: the published form against ours, in one run.

The published form runs all of GarmentNet at each step, concatenates zero tensors for the unconditional half, and
projects every prompt anew. Ours does what the pipeline does. Encoders and VAE are the same in both and left out.

    python -m benchmarks.denoising                                 # CPU: SDXL's shape at 1/5 of its width, 512x384
    python -m benchmarks.denoising --size full --device cuda       # full size, 1024x768, bfloat16
    python -m benchmarks.denoising --size full --device cuda --compile
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import diffusers
import torch
from diffusers.models.embeddings import IPAdapterPlusImageProjection
from tests.plain_form import guided_prediction, plain_form
from torch import Tensor

from benchmarks.memory import peak_memory
from idmvton import TryOnPipeline, load_checkpoint
from idmvton.devices import resolve_dtype, synchronize
from idmvton.models.garment_net import GarmentNet
from idmvton.models.tryon_net import TryonNet
from idmvton.tryon.conditioning import PersonConditions, make_time_ids, tryon_input
from idmvton.tryon.denoising import Denoiser
from idmvton.tryon.garment_features import GarmentRuns, feature_source
from idmvton.tryon.garments import GarmentConditions, PromptConditions
from idmvton.tryon.schedulers import make_scheduler
from idmvton.types import Size

TINY = Path(__file__).parents[1] / "tests" / "golden" / "dev" / "pipeline"
SDXL = {
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "transformer_layers_per_block": (1, 2, 10),
    "use_linear_projection": True,
}
SIZES: dict[str, dict[str, Any]] = {
    "full": {"widths": (320, 640, 1280), "heads": (5, 10, 20), "text": 2048, "picture": Size(1024, 768)},
    "fifth": {"widths": (64, 128, 256), "heads": (1, 2, 4), "text": 416, "picture": Size(512, 384)},
}
POOLED, CLIP_WIDTH, CLIP_TOKENS = 1280, 1280, 257


def build(
    widths: tuple[int, ...],
    heads: tuple[int, ...],
    text: int,
    device: torch.device,
    dtype: torch.dtype | None = None,
) -> TryOnPipeline:
    """A pipeline whose two UNets have random weights of the given size; its encoders are not used."""
    torch.manual_seed(0)
    shape = SDXL | {"block_out_channels": widths, "attention_head_dim": heads, "cross_attention_dim": text}
    added = {
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": POOLED + 6 * 256,
    }
    dtype = dtype or resolve_dtype("auto", device)
    with torch.device("meta"):
        unet = TryonNet.from_config(shape | added | {"in_channels": 13, "out_channels": 4})
        resampler = IPAdapterPlusImageProjection(CLIP_WIDTH, text, text // 2, depth=4, heads=4, num_queries=16)
        unet.install_processors(resampler)
        garment_net = GarmentNet.from_config(shape | {"in_channels": 4})
        garment_net.install_processors()
    nets = {"unet": unet, "unet_encoder": garment_net}
    for net in nets.values():
        fill(net, device, dtype)
    pipe = TryOnPipeline(**load_checkpoint(TINY, dtype=dtype) | nets)
    pipe.set_progress_bar_config(disable=True)
    pipe.graphs.is_enabled = False
    return pipe.to(device)


@torch.no_grad()
def fill(net: torch.nn.Module, device: torch.device, dtype: torch.dtype) -> None:
    """Random weights for a net on the meta device, made where they are used: signals keep their size through it."""
    net.to(dtype).to_empty(device=device).eval().requires_grad_(False)
    for name, each in net.named_buffers():
        if not name.endswith("position_ids"):
            raise ValueError(f"{name} would stay empty")
        each.copy_(torch.arange(each.numel(), device=device).view(each.shape))
    for module in net.modules():
        is_norm = isinstance(module, torch.nn.GroupNorm | torch.nn.LayerNorm)
        for name, each in module.named_parameters(recurse=False):
            if is_norm or name == "bias":
                each.fill_(float(is_norm and name == "weight"))
            else:
                each.normal_(std=(each[0].numel() if each.dim() > 1 else 1) ** -0.5)


class Case:
    """People in one garment, random conditions; the published loop takes one person."""

    def __init__(self, pipe: TryOnPipeline, picture: Size, num_steps: int, num_people: int = 1) -> None:
        self.pipe, self.size, self.num_steps, self.num_people = pipe, picture, num_steps, num_people
        device, dtype = pipe.device, pipe.unet.dtype
        text = pipe.unet.config.cross_attention_dim
        latent = (1, 4, picture.height // 8, picture.width // 8)

        def random(*shape: int) -> Tensor:
            return torch.randn(shape, device=device, dtype=dtype)

        def prompt() -> PromptConditions:
            return PromptConditions(random(1, 77, text), random(1, POOLED), random(1, CLIP_TOKENS, CLIP_WIDTH))

        people = (num_people, *latent[1:])
        self.noise = torch.randn(people, device=device)
        self.person = PersonConditions(
            torch.ones_like(random(num_people, 1, *latent[2:])), random(*people), random(*people)
        )
        self.garment = GarmentConditions("garment", prompt(), random(1, 77, text), random(*latent))
        self.unconditional = prompt()

    @torch.no_grad()
    def ours(self, policy: Any = "each_step", keep_cache: bool = False, together: int = 1) -> Tensor:
        """What the pipeline does, with an empty cache unless told to keep it."""
        if not keep_cache:
            self.pipe.feature_cache.clear()
        scheduler = self._scheduler()
        denoiser = Denoiser(
            self.pipe.networks,
            self.person,
            [0] * self.num_people,
            [self.garment.prompt],
            self.unconditional,
            size=self.size,
            guidance_scale=2.0,
            image_prompt_scale=1.0,
        )
        pipe = self.pipe
        runs = GarmentRuns(pipe.networks, [self.garment], pipe.feature_cache, pipe.device, together)
        features = feature_source(runs, policy, scheduler.timesteps.tolist())
        generator = [torch.Generator().manual_seed(seed) for seed in range(self.num_people)]
        return denoiser.run(self.noise, scheduler, scheduler.timesteps, features, generator)

    @torch.no_grad()
    def plain(self) -> Tensor:
        """The published loop."""
        scheduler, pipe = self._scheduler(), self.pipe
        both = (self.unconditional, self.garment.prompt)
        time_ids = make_time_ids(self.size).to(pipe.device, pipe.unet.dtype).expand(2, -1)
        added = {"text_embeds": torch.cat([each.pooled for each in both]), "time_ids": time_ids}
        image_tokens = pipe.unet.image_tokens(torch.cat([each.clip_hidden_states for each in both]))
        text = torch.cat([each.text for each in both])
        generator, latents = [torch.Generator().manual_seed(0)], self.noise
        for timestep in scheduler.timesteps:
            channels = tryon_input(latents.to(pipe.unet.dtype), self.person)
            prediction = guided_prediction(
                pipe.unet, pipe.unet_encoder, channels, self.garment.latents, timestep, text, image_tokens, added,
                self.garment.garment_text, 2.0,
            )  # fmt: skip
            latents = scheduler.step(prediction.float(), timestep, latents, generator=generator).prev_sample
        return latents

    def _scheduler(self) -> Any:
        scheduler = make_scheduler(self.pipe.scheduler)
        scheduler.set_timesteps(self.num_steps, device=self.pipe.device)
        return scheduler


class Form(NamedTuple):
    """A way to denoise, with the seconds and the peak bytes of each of its runs."""

    run: Callable[[], Tensor]
    seconds: list[float]
    peaks: list[int]

    def measure(self, device: torch.device) -> None:
        """Runs it once."""
        with peak_memory(device) as peak:
            start = time.perf_counter()
            self.run()
            synchronize(device)
            self.seconds.append(time.perf_counter() - start)
        self.peaks.append(peak.num_bytes)


def forms(case: Case) -> dict[str, Form]:
    """What is compared; the first is the published form."""

    def published() -> Tensor:
        with plain_form(case.pipe.unet, case.pipe.unet_encoder):
            return case.plain()

    runs: dict[str, Callable[[], Tensor]] = {
        "published": published,
        "ours": case.ours,
        "ours, garment seen before": partial(case.ours, keep_cache=True),  # after "ours", which fills the cache
        "ours, fixed garment timestep": partial(case.ours, 0),
    }
    return {name: Form(run, [], []) for name, run in runs.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="fifth")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--compile", action="store_true")
    arguments = parser.parse_args()
    diffusers.utils.logging.set_verbosity_error()
    device = torch.device(arguments.device)
    chosen = SIZES[arguments.size]
    pipe = build(chosen["widths"], chosen["heads"], chosen["text"], device)
    case = Case(pipe, chosen["picture"], arguments.steps)
    parameters = sum(each.numel() for net in (pipe.unet, pipe.unet_encoder) for each in net.parameters())
    print(
        f"torch {torch.__version__}, {device}, {pipe.unet.dtype}, {parameters / 1e6:.0f} M parameters, "
        f"{chosen['picture']}, {arguments.steps} steps, guidance 2.0{', compiled' if arguments.compile else ''}\n"
    )
    with plain_form(pipe.unet, pipe.unet_encoder):
        expected = case.plain()
    difference = (case.ours() - expected).abs().max() / expected.std()
    print(f"largest difference of the final latents: {difference:.1e} of their deviation\n")
    if arguments.compile:
        pipe.unet.compile()
        pipe.unet_encoder.compile()
    compared = forms(case)
    for _ in range(arguments.repeats + 1):  # in turns, so that a machine that slows down slows all of them
        for form in compared.values():
            form.measure(device)
    report(compared, device)


def report(compared: dict[str, Form], device: torch.device) -> None:
    """Prints the table; the first run of each form only warms up."""
    print("| form | seconds a picture | of the published form | peak memory beyond the weights, MB |")
    print("|---|---|---|---|")
    medians = {name: statistics.median(form.seconds[1:]) for name, form in compared.items()}
    for name, form in compared.items():
        share = medians[name] / medians["published"]
        # a process that freed memory keeps it resident
        memory = f"{max(form.peaks) / 2**20:.0f}" if device.type == "cuda" else "not measured"
        print(f"| {name} | {medians[name]:.2f} | {share:.2f} | {memory} |")


if __name__ == "__main__":
    main()
