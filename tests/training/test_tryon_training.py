"""Training the try-on: only TryonNet learns; pictures, adapters, WarpNet, masks, cached features."""

import dataclasses

import numpy as np
import pytest
import torch

from idmvton import TryOnPipeline
from idmvton.checkpoint.lora import read_lora
from idmvton.checkpoint.published import load_tryon_net
from idmvton.draft.warp_net import WarpNet
from idmvton.errors import ConfigError
from idmvton.options import TryOnOptions
from idmvton.training.batches import Ticket, collate
from idmvton.training.sources import open_source
from idmvton.training.task import build_task
from idmvton.training.trainer import Trainer, without_numbers
from training.tryon_tasks import NOTHING_DROPPED, Recording, batch_of, build, inference, recipe


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
