"""The stages of mini, each tiny, one after the other: VAE, CLIP, text-to-image, try-on."""

import json

import numpy as np
import pytest
import torch

from idmvton import TryOnPipeline
from idmvton.checkpoint.parts import load_part
from idmvton.draft.warp_net import WarpNet
from idmvton.errors import ConfigError
from idmvton.images import bytes_tensor, bytes_to_vae_tensor
from idmvton.training.batches import Ticket, collate
from idmvton.training.initialise import new_vae
from idmvton.training.mini.autoencoder_task import gradient_difference, standardise
from idmvton.training.mini.linear_start import layers_that_keep_latents
from idmvton.training.mini.mini_tryon_task import MiniTryOnTask
from idmvton.training.mini.text_to_image_task import TextToImageTask
from idmvton.training.recipe import load_recipe, make_recipe
from idmvton.training.sections import VaeOptions
from idmvton.training.sources import NO_CHANGE, Fetcher, open_source
from idmvton.training.trainer import Trainer
from idmvton.training.tryon_task import TryOnTask

COMMON = {
    "train": {"steps": 2, "batch_size": 4, "workers": 0, "device": "cpu"},
    "optimizer": {"learning_rate": 1e-3, "warmup_steps": 0},
    "data": {"height": 64, "width": 48, "split": "test", "missing_caption": "category phrase"},
    "validation": {"every": 2, "split": "test", "num_samples": 1, "num_losses": 2, "num_inference_steps": 2},
    "log": {"every": 1},
}
SIZES = {
    "vae": {"block_out_channels": [8, 8, 16], "latent_channels": 6, "norm_num_groups": 4},
    "clip": {
        "vocabulary": 560,
        "text_widths": [32, 32],
        "text_layers": 2,
        "image_width": 32,
        "image_layers": 2,
        "image_size": 32,
        "projection": 24,
    },
    "unet": {
        "block_out_channels": [16, 32],
        "transformer_layers": [0, 1],
        "head_size": 16,
        "norm_num_groups": 8,
        "time_embedding": 8,
    },
    "image_prompt": {"num_tokens": 2, "width": 64, "depth": 1, "heads": 1},
}


def stage(photos, task, **changes):
    values = {name: section | changes.pop(name, {}) for name, section in COMMON.items()}
    values["data"]["folder"] = str(photos)
    return make_recipe({"task": task} | values | changes, task)


@pytest.fixture(scope="module")
def runs(photos, tmp_path_factory):
    """All stages, each from the ones before it."""
    root = tmp_path_factory.mktemp("runs")
    vae, clip, start = (root / name / "checkpoint" for name in ("vae", "clip", "start"))
    trainers = {
        "vae": lambda: stage(photos, "autoencoder", vae=SIZES["vae"]),
        "clip": lambda: stage(photos, "contrastive", clip=SIZES["clip"]),
        "start": lambda: stage(
            photos,
            "text_to_image",
            text_to_image={"vae": str(vae), "text": str(clip), "side_by_side": 1.0},
            unet=SIZES["unet"],
        ),
        "tryon": lambda: stage(
            photos,
            "tryon",
            tryon={
                "init": "parts",
                "inpainting": str(start),
                "garment": str(start),
                "image_encoder": str(clip / "image_encoder"),
                "garment_timestep": 0,
            },
            image_prompt=SIZES["image_prompt"],
            data={"cache": "rows"},
        ),
    }
    made = {}
    for name, recipe in trainers.items():
        made[name] = Trainer(recipe(), root / name)
        made[name].run()
    return root, made


def test_the_stages_make_a_complete_checkpoint(runs, photos):
    """Six latent channels: nothing assumes four, nor thirteen input channels."""
    root, made = runs
    pipe = TryOnPipeline.from_pretrained(root / "tryon" / "checkpoint", device="cpu")
    assert (pipe.unet.config.in_channels, pipe.vae.config.latent_channels, pipe.vae_scale_factor) == (19, 6, 4)
    assert (pipe.config.garment_timestep, pipe.default_size) == (0, (64, 48))
    vae, loaded = load_part(root / "vae" / "checkpoint" / "vae", "vae").state_dict(), pipe.vae.state_dict()
    assert all(torch.equal(value, loaded[name]) for name, value in vae.items())
    start = made["start"].task.unet.state_dict()
    assert torch.equal(
        pipe.unet_encoder.state_dict()["mid_block.resnets.0.conv1.weight"],
        made["tryon"].task.garment_net.state_dict()["mid_block.resnets.0.conv1.weight"],
    )
    assert start.keys() >= pipe.unet_encoder.state_dict().keys()
    sample = made["tryon"].dataset[0]
    pipe.set_progress_bar_config(disable=True)
    pictures = {name: getattr(sample, name) for name in ("person", "garment", "mask", "densepose", "caption")}
    assert pipe(**pictures, num_inference_steps=2).images[0].size == (48, 64)
    for name in made:
        assert (root / name / "metrics.jsonl").exists()
    assert sorted(path.parent.parent.name for path in root.glob("*/pictures/*.png")) == ["start", "tryon", "vae"]


