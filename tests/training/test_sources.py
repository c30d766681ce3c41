"""Where samples come from: a folder in both orders, shards of it, and the studio."""

import dataclasses
import signal

import numpy as np
import psutil
import pytest
from PIL import Image
from typer.testing import CliRunner

from data.layouts import ATR, draw, keypoints, pairs_folder, save
from idmvton.cli import app
from idmvton.data import prepare_dataset, write_shards
from idmvton.data.folder import FolderDataset, FolderView
from idmvton.errors import ConfigError, InputError
from idmvton.studio import make_dataset
from idmvton.studio import sample as studio_sample
from idmvton.training.batches import Ticket, read_ahead
from idmvton.training.sections import DataOptions
from idmvton.training.sources import open_source, picture_to_learn
from training.toy import data_folder
from truth_backends import Truth

SIZE = {"height": 128, "width": 96}


def test_both_orders_of_a_folder(tmp_path):
    folder = data_folder(tmp_path, 3)
    (folder / "test" / "studio.json").write_text("{}")
    options = DataOptions(folder=str(folder), order="both", missing_caption="category phrase", **SIZE)
    dataset = open_source(options, "test", None)
    assert len(dataset) == 6
    assert dataset.names[:4] == ["00000_00", "00000_00__00001_00", "00001_00", "00001_00__00002_00"]
    with pytest.raises(InputError, match="nobody knows how sample"):
        dataset[1]
    for name in ("00000_00", "00001_00", "00002_00"):
        save(Image.new("RGB", (96, 128), (10, 20, 30)), folder / "test" / "image-unpaired" / f"{name}.jpg")
    assert picture_to_learn(dataset[0]) is not None
    assert dataset[0].unpaired_target is None
    other = dataset[1]
    assert np.abs(np.asarray(picture_to_learn(other)).astype(int) - (10, 20, 30)).max() < 4
    assert np.abs(np.asarray(other.person).astype(int) - (10, 20, 30)).max() > 40


def test_the_first_samples_of_a_folder(photos, tmp_path):
    options = DataOptions(folder=str(photos), num_samples=2, missing_caption="category phrase", **SIZE)
    assert len(open_source(options, "test", 2)) == 2
    with pytest.raises(ConfigError, match="no data set was named"):
        open_source(DataOptions(), "test", None)
    own = DataOptions(folder=str(pairs_folder(tmp_path)), captions="detailed", **SIZE)
    with pytest.raises(ConfigError, match="no such captions"):
        open_source(own, "test", None)


def test_given_and_prepared_maps(tmp_path, caplog):
    folder = data_folder(tmp_path, 3)
    truth = Truth(draw(ATR), draw(ATR, parts=True), keypoints())
    prepare_dataset(folder, split="test", beside=True, make_preparer=truth.preparer)
    options = DataOptions(folder=str(folder), maps="both", missing_caption="category phrase", **SIZE)
    dataset = open_source(options, "test", None)
    assert dataset.names[:4] == ["00000_00", "00000_00 (prepared maps)", "00001_00", "00001_00 (prepared maps)"]
    given, prepared = dataset[2], dataset[3]
    assert np.array_equal(given.person, prepared.person)
    assert not np.array_equal(given.mask, prepared.mask)
    assert not caplog.records
    next((folder / "test" / "prepared-maps").glob("00001_00_*_mask.png")).unlink()
    alone = open_source(dataclasses.replace(options, maps="prepared"), "test", None)
    assert alone.names == ["00000_00 (prepared maps)", "00002_00 (prepared maps)"]
    assert "1 of 3 paired samples have no prepared maps" in caplog.text
    with pytest.raises(ConfigError, match="while it renders"):
        open_source(DataOptions(source="studio", maps="both", **SIZE), "train", 1)


def test_the_studio_in_both_orders():
    options = DataOptions(source="studio", order="both", studio_seed=3, height=128, width=96)
    dataset = open_source(options, "train", 1)
    made = studio_sample(3, 0, "train", "mixed", (128, 96))
    own, other = dataset[0], dataset[1]
    assert np.array_equal(own.garment, made.garment)
    assert np.array_equal(other.garment, made.other_garment)
    assert np.array_equal(picture_to_learn(other), made.unpaired)
    assert np.array_equal(picture_to_learn(own), made.person)
    assert np.array_equal(other.person, made.person)
    assert own.caption == made.tags
    assert other.caption != own.caption or made.other_attributes["item"] == made.attributes["item"]
    with pytest.raises(ConfigError, match="how many samples"):
        open_source(options, "train", None)


