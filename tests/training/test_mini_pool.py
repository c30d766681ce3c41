"""Training on one accelerator: samples in its memory, batches like those of the tasks."""

import time

import numpy as np
import pytest
import torch
from PIL import Image

from idmvton.data.sample import TryOnSample
from idmvton.images import to_vae_tensor
from idmvton.images.densepose import colour_parts
from idmvton.prepare.attribute_net import SIZE, WORDS, AttributeNet
from idmvton.studio.sampling import sample
from idmvton.training.mini.attributes import loss_of, render_product, vary
from idmvton.training.mini.batches import draw_samples, warp_batch
from idmvton.training.mini.pool import Pool, render, unpacked
from idmvton.training.mini.shop_look import shop_look
from idmvton.training.mini.warp_task import WarpTask
from idmvton.training.recipe import load_recipe
from idmvton.types import Size

PICTURES = Size(256, 192)
STILL = ["warp.turn=0", "warp.zoom=0", "warp.shear=0", "warp.shift=0", "masks.grown=0", "masks.box=0"]


def count_up(index):
    if index == 1:
        raise ValueError(f"piece {index}")
    return {"number": np.arange(3)[:, None] + 10 * index}, [f"{index}-{row}" for row in range(3)]


def make_counter():
    return count_up


def test_a_pool_grows_while_it_is_read_as_far_as_it_may_and_tells_what_went_wrong():
    pool = Pool(5, torch.device("cpu"), make_counter, 1)
    deadline = time.monotonic() + 120
    while len(pool) < 5 and time.monotonic() < deadline:
        time.sleep(0.05)
    pool.close()
    assert pool["number"][:, 0].tolist() == [0, 1, 2, 20, 21]
    assert pool.told == ["0-0", "0-1", "0-2", "2-0", "2-1"]
    assert len(pool.errors) == 1
    assert "ValueError: piece 1" in pool.errors[0]


class Rendered(dict):
    device = torch.device("cpu")

    def __len__(self):
        return len(self["person"])


@pytest.fixture(scope="module")
def pool():
    arrays, _ = render(5, 1, PICTURES, None, 32)
    return Rendered({name: torch.from_numpy(value[None]) for name, value in arrays.items()})


def test_a_batch_is_what_the_task_makes_of_the_sample(pool):
    task = WarpTask(load_recipe("mini_warp", STILL), None)
    drawn = {"number": torch.tensor([0]), "other": torch.tensor([1]), "maps": torch.tensor([0])}
    drawn |= {"varied": torch.tensor([False]), "mirrored": torch.tensor([False])}
    batch = warp_batch(pool, drawn, task.size, task.options, torch.Generator())
    flow, known, seen = unpacked(pool["flow"][:1, 1], PICTURES)
    pixels = (flow[0].permute(1, 2, 0).numpy() + 1) / 2 * [PICTURES.width, PICTURES.height]
    known, seen = known[0, 0].numpy(), seen[0, 0].numpy()
    pixels[~known] = np.where(seen[~known][:, None], np.inf, np.nan)
    expected = task.content(
        TryOnSample(
            name="it",
            person=Image.fromarray(pool["person"][0].numpy()),
            garment=Image.fromarray(pool["garment"][0, 1].numpy()),
            mask=pool["mask"][0, 0].numpy(),
            densepose=colour_parts(pool["parts"][0, 0].numpy()),
            caption="",
            category="upper_body",
            flow=pixels.astype(np.float32),
        ),
        np.random.default_rng(0),
    )
    for name, value in expected.items():
        off = (batch[name][0] - value).abs()
        assert off.mean() < 0.01, name


def test_mirrored_samples_have_mirrored_flows(pool):
    task = WarpTask(load_recipe("mini_warp", STILL), None)
    drawn = draw_samples(pool, 2, torch.Generator().manual_seed(0))
    drawn |= {name: torch.zeros(2, dtype=torch.long) for name in ("number", "other", "maps")}
    drawn |= {"varied": torch.zeros(2, dtype=torch.bool), "mirrored": torch.tensor([False, True])}
    batch = warp_batch(pool, drawn, task.size, task.options, torch.Generator())
    plain, mirrored = batch["flow"]
    both = (batch["known"][:1] * batch["known"][1:].flip(-1))[0, 0] > 0
    off = (plain - mirrored.flip(-1) * torch.tensor([-1.0, 1.0])[:, None, None])[:, both]
    assert off.abs().median() < 0.05


def test_a_shop_picture_keeps_the_garment_in_its_place():
    made = sample(5, 0, size=PICTURES, worn=False)
    looked = shop_look(made.garment, made.garment_mask, "round neck", np.random.default_rng(1))
    outside = to_vae_tensor([Image.fromarray(looked)])[0][:, ~torch.from_numpy(made.garment_mask > 0)]
    assert looked.shape == made.garment.shape
    assert (looked != made.garment).mean() > 0.2
    assert outside.median() > 0.8


def test_a_varied_product_picture_still_trains_the_network():
    pictures, words = (
        torch.from_numpy(np.stack(each)) for each in zip(*(render_product(0, n) for n in range(4)), strict=True)
    )
    planes, own = vary(pictures, torch.Generator().manual_seed(0))
    assert planes.shape == (4, 4, *SIZE)
    assert own.dtype == torch.bool
    assert words.shape == (4, len(WORDS))
    net = AttributeNet()
    loss = loss_of(net, pictures, words, torch.Generator().manual_seed(0))
    loss.backward()
    assert all(each.grad is not None for each in net.parameters())
