"""The try-on task: what it tells the networks is what inference tells them, and only TryonNet learns."""

import dataclasses

import numpy as np
import pytest
import torch

from idmvton.models.text import encode_prompts
from idmvton.training.batches import collate
from idmvton.training.sections import TryOnTaskOptions
from idmvton.training.sources import Fetcher
from idmvton.tryon.conditioning import guide
from idmvton.tryon.denoising import Denoiser
from idmvton.tryon.garment_features import GarmentRuns, feature_source
from training.tryon_tasks import NOTHING_DROPPED, SIZE, Recording, batch_of, build, inference


def test_every_condition_equals_inference(plain):
    """Faults 7, 8 and 12: prompts, time ids, picture sizes; through the pipeline's own code."""
    task, dataset = plain
    samples = [dataset[0], dataset[1]]
    _, garments, people = inference(task.pipe, samples)
    batch = batch_of(task, dataset, [0, 1])
    recorded = Recording(task.model)
    task.loss(recorded, batch)
    channels, _, text, added, clip_hidden_states, _, num_zero_garment = recorded.arguments
    assert num_zero_garment == 0
    for row, (sample, garment) in enumerate(zip(samples, garments, strict=True)):
        said = [f"model is wearing {sample.caption}", f"a photo of {sample.caption}"]
        embeds = encode_prompts(said, task.pipe.tokenizers, task.pipe.text_encoders, torch.device("cpu"))
        torch.testing.assert_close(text[row], embeds.tokens[0])
        torch.testing.assert_close(batch["garment_text"][row], embeds.tokens[1])
        torch.testing.assert_close(text[row], garment.prompt.text[0])
        torch.testing.assert_close(added["text_embeds"][row], garment.prompt.pooled[0])
        torch.testing.assert_close(clip_hidden_states[row], garment.prompt.clip_hidden_states[0])
        torch.testing.assert_close(batch["garment_latents"][row], garment.latents[0])
        torch.testing.assert_close(batch["garment_text"][row], garment.garment_text[0])
    torch.testing.assert_close(channels[:, 4:], people.channels)
    assert added["time_ids"].tolist() == [[64, 64, 0, 0, 64, 64]] * 2


@pytest.mark.parametrize(
    ("style", "expected"),
    [("height_width", [128, 96, 0, 0, 128, 96]), ("height_height", [128, 128, 0, 0, 128, 128])],
)
def test_time_ids_follow_the_policy(photos, style, expected):
    task, dataset = build(photos, data={"height": 128, "width": 96}, tryon={"time_ids": style})
    recorded = Recording(task.model)
    task.loss(recorded, batch_of(task, dataset, [0]))
    assert recorded.arguments[3]["time_ids"].tolist() == [expected]
    assert task.pipe.config.time_ids == style


@pytest.mark.parametrize("policy", [None, 0])
def test_predictions_equal_both_halves_of_guidance(photos, policy):
    """Fault 9: a row that dropped everything is the unconditional half, exactly; the others are the other half."""
    task, dataset = build(photos, tryon={**NOTHING_DROPPED, "garment_timestep": policy})
    batch = batch_of(task, dataset, [0, 1])
    for name in ("drop_text", "drop_image_prompt", "drop_garment"):
        batch[name] = torch.tensor([False, True])
    batch["timestep"] = torch.tensor([600, 600])
    assert task.pipe.config.garment_timestep == ("each_step" if policy is None else 0)
    task.unet.eval()
    recorded = Recording(task.model)
    with torch.no_grad():
        task.loss(recorded, batch)
    dropped, kept = recorded.prediction  # rows without a garment come first

    pairs, garments, people = inference(task.pipe, [dataset[0], dataset[1]])
    unconditional = task.pipe.garment_encoder.encode_unconditional(task.options.negative_prompt)
    noisy = task.diffusion.add_noise(batch["latents"], batch["noise"], batch["timestep"])
    predictions = []
    for scale in (1.0, 2.0):
        denoiser = Denoiser(
            task.pipe.networks,
            people,
            pairs.garment_rows,
            [each.prompt for each in garments],
            unconditional if scale > 1 else None,
            size=SIZE,
            guidance_scale=scale,
            image_prompt_scale=1.0,
        )
        runs = GarmentRuns(task.pipe.networks, garments, task.pipe.feature_cache, torch.device("cpu"))
        steps = feature_source(runs, task.pipe.config.garment_timestep)
        with torch.no_grad():
            predictions.append(denoiser.predict(noisy, torch.tensor(600), steps.at(600)))
    conditional, guided = predictions
    torch.testing.assert_close(kept, conditional[0], rtol=1e-4, atol=1e-5)
    unguided = 2 * conditional - guided  # from guided = u + 2 (c - u)
    torch.testing.assert_close(dropped, unguided[1], rtol=1e-4, atol=1e-5)
    assert (dropped - conditional[1]).abs().max() > 1e-3  # dropping matters
    torch.testing.assert_close(guide(torch.stack([unguided[0], conditional[0]]), 2.0)[0], guided[0])


