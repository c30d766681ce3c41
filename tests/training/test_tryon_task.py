"""The try-on task: what it tells the networks is what inference tells them, and only TryonNet learns."""

import dataclasses

import numpy as np
import pytest
import torch

from golden_data import CHECKPOINT
from idmvton import TryOnPipeline
from idmvton.checkpoint.lora import read_lora
from idmvton.checkpoint.published import load_tryon_net
from idmvton.data.sample import TryOnSample
from idmvton.draft.warp_net import WarpNet
from idmvton.errors import ConfigError
from idmvton.models.text import encode_prompts
from idmvton.options import TryOnOptions
from idmvton.training.batches import Ticket, collate
from idmvton.training.recipe import make_recipe
from idmvton.training.sections import TryOnTaskOptions
from idmvton.training.sources import NO_CHANGE, Fetcher, open_source
from idmvton.training.task import build_task
from idmvton.training.trainer import Trainer, without_numbers
from idmvton.training.tryon_task import TryOnTask
from idmvton.tryon.conditioning import guide
from idmvton.tryon.denoising import Denoiser
from idmvton.tryon.garment_features import GarmentRuns, feature_source
from idmvton.tryon.inputs import Request, gather_pairs
from idmvton.types import Size

SIZE = Size(64, 64)
BASE = {
    "train": {"steps": 1, "batch_size": 2, "workers": 0, "device": "cpu", "ema_decay": 0.0},
    "optimizer": {"learning_rate": 1e-3, "warmup_steps": 0},
    "data": {"height": 64, "width": 64, "split": "test", "missing_caption": "category phrase"},
    "validation": {"every": 0, "split": "test", "num_samples": 1, "num_losses": 2, "num_inference_steps": 2},
    "log": {"every": 1},
    "tryon": {"checkpoint": str(CHECKPOINT)},
}
NOTHING_DROPPED = {"drop_text": 0.0, "drop_image_prompt": 0.0, "drop_garment": 0.0, "drop_all": 0.0}


def recipe(photos, **changes):
    values = {name: section | changes.get(name, {}) for name, section in BASE.items()}
    values["data"]["folder"] = str(photos)
    return make_recipe({"task": "tryon"} | values | {k: v for k, v in changes.items() if k not in BASE})


def build(photos, **changes):
    made = recipe(photos, **changes)
    dataset = open_source(made.sections["data"], "test", None)
    return TryOnTask(made, dataset), dataset


def batch_of(task, dataset, numbers, augment=NO_CHANGE):
    fetcher = Fetcher(dataset, task, augment, 0)
    contents = collate([fetcher(Ticket(number, number % len(dataset), 0)) for number in numbers])
    return contents | task.encode(contents)


def inference(pipe: TryOnPipeline, samples: list[TryOnSample]):
    """What a call of the pipeline tells the networks, before it denoises."""
    columns = {
        name: [getattr(each, name) for each in samples]
        for name in ("person", "garment", "mask", "densepose", "caption")
    }
    pairs = gather_pairs(Request(**columns, seed=0), SIZE)
    garments = pipe.garment_encoder.encode(pairs.garments)
    people = pipe.encode_people(pairs.people).rows(pairs.person_rows)
    return pairs, garments, people


class Recording(torch.nn.Module):
    """Stands for the wrapped network: remembers what it was told and what it said."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, *arguments):
        self.arguments = arguments
        self.prediction = self.model(*arguments)
        return self.prediction


@pytest.fixture(scope="module")
def plain(photos):
    return build(photos, tryon=NOTHING_DROPPED)


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


@pytest.fixture(scope="module")
def trained(photos, tmp_path_factory):
    """One step, with validation; the weights before it."""
    folder = tmp_path_factory.mktemp("trained")
    trainer = Trainer(recipe(photos, validation={"every": 1}, tryon=NOTHING_DROPPED), folder)
    task = trainer.task
    before = {name: value.clone() for name, value in task.model.state_dict().items()}
    frozen = [{name: value.clone() for name, value in part.state_dict().items()} for part in task.frozen]
    trainer.run()
    return trainer, folder, before, frozen


def test_only_tryon_net_learns(trained):
    """Every one of its tensors moves, the image prompt's among them; the frozen parts stay bit-equal."""
    trainer, folder, before, frozen = trained
    task = trainer.task
    after = task.model.state_dict()
    assert [name for name, value in after.items() if torch.equal(value, before[name])] == []
    assert "unet.encoder_hid_proj.latents" in before
    assert any("to_k_ip" in name for name in before)
    for part, values in zip(task.frozen, frozen, strict=True):
        assert not any(each.requires_grad for each in part.parameters())
        assert all(torch.equal(value, values[name]) for name, value in part.state_dict().items())
    exported = load_tryon_net(folder / "checkpoint" / "unet").state_dict()
    assert all(torch.equal(value, after[f"unet.{name}"]) for name, value in exported.items())