def test_standardised_latents(photos):
    """Mean 0 and deviation 1 in each channel, and the same pictures."""
    torch.manual_seed(0)
    vae = new_vae(VaeOptions(**SIZES["vae"])).eval()
    pixels = torch.rand(8, 3, 64, 48) * 2 - 1
    with torch.no_grad():
        before = vae.encode(pixels).latent_dist
        values = before.mode().transpose(0, 1).flatten(1)
        pictures, kl = vae.decode(before.mode()).sample, before.std / values.std(1)[None, :, None, None]
        standardise(vae, values.mean(1), values.std(1))
        after = vae.encode(pixels).latent_dist
        torch.testing.assert_close(vae.decode(after.mode()).sample, pictures, rtol=1e-3, atol=1e-4)
    flat = after.mode().transpose(0, 1).flatten(1)
    torch.testing.assert_close(flat.mean(1), torch.zeros(6), atol=1e-3, rtol=0)
    torch.testing.assert_close(flat.std(1), torch.ones(6), atol=1e-3, rtol=0)
    torch.testing.assert_close(after.std, kl, rtol=1e-3, atol=1e-4)
    assert vae.config.scaling_factor == 1.0


def test_gradient_difference():
    flat, ramp = torch.zeros(1, 3, 8, 8), torch.arange(8.0).expand(1, 3, 8, 8)
    assert float(gradient_difference(flat + 5, flat, 3)) == 0.0
    assert float(gradient_difference(ramp, flat, 1)) == pytest.approx(1.0)
    assert float(gradient_difference(ramp, flat, 2)) == pytest.approx((1 + 2) / 2)


def test_the_vae_sees_what_try_on_encodes(runs, photos):
    task = runs[1]["vae"].task
    dataset = runs[1]["vae"].dataset
    seen = {
        kind
        for number in range(40)
        for kind in ("person", "garment", "densepose", "masked")
        if torch.equal(
            task.content(dataset[0], np.random.default_rng(number))["picture"],
            bytes_tensor([_picture(dataset[0], kind)])[0],
        )
    }
    assert seen == {"person", "garment", "densepose", "masked"}


def _picture(sample, kind):
    from idmvton.training.mini.autoencoder_task import _picture as picture

    return picture(sample, kind)


def test_contrastive_training_finds_pairs(photos, tmp_path):
    """Equal captions are both right; a few steps on a few garments already find them."""
    recipe = stage(
        photos,
        "contrastive",
        clip=SIZES["clip"],
        contrastive={"drop_words": 0.0, "worn": 0.0, "crop": 0.0},
        train={"steps": 25, "batch_size": 6},
        optimizer={"learning_rate": 3e-3},
        validation={"every": 25, "num_losses": 6},
    )
    trainer = Trainer(recipe, tmp_path)
    trainer.run()
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if "loss" in line]
    assert losses[-1] < 0.8 * losses[0]
    ids = trainer.task._ids(["a photo of red tops", "a photo of red tops", "a photo of blue tops"])
    from idmvton.training.mini.contrastive_task import _same_texts

    assert _same_texts(ids).tolist() == [[True, True, False], [True, True, False], [False, False, True]]
    assert ids.shape[1] == 32