@pytest.mark.parametrize("name", ["drop_text", "drop_image_prompt", "drop_garment"])
def test_each_condition_is_dropped_alone(plain, monkeypatch, name):
    task, dataset = plain
    monkeypatch.setattr(task, "options", dataclasses.replace(task.options, **{name: 1.0}))
    batch = batch_of(task, dataset, [0])
    recorded = Recording(task.model)
    task.loss(recorded, batch)
    _, _, text, added, clip_hidden_states, _, num_zero_garment = recorded.arguments
    nothing = task.unconditional()
    assert torch.equal(text, nothing["text"]) == (name == "drop_text")
    assert torch.equal(added["text_embeds"], nothing["pooled"]) == (name == "drop_text")
    assert torch.equal(clip_hidden_states, nothing["clip_hidden_states"]) == (name == "drop_image_prompt")
    assert num_zero_garment == (name == "drop_garment")


def test_conditions_are_dropped_about_one_time_in_ten(plain, monkeypatch):
    task, _ = plain
    monkeypatch.setattr(task, "options", TryOnTaskOptions())
    draws = [task.draw(np.random.default_rng(number)) for number in range(4000)]
    kinds = ("drop_text", "drop_image_prompt", "drop_garment")
    rates = {name: np.mean([draw[name] for draw in draws]) for name in kinds}
    together = np.mean([all(draw[name] for name in kinds) for draw in draws])
    assert all(0.08 < rate < 0.12 for rate in rates.values())
    assert 0.04 < together < 0.06
    timesteps = [draw["timestep"] for draw in draws]
    assert (min(timesteps), max(timesteps)) == (0, 999)
    assert abs(np.mean(timesteps) - 499.5) < 20


def test_dropped_rows_keep_their_own_noise(plain, photos):
    """Rows are sorted for the network; each loss still belongs to its own row."""
    task, dataset = plain
    batch = batch_of(task, dataset, [0, 1, 2])
    batch["drop_garment"] = torch.tensor([False, True, False])
    together = task.loss(task.model, batch)
    order = [1, 0, 2]
    alone = [
        task.loss(task.model, {name: value[row : row + 1] for name, value in batch.items()}).per_sample for row in order
    ]
    torch.testing.assert_close(together.per_sample, torch.cat(alone), rtol=1e-3, atol=1e-4)
    assert together.timesteps.tolist() == batch["timestep"][order].tolist()


@pytest.mark.parametrize("policy", [None, 7])
def test_garment_net_sees_the_timestep_of_the_policy(plain, monkeypatch, policy):
    task, dataset = plain
    monkeypatch.setattr(task, "options", dataclasses.replace(task.options, garment_timestep=policy))
    batch = batch_of(task, dataset, [0, 1])
    seen = []
    hook = task.garment_net.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[1].tolist()))
    task._garment_features(batch, 0)
    hook.remove()
    assert seen == [batch["timestep"].tolist() if policy is None else [7, 7]]


def test_pictures_stay_bytes_until_they_are_normalised(plain):
    """Faults 1 and 11: variation happens on 8-bit pictures; dark stays dark, and no grey borders enter."""
    from idmvton.data.augment import augmented
    from idmvton.data.augment_options import AugmentOptions
    from idmvton.images import bytes_tensor, to_vae_tensor

    task, dataset = plain
    strong = AugmentOptions(flip=1.0, affine=1.0, colour=1.0, brightness=0.3, shift=0.3)
    content = Fetcher(dataset, task, strong, 0).content(0, 5)
    expected = augmented(dataset[0], np.random.default_rng([0, 5, 1]), strong)
    assert content["person"].dtype == content["garment"].dtype == torch.uint8
    for name in ("person", "garment", "densepose"):
        assert torch.equal(content[name], bytes_tensor([getattr(expected, name)])[0])
    seen = []
    encode = task.pipe.vae.encode
    task.pipe.vae.encode = lambda pixels: (seen.append(pixels), encode(pixels))[1]
    task.encode(collate([content]))
    task.pipe.vae.encode = encode
    assert torch.equal(seen[1], to_vae_tensor([expected.densepose]))
    assert min(float(each.min()) for each in seen) == -1.0  # a clamp to [0, 1] would lose this


def test_the_vae_stays_float32(photos):
    """Fault 6: also beside bfloat16 networks and under autocast."""
    task, dataset = build(photos, train={"precision": "bfloat16"})
    plain, _ = build(photos)
    assert (task.pipe.vae.dtype, task.garment_net.dtype) == (torch.float32, torch.bfloat16)
    assert task.unet.dtype == torch.float32
    with torch.autocast("cpu", torch.bfloat16):
        encoded = batch_of(task, dataset, [0])
    expected = batch_of(plain, dataset, [0])
    for name in ("latents", "masked_latents", "densepose_latents"):
        assert torch.equal(encoded[name], expected[name])
    with torch.autocast("cpu", torch.bfloat16):
        loss = task.loss(task.model, encoded).per_sample
    torch.testing.assert_close(loss, plain.loss(plain.model, expected).per_sample, rtol=0.05, atol=0.02)