def test_the_studio_tells_the_flow_if_asked():
    options = DataOptions(source="studio", order="both", studio_seed=3, height=128, width=96, studio_flow=True)
    dataset = open_source(options, "train", 1)
    made = studio_sample(3, 0, "train", "mixed", (128, 96), flow=True)
    for sample, flow in zip((dataset[0], dataset[1]), (made.flow, made.unpaired_flow), strict=True):
        np.testing.assert_array_equal(sample.flow, flow)
    assert open_source(dataclasses.replace(options, studio_flow=False), "train", 1)[0].flow is None


def test_a_stop_that_reaches_the_whole_group_spares_the_workers():
    before = set(psutil.Process().children())
    tickets = [[Ticket(number, number, 0)] for number in range(8)]
    batches = iter(read_ahead(lambda ticket: {"number": ticket.number}, tickets, workers=1))
    next(batches)
    workers = set(psutil.Process().children()) - before
    assert workers
    for worker in workers:
        worker.send_signal(signal.SIGTERM)
    assert [int(batch["number"]) for batch in batches] == list(range(1, 8))


@pytest.fixture(scope="module")
def both_orders(tmp_path_factory):
    """A studio folder and its shards: both orders, detailed captions, flows."""
    root = tmp_path_factory.mktemp("both")
    make_dataset(root / "renders", pairs=2, size=(64, 48), split="train", seed=5, workers=0, flow=True)
    arguments = ["data", "pack", root / "renders", "-o", root / "shards" / "train", "--size", "64x48"]
    called = CliRunner().invoke(app, [*map(str, arguments), "--order", "both", "--captions", "detailed"])
    assert called.exit_code == 0, called.output
    return root


def test_shards_give_what_the_folder_gives(both_orders):
    size = {"height": 64, "width": 48}
    view = {"folder": str(both_orders / "renders"), "order": "both", "captions": "detailed", **size}
    folder = open_source(DataOptions(**view), "train", None)
    shards = open_source(DataOptions(source="shards", folder=str(both_orders / "shards"), **size), "train", None)
    assert list(shards.names) == list(folder.names)
    assert shards.captions() == [each.caption for each in (folder[0], folder[1], folder[2], folder[3])]
    for number in range(4):
        own, other = folder[number], shards[number]
        assert own.caption == other.caption
        for name in ("person", "garment", "mask", "densepose"):
            assert np.array_equal(getattr(own, name), getattr(other, name)), name
        np.testing.assert_array_equal(picture_to_learn(own), picture_to_learn(other))
        np.testing.assert_allclose(own.flow, other.flow, atol=1 / 64)
    first = open_source(DataOptions(source="shards", folder=str(both_orders / "shards"), **size), "train", 2)
    assert list(first.names) == list(folder.names)[:2]


def test_what_was_decided_when_shards_were_packed(both_orders):
    shards = {"source": "shards", "folder": str(both_orders / "shards"), "height": 64, "width": 48}
    with pytest.raises(ConfigError, match=r"data pack \.\.\. --order both"):
        open_source(DataOptions(order="both", **shards), "train", None)
    with pytest.raises(InputError, match=r"there is no .*test/shards\.json"):
        open_source(DataOptions(**shards), "test", None)


def test_unpaired_shards_need_the_truth(photos, tmp_path):
    view = FolderView(order="unpaired", missing_caption="category phrase")
    write_shards(FolderDataset(photos, (64, 48), "test", view), tmp_path / "test", order="unpaired")
    source = open_source(DataOptions(source="shards", folder=str(tmp_path), height=64, width=48), "test", None)
    with pytest.raises(InputError, match="nobody knows how sample"):
        source[0]
    with pytest.raises(InputError, match="nobody knows how sample"):
        FolderDataset(photos, (64, 48), "test", dataclasses.replace(view, order="both"))[1]
