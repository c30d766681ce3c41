"""From photos to an adapter by name: what is made, listed, chosen and deleted, and which photos are refused."""

import copy
import dataclasses
import json
import shutil

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from golden_data import CHECKPOINT
from idmvton.cli import app
from idmvton.customize.options import CustomizeOptions
from idmvton.customize.views import closer, sample_of, worn_region
from idmvton.engine.adapter_folder import adapter_place, choose_adapter, delete_adapter, list_adapters
from idmvton.engine.adapters import PhotoPair, check_worth, prepare_pair
from idmvton.errors import ConfigError, InputError, NoPersonError, PreparationError, UnusablePersonError, WeightsError
from idmvton.options import PrepareOptions
from idmvton.prepare.garment import WORN_SOURCE
from idmvton.prepare.preparer import preparer_for
from idmvton.types import Size

SIZE = Size(128, 96)
FEW = ["--steps", "2", "--check-every", "1", "--batch-size", "1", "--learning-rate", "1e-3"]


def run(*arguments):
    return CliRunner().invoke(app, [str(each) for each in arguments])


@pytest.fixture
def checkpoint(tmp_path):
    """The golden checkpoint, whose pictures take two steps where nobody says."""
    folder = tmp_path / "golden"
    shutil.copytree(CHECKPOINT, folder)
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps(index | {"num_inference_steps": 2}))
    return folder


@pytest.fixture
def preparer(photos):
    return preparer_for(PrepareOptions())


def test_photos_become_an_adapter_that_is_listed_used_and_deleted(photos, checkpoint):
    person, garment, adapter = photos / "anna.png", photos / "shirt.png", photos / "adapters" / "shirt"
    made = run("customize", person, garment, "-o", adapter, "--model", checkpoint, *FEW, "--caption", "vest", "--json")
    assert made.exit_code == 0, made.output
    told = json.loads(made.stdout)
    assert told["adapter"]["caption"] == "vest"
    assert told["adapter"]["photos"].keys() == {"anna.png", "shirt.png"}
    assert {each.name for each in adapter.iterdir()} == {"adapter.safetensors", "before-after.png", "garment.png"}
    assert Image.open(told["picture"]).size == (4 * 384, 512)

    again = run("customize", person, garment, "-o", adapter, *FEW)
    assert again.exit_code == 1
    assert "there already" in again.output

    dressed = run(
        "try-on", person, adapter / "garment.png", "-o", photos / "out.png", "--model", checkpoint, "--steps", "1",
        "--caption", "vest", "--adapter", adapter, "--adapter-scale", "0.5", "--json",
    )  # fmt: skip
    assert dressed.exit_code == 0, dressed.output
    digest = told["adapter"]["digest"][:12]
    assert json.loads(dressed.stdout)["made_with"]["adapter"] == f"shirt at {digest}, scale 0.5"

    listed = run("adapters", adapter.parent, "--json")
    assert json.loads(listed.stdout)["shirt"] == told["adapter"]
    assert "vest" in run("adapters", adapter.parent).output
    assert run("adapters", adapter.parent, "--delete", "shirt").exit_code == 0
    assert not adapter.exists()


def test_without_a_garment_it_is_cut_out_of_the_photo(photos, preparer):
    prepared = prepare_pair(preparer, PhotoPair(photos / "anna.png"), PrepareOptions(category="upper"))
    garment = np.asarray(prepared.garment)
    assert (garment[0] == 255).all()
    assert prepared.garment_mask.mean() > 0.1
    assert prepared.sources["garment"] == WORN_SOURCE
    sample = sample_of(prepared, "shirt", SIZE, "anna")
    assert (sample.size, sample.garment.size) == (SIZE, (96, 128))
    assert 0.02 < worn_region(sample).mean() <= sample.mask.mean()


def test_one_photo_with_a_product_picture_is_refused_where_it_would_do_harm(photos, preparer):
    anna, options = photos / "anna.png", PrepareOptions(category="upper")
    pair = prepare_pair(preparer, PhotoPair(anna, photos / "shirt.png"), options)
    with pytest.raises(ConfigError, match=r"(?s)nothing that helps other people.*--pair OTHER"):
        check_worth([pair], CustomizeOptions())
    assert "nothing that helps" in check_worth([pair], CustomizeOptions(warp=True))[0]
    assert check_worth([pair, pair], CustomizeOptions()) == ()
    assert check_worth([pair], CustomizeOptions(layers="up_attention", warp=False)) == ()
    cut_out = dataclasses.replace(pair, sources=pair.sources | {"garment": WORN_SOURCE})
    assert check_worth([cut_out], CustomizeOptions()) == ()


