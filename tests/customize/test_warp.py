"""WarpNet learns how one garment lies: the loss says what it should, and nothing else changes."""

import copy

import pytest
import torch

from idmvton import TryOnPipeline
from idmvton.checkpoint.adapter import read_adapter
from idmvton.customize.options import CustomizeOptions
from idmvton.customize.recipe import recipe_of
from idmvton.customize.run import Customization
from idmvton.customize.warp_loss import warp_losses
from idmvton.draft.warp_net import Warp, places, sample_at
from idmvton.errors import ConfigError
from idmvton.types import Size


@pytest.fixture
def scene():
    """A garment of noise, how it lies, and the photo that shows it so; it is seen in the middle."""
    generator = torch.Generator().manual_seed(0)
    garment = torch.nn.functional.interpolate(torch.rand(1, 3, 24, 24, generator=generator) * 2 - 1, (96, 96))
    flow = places((96, 96), garment) * 0.8 + 0.05
    worn = torch.zeros(1, 1, 96, 96)
    worn[..., 20:80, 20:80] = 1
    sure = Warp(flow, torch.where(worn > 0, 20.0, -20.0))
    return sure, garment, sample_at(garment, flow), worn, torch.ones(1, 1, 96, 96)


def test_what_is_right_costs_nothing(scene):
    warp, *rest = scene
    parts = warp_losses(warp, warp, *rest)
    assert all(part.abs().max() < 1e-6 for part in parts.values())


def test_light_and_shade_cost_little_and_a_pattern_in_the_wrong_place_much(scene):
    warp, garment, person, worn, mask = scene
    shade = torch.linspace(-0.3, 0.3, 96)
    lit = warp_losses(warp, warp, garment, person + shade, worn, mask)["colours"]
    moved = Warp(warp.flow + 0.03, warp.outline)
    wrong = warp_losses(moved, warp, garment, person, worn, mask)
    assert float(lit) < 0.2 * float(wrong["colours"])
    assert float(wrong["slopes"]) == 0, "a flow that is moved as a whole is as straight as before"


def test_bends_and_outlines_cost(scene):
    warp, garment, person, worn, mask = scene
    bent = Warp(warp.flow + 0.05 * torch.sin(torch.arange(96) / 4.0), -warp.outline)
    parts = warp_losses(bent, warp, garment, person, worn, mask)
    assert parts["slopes"] > 0.1
    assert parts["outline"] > 10
    assert parts["colours"] > 0.05


@pytest.fixture(scope="module")
def mini():
    pipe = TryOnPipeline.from_pretrained("mini", device="cpu")
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({}, {"warp_net"}),
        ({"layers": "up_attention"}, {"warp_net", "unet"}),
        ({"layers": "up_attention", "warp": False, "lora": 2}, {"unet"}),
    ],
)
def test_of_mini_only_what_is_chosen_changes(mini, golden_sample, tmp_path, changes, parts):
    pipe, folder = copy.deepcopy(mini), tmp_path / "mine"
    common = {"steps": 2, "batch_size": 1, "check_every": 1, "learning_rate": 1e-3, "patience": 9}
    choices = CustomizeOptions(**common | changes)
    sample = golden_sample.resized(Size(128, 96))
    record = Customization(pipe, [sample], folder, choices, photos={}, device="cpu").run().record
    assert (record.base, record.category) == (mini.weights_name, "upper_body")
    differences = read_adapter(folder / "adapter.safetensors").differences
    assert {name.partition(".")[0] for name in differences} == parts
    for part in ("unet", "warp_net", "unet_encoder", "vae", "image_encoder"):
        before = getattr(mini, part).state_dict()
        after = {name.replace(".base_layer", ""): each for name, each in getattr(pipe, part).state_dict().items()}
        changed = {name for name in before if not torch.equal(before[name], after[name])}
        assert changed <= {name.removeprefix(f"{part}.") for name in differences if name.startswith(f"{part}.")}
        assert not changed or part in parts


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"warp": False}, "nothing would be trained"),
        ({"lora": 4}, "of which none is trained"),
    ],
)
def test_choices_that_do_nothing_for_mini_are_refused(mini, changes, words):
    with pytest.raises(ConfigError, match=words):
        recipe_of(mini, CustomizeOptions(**changes), "cpu", Size(128, 96))


def test_the_held_out_view_is_not_charged_for_a_flow_that_changed(mini, golden_sample, tmp_path):
    pipe, sample = copy.deepcopy(mini), golden_sample.resized(Size(128, 96))
    choices = CustomizeOptions(batch_size=1)
    trainer = Customization(pipe, [sample], tmp_path / "mine", choices, photos={}, device="cpu").trainer
    with torch.no_grad():
        for each in pipe.warp_net.parameters():
            each.add_(0.01 * torch.randn(each.shape, generator=torch.Generator().manual_seed(0)))
    batch = trainer.validation._batches[0]
    with torch.no_grad():
        told = trainer.task.loss(trainer.task.model.eval(), batch)
        charged = trainer.task.loss(trainer.task.model.train(), batch)
    parts = {name: float(part) for name, part in told.parts.items()}
    assert parts["slopes"] > 0
    assert float(told.per_sample.mean()) == pytest.approx(parts["colours"] + 0.5 * parts["outline"], rel=1e-5)
    assert float(charged.per_sample.mean()) > float(told.per_sample.mean())