def test_gathered_weights_make_the_same_net(trained):
    """What a sharded training exports: a copy without numbers, filled."""
    trainer, _, _, _ = trained
    copy = without_numbers(trainer.task.model)
    assert all(each.is_meta for each in copy.parameters())
    copy.load_state_dict(trainer.task.model.state_dict(), assign=True)
    batch = batch_of(trainer.task, trainer.dataset, [0])
    with torch.no_grad():
        losses = [trainer.task.loss(model, batch).per_sample for model in (trainer.task.model, copy)]
    assert torch.equal(*losses)


def test_pictures_and_validation(trained):
    trainer, folder, _, _ = trained
    assert (folder / "pictures" / "step-00000001.png").exists()
    assert trainer.task.unet.training
    assert trainer.validation.losses() == trainer.validation.losses()


def test_gradient_checkpointing_gives_the_same_gradients(photos):
    task, dataset = build(photos, train={"gradient_checkpointing": True}, tryon=NOTHING_DROPPED)
    assert task.unet.is_gradient_checkpointing
    batch, gradients = batch_of(task, dataset, [0]), []
    for _ in range(2):
        task.model.zero_grad()
        task.loss(task.model, batch).per_sample.mean().backward()
        gradients.append([each.grad for each in task.model.parameters()])
        task.unet.disable_gradient_checkpointing()
    torch.testing.assert_close(*gradients)


def test_the_masked_region_weighs_more(plain, monkeypatch):
    task, dataset = plain
    monkeypatch.setattr(task, "options", dataclasses.replace(task.options, masked_region_weight=3.0))
    batch = batch_of(task, dataset, [0])
    recorded = Recording(task.model)
    error = task.loss(recorded, batch).per_sample
    squared = (recorded.prediction - batch["noise"]) ** 2
    weight = 1 + 2 * batch["latent_mask"]
    torch.testing.assert_close(error, (squared * weight).mean((1, 2, 3)) / weight.mean((1, 2, 3)))
    assert 0 < batch["latent_mask"].mean() < 1


def test_adapters(photos, tmp_path):
    """LoRA: the adapters alone are trained, and merged into the checkpoint."""
    trainer = Trainer(recipe(photos, lora={"rank": 2}, tryon=NOTHING_DROPPED), tmp_path)
    task = trainer.task
    trained = [name for name, each in task.model.named_parameters() if each.requires_grad]
    assert trained
    assert all("lora_" in name for name in trained)
    before = task.unet.state_dict()["conv_in.weight"].clone()
    trainer.run()
    assert torch.equal(task.unet.state_dict()["conv_in.weight"], before)
    assert (tmp_path / "adapters" / "adapters.safetensors").exists()
    exported = TryOnPipeline.from_pretrained(tmp_path / "checkpoint", device="cpu").unet
    differences = read_lora(tmp_path / "adapters" / "adapters.safetensors", exported)
    assert len(differences) > 10
    for name, difference in differences.items():
        base = task.unet.get_submodule(name.removesuffix(".weight")).base_layer.weight
        torch.testing.assert_close(exported.get_parameter(name), base + difference.dense())
    batch = batch_of(task, trainer.dataset, [0])
    own = Recording(task.model.eval())
    with torch.no_grad():
        task.loss(own, batch)
        task.model.unet, task.unet = exported, exported
        merged = Recording(task.model)
        task.loss(merged, batch)
    torch.testing.assert_close(merged.prediction, own.prediction, rtol=1e-4, atol=1e-5)


