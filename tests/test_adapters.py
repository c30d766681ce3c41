"""Adapters: what is put on comes off bit by bit, reaches the networks however they lie, and fits one base only."""

import copy
import json

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from golden_data import CHECKPOINT
from idmvton import TryOnPipeline
from idmvton.checkpoint.adapter import Adapter, base_values, read_adapter, write_adapter
from idmvton.checkpoint.adapter_record import AdapterRecord, adapter_files, find_adapter, read_record
from idmvton.cli import app
from idmvton.errors import ConfigError, WeightsError
from idmvton.models.changed_weights import ChangedWeights, LowRank
from idmvton.tryon.graphs import EagerRecorder, Graphs
from photo_fixtures import photos, rendered, truth

__all__ = ["photos", "rendered", "truth"]  # fixtures

LAYER = "up_blocks.0.attentions.0.transformer_blocks.0.attn1"
RECORD = AdapterRecord(
    base="golden at 1234",
    layers="up_attention",
    rank=0,
    caption="striped shirt",
    category="upper_body",
    photos={"person.jpg": "ab"},
    options={"steps": 3},
    steps=3,
    losses={"start": 1.0, "3": 0.5},
    digest="",
    made_with={"torch": torch.__version__},
)


def weights_of(pipe):
    return {f"unet.{name}": each for name, each in pipe.unet.named_parameters()}


def snapshot(pipe):
    return {name: each.detach().clone() for name, each in pipe.unet.state_dict().items()}


def make_adapter(pipe, folder, low_rank=False):
    """An adapter of one layer's queries, keys and values, large enough to be seen."""
    generator = torch.Generator().manual_seed(0)
    weights = weights_of(pipe)
    differences = {}
    for name in ("to_q", "to_k", "to_v"):
        shape = weights[f"unet.{LAYER}.{name}.weight"].shape
        if low_rank:
            down, up = torch.randn(2, shape[1], generator=generator), torch.randn(shape[0], 2, generator=generator)
            differences[f"unet.{LAYER}.{name}.weight"] = LowRank(down, up, 0.5)
        else:
            differences[f"unet.{LAYER}.{name}.weight"] = torch.randn(shape, generator=generator)
    values = base_values({name: weights[name] for name in differences})
    write_adapter(Adapter(RECORD, differences, values), folder / "adapter.safetensors")
    return folder


def picture(pipe, call):
    return np.asarray(pipe(**call).images[0])


@pytest.mark.parametrize("low_rank", [False, True])
def test_on_it_changes_the_picture_and_off_everything_is_as_before(own_pipe, one_call, tmp_path, low_rank):
    folder, before, weights = make_adapter(own_pipe, tmp_path / "mine", low_rank), None, snapshot(own_pipe)
    before = picture(own_pipe, one_call)
    own_pipe.load_adapter(folder)
    on = picture(own_pipe, one_call)
    assert (on != before).any(), "no cache may answer for the weights before"
    own_pipe.load_adapter(folder, 0.5)
    assert (picture(own_pipe, one_call) != on).any()
    own_pipe.load_adapter(folder, 0.0)
    assert own_pipe.adapter is not None
    assert (picture(own_pipe, one_call) == before).all()
    own_pipe.load_adapter(folder, 1.0)
    assert (picture(own_pipe, one_call) == on).all()
    own_pipe.unload_adapter()
    assert all(torch.equal(each, weights[name]) for name, each in own_pipe.unet.state_dict().items())
    assert (picture(own_pipe, one_call) == before).all()


def test_it_reaches_weights_that_lie_together_and_recorded_graphs(own_pipe, one_call, tmp_path):
    folder = make_adapter(own_pipe, tmp_path / "mine")
    plain = copy.deepcopy(own_pipe)
    plain.load_adapter(folder)
    expected = picture(plain, one_call)
    for network in (own_pipe.unet, own_pipe.unet_encoder):
        network.lay_out_for_gpus()
    own_pipe.graphs = Graphs(EagerRecorder())
    before = [picture(own_pipe, one_call) for _ in range(2)][-1]
    assert own_pipe.graphs.num_recorded
    recorded = own_pipe.graphs.num_recorded
    own_pipe.load_adapter(folder)
    assert np.abs(picture(own_pipe, one_call).astype(int) - expected).max() <= 1
    assert own_pipe.graphs.num_recorded == recorded, "weights stayed where they are"
    own_pipe.unload_adapter()
    assert (picture(own_pipe, one_call) == before).all()


def test_changes_add_up_and_leave_in_any_order():
    layer = torch.nn.Linear(3, 2)
    original = layer.weight.detach().clone()
    changed = ChangedWeights(lambda: {"net": layer})
    changed.put_on("first", {"net.weight": torch.ones(2, 3)}, 2.0)
    changed.put_on("second", {"net.weight": LowRank(torch.ones(1, 3), torch.ones(2, 1), 0.5)})
    torch.testing.assert_close(layer.weight.detach(), original + 2.5)
    changed.take_off("first")
    torch.testing.assert_close(layer.weight.detach(), original + 0.5)
    assert changed.names == ("second",)
    assert torch.equal(changed.originals()["net.weight"], original)
    changed.take_off("second")
    assert torch.equal(layer.weight, original)
    with pytest.raises(WeightsError, match="another shape"):
        changed.put_on("third", {"net.weight": torch.ones(3, 2)})
    with pytest.raises(WeightsError, match="not in the networks"):
        changed.put_on("third", {"net.other": torch.ones(3, 2)})


