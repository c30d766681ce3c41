"""The warp task: the truth it is told is the studio's, whatever happens to the product picture."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from idmvton.draft.warp_net import Warp, WarpNet, places, sample_at
from idmvton.errors import InputError
from idmvton.images import bytes_tensor, bytes_to_vae_tensor
from idmvton.studio import make_dataset
from idmvton.training.mini.stage_sections import WarpOptions
from idmvton.training.mini.warp_task import WarpTask, move_garment, slope_error
from idmvton.training.recipe import make_recipe
from idmvton.training.sources import open_source
from idmvton.training.trainer import Trainer

SIZE = (128, 96)
STILL = {"turn": 0.0, "zoom": 0.0, "shear": 0.0, "shift": 0.0}


@pytest.fixture(scope="module")
def renders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("renders")
    make_dataset(folder, pairs=3, size=SIZE, split="train", seed=5, workers=1, flow=True)
    make_dataset(folder, pairs=1, size=SIZE, split="test", seed=6, workers=1, flow=True)
    return folder


def recipe(folder, **warp):
    return make_recipe(
        {
            "task": "warp",
            "train": {"steps": 40, "batch_size": 3, "workers": 0, "device": "cpu", "ema_decay": 0.0},
            "optimizer": {"learning_rate": 3e-3, "warmup_steps": 0},
            "data": {"folder": str(folder), "height": 128, "width": 96, "order": "both"},
            "augment": {"flip": 0.0, "affine": 0.0, "colour": 0.0},
            "validation": {"every": 40, "num_samples": 1, "num_losses": 1},
            "warp": {"height": 64, "width": 48, "channels": (8, 16, 16, 16), "num_layers": 1} | warp,
        }
    )


def task_and_data(folder, **warp):
    made = recipe(folder, **warp)
    dataset = open_source(made.sections["data"], "train", None)
    return WarpTask(made, dataset), dataset


def test_the_true_flow_has_no_error(renders):
    task, dataset = task_and_data(renders)
    assert len(dataset) == 6
    for sample in dataset:
        content = {name: value[None] for name, value in task.content(sample, np.random.default_rng(0)).items()}
        truth = Warp(content["flow"], content["seen"] * 100 - 50)
        loss = task.loss(lambda _person, _garment, truth=truth: truth, content)
        assert float(loss.per_sample) < 1e-6
        wrong = Warp(content["flow"] + 0.2, -truth.outline)
        assert float(task.loss(lambda _person, _garment, wrong=wrong: wrong, content).per_sample) > 1
        assert (content["known"] <= content["seen"]).all()
        assert content["known"].mean() > 0.01


def test_waves_are_worse_than_a_shift():
    truth = places((64, 48), torch.zeros(1)).repeat(2, 1, 1, 1)
    wave = 0.03 * torch.sin(torch.arange(64) / 3)[:, None].expand(64, 48)
    flow = truth + torch.stack([torch.full((64, 48), 0.03), wave])[:, None]
    known = torch.ones(2, 1, 64, 48)
    shifted, waving = slope_error(flow, truth, known)
    assert shifted < 1e-5
    assert waving > 0.05
    known[:, :, 1:] = 0
    assert slope_error(flow, truth, known).max() < 1e-5  # a row alone does not wave
    doubled = slope_error(2 * truth, truth, torch.ones(2, 1, 64, 48))
    assert doubled.tolist() == pytest.approx([0.5, 0.5], abs=1e-4)  # each direction by itself is told 1 too steep


def test_a_moved_product_picture_takes_its_flow_along(renders):
    _, dataset = task_and_data(renders)
    sample = dataset[0]
    options = WarpOptions(turn=20.0, zoom=0.2, shear=0.1, shift=0.05)
    garment, flow = move_garment(sample.garment, sample.flow, np.random.default_rng(1), options)
    assert np.array_equal(np.isfinite(flow), np.isfinite(sample.flow))
    fetched = []
    for picture, at in ((sample.garment, sample.flow), (garment, flow)):
        grid = torch.from_numpy(np.nan_to_num(at, posinf=0) / np.array(picture.size, np.float32) * 2 - 1)
        grid = grid.permute(2, 0, 1)[None].float()
        fetched.append(sample_at(bytes_to_vae_tensor(bytes_tensor([picture])), grid)[0])
    known = np.isfinite(flow).all(2)
    difference = (fetched[0] - fetched[1]).abs().mean(0).numpy()[known]
    assert np.median(difference) < 0.05
    assert np.mean(difference) < 0.1


def test_nothing_moves_when_nothing_shall(renders):
    _, dataset = task_and_data(renders)
    garment, flow = move_garment(dataset[1].garment, dataset[1].flow, np.random.default_rng(1), WarpOptions(**STILL))
    assert np.array_equal(np.asarray(garment), np.asarray(dataset[1].garment))
    np.testing.assert_allclose(flow, dataset[1].flow, atol=1e-4)


def test_training_brings_the_flow_nearer(renders, tmp_path):
    trainer = Trainer(recipe(renders, **STILL), tmp_path)
    before = trainer.task.measure([trainer.dataset[0]])["flow_error"]
    trainer.run()
    after = trainer.task.measure([trainer.dataset[0]])["flow_error"]
    assert after < 0.7 * before
    assert (tmp_path / "pictures" / "step-00000040.png").exists()
    again = WarpNet.from_pretrained(tmp_path / "checkpoint" / "warp_net")
    weights = trainer.task.net.state_dict()
    assert all(torch.equal(tensor, weights[name]) for name, tensor in again.state_dict().items())
    resumed, _ = task_and_data(renders, init=str(tmp_path / "checkpoint" / "warp_net"))
    assert resumed.size == (64, 48)


def test_samples_without_a_flow_are_refused(renders, tmp_path):
    task, dataset = task_and_data(renders)
    with pytest.raises(InputError, match="no flow"):
        task.content(replace(dataset[0], flow=None), np.random.default_rng(0))
