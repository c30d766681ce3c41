"""The training: what is chosen changes and nothing else, it can be stopped, and it stops by itself."""

import copy
import json
import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from golden_data import GOLDEN
from idmvton import TryOnPipeline
from idmvton.checkpoint.adapter import read_adapter
from idmvton.checkpoint.published import load_tryon_net
from idmvton.customize.layers import chosen_weights
from idmvton.customize.recipe import recipe_of
from idmvton.customize.run import Learned
from idmvton.errors import ConfigError, OutputError, WeightsError
from idmvton.models.changed_weights import LowRank
from idmvton.types import Size

DOCS = Path(__file__).parents[2] / "docs" / "customization.md"


def full_size_names():
    return list(json.loads((GOLDEN / "full_size_manifest.json").read_text())["unet"])


class Named(torch.nn.Module):
    """Stands for a network of which only the names of the weights matter."""

    def __init__(self, names):
        super().__init__()
        self.names = names

    def named_parameters(self, *args, **kwargs):
        return ((name, None) for name in self.names)


def up_attention_of_sdxl():
    names = set()
    for block, layers in ((0, 10), (1, 2)):
        for attention in range(3):
            for layer in range(layers):
                place = f"up_blocks.{block}.attentions.{attention}.transformer_blocks.{layer}"
                for kind in ("attn1", "attn2"):
                    names |= {f"{place}.{kind}.to_{name}.weight" for name in ("q", "k", "v", "out.0")}
                    names.add(f"{place}.{kind}.to_out.0.bias")
                names |= {f"{place}.attn2.processor.to_{name}_ip.weight" for name in ("k", "v")}
    return names


def test_the_papers_layers_in_the_published_layout():
    chosen = chosen_weights(Named(full_size_names()), "up_attention")
    assert set(chosen) == up_attention_of_sdxl()
    assert len(chosen) == 36 * 12


def test_the_other_choices_in_the_published_layout():
    names = full_size_names()
    chosen = {layers: set(chosen_weights(Named(names), layers)) for layers in ("up_blocks", "all_attention", "none")}
    assert chosen["up_blocks"] == {name for name in names if name.startswith("up_blocks.")}
    assert chosen["all_attention"] > up_attention_of_sdxl()
    assert all(".attn1." in name or ".attn2." in name for name in chosen["all_attention"])
    assert not any("encoder_hid_proj" in name for name in chosen["all_attention"])
    assert not chosen["none"]
    with pytest.raises(ConfigError, match="no such layers"):
        chosen_weights(Named(["conv_in.weight"]), "up_attention")


@pytest.mark.parametrize(
    ("layers", "millions"), [("up_attention", 655.8), ("up_blocks", 1497.1), ("all_attention", 1296.1)]
)
def test_the_counts_that_the_docs_compute_memory_from(layers, millions):
    manifest = json.loads((GOLDEN / "full_size_manifest.json").read_text())
    shapes, garment_net = manifest["unet"], sum(map(math.prod, manifest["unet_encoder"].values()))
    trained = sum(math.prod(shapes[name]) for name in chosen_weights(Named(list(shapes)), layers))
    frozen = sum(map(math.prod, shapes.values())) - trained
    encoders, vae = 123.1e6 + 694.7e6 + 632.1e6, 83.7e6
    fixed = 2 * garment_net + 2 * encoders + 4 * vae + 2 * frozen
    told = re.search(rf"\| `{layers}` \| {millions:,} \| ([\d.]+) GB \| ([\d.]+) GB \| ([\d.]+) GB", DOCS.read_text())
    assert round(trained / 1e6, 1) == millions
    computed = [fixed + 16 * trained, fixed + 10 * trained, 2 * trained]
    assert [float(each) for each in told.groups()] == pytest.approx([each / 1e9 for each in computed], abs=0.06)


@dataclass(frozen=True)
class Trained:
    """A customization that ended: the pipeline that was trained, the adapter's folder, and how it ended."""

    rank: int
    pipe: TryOnPipeline
    folder: Path
    learned: Learned


