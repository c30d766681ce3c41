"""The VAE: pictures -> latents -> pictures (stage a of mini).

The loss is the absolute difference, the difference of gradients at several sizes (edges and prints stay sharp without
a perceptual network), and a little divergence from a normal distribution.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from idmvton.checkpoint.parts import load_part
from idmvton.data.sample import TryOnDataset, TryOnSample
from idmvton.errors import ConfigError
from idmvton.images import bytes_tensor, bytes_to_vae_tensor, from_vae_tensor, to_pil
from idmvton.images.framing import check_size
from idmvton.training.batches import Batch
from idmvton.training.export import save_parts, whole_folder
from idmvton.training.initialise import new_vae
from idmvton.training.mini.linear_start import start_as_codec
from idmvton.training.mini.stage_sections import AutoencoderOptions
from idmvton.training.picture_rows import greyed, sheet
from idmvton.training.recipe import Recipe
from idmvton.training.sections import DataOptions, VaeOptions
from idmvton.training.task import Loss

_KINDS = ("person", "garment", "densepose", "masked")
_MEASURED = 48
"""Training samples from which the latents' mean and deviation are taken."""


class VaeStep(nn.Module):
    """What is wrapped for training: encoding and decoding in one forward pass."""

    def __init__(self, vae: Any, *, decoder_only: bool) -> None:
        super().__init__()
        self.vae, self.decoder_only = vae, decoder_only

    def forward(self, pixels: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Reconstructions (B, 3, H, W) of pictures in [-1, 1], and the divergence of each row (B,)."""
        posterior = self.vae.encode(pixels).latent_dist
        latents = posterior.mode() if self.decoder_only else posterior.mean + posterior.std * noise
        return self.vae.decode(latents, return_dict=False)[0], posterior.kl()


class AutoencoderTask:
    """See the module; built from the sections of a recipe.

    Args:
        recipe: with the sections of this task.
        dataset: the training samples, from which the scale of the latents is measured.

    Raises:
        WeightsError: a VAE that is missing or does not fit.
        ConfigError: the decoder alone of a new VAE.
        InputError: a size that the VAE cannot halve often enough.
    """

    frozen: Sequence[nn.Module] = ()
    encoders: Sequence[nn.Module] = ()
    num_timesteps = 1

    def __init__(self, recipe: Recipe, dataset: TryOnDataset) -> None:
        self.options, self.dataset = recipe.section(AutoencoderOptions), dataset
        data = recipe.section(DataOptions)
        self.content_settings = [*(getattr(self.options, kind) for kind in _KINDS), self.options.crop]
        start = self.options.init
        self.vae = self._new(recipe) if start is None else load_part(Path(start), "vae")
        self.vae.requires_grad_(True).train()
        if self.options.decoder_only:
            if start is None:
                raise ConfigError("a new VAE has no latents to keep", got="autoencoder.decoder_only", fix="set init")
            for part in (self.vae.encoder, self.vae.quant_conv):
                part.requires_grad_(False)
        self.factor = 2 ** (len(self.vae.config.block_out_channels) - 1)
        crop = self.options.crop
        self.size = (crop, crop) if crop else (data.height, data.width)
        check_size(*self.size, self.factor)
        self.model: nn.Module = VaeStep(self.vae, decoder_only=self.options.decoder_only)

    def _new(self, recipe: Recipe) -> Any:
        vae = new_vae(recipe.section(VaeOptions))
        if self.options.start == "codec":
            start_as_codec(vae)
        return vae

    # ------------------------------------------------------------------------------------------ in workers

    def content(self, sample: TryOnSample, rng: np.random.Generator) -> Batch:
        """One picture of the sample, or a crop of it, as bytes."""
        shares = np.array([getattr(self.options, kind) for kind in _KINDS])
        kind = _KINDS[int(rng.choice(len(_KINDS), p=shares / shares.sum()))]
        place = rng.random(2)
        picture = _picture(sample, kind)
        if self.options.crop:
            height, width = self.size
            top = int(place[0] * (picture.height - height + 1))
            left = int(place[1] * (picture.width - width + 1))
            picture = picture.crop((left, top, left + width, top + height))
        return {"picture": bytes_tensor([picture])[0]}

    def draw(self, rng: np.random.Generator) -> Batch:
        """The noise of the posterior."""
        height, width = (side // self.factor for side in self.size)
        return {"noise": rng.standard_normal((self.vae.config.latent_channels, height, width), np.float32)}

    # ------------------------------------------------------------------------------------------ the loss

    def encode(self, batch: Batch) -> Batch:
        """The pictures themselves: they are encoded in training."""
        return {"picture": batch["picture"]}

    def loss(self, model: nn.Module, batch: Batch) -> Loss:
        """Differences of pixels and of gradients, and the divergence per latent number."""
        pixels = bytes_to_vae_tensor(batch["picture"])
        made, divergence = model(pixels, batch["noise"])
        made = made.float()
        l1 = (made - pixels).abs().mean(dim=(1, 2, 3))
        gradients = gradient_difference(made, pixels, self.options.num_scales)
        kl = divergence.float() / batch["noise"][0].numel()
        options = self.options
        total = options.l1_weight * l1 + options.gradient_weight * gradients + options.kl_weight * kl
        parts = {"l1": l1.mean(), "gradients": gradients.mean(), "kl": kl.mean()}
        return Loss(total, parts=parts)

    # ------------------------------------------------------------------------------------------ results

    @torch.no_grad()
    def _reconstructed(self, pictures: Sequence[Image.Image]) -> tuple[Tensor, Tensor]:
        """Pictures and reconstructions from the mode, float (B, 3, H, W) in [0, 1]."""
        self.vae.eval()
        made, originals = [], []
        for picture in pictures:
            pixels = bytes_to_vae_tensor(bytes_tensor([picture]).to(self.vae.device))
            latents = self.vae.encode(pixels).latent_dist.mode()
            made.append(from_vae_tensor(self.vae.decode(latents, return_dict=False)[0]))
            originals.append(from_vae_tensor(pixels))
        self.vae.train()
        return torch.cat(originals), torch.cat(made)

    def pictures(self, samples: Sequence[TryOnSample]) -> Image.Image:
        """Each kind of picture beside its reconstruction."""
        rows = []
        for sample in samples:
            originals = [_picture(sample, kind) for kind in _KINDS]
            made = to_pil(self._reconstructed(originals)[1].cpu())
            rows.append([each for pair in zip(originals, made, strict=True) for each in pair])
        return sheet(rows)

    def measure(self, samples: Sequence[TryOnSample]) -> dict[str, float]:
        """PSNR (dB) of each kind of picture."""
        figures = {}
        for kind in _KINDS:
            originals, made = self._reconstructed([_picture(sample, kind) for sample in samples])
            errors = F.mse_loss(made, originals, reduction="none").mean(dim=(1, 2, 3)).clamp(min=1e-10)
            figures[f"psnr_{kind}"] = float((-10 * errors.log10()).mean())
        return figures

    @torch.no_grad()
    def export(self, folder: Path, model: Any) -> None:
        """Writes ``vae``; new latents are given mean 0 and deviation 1 in every channel on the training samples."""
        vae = copy.deepcopy(model.vae).eval()
        if not self.options.decoder_only:
            standardise(vae, *self._statistics(vae))
        with whole_folder(folder) as new:
            save_parts({"vae": vae}, new)

    def _statistics(self, vae: Any) -> tuple[Tensor, Tensor]:
        """Mean and deviation of each latent channel."""
        latents = []
        for index in range(min(len(self.dataset), _MEASURED)):
            sample = self.dataset[index]
            kinds = [kind for kind in _KINDS if getattr(self.options, kind)]
            pixels = bytes_to_vae_tensor(bytes_tensor([_picture(sample, kind) for kind in kinds]).to(vae.device))
            latents.append(vae.encode(pixels).latent_dist.mode())
        values = torch.cat(latents).transpose(0, 1).flatten(1)
        return values.mean(1), values.std(1)


def _picture(sample: TryOnSample, kind: str) -> Image.Image:
    if kind == "masked":
        return greyed(sample.person, sample.mask)
    picture: Image.Image = getattr(sample, kind)
    return picture


def gradient_difference(made: Tensor, pixels: Tensor, num_scales: int) -> Tensor:
    """How much the differences of neighbouring pixels differ, at several sizes; (B, 3, H, W) twice -> (B,)."""
    difference = made - pixels
    total = torch.zeros(len(made), device=made.device)
    for scale in range(num_scales):
        difference = F.avg_pool2d(difference, 2) if scale else difference
        rows = difference[..., 1:, :] - difference[..., :-1, :]
        columns = difference[..., 1:] - difference[..., :-1]
        total = total + (rows.abs().mean(dim=(1, 2, 3)) + columns.abs().mean(dim=(1, 2, 3))) / num_scales
    return total


@torch.no_grad()
def standardise(vae: Any, mean: Tensor, deviation: Tensor) -> None:
    """Moves the latents' mean and deviation into the 1x1 convolutions around them, in place.

    Pictures -> latents -> pictures stays what it was; the latents have mean 0 and deviation 1 in each channel, so
    ``scaling_factor`` is 1.

    Args:
        vae: ``AutoencoderKL`` with both 1x1 convolutions.
        mean, deviation: float (C,), of the posterior's mode.
    """
    count = len(mean)
    before, after = vae.quant_conv, vae.post_quant_conv
    before.weight[:count] /= deviation[:, None, None, None]
    before.bias[:count] = (before.bias[:count] - mean) / deviation
    before.bias[count:] -= 2 * deviation.log()
    after.bias += (after.weight[:, :, 0, 0] @ mean[:, None])[:, 0]
    after.weight *= deviation[None, :, None, None]
    vae.register_to_config(scaling_factor=1.0)