def test_it_fits_its_base_in_half_precision(own_pipe, tmp_path):
    folder = make_adapter(own_pipe, tmp_path / "mine")
    for dtype in (torch.bfloat16, torch.float16):
        half = copy.deepcopy(own_pipe).to(dtype)
        weights = snapshot(half)
        half.load_adapter(folder)
        half.unload_adapter()
        assert all(torch.equal(each, weights[name]) for name, each in half.unet.state_dict().items())


def test_one_of_other_weights_is_refused_by_name(own_pipe, tmp_path):
    folder = make_adapter(own_pipe, tmp_path / "mine")
    with torch.no_grad():
        own_pipe.unet.get_submodule(LAYER).to_q.weight.mul_(1.05)
    own_pipe.weights_name = "mini at 5678"
    with pytest.raises(WeightsError, match=r"(?s)other weights.*mini at 5678.*golden at 1234"):
        own_pipe.load_adapter(folder)
    assert own_pipe.adapter is None


def test_damaged_and_foreign_files_are_refused(own_pipe, tmp_path):
    file = make_adapter(own_pipe, tmp_path / "mine") / "adapter.safetensors"
    tensors = load_file(file)
    whole = file.read_bytes()

    for part in (whole[:-1], whole[:100], b"", b"<html>"):
        file.write_bytes(part)
        with pytest.raises(WeightsError, match="make the adapter again with `idmvton customize`"):
            own_pipe.load_adapter(file)
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(WeightsError, match="is damaged"):
        own_pipe.load_adapter(file)
    save_file(tensors, file)
    with pytest.raises(WeightsError, match="no adapter of this library"):
        own_pipe.load_adapter(file)
    save_file(tensors, file, metadata={"idmvton_adapter": json.dumps({"format": 99})})
    with pytest.raises(WeightsError, match="another version"):
        own_pipe.load_adapter(file)
    with pytest.raises(WeightsError, match="no such adapter"):
        own_pipe.load_adapter(tmp_path / "nothing")
    with pytest.raises(ConfigError, match="scale"):
        own_pipe.load_adapter(file, 3.0)


def test_files_are_found_by_folder_name_and_stem(own_pipe, tmp_path):
    folder = make_adapter(own_pipe, tmp_path / "mine")
    loose = tmp_path / "loose.safetensors"
    loose.write_bytes((folder / "adapter.safetensors").read_bytes())
    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    assert list(adapter_files(tmp_path)) == ["loose", "mine"]
    assert find_adapter("mine", tmp_path) == folder / "adapter.safetensors"
    assert find_adapter("loose", tmp_path) == loose
    with pytest.raises(WeightsError, match="loose, mine"):
        find_adapter("yours", tmp_path)
    record = read_record(loose)
    assert record.caption == "striped shirt"
    assert record.digest == read_adapter(loose).record.digest != ""


def test_a_result_names_it(own_pipe, one_call, tmp_path):
    folder = make_adapter(own_pipe, tmp_path / "my-jacket")
    own_pipe.load_adapter(folder, 0.8)
    digest = read_record(folder / "adapter.safetensors").digest
    assert own_pipe(**one_call).provenance()["made_with"]["adapter"] == f"my-jacket at {digest[:12]}, scale 0.8"


def test_a_folder_is_made_anew_where_the_adapter_changed(photos, own_pipe):
    people, out = photos / "people", photos / "out"
    people.mkdir()
    (photos / "anna.png").rename(people / "anna.png")
    folder = make_adapter(own_pipe, photos / "mine")

    def dress(*options):
        """What a run made and skipped, and the picture."""
        words = [
            "try-on",
            people,
            photos / "shirt.png",
            "-o",
            out,
            "--model",
            CHECKPOINT,
            "--steps",
            "1",
            "--seed",
            "1",
        ]
        told = CliRunner().invoke(app, [str(each) for each in [*words, "--caption", "vest", *options]])
        assert told.exit_code == 0, told.output
        report = json.loads((out / "report.json").read_text())
        (name,) = {*report["made"], *report["skipped"]}
        return bool(report["made"]), np.asarray(Image.open(out / name))

    was_made, plain = dress()
    assert was_made
    was_made, first = dress("--adapter", folder)
    assert was_made
    assert (first != plain).any()
    assert not dress("--adapter", folder)[0]
    (folder / "adapter.safetensors").unlink()
    make_adapter(own_pipe, folder, low_rank=True)  # another one under the same name
    was_made, second = dress("--adapter", folder)
    assert was_made
    assert (second != first).any()


def test_it_is_on_from_the_start_where_it_is_named(untouched, one_call, tmp_path):
    folder = make_adapter(untouched, tmp_path / "mine")
    pipe = TryOnPipeline.from_pretrained(CHECKPOINT, device="cpu", adapter=folder, adapter_scale=0.5)
    assert pipe.adapter is not None
    assert pipe.adapter.scale == 0.5
    pipe.unload_adapter()
    expected = untouched.unet.state_dict()
    assert all(torch.equal(each, expected[name]) for name, each in pipe.unet.state_dict().items())