@pytest.fixture(scope="module", params=[0, 2], ids=["whole", "low rank"])
def trained(request, untouched, learn, tmp_path_factory):
    pipe, folder = copy.deepcopy(untouched), tmp_path_factory.mktemp("trained") / "mine"
    return Trained(request.param, pipe, folder, learn(pipe, folder, lora=request.param))


def test_exactly_the_chosen_weights_change(trained, untouched):
    rank, pipe, learned = trained.rank, trained.pipe, trained.learned
    names = chosen_weights(untouched.unet, "up_attention")
    adapter = read_adapter(trained.folder / "adapter.safetensors")
    expected = [name for name in names if name.endswith(".weight")] if rank else names
    assert set(adapter.differences) == {f"unet.{name}" for name in expected}
    assert all(isinstance(each, LowRank) == bool(rank) for each in adapter.differences.values())
    dense = [each.dense() if rank else each for each in adapter.differences.values()]
    assert all(each.abs().max() > 0 for each in dense)
    assert learned.record == adapter.record
    assert learned.record.rank == rank
    assert learned.record.losses["start"] > min(learned.record.losses.values())

    base = untouched.unet.state_dict()
    now = {name.replace(".base_layer", ""): each for name, each in pipe.unet.state_dict().items()}
    frozen = [name for name in base if rank or name not in names]
    assert all(torch.equal(now[name], base[name]) for name in frozen)
    others = ("unet_encoder", "vae", "text_encoder", "text_encoder_2", "image_encoder")
    for part in others:
        before, after = getattr(untouched, part).state_dict(), getattr(pipe, part).state_dict()
        assert all(torch.equal(after[name], before[name]) for name in before)


def test_the_adapter_is_what_was_trained(trained, untouched, one_call):
    assert trained.learned.record.steps == trained.learned.step, "the last weights are the best"
    call = one_call | {"height": 64, "width": 64}
    own = np.asarray(trained.pipe(**call).images[0]).astype(int)
    pipe = copy.deepcopy(untouched)
    before = np.asarray(pipe(**call).images[0]).astype(int)
    pipe.load_adapter(trained.folder)
    put_on = np.asarray(pipe(**call).images[0]).astype(int)
    assert np.abs(put_on - own).max() <= 1
    assert (put_on != before).any()


@pytest.mark.parametrize("trained", [0], indirect=True, ids=["whole"])
def test_stopped_and_resumed_it_learns_the_same_to_the_last_bit(trained, untouched, learn, tmp_path):
    stopped = learn(copy.deepcopy(untouched), tmp_path / "parts", max_minutes=0.0)
    assert (stopped.reason, stopped.step, stopped.record) == ("time", 1, None)
    (file,) = (tmp_path / "parts" / "run" / "states").glob("*/model.safetensors")
    weights = (untouched.unet.get_parameter(name) for name in chosen_weights(untouched.unet, "up_attention"))
    assert file.stat().st_size < 4 * sum(each.numel() for each in weights) + 100_000, "those that are trained alone"
    with pytest.raises(OutputError, match=r"(?s)not ended.*--resume"):
        learn(untouched, tmp_path / "parts")
    with pytest.raises(ConfigError, match=r"(?s)other photos or options.*seed"):
        learn(untouched, tmp_path / "parts", resume=True, seed=9)
    resumed = learn(copy.deepcopy(untouched), tmp_path / "parts", resume=True)
    assert resumed.record.digest == trained.learned.record.digest
    assert resumed.record.losses == trained.learned.record.losses
    assert sorted(each.name for each in (tmp_path / "parts").iterdir()) == ["adapter.safetensors"]


def test_a_caller_measures_the_weights_of_each_check(own_pipe, learn, tmp_path):
    name = chosen_weights(own_pipe.unet, "up_attention")[0]
    seen = []

    def measure(pipe):
        seen.append(pipe.unet.get_parameter(name).detach().clone())
        return {"calls": len(seen)}

    learn(own_pipe, tmp_path / "mine", at_checks=measure, check_every=1, max_minutes=0.0)
    lines = (tmp_path / "mine" / "run" / "metrics.jsonl").read_text().splitlines()
    noted = {line["step"]: line["calls"] for line in map(json.loads, lines) if "validation_loss" in line}
    assert noted == {0: 1, 1: 2}, "before the first step, and after it"
    assert not torch.equal(*seen)