def test_garments_are_seen_without_added_conditions(runs):
    """As GarmentNet sees them: the same prediction as the UNet without its added embedding."""
    task: TextToImageTask = runs[1]["start"].task
    task.unet.eval()
    noisy, timesteps = torch.randn(2, 6, 16, 12), torch.tensor([5, 700])
    text, pooled = torch.randn(2, 32, 64), torch.randn(2, 24)
    added = {"text_embeds": pooled, "time_ids": torch.ones(2, 6)}
    with torch.no_grad():
        shown = task.step(noisy, timesteps, text, added, torch.tensor([1.0, 0.0]))
        stock = task.unet(noisy, timesteps, text, added_cond_kwargs=added).sample
        task.unet.add_embedding.requires_grad_(False)
        other = task.step(noisy, timesteps, text, {**added, "text_embeds": pooled + 1}, torch.tensor([1.0, 0.0]))
    torch.testing.assert_close(shown[0], stock[0])
    assert (shown[1] - stock[1]).abs().max() > 1e-5
    assert torch.equal(shown[1], other[1])
    task.unet.requires_grad_(True).train()


@pytest.mark.parametrize(("is_double", "width"), [(False, 12), (True, 24)])
def test_garment_and_person_side_by_side(runs, is_double, width):
    task: TextToImageTask = runs[1]["start"].task
    dataset = runs[1]["start"].dataset
    fetcher = Fetcher(dataset, task, NO_CHANGE, 0)
    batch = collate([fetcher(Ticket(number, number, 0)) for number in range(3)])
    batch |= task.encode(batch)
    batch["is_double"][:] = is_double
    batch["is_person"] = torch.tensor([True, False, False])
    batch["drop_text"][:] = False
    seen = []

    def model(noisy, timesteps, text, added, with_added):
        seen.append((noisy, text, added, with_added))
        return torch.zeros_like(noisy)

    task.loss(model, batch)
    noisy, text, added, with_added = seen[0]
    assert noisy.shape[-1] == width
    assert added["time_ids"][0].tolist() == [64, 48 * (1 + is_double), 0, 0, 64, 48 * (1 + is_double)]
    assert with_added.tolist() == ([1, 1, 1] if is_double else [1, 0, 0])
    assert torch.equal(text[1], batch["person_text" if is_double else "garment_text"][1])


def test_text_to_image_shares(photos, runs):
    root, _ = runs
    recipe = stage(
        photos,
        "text_to_image",
        text_to_image={
            "vae": str(root / "vae" / "checkpoint"),
            "text": str(root / "clip" / "checkpoint"),
            "person": 1.0,
            "garment": 1.0,
            "side_by_side": 2.0,
        },
        unet=SIZES["unet"],
    )
    task = TextToImageTask(recipe, open_source(recipe.sections["data"], "test", None))
    draws = [task.draw(np.random.default_rng(number)) for number in range(1000)]
    assert 0.45 < np.mean([draw["is_double"] for draw in draws]) < 0.55
    assert 0.45 < np.mean([draw["is_person"] for draw in draws]) < 0.55
    assert 0.07 < np.mean([draw["drop_text"] for draw in draws]) < 0.13


def test_latents_stay_in_the_first_features(photos, runs, tmp_path):
    """A trained GarmentNet's tokens at the latents' own resolution still tell the latents, and TryonNet copies them."""
    root, _ = runs
    folders = {"vae": str(root / "vae" / "checkpoint"), "text": str(root / "clip" / "checkpoint")}
    sizes = {"unet": SIZES["unet"] | {"block_out_channels": [32, 32], "norm_num_groups": 4}}
    optimizer = {"learning_rate": 0.01, "warmup_steps": 0, "schedule": "constant"}
    made = stage(
        photos,
        "text_to_image",
        text_to_image=folders | {"start": "latents"},
        optimizer=optimizer,
        noise={"prediction_type": "sample"},
        **sizes,
    )
    trainer = Trainer(made, tmp_path / "unet")
    before = [layer.weight.clone() for layer in layers_that_keep_latents(trainer.task.unet)]
    trainer.run()
    for layer, weight in zip(layers_that_keep_latents(trainer.task.unet), before, strict=True):
        assert torch.equal(layer.weight, weight)
    checkpoint = str(tmp_path / "unet" / "checkpoint")
    WarpNet(height=32, width=32, channels=(8, 8, 8, 8), num_layers=1).save_pretrained(tmp_path / "warp_net")
    parts = {"init": "parts", "inpainting": checkpoint, "garment": checkpoint}
    recipe = stage(
        photos,
        "mini_tryon",
        tryon=parts | {"image_encoder": str(root / "clip/checkpoint/image_encoder")},
        mini_tryon={"warp_net": str(tmp_path), "start": "copy", "fine_attention": True},
        image_prompt=SIZES["image_prompt"],
    )
    task = MiniTryOnTask(recipe, open_source(recipe.sections["data"], "test", None))
    worn = torch.randn(2, 6, 16, 12)
    with torch.no_grad():
        tokens = task.garment_net(worn, 0, torch.randn(2, 3, 64)).tokens
        name = "down_blocks.0.attentions.0.transformer_blocks.0.attn1"
        told = task.unet.get_submodule(name).to_v(tokens[name])[..., :6] / 2
    error = told - worn.flatten(2).mT
    assert error.square().mean() < 0.05 * worn.square().mean()


