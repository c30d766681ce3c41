"""Small CLIP encoders: garments and their captions learn to find each other (stage b of mini)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from idmvton.captions.templates import garment_prompt, tryon_prompt
from idmvton.data.sample import TryOnSample
from idmvton.images import clip_pixel_values
from idmvton.training.batches import Batch
from idmvton.training.export import save_parts, whole_folder
from idmvton.training.initialise import new_clip
from idmvton.training.mini.stage_sections import ContrastiveOptions
from idmvton.training.recipe import Recipe
from idmvton.training.sections import ClipOptions
from idmvton.training.sources import Captioned
from idmvton.training.task import Loss

_ENCODERS = ("image_encoder", "text_encoder", "text_encoder_2")
_MAX_SCALE = math.log(100)


class ClipStep(nn.Module):
    """What is wrapped for training: the three encoders, and a head for the text encoder that has none."""

    def __init__(self, parts: dict[str, Any], temperature: float) -> None:
        super().__init__()
        self.image_encoder = parts["image_encoder"]
        self.text_encoder, self.text_encoder_2 = parts["text_encoder"], parts["text_encoder_2"]
        width = self.text_encoder.config.hidden_size
        self.head = nn.Linear(width, self.image_encoder.config.projection_dim, bias=False)
        self.scales = nn.Parameter(torch.full((2,), -math.log(temperature)))

    def forward(self, pixels: Tensor, ids: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Unit vectors of pictures (B, P) and of texts by both encoders (2, B, P), and the scales (2,)."""
        images = self.image_encoder(pixels).image_embeds
        first = self.head(self.text_encoder(ids).pooler_output)
        second = self.text_encoder_2(ids).text_embeds
        texts = torch.stack([first, second])
        return F.normalize(images.float(), dim=-1), F.normalize(texts.float(), dim=-1), self.scales


class ContrastiveTask:
    """See the module; built from the sections of a recipe.

    Args:
        recipe: with the sections of this task.
        dataset: the training samples, whose captions the tokenizers learn from.
    """

    frozen: Sequence[nn.Module] = ()
    encoders: Sequence[nn.Module] = ()
    num_timesteps = 1

    def __init__(self, recipe: Recipe, dataset: Captioned) -> None:
        self.options = recipe.section(ContrastiveOptions)
        self.content_settings = self.options.to_dict() | recipe.section(ClipOptions).to_dict()
        self.parts = new_clip(recipe.section(ClipOptions), dataset.captions())
        self.tokenizer = self.parts["tokenizer"]
        self.step = ClipStep(self.parts, self.options.temperature)
        self.step.requires_grad_(True).train()
        self.model: nn.Module = self.step
        self.image_size = recipe.section(ClipOptions).image_size

    # ------------------------------------------------------------------------------------------ in workers

    def content(self, sample: TryOnSample, rng: np.random.Generator) -> Batch:
        """CLIP's pixels of the garment, and a prompt about it with some words left out."""
        is_worn, style = rng.random(2)
        picture = sample.garment_worn if is_worn < self.options.worn and sample.garment_worn else sample.garment
        prompts = (garment_prompt, tryon_prompt, str)
        prompt = prompts[int(style * len(prompts))](self._thinned(sample.caption, rng))
        return {
            "clip_pixels": clip_pixel_values([self._cropped(picture, rng)], self.image_size)[0],
            "ids": self._ids([prompt])[0],
        }

    def _thinned(self, caption: str, rng: np.random.Generator) -> str:
        words = caption.split()
        kept = [word for word in words if rng.random() >= self.options.drop_words]
        return " ".join(kept or words[-1:])

    def _cropped(self, picture: Image.Image, rng: np.random.Generator) -> Image.Image:
        width, height = (round(side * (1 - rng.random() * self.options.crop)) for side in picture.size)
        left, top = (
            int(rng.random() * (side - kept + 1)) for side, kept in zip(picture.size, (width, height), strict=True)
        )
        return picture.crop((left, top, left + width, top + height))

    def _ids(self, prompts: Sequence[str]) -> Tensor:
        tokens = self.tokenizer(
            list(prompts),
            padding="max_length",
            max_length=self.tokenizer.model_max_length,
            truncation=True,
            return_tensors="pt",
        )
        ids: Tensor = tokens.input_ids
        return ids

    def draw(self, rng: np.random.Generator) -> Batch:
        """Nothing: what is random is the content."""
        return {}

    # ------------------------------------------------------------------------------------------ the loss

    def encode(self, batch: Batch) -> Batch:
        """The contents themselves: nothing is frozen here."""
        return {name: batch[name] for name in ("clip_pixels", "ids")}

    def loss(self, model: nn.Module, batch: Batch) -> Loss:
        """Cross entropy in both directions, for both text encoders; equal texts are all right answers."""
        images, texts, scales = model(batch["clip_pixels"], batch["ids"])
        answers = _same_texts(batch["ids"]).float()
        answers = answers / answers.sum(1, keepdim=True)
        losses, parts = torch.zeros(len(images), device=images.device), {}
        for number, text in enumerate(texts, 1):
            scores = scales[number - 1].clamp(max=_MAX_SCALE).exp() * images @ text.T
            both = (
                F.cross_entropy(scores, answers, reduction="none")
                + F.cross_entropy(scores.T, answers, reduction="none")
            ) / 2
            losses = losses + both / 2
            parts[f"text_encoder_{number}"] = both.mean()
        return Loss(losses, parts=parts)

    # ------------------------------------------------------------------------------------------ results

    def pictures(self, samples: Sequence[TryOnSample]) -> None:
        """There is nothing to see."""

    @torch.no_grad()
    def measure(self, samples: Sequence[TryOnSample]) -> dict[str, float]:
        """How often the nearest text of a garment is its own, among the validation samples' captions."""
        self.step.eval()
        device = self.step.scales.device
        pixels = clip_pixel_values([sample.garment for sample in samples], self.image_size).to(device)
        ids = self._ids([garment_prompt(sample.caption) for sample in samples]).to(device)
        images, texts, _ = self.step(pixels, ids)
        self.step.train()
        right = _same_texts(ids)
        return {
            f"retrieval_{number}": float(right.gather(1, (images @ text.T).argmax(1, keepdim=True)).float().mean())
            for number, text in enumerate(texts, 1)
        }

    def export(self, folder: Path, model: Any) -> None:
        """Writes both tokenizers and the three encoders; the image encoder's config gets the scale of the cosines."""
        model.image_encoder.config.logit_scale = float(model.scales[1].detach().clamp(max=_MAX_SCALE).exp())
        with whole_folder(folder) as new:
            save_parts(self.parts | {name: getattr(model, name) for name in _ENCODERS}, new)


def _same_texts(ids: Tensor) -> Tensor:
    """Bool (B, B): whether two texts are equal; ids (B, T)."""
    return (ids[:, None] == ids[None]).all(-1)
