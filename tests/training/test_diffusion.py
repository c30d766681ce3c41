"""The noise schedule of training: epsilon, min-SNR, and a schedule without any signal at its end."""

import diffusers
import pytest
import torch

from idmvton.errors import ConfigError
from idmvton.training.diffusion import Diffusion

SDXL = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}


def test_epsilon_is_the_target_on_the_published_schedule():
    diffusion = Diffusion(diffusers.DDPMScheduler(**SDXL))
    latents, noise, timesteps = torch.randn(3, 4, 2, 2), torch.randn(3, 4, 2, 2), torch.tensor([0, 400, 999])
    kept = diffusion.scheduler.alphas_cumprod[timesteps][:, None, None, None]
    expected = kept.sqrt() * latents + (1 - kept).sqrt() * noise
    torch.testing.assert_close(diffusion.add_noise(latents, noise, timesteps), expected)
    assert torch.equal(diffusion.target(latents, noise, timesteps), noise)
    losses = diffusion.loss(noise + 2, latents, noise, timesteps)
    torch.testing.assert_close(losses, torch.full((3,), 4.0))


def test_min_snr_weights():
    """Weight min(snr, 5) / snr; 1 where the ratio is below the limit."""
    diffusion = Diffusion(diffusers.DDPMScheduler(**SDXL), min_snr_gamma=5.0)
    kept = diffusion.scheduler.alphas_cumprod.double()
    snr = kept / (1 - kept)
    weights = diffusion.weights(torch.arange(1000))
    torch.testing.assert_close(weights, (snr.clamp(max=5) / snr).float())
    assert weights[999] == 1.0
    assert weights[0] < 0.01


def test_no_signal_at_the_end():
    """Fault 10: epsilon prediction is refused there, and no weight is NaN."""
    ending = diffusers.DDPMScheduler(**SDXL, rescale_betas_zero_snr=True)
    with pytest.raises(ConfigError, match="pure noise"):
        Diffusion(ending, min_snr_gamma=5.0)
    diffusion = Diffusion(diffusers.DDPMScheduler(**SDXL), min_snr_gamma=5.0)
    diffusion.snr[-1] = 0.0
    assert diffusion.weights(torch.tensor([998, 999])).tolist() == [1.0, 1.0]


def test_velocity():
    scheduler = diffusers.DDPMScheduler(**SDXL, prediction_type="v_prediction", rescale_betas_zero_snr=True)
    diffusion = Diffusion(scheduler, min_snr_gamma=5.0)
    latents, noise = torch.randn(1, 4, 2, 2), torch.randn(1, 4, 2, 2)
    torch.testing.assert_close(diffusion.target(latents, noise, torch.tensor([999])), -latents)
    assert torch.isfinite(diffusion.weights(torch.arange(1000))).all()


def test_the_sample():
    scheduler = diffusers.DDPMScheduler(**SDXL, prediction_type="sample", rescale_betas_zero_snr=True)
    diffusion = Diffusion(scheduler, min_snr_gamma=5.0)
    latents, noise = torch.randn(1, 4, 2, 2), torch.randn(1, 4, 2, 2)
    assert torch.equal(diffusion.target(latents, noise, torch.tensor([999])), latents)
    assert diffusion.weights(torch.tensor([0, 999])).tolist() == [5.0, 0.0]


def test_other_predictions_are_refused():
    scheduler = diffusers.DDPMScheduler(**SDXL)
    scheduler.register_to_config(prediction_type="score")
    with pytest.raises(ConfigError, match="prediction type"):
        Diffusion(scheduler)


def test_places_weigh_against_each_other():
    diffusion = Diffusion(diffusers.DDPMScheduler(**SDXL))
    noise, where = torch.zeros(1, 4, 1, 2), torch.tensor([[[[1.0, 3.0]]]])
    prediction = torch.tensor([1.0, 2.0]).expand(1, 4, 1, 2)
    loss = diffusion.loss(prediction, noise, noise, torch.tensor([5]), where)
    assert loss.tolist() == [pytest.approx((1 * 1 + 3 * 4) / 4)]
    assert torch.equal(loss, diffusion.loss(prediction, noise, noise, torch.tensor([5]), 7 * where))


@pytest.mark.parametrize(("error", "best"), [("squared", 0.25), ("absolute", 0.0)])
def test_what_cannot_be_known_becomes_the_mean_or_the_median(error, best):
    scheduler = diffusers.DDPMScheduler(**SDXL | {"prediction_type": "sample"})
    diffusion = Diffusion(scheduler, error=error)
    truth = torch.tensor([0.0, 0.0, 0.0, 1.0])[:, None, None, None]  # four equally likely pictures
    last = torch.full((4,), 999)
    losses = {
        guess: float(diffusion.loss(torch.full_like(truth, guess), truth, truth, last).mean())
        for guess in (0.0, 0.25, 0.5, 1.0)
    }
    assert min(losses, key=losses.__getitem__) == best