def test_it_stops_where_the_held_out_view_gets_no_better_and_keeps_the_best(own_pipe, learn, tmp_path):
    learned = learn(own_pipe, tmp_path / "mine", steps=40, learning_rate=0.02, check_every=1, patience=2)
    losses = {0 if step == "start" else int(step): loss for step, loss in learned.record.losses.items()}
    assert learned.reason == "settled"
    assert learned.step < 40
    best = min(losses, key=losses.get)
    assert learned.record.steps == best == max(losses) - 2


def test_where_nothing_is_learned_it_says_so(own_pipe, learn, tmp_path):
    with pytest.raises(ConfigError, match=r"(?s)not learned.*learning-rate"):
        learn(own_pipe, tmp_path / "mine", learning_rate=1.0, steps=2, check_every=1)
    assert not (tmp_path / "mine" / "adapter.safetensors").exists()


def test_nothing_is_overwritten(untouched, learn, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("precious")
    with pytest.raises(OutputError, match=r"(?s)something else.*notes.txt"):
        learn(untouched, tmp_path / "mine")
    (tmp_path / "mine" / "adapter.safetensors").write_text("")
    with pytest.raises(OutputError, match="there already"):
        learn(untouched, tmp_path / "mine")


def test_a_full_disk_is_told_and_leaves_no_half_adapter(own_pipe, learn, tmp_path, monkeypatch):
    import safetensors.torch

    def full(*_args, **_more):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(safetensors.torch, "save_file", full)
    with pytest.raises(WeightsError, match=r"(?s)No space left.*free space"):
        learn(own_pipe, tmp_path / "mine", steps=1, check_every=1)
    assert not list((tmp_path / "mine").glob("*.safetensors"))


def test_half_precision_trains_in_full(own_pipe, learn, tmp_path):
    learn(own_pipe, tmp_path / "mine", precision="bfloat16", gradient_checkpointing=True, steps=1, check_every=1)
    chosen = set(chosen_weights(own_pipe.unet, "up_attention"))
    kinds = {name: each.dtype for name, each in own_pipe.unet.named_parameters()}
    assert {kinds[name] for name in chosen} == {torch.float32}
    assert {kinds[name] for name in kinds.keys() - chosen} == {torch.bfloat16}
    differences = read_adapter(tmp_path / "mine" / "adapter.safetensors").differences
    assert {each.dtype for each in differences.values()} == {torch.bfloat16}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"warp": True}, "no WarpNet"),
        ({"layers": "none"}, "nothing would be trained"),
        ({"min_timestep": 500, "max_timestep": 400}, "range of timesteps"),
    ],
)
def test_choices_that_do_not_fit_are_refused(untouched, changes, words):
    from idmvton.customize.options import CustomizeOptions

    with pytest.raises(ConfigError, match=words):
        recipe_of(untouched, CustomizeOptions(**changes), "cpu", Size(64, 64))


def test_timesteps_stay_in_their_range(own_pipe, golden_sample, tmp_path):
    from idmvton.customize.options import CustomizeOptions
    from idmvton.customize.run import Customization

    choices = CustomizeOptions(min_timestep=300, max_timestep=310)
    task = Customization(own_pipe, [golden_sample], tmp_path / "mine", choices, photos={}, device="cpu").trainer.task
    drawn = {task.draw(np.random.default_rng(number))["timestep"] for number in range(200)}
    assert drawn == set(range(300, 311))


def test_the_published_net_on_the_disk_has_these_layers():
    net = load_tryon_net(GOLDEN / "dev" / "pipeline" / "unet")
    assert all(name.startswith("up_blocks.") for name in chosen_weights(net, "up_attention"))
