"""The paper's task: TryonNet and its image-prompt layers learn to repaint people in garments (sections 3 and 4.1).

GarmentNet, the VAE and the encoders are frozen. Conditions come from the code that inference runs, and a dropped
condition is exactly what the unconditional half of guidance sees.

Shape legend: B rows of the batch, U rows without a garment, C latent channels, h and w latent pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from idmvton.checkpoint.published import POLICIES, save_checkpoint
from idmvton.data.sample import TryOnSample
from idmvton.errors import ConfigError
from idmvton.images import bytes_tensor, bytes_to_vae_tensor, clip_pixel_values, mask_to_tensor
from idmvton.models.attention import CONTEXT, AttentionContext
from idmvton.models.latents import encode_latents
from idmvton.models.tryon_net import TryonNet
from idmvton.training.batches import Batch
from idmvton.training.diffusion import Diffusion
from idmvton.training.lora import add_adapters, without_adapters
from idmvton.training.masks import vary_mask
from idmvton.training.picture_rows import greyed, sheet
from idmvton.training.recipe import Recipe
from idmvton.training.sections import (
    DataOptions,
    LoraOptions,
    MaskOptions,
    TrainOptions,
    TryOnTaskOptions,
    ValidationOptions,
)
from idmvton.training.sources import Captioned, picture_to_learn
from idmvton.training.start import start_components
from idmvton.training.task import Loss
from idmvton.tryon.conditioning import PersonConditions, encode_person, make_time_ids, tryon_input
from idmvton.tryon.pipeline import TryOnPipeline
from idmvton.types import Size

_PICTURES = ("person", "target", "garment", "densepose")


_FEATURE = "feature:"
DRAFT = "draft_latents"
"""What a subclass may add to a batch: more channels of TryonNet's input."""


class TryOnStep(nn.Module):
    """What is wrapped for training: the resampler and TryonNet in one forward pass."""

    def __init__(self, unet: TryonNet) -> None:
        super().__init__()
        self.unet = unet

    def forward(
        self,
        channels: Tensor,
        timesteps: Tensor,
        text: Tensor,
        added: Mapping[str, Tensor],
        clip_hidden_states: Tensor,
        garment: Mapping[str, Tensor],
        num_zero_garment: int,
    ) -> Tensor:
        """The prediction.

        Args:
            channels: float (B, 3C + 1, h, w), from :func:`idmvton.tryon.conditioning.tryon_input`.
            timesteps: int64 (B,).
            text: float (B, T, C), prompt embeddings.
            added: ``text_embeds`` and ``time_ids``.
            clip_hidden_states: float (B, patches + 1, width).
            garment: layer name -> features of the garments of the rows from U on.
            num_zero_garment: U, the leading rows without a garment.

        Returns:
            float (B, C, h, w).
        """
        context = AttentionContext(garment=garment, num_zero_garment=num_zero_garment)
        return self.unet(
            channels,
            timesteps,
            encoder_hidden_states=(text, [self.unet.image_tokens(clip_hidden_states)]),
            added_cond_kwargs=dict(added),
            cross_attention_kwargs={CONTEXT: context},
            return_dict=False,
        )[0]


