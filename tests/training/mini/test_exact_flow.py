"""Drafts of the try-on training, with the flow that renders know."""

import dataclasses

import numpy as np
import pytest
import torch

from golden_data import CHECKPOINT
from idmvton.draft.drafter import draft_results
from idmvton.draft.warp_net import WarpNet
from idmvton.errors import ConfigError, InputError
from idmvton.images import from_vae_tensor, to_pil
from idmvton.studio import make_dataset
from idmvton.training.batches import collate
from idmvton.training.mini import mini_tryon_task
from idmvton.training.mini.known_flow import to_places
from idmvton.training.mini.mini_tryon_task import MiniTryOnTask
from idmvton.training.recipe import make_recipe
from idmvton.training.sources import open_source
from idmvton.training.task import build_task


@pytest.fixture(scope="module")
def renders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("renders")
    make_dataset(folder, pairs=1, size=(256, 192), split="train", seed=5, workers=1, flow=True)
    return folder


def task_and_sample(folder, warp_net, *, exact_flow):
    made = make_recipe(
        {
            "task": "mini_tryon",
            "data": {"folder": str(folder), "height": 256, "width": 192},
            "tryon": {"checkpoint": str(CHECKPOINT)},
            "mini_tryon": {"warp_net": str(warp_net), "exact_flow": exact_flow},
        }
    )
    dataset = open_source(made.sections["data"], "train", None)
    return MiniTryOnTask(made, dataset), dataset[0]


def test_the_exact_flow_corrects_an_untrained_warp_net(renders, tmp_path, monkeypatch):
    torch.manual_seed(0)
    net = WarpNet(height=64, width=48, channels=(8, 8, 8, 8), num_layers=1)
    net.last.bias.data[8:] = 30.0  # the garment is everywhere
    net.save_pretrained(tmp_path / "warp_net")
    drafts = []
    monkeypatch.setattr(
        mini_tryon_task, "draft_results", lambda *told: drafts.append(draft_results(*told)) or drafts[-1]
    )
    errors = {}
    for exact in (False, True):
        task, sample = task_and_sample(renders, tmp_path, exact_flow=exact)
        task.encode(collate([task.content(sample, np.random.default_rng(0))]))
        picture = np.asarray(to_pil(from_vae_tensor(drafts[-1].whole))[0], np.float32)
        worn = np.isfinite(sample.flow).all(2) & sample.mask
        errors[exact] = np.abs(picture - np.asarray(sample.person, np.float32))[worn].mean()
    assert errors[True] < 0.5 * errors[False]


def test_places_are_shares_of_the_picture():
    flow = np.array([[[0.0, 0.0], [30.0, 10.0]], [[np.nan, 5.0], [np.inf, np.inf]]], np.float32)
    placed = to_places(flow, (60, 40))
    assert placed[:, 0].tolist() == [[-1.0, 0.0], [-1.0, -0.5]]
    assert placed[:, 1].isnan().all()


def test_renders_without_a_flow_are_refused(renders, tmp_path):
    WarpNet(height=64, width=48, channels=(8, 8, 8, 8), num_layers=1).save_pretrained(tmp_path / "warp_net")
    task, sample = task_and_sample(renders, tmp_path, exact_flow=True)
    with pytest.raises(InputError, match="--flow"):
        task.content(dataclasses.replace(sample, flow=None), np.random.default_rng(0))


def test_there_must_be_a_warp_net_and_only_here(renders, tmp_path):
    values = {"data": {"folder": str(renders), "height": 256, "width": 192}, "tryon": {"checkpoint": str(CHECKPOINT)}}
    made = make_recipe({"task": "mini_tryon"} | values)
    dataset = open_source(made.sections["data"], "train", None)
    with pytest.raises(ConfigError, match="no network that makes drafts"):
        build_task(made, dataset)
    WarpNet(height=64, width=48, channels=(8, 8, 8, 8), num_layers=1).save_pretrained(tmp_path / "warp_net")
    task, _ = task_and_sample(renders, tmp_path, exact_flow=False)
    task.export(tmp_path / "drafted", task.model)
    values["tryon"] = {"checkpoint": str(tmp_path / "drafted")}
    assert build_task(make_recipe({"task": "mini_tryon"} | values), dataset).unet.config.in_channels == 17
    with pytest.raises(ConfigError, match="task = 'mini_tryon'"):
        build_task(make_recipe({"task": "tryon"} | values), dataset)