def test_a_warp_net(photos, tmp_path):
    """The draft as more channels that start at zero, and the garment as it lies for GarmentNet, as at inference."""
    torch.manual_seed(0)
    WarpNet(height=32, width=32, channels=(8, 8, 8, 8), num_layers=1).save_pretrained(tmp_path / "warp_net")
    drafted = {"task": "mini_tryon", "mini_tryon": {"warp_net": str(tmp_path)}}
    trainer = Trainer(recipe(photos, tryon=NOTHING_DROPPED, **drafted), tmp_path / "run")
    task, dataset = trainer.task, trainer.dataset
    plain, _ = build(photos, tryon=NOTHING_DROPPED)
    assert (task.unet.config.in_channels, plain.unet.config.in_channels) == (17, 13)
    assert task.unet.conv_in.weight[:, 13:].abs().max() == 0
    with torch.no_grad():
        task.pipe.warp_net.last.bias[8:] = 1.0  # the garment is nearly everywhere
    batch = batch_of(task, dataset, [0, 1])
    own = Recording(task.model)
    with torch.no_grad():
        task.loss(own, batch)
    pairs, _, _ = inference(task.pipe, [dataset[0], dataset[1]])
    conditions = task.pipe.encode(pairs, TryOnOptions())
    laid = torch.cat([each.latents for each in conditions.garments])
    torch.testing.assert_close(own.arguments[0][:, 13:], conditions.people.draft_latents)
    torch.testing.assert_close(batch["garment_latents"], laid)
    assert (batch_of(plain, dataset, [0, 1])["garment_latents"] - laid).abs().max() > 0.1
    before = {name: tensor.clone() for name, tensor in task.pipe.warp_net.state_dict().items()}
    trainer.run()
    loaded = TryOnPipeline.from_pretrained(tmp_path / "run" / "checkpoint", device="cpu")
    assert all(torch.equal(tensor, before[name]) for name, tensor in loaded.warp_net.state_dict().items())
    assert loaded.unet.conv_in.weight[:, 13:].abs().max() > 0


def test_masks_are_varied(plain):
    from idmvton.training.masks import vary_mask
    from idmvton.training.sections import MaskOptions

    task, dataset = plain
    mask = dataset[0].mask
    assert mask.any()
    rng = np.random.default_rng(0)
    assert np.array_equal(vary_mask(mask, rng, MaskOptions()), mask)
    box = vary_mask(mask, rng, MaskOptions(box=1.0))
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    assert box.sum() == (rows[-1] - rows[0] + 1) * (columns[-1] - columns[0] + 1)
    assert box[mask].all()
    grown = vary_mask(mask, rng, MaskOptions(grown=1.0, growth=0.2))
    assert grown[mask].all()
    assert grown.sum() > mask.sum()
    assert task.masks == MaskOptions()


def test_folders_that_were_not_named(photos):
    with pytest.raises(ConfigError, match=r"tryon\.inpainting is not set"):
        build(photos, tryon={"init": "parts"})
    with pytest.raises(ConfigError, match=r"tryon\.checkpoint is not set"):
        build(photos, tryon={"checkpoint": ""})


def test_cached_features(photos, tmp_path):
    """At a fixed timestep GarmentNet runs once a sample, and training reads what it said."""
    fixed = {**NOTHING_DROPPED, "garment_timestep": 0}
    kept = recipe(photos, tryon={**fixed, "cache_features": True}, data={"cache": "rows"})
    trainer = Trainer(kept, tmp_path)
    rows = trainer._fetcher()
    runs = []
    trainer.task.garment_net.register_forward_pre_hook(lambda *_: runs.append(1))
    batch = collate([rows(Ticket(number, number, 0)) for number in range(2)])
    batch["drop_garment"] = torch.tensor([True, False])
    own = trainer.task.loss(trainer.task.model, batch).per_sample
    assert not runs
    named = {name: value for name, value in batch.items() if not name.startswith("feature:")}
    torch.testing.assert_close(own, trainer.task.loss(trainer.task.model, named).per_sample, rtol=1e-3, atol=1e-4)
    assert runs
    for wrong in ({"garment_timestep": None}, {}):
        with pytest.raises(ConfigError, match="cannot be kept"):
            build(photos, tryon={**fixed, "cache_features": True, **wrong})


def test_what_a_checkpoint_says_about_its_use(photos):
    task, _ = build(photos, tryon={"num_inference_steps": 1, "guidance_scale": 1.0})
    assert (task.pipe.config.num_inference_steps, task.pipe.config.guidance_scale) == (1, 1.0)
    assert task.pipe.default_size.height == 64


def test_a_try_on_of_one_step_draws_the_last_timestep(photos, tmp_path):
    WarpNet(height=32, width=32, channels=(8, 8, 8, 8), num_layers=1).save_pretrained(tmp_path / "warp_net")
    own = {"warp_net": str(tmp_path), "min_timestep": 999, "match_colours": True}
    made = recipe(photos, task="mini_tryon", mini_tryon=own)
    task = build_task(made, open_source(made.sections["data"], "test", None))
    assert task.pipe.config.match_colours
    assert {task.draw(np.random.default_rng(number))["timestep"] for number in range(20)} == {999}