def test_going_on_from_a_vae_and_a_unet(photos, runs, tmp_path):
    root, made = runs
    again = Trainer(
        stage(photos, "autoencoder", autoencoder={"init": str(root / "vae" / "checkpoint" / "vae"), "crop": 16}),
        tmp_path / "vae",
    )
    pixels = bytes_to_vae_tensor(bytes_tensor([made["vae"].dataset[0].person]))
    with torch.no_grad():
        latents = again.task.vae.eval().encode(pixels).latent_dist.mode()
    assert 0.5 < latents.std() < 2
    again.task.vae.train()
    again.run()
    content = again.task.content(again.dataset[0], np.random.default_rng(0))
    assert content["picture"].shape == (3, 16, 16)


def test_a_random_start_is_complete(photos):
    recipe = stage(photos, "tryon", tryon={"init": "random"}, **SIZES)
    task = TryOnTask(recipe, open_source(recipe.sections["data"], "test", None))
    assert task.unet.config.in_channels == 19
    assert task.unet.conv_in.weight[:, 6:].abs().max() == 0
    layer = task.unet.get_submodule("mid_block.attentions.0.transformer_blocks.0.attn2")
    assert torch.equal(layer.to_k.weight, layer.processor.to_k_ip.weight)
    names = [name for name, _ in task.garment_net.named_parameters()]
    assert not any(name.startswith("add_embedding") for name in names)


@pytest.mark.parametrize(
    ("section", "values", "words"),
    [
        ("unet", {"transformer_layers": [1, 0]}, "do not fit each other"),
        ("unet", {"head_size": 10}, "do not fit each other"),
        ("clip", {"text_widths": [32, 40]}, "text_widths"),
        ("noise", {"zero_terminal_snr": True}, "pure noise"),
    ],
)
def test_sizes_that_do_not_fit(photos, section, values, words):
    sizes = {**SIZES, "noise": {}}
    sizes[section] = sizes[section] | values
    recipe = stage(photos, "tryon", tryon={"init": "random"}, **sizes)
    with pytest.raises(ConfigError, match=words):
        TryOnTask(recipe, open_source(recipe.sections["data"], "test", None))


def test_v_prediction_may_end_in_noise(photos):
    noise = {"zero_terminal_snr": True, "prediction_type": "v_prediction", "timestep_spacing": "trailing"}
    recipe = stage(photos, "tryon", tryon={"init": "random", "min_snr_gamma": 5.0}, noise=noise, **SIZES)
    task = TryOnTask(recipe, open_source(recipe.sections["data"], "test", None))
    weights = task.diffusion.weights(torch.arange(1000))
    assert torch.isfinite(weights).all()
    assert weights[-1] == 0
    assert load_recipe("mini_tryon").sections["noise"].to_dict()["prediction_type"] == "epsilon"


def test_the_decoder_alone_learns_and_the_latents_stay(runs, photos, tmp_path):
    root, _ = runs
    start = root / "vae" / "checkpoint" / "vae"
    Trainer(stage(photos, "autoencoder", autoencoder={"init": str(start), "decoder_only": True}), tmp_path).run()
    before, after = (load_part(each, "vae") for each in (start, tmp_path / "checkpoint" / "vae"))
    pictures = torch.rand(1, 3, 64, 48) * 2 - 1
    latents = [vae.encode(pictures).latent_dist.mode() for vae in (before, after)]
    assert torch.equal(*latents)
    assert not torch.equal(*(vae.decode(latents[0]).sample for vae in (before, after)))
    with pytest.raises(ConfigError, match="no latents to keep"):
        Trainer(stage(photos, "autoencoder", autoencoder={"decoder_only": True}), tmp_path / "new")