def test_the_held_out_view_is_closer_with_the_garment_in_the_middle(photos, preparer):
    sample = sample_of(prepare_pair(preparer, PhotoPair(photos / "anna.png"), PrepareOptions()), "shirt", SIZE, "a")
    held = closer(sample)
    assert held.mask.sum() > 1.3 * sample.mask.sum()
    rows, columns = np.nonzero(held.mask)
    assert abs(rows.min() + rows.max() - 127) <= 6
    assert abs(columns.min() + columns.max() - 95) <= 6


def test_photos_that_nothing_can_be_learned_from_are_refused(photos, preparer, truth, monkeypatch):
    anna, options = photos / "anna.png", PrepareOptions(category="upper")
    prepared = prepare_pair(preparer, PhotoPair(anna), options)
    with pytest.raises(InputError, match=r"(?s)too small.*anna: 512x384"):
        sample_of(prepared, "shirt", Size(1152, 864), "anna")
    enlarged = copy.copy(prepared)
    object.__setattr__(enlarged, "photo", prepared.photo.resize((150, 200)))
    with pytest.raises(InputError, match=r"(?s)too small.*anna: 200x150"):
        sample_of(enlarged, "shirt", Size(512, 384), "anna")
    bare = prepared.labels.copy()
    bare[bare == 4] = 0
    object.__setattr__(prepared, "labels", bare)
    with pytest.raises(PreparationError, match=r"(?s)not seen on the person.*category upper"):
        sample_of(prepared, "shirt", SIZE, "anna")
    with pytest.raises(PreparationError, match="nobody is seen wearing"):
        prepare_pair(preparer, PhotoPair(photos / "shirt.png"), options)
    monkeypatch.setattr(type(truth), "find", lambda self, photo: ())
    with pytest.raises(NoPersonError, match="nobody is seen in the photo"):
        prepare_pair(preparer, PhotoPair(anna), options)
    monkeypatch.setattr(type(truth), "find", lambda self, photo: (self.known, self.known))
    with pytest.raises(UnusablePersonError, match=r"(?s)2 people.*crop the photo"):
        prepare_pair(preparer, PhotoPair(anna, photos / "shirt.png"), options)


@pytest.mark.parametrize("name", ["", " ", ".hidden", "../up", "a/b", "a\\b", "nul\0", "x" * 300, ".."])
def test_names_that_lead_elsewhere_are_refused(tmp_path, name):
    with pytest.raises(InputError, match="cannot have this name"):
        adapter_place(name, tmp_path)
    with pytest.raises(InputError):
        delete_adapter(name, tmp_path)


def test_what_is_not_there_or_broken_is_told(tmp_path):
    with pytest.raises(WeightsError, match="no such adapter"):
        choose_adapter("shirt", tmp_path)
    with pytest.raises(WeightsError, match="no such adapter"):
        delete_adapter("shirt", tmp_path)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "adapter.safetensors").write_bytes(b"nothing")
    assert isinstance(list_adapters(tmp_path)["broken"], WeightsError)
    listed = run("adapters", tmp_path)
    assert listed.exit_code == 1
    assert "broken" in listed.output
    assert "no adapters" in run("adapters", tmp_path / "broken").output
    assert run("adapters", tmp_path / "nowhere").exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nobody.jpg"], "does not exist"),
        (["PERSON", "--pair", "a,"], "PERSON,GARMENT"),
        (["PERSON", "--steps", "0"], "steps"),
        (["PERSON", "--model", "nothing"], "nothing"),
    ],
)
def test_mistakes_on_the_command_line_are_told_before_anything_is_made(tmp_path, arguments, words):
    Image.new("RGB", (64, 96)).save(tmp_path / "p.png")
    said = [str(tmp_path / "p.png") if each == "PERSON" else each for each in arguments]
    result = run("customize", *said, "-o", tmp_path / "new")
    assert result.exit_code in (1, 2)
    assert words in result.output
    assert not (tmp_path / "new").exists()
