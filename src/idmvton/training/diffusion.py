"""The noise of training: draws, what the network shall predict, and weights of timesteps."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from idmvton.errors import ConfigError
from idmvton.training.sections import ErrorName


class Diffusion:
    """The training side of a checkpoint's noise schedule.

    Args:
        scheduler: of the checkpoint.
        min_snr_gamma: limits the weight of timesteps with little noise (min-SNR); None weighs all the same.
        error: ``squared``, as in the paper: the best answer to what cannot be known is then the mean. ``absolute``: the
            median, which stays sharp; for a prediction in one step.

    Raises:
        ConfigError: epsilon prediction where the last timestep is pure noise (nothing could be learned there, and
            inference would divide by zero), or another prediction type.
    """

    def __init__(self, scheduler: Any, min_snr_gamma: float | None = None, error: ErrorName = "squared") -> None:
        self.scheduler = scheduler
        self.prediction_type = scheduler.config.prediction_type
        self.min_snr_gamma = min_snr_gamma
        self.error = F.mse_loss if error == "squared" else F.l1_loss
        self.num_timesteps = int(scheduler.config.num_train_timesteps)
        kept = scheduler.alphas_cumprod.double()
        if self.prediction_type not in ("epsilon", "v_prediction", "sample"):
            raise ConfigError(
                "the prediction type cannot be trained",
                got=self.prediction_type,
                expected="epsilon, v_prediction or sample",
            )
        if self.prediction_type == "epsilon" and float(kept[-1]) < 1e-6:
            raise ConfigError(
                "the schedule ends in pure noise, where epsilon prediction learns nothing",
                got=f"{type(scheduler).__name__} with rescale_betas_zero_snr",
                expected="epsilon with SDXL's schedule, or another prediction type",
            )
        self.snr = (kept / (1 - kept)).float()

    def add_noise(self, latents: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """Noisy latents; all float (B, C, h, w), timesteps int64 (B,)."""
        return self.scheduler.add_noise(latents, noise, timesteps)

    def target(self, latents: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """What the network shall predict."""
        if self.prediction_type == "epsilon":
            return noise
        if self.prediction_type == "sample":
            return latents
        return self.scheduler.get_velocity(latents, noise, timesteps)

    def weights(self, timesteps: Tensor) -> Tensor:
        """Weight of each row's loss, float (B,); finite also where there is no signal left."""
        if self.min_snr_gamma is None:
            return torch.ones_like(timesteps, dtype=torch.float32)
        snr = self.snr.to(timesteps.device)[timesteps]
        limited = snr.clamp(max=self.min_snr_gamma)
        if self.prediction_type == "v_prediction":
            return limited / (snr + 1)
        if self.prediction_type == "sample":
            return limited
        return torch.where(snr > 0, limited / snr.clamp(min=torch.finfo(snr.dtype).tiny), 1.0)

    def loss(
        self, prediction: Tensor, latents: Tensor, noise: Tensor, timesteps: Tensor, where: Tensor | None = None
    ) -> Tensor:
        """The weighted error of each row.

        Args:
            prediction: of the network, (B, C, h, w).
            latents, noise: float (B, C, h, w).
            timesteps: int64 (B,).
            where: float (B, 1, h, w), relative weight of each place; its mean does not matter.

        Returns:
            float32 (B,).
        """
        error = self.error(prediction.float(), self.target(latents, noise, timesteps).float(), reduction="none")
        if where is not None:
            error = error * where / where.mean(dim=(1, 2, 3), keepdim=True)
        return error.mean(dim=(1, 2, 3)) * self.weights(timesteps)