class TryOnTask:
    """The paper's training, built from the sections of a recipe.

    Args:
        recipe: with the sections of this task.
        dataset: the training samples, for the captions that new tokenizers learn from.

    Raises:
        WeightsError: parts that are missing or do not fit.
        ConfigError: options that do not fit the parts.
    """

    first_timestep = 0
    end_timestep: int | None = None

    def __init__(self, recipe: Recipe, dataset: Captioned) -> None:
        self.options, self.masks = recipe.section(TryOnTaskOptions), recipe.section(MaskOptions)
        self.lora, self.validation = recipe.section(LoraOptions), recipe.section(ValidationOptions)
        self.training, self.data = recipe.section(TrainOptions), recipe.section(DataOptions)
        self.size = Size(self.data.height, self.data.width)
        self.content_settings: list[object] = [self.masks.to_dict()]
        self.pipe = self._pipeline(self._components(recipe, dataset))
        self.unet: TryonNet = self.pipe.unet
        self.garment_net = self.pipe.unet_encoder
        self.diffusion = self._make_diffusion()
        self.num_timesteps = self.diffusion.num_timesteps
        encoders = self._encoders()
        self.frozen: tuple[nn.Module, ...] = (*encoders, self.garment_net)
        self.encoders = self._cached_encoders(encoders)
        self._freeze()
        self._unfreeze_what_learns()
        self.model: nn.Module = TryOnStep(self.unet)
        self._unconditional: Any = None

    # ------------------------------------------------------------------------------------------ setting up

    def _components(self, recipe: Recipe, dataset: Captioned) -> dict[str, Any]:
        """The parts to start from."""
        return start_components(recipe, dataset)

    def _policies(self) -> dict[str, Any]:
        """What the checkpoint says about its own use."""
        fixed = self.options.garment_timestep
        return {
            "garment_timestep": "each_step" if fixed is None else fixed,
            "time_ids": self.options.time_ids,
            "num_inference_steps": self.options.num_inference_steps,
            "guidance_scale": self.options.guidance_scale,
        }

    def _pipeline(self, components: dict[str, Any]) -> TryOnPipeline:
        """The pipeline whose networks are trained, and whose code makes their conditions; it caches no garments."""
        pipe = TryOnPipeline(**components | self._policies())
        pipe.set_progress_bar_config(disable=True)
        pipe.garment_cache.max_bytes = pipe.feature_cache.max_bytes = 0
        pipe.working_size(*self.size)
        pipe.unet.register_to_config(sample_size=self.size.height // pipe.vae_scale_factor)
        return pipe

    def _make_diffusion(self) -> Diffusion:
        return Diffusion(self.pipe.scheduler, self.options.min_snr_gamma)

    def _encoders(self) -> tuple[nn.Module, ...]:
        """The frozen networks before GarmentNet."""
        return (self.pipe.vae, *self.pipe.text_encoders, self.pipe.image_encoder)

    def _cached_encoders(self, encoders: tuple[nn.Module, ...]) -> tuple[nn.Module, ...]:
        """The networks whose results a cache keeps: GarmentNet too, where its features never change."""
        if not self.options.cache_features:
            return encoders
        if self.options.garment_timestep is None or self.data.cache is None:
            raise ConfigError(
                "GarmentNet's features cannot be kept",
                got=f"garment_timestep={self.options.garment_timestep}, data.cache={self.data.cache!r}",
                expected="a fixed tryon.garment_timestep, and data.cache",
            )
        self.content_settings += [self._policies()["garment_timestep"]]
        return (*encoders, self.garment_net)

    def _freeze(self) -> None:
        """Freezes what is not trained; in half precision where training is, but for :meth:`_in_full_precision`."""
        exact = self._in_full_precision()
        for part in self.frozen:
            part.requires_grad_(False).eval()
            if self.training.precision == "bfloat16" and part not in exact:
                nn.Module.to(part, torch.bfloat16)

    def _in_full_precision(self) -> tuple[nn.Module, ...]:
        return (self.pipe.vae,)

    def _unfreeze_what_learns(self) -> None:
        """All of TryonNet, its image prompt among it; or its adapters."""
        self.unet.requires_grad_(True).train()
        if self.lora.rank:
            add_adapters(self.unet, self.lora)
        if self.training.gradient_checkpointing:
            self.unet.enable_gradient_checkpointing()

    # ------------------------------------------------------------------------------------------ in workers

    def content(self, sample: TryOnSample, rng: np.random.Generator) -> Batch:
        """Pictures as bytes, the mask, CLIP's pixels, the phrase [V]."""
        mask = vary_mask(sample.mask, rng, self.masks)
        pictures = {
            "person": sample.person,
            "target": picture_to_learn(sample),
            "garment": sample.garment,
            "densepose": sample.densepose,
        }
        return {
            **dict(zip(pictures, bytes_tensor(list(pictures.values())), strict=True)),
            "mask": mask_to_tensor([mask])[0],
            "clip_pixels": clip_pixel_values([sample.garment], self.pipe.image_encoder.config.image_size)[0],
            "caption": sample.caption,
        }

    def draw(self, rng: np.random.Generator) -> Batch:
        """Noise, timestep, and which conditions are dropped."""
        options, factor = self.options, self.pipe.vae_scale_factor
        shape = (self.pipe.vae.config.latent_channels, self.size.height // factor, self.size.width // factor)
        everything, text, image_prompt, garment = rng.random(4)
        dropped_all = everything < options.drop_all
        return {
            "timestep": int(rng.integers(self.first_timestep, self.end_timestep or self.num_timesteps)),
            "drop_text": bool(dropped_all or text < options.drop_text),
            "drop_image_prompt": bool(dropped_all or image_prompt < options.drop_image_prompt),
            "drop_garment": bool(dropped_all or garment < options.drop_garment),
            "noise": rng.standard_normal(shape, np.float32),
        }

    # ------------------------------------------------------------------------------------------ the loss

    @torch.no_grad()
    def encode(self, batch: Batch) -> Batch:
        """Latents and embeddings, by the code of the pipeline."""
        pictures = {name: bytes_to_vae_tensor(batch[name]) for name in _PICTURES}
        person = encode_person(self.pipe.vae, pictures["person"], batch["mask"], pictures["densepose"], torch.float32)
        shown, more = self._shown_garment(pictures, batch)
        garment = self.pipe.garment_encoder.encode_pixels(batch["caption"], shown, batch["clip_pixels"])
        if self.options.cache_features:
            features = self._run_garment_net(
                garment.latents, garment.garment_text, batch["mask"].new_zeros(len(batch["mask"]))
            )
            more |= {_FEATURE + name: tokens.half() for name, tokens in features.items()}
        return more | {
            "latents": encode_latents(self.pipe.vae, pictures["target"]),
            "latent_mask": person.mask,
            "masked_latents": person.masked_latents,
            "densepose_latents": person.densepose_latents,
            "garment_latents": garment.latents.float(),
            "garment_text": garment.garment_text.float(),
            "text": garment.prompt.text.float(),
            "pooled": garment.prompt.pooled.float(),
            "clip_hidden_states": garment.prompt.clip_hidden_states.float(),
        }

    def _shown_garment(self, pictures: Mapping[str, Tensor], batch: Batch) -> tuple[Tensor, Batch]:
        """What GarmentNet sees, float (B, 3, H, W) in [-1, 1], and what the loss needs besides."""
        return pictures["garment"], {}

    def loss(self, model: nn.Module, batch: Batch) -> Loss:
        """The error of the prediction, on rows sorted so that those without a garment come first."""
        order = torch.argsort(batch["drop_garment"].int(), descending=True, stable=True)
        rows = {name: value[order] for name, value in batch.items() if isinstance(value, Tensor)}
        num_dropped = int(rows["drop_garment"].sum())
        noisy = self.diffusion.add_noise(rows["latents"], rows["noise"], rows["timestep"])
        person = PersonConditions(
            rows["latent_mask"], rows["masked_latents"], rows["densepose_latents"], rows.get(DRAFT)
        )
        text, pooled, clip_hidden_states = self._prompts(rows)
        time_ids = make_time_ids(self.size, self.options.time_ids).to(noisy.device)
        prediction = model(
            tryon_input(noisy, person),
            rows["timestep"],
            text,
            {"text_embeds": pooled, "time_ids": time_ids.expand(len(noisy), -1)},
            clip_hidden_states,
            self._garment_features(rows, num_dropped),
            num_dropped,
        )
        losses = self.diffusion.loss(prediction, rows["latents"], rows["noise"], rows["timestep"], self._where(rows))
        return Loss(losses, rows["timestep"])

    def _where(self, rows: Batch) -> Tensor | None:
        """Relative weight of each place of the loss, float (B, 1, h, w); None where all weigh the same."""
        weight = self.options.masked_region_weight
        return None if weight == 1 else 1 + (weight - 1) * rows["latent_mask"]

    def _prompts(self, rows: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Text, pooled text and CLIP states; dropped ones are those of the unconditional half at inference."""
        unconditional = self.unconditional()
        no_text, no_image = rows["drop_text"], rows["drop_image_prompt"]
        return (
            torch.where(no_text[:, None, None], unconditional["text"], rows["text"]),
            torch.where(no_text[:, None], unconditional["pooled"], rows["pooled"]),
            torch.where(no_image[:, None, None], unconditional["clip_hidden_states"], rows["clip_hidden_states"]),
        )

    @torch.no_grad()
    def unconditional(self) -> Batch:
        """The conditions of the unconditional half, one row each; computed once."""
        if self._unconditional is None:
            found = self.pipe.garment_encoder.encode_unconditional(self.options.negative_prompt)
            self._unconditional = {
                "text": found.text.float(),
                "pooled": found.pooled.float(),
                "clip_hidden_states": found.clip_hidden_states.float(),
            }
        return self._unconditional

    @torch.no_grad()
    def _garment_features(self, rows: Batch, num_dropped: int) -> dict[str, Tensor]:
        """GarmentNet's features for the rows with a garment; if there is none, of the last, to count tokens."""
        first = min(num_dropped, len(rows["timestep"]) - 1)
        kept = {name: value[first:] for name, value in rows.items() if name.startswith(_FEATURE)}
        if kept:
            return {name.removeprefix(_FEATURE): tokens.float() for name, tokens in kept.items()}
        return self._run_garment_net(
            rows["garment_latents"][first:], rows["garment_text"][first:], rows["timestep"][first:]
        )

    def _run_garment_net(self, latents: Tensor, text: Tensor, timesteps: Tensor) -> dict[str, Tensor]:
        """GarmentNet's features at the timestep of the policy."""
        policy, dtype = self.options.garment_timestep, self.garment_net.dtype
        timesteps = timesteps if policy is None else torch.full_like(timesteps, policy)
        return dict(self.garment_net(latents.to(dtype), timesteps, text.to(dtype)).tokens)

    # ------------------------------------------------------------------------------------------ results

    @torch.no_grad()
    def pictures(self, samples: Sequence[TryOnSample]) -> Image.Image | None:
        """Person, garment, what is repainted, the result, and how it should look; one row a sample."""
        self.unet.eval()
        result = self.pipe(
            person=[each.person for each in samples],
            garment=[each.garment for each in samples],
            mask=[each.mask for each in samples],
            densepose=[each.densepose for each in samples],
            caption=[each.caption for each in samples],
            num_inference_steps=self.validation.num_inference_steps,
            guidance_scale=self.validation.guidance_scale,
            negative_prompt=self.options.negative_prompt,
            seed=[self.validation.seed + row for row in range(len(samples))],
            height=self.size.height,
            width=self.size.width,
            feather=0,
        )
        self.unet.train()
        return sheet(
            [
                [each.person, each.garment, greyed(each.person, each.mask), picture, picture_to_learn(each)]
                for each, picture in zip(samples, result.images, strict=True)
            ]
        )

    def measure(self, samples: Sequence[TryOnSample]) -> dict[str, float]:
        """Nothing beyond the loss."""
        return {}

    def export(self, folder: Path, model: Any) -> None:
        """The complete checkpoint, in float32; adapters are merged, and also written separately."""
        policies = {name: self.pipe.config[name] for name in POLICIES}
        with without_adapters(model.unet, folder.parent / "adapters" if self.lora.rank else None) as unet:
            save_checkpoint(self.pipe.components | {"unet": unet} | policies, folder)
