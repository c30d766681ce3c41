"""A text-to-image UNet of people and garments (stage c of mini): it becomes GarmentNet, and TryonNet's start.

Garments are seen without the added conditions (pooled text, time ids), as GarmentNet sees them; people with them, as
TryonNet does. Side by side, a garment and a person in it, the network learns where a garment goes before it has to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from idmvton.captions.templates import garment_prompt, tryon_prompt
from idmvton.checkpoint.parts import load_part
from idmvton.data.sample import TryOnSample
from idmvton.images import bytes_tensor, bytes_to_vae_tensor, from_vae_tensor, to_pil
from idmvton.models.latents import decode_latents, encode_latents
from idmvton.models.text import encode_prompts
from idmvton.training.batches import Batch
from idmvton.training.diffusion import Diffusion
from idmvton.training.export import save_parts, whole_folder
from idmvton.training.initialise import new_scheduler, new_unet
from idmvton.training.mini.linear_start import layers_that_keep_latents, start_with_latents
from idmvton.training.mini.stage_sections import TextToImageOptions
from idmvton.training.picture_rows import sheet
from idmvton.training.recipe import Recipe
from idmvton.training.sections import (
    DataOptions,
    NoiseOptions,
    TrainOptions,
    UnetOptions,
    ValidationOptions,
)
from idmvton.training.sources import Captioned, picture_to_learn
from idmvton.training.task import Loss
from idmvton.tryon.conditioning import guide, make_time_ids
from idmvton.tryon.schedulers import make_scheduler, set_timesteps
from idmvton.types import Size

_TEXT_PARTS = ("text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2")


class TextToImageStep(nn.Module):
    """What is wrapped for training: a UNet whose added conditions can be left out row by row."""

    def __init__(self, unet: Any) -> None:
        super().__init__()
        self.unet = unet

    def forward(
        self, noisy: Tensor, timesteps: Tensor, text: Tensor, added: Mapping[str, Tensor], with_added: Tensor
    ) -> Tensor:
        """The prediction (B, C, h, w); ``with_added`` float (B,) is 0 for rows without added conditions."""

        def leave_out(_module: nn.Module, _inputs: Any, embedded: Tensor) -> Tensor:
            return embedded * with_added[:, None].to(embedded.dtype)

        hook = self.unet.add_embedding.register_forward_hook(leave_out)
        try:
            prediction: Tensor = self.unet(
                noisy, timesteps, encoder_hidden_states=text, added_cond_kwargs=dict(added), return_dict=False
            )[0]
            return prediction
        finally:
            hook.remove()


class TextToImageTask:
    """See the module; built from the sections of a recipe.

    Args:
        recipe: with the sections of this task.
        dataset: the training samples; not used.

    Raises:
        WeightsError: parts that are missing or do not fit.
        ConfigError: sizes that do not fit.
    """

    def __init__(self, recipe: Recipe, dataset: Captioned) -> None:
        self.options, self.validation = recipe.section(TextToImageOptions), recipe.section(ValidationOptions)
        data = recipe.section(DataOptions)
        self.size = Size(data.height, data.width)
        text = {name: load_part(Path(self.options.text) / name, name) for name in _TEXT_PARTS}
        self.vae = load_part(Path(self.options.vae) / "vae", "vae")
        self.tokenizers = (text["tokenizer"], text["tokenizer_2"])
        self.text_encoders = (text["text_encoder"], text["text_encoder_2"])
        self.scheduler = new_scheduler(recipe.section(NoiseOptions))
        self.parts = text | {"vae": self.vae, "scheduler": self.scheduler}
        self.diffusion = Diffusion(self.scheduler, self.options.min_snr_gamma)
        self.content_settings: object = None
        self.num_timesteps = self.diffusion.num_timesteps
        self.factor = 2 ** (len(self.vae.config.block_out_channels) - 1)
        self.unet = self._start(recipe)
        self.unet.requires_grad_(True).train()
        if self.options.start == "latents":
            for layer in layers_that_keep_latents(self.unet):
                layer.weight.requires_grad_(False)  # with biases PyTorch 2.13 crashed in a backward pass
        if recipe.section(TrainOptions).gradient_checkpointing:
            self.unet.enable_gradient_checkpointing()
        self.encoders = self.frozen = (self.vae, *self.text_encoders)
        for part in self.frozen:
            part.requires_grad_(False).eval()
        self.step = TextToImageStep(self.unet)
        self.model: nn.Module = self.step
        self._no_text: tuple[Tensor, Tensor] | None = None

    def _start(self, recipe: Recipe) -> Any:
        if self.options.init is not None:
            return diffusers.UNet2DConditionModel.from_pretrained(self.options.init)
        unet = new_unet(
            recipe.section(UnetOptions),
            latent_channels=self.vae.config.latent_channels,
            text_width=sum(encoder.config.hidden_size for encoder in self.text_encoders),
            pooled_width=self.text_encoders[1].config.projection_dim,
            latent_height=self.size.height // self.factor,
        )
        if self.options.start == "latents":
            start_with_latents(unet)
        return unet

    # ------------------------------------------------------------------------------------------ in workers

    def content(self, sample: TryOnSample, rng: np.random.Generator) -> Batch:
        """Both pictures as bytes, and the phrase [V]."""
        person, garment = bytes_tensor([picture_to_learn(sample), sample.garment])
        return {"person": person, "garment": garment, "caption": sample.caption}

    def draw(self, rng: np.random.Generator) -> Batch:
        """What is shown, the timestep, whether the text is dropped, and noise for two pictures."""
        height, width = (side // self.factor for side in self.size)
        options = self.options
        double, person, text = rng.random(3)
        single = options.person + options.garment
        return {
            "is_double": bool(double * (single + options.side_by_side) >= single),
            "is_person": bool(person * single < options.person),
            "drop_text": bool(text < options.drop_text),
            "timestep": int(rng.integers(self.num_timesteps)),
            "noise": rng.standard_normal((self.vae.config.latent_channels, height, 2 * width), np.float32),
        }

    # ------------------------------------------------------------------------------------------ the loss

    @torch.no_grad()
    def encode(self, batch: Batch) -> Batch:
        """Latents of both pictures and embeddings of both prompts."""
        person = self._embed([tryon_prompt(each) for each in batch["caption"]])
        garment = self._embed([garment_prompt(each) for each in batch["caption"]])
        return {
            "person_latents": encode_latents(self.vae, bytes_to_vae_tensor(batch["person"])),
            "garment_latents": encode_latents(self.vae, bytes_to_vae_tensor(batch["garment"])),
            "person_text": person[0],
            "person_pooled": person[1],
            "garment_text": garment[0],
            "garment_pooled": garment[1],
        }

    def _embed(self, prompts: Sequence[str]) -> tuple[Tensor, Tensor]:
        embeds = encode_prompts(prompts, self.tokenizers, self.text_encoders, self.vae.device)
        return embeds.tokens.float(), embeds.pooled.float()

    @torch.no_grad()
    def _dropped(self) -> tuple[Tensor, Tensor]:
        if self._no_text is None:
            self._no_text = self._embed([self.options.negative_prompt])
        return self._no_text

    def loss(self, model: nn.Module, batch: Batch) -> Loss:
        """The error of the prediction; the first row decides whether this batch is side by side."""
        is_double = bool(batch["is_double"][0])
        is_person = batch["is_person"] | is_double
        if is_double:
            latents = torch.cat([batch["garment_latents"], batch["person_latents"]], dim=-1)
        else:
            latents = torch.where(is_person[:, None, None, None], batch["person_latents"], batch["garment_latents"])
        noise = batch["noise"][..., : latents.shape[-1]]
        text, pooled = self._prompts(batch, is_person)
        size = Size(self.size.height, self.size.width * (1 + is_double))
        prediction = model(
            self.diffusion.add_noise(latents, noise, batch["timestep"]),
            batch["timestep"],
            text,
            {"text_embeds": pooled, "time_ids": make_time_ids(size).to(latents.device).expand(len(latents), -1)},
            is_person.float(),
        )
        return Loss(self.diffusion.loss(prediction, latents, noise, batch["timestep"]), batch["timestep"])

    def _prompts(self, batch: Batch, is_person: Tensor) -> tuple[Tensor, Tensor]:
        no_text, no_pooled = self._dropped()
        text = torch.where(is_person[:, None, None], batch["person_text"], batch["garment_text"])
        pooled = torch.where(is_person[:, None], batch["person_pooled"], batch["garment_pooled"])
        dropped = batch["drop_text"]
        return (
            torch.where(dropped[:, None, None], no_text, text),
            torch.where(dropped[:, None], no_pooled, pooled),
        )

    # ------------------------------------------------------------------------------------------ results

    @torch.no_grad()
    def pictures(self, samples: Sequence[TryOnSample]) -> Image.Image:
        """A person and a garment for each caption, from noise, beside the true ones."""
        people = self._sample([tryon_prompt(each.caption) for each in samples], with_added=True)
        garments = self._sample([garment_prompt(each.caption) for each in samples], with_added=False)
        return sheet(
            [
                [picture_to_learn(each), person, each.garment, garment]
                for each, person, garment in zip(samples, people, garments, strict=True)
            ]
        )

    def _sample(self, prompts: Sequence[str], *, with_added: bool) -> list[Image.Image]:
        options, count, device = self.validation, len(prompts), self.vae.device
        text, pooled = self._embed(prompts)
        no_text, no_pooled = self._dropped()
        text, pooled = torch.cat([no_text.expand_as(text), text]), torch.cat([no_pooled.expand_as(pooled), pooled])
        time_ids = make_time_ids(self.size).to(device).expand(2 * count, -1)
        sampler = make_scheduler(self.scheduler, "ddim")
        height, width = (side // self.factor for side in self.size)
        generator = torch.Generator().manual_seed(options.seed)
        latents = torch.randn(count, self.vae.config.latent_channels, height, width, generator=generator).to(device)
        shown = torch.full((2 * count,), float(with_added), device=device)
        self.unet.eval()
        for timestep in set_timesteps(sampler, options.num_inference_steps):
            timesteps = timestep.to(device).expand(2 * count)
            added = {"text_embeds": pooled, "time_ids": time_ids}
            prediction = self.step(torch.cat([latents, latents]), timesteps, text, added, shown).float()
            latents = sampler.step(guide(prediction, options.guidance_scale), timestep, latents, return_dict=False)[0]
        self.unet.train()
        return to_pil(from_vae_tensor(decode_latents(self.vae, latents)).cpu())

    def measure(self, samples: Sequence[TryOnSample]) -> dict[str, float]:
        """Nothing beyond the loss."""
        return {}

    def export(self, folder: Path, model: Any) -> None:
        """Writes an SDXL-shaped folder: UNet, VAE, text encoders, tokenizers, scheduler."""
        with whole_folder(folder) as new:
            save_parts(self.parts | {"unet": model.unet}, new)
