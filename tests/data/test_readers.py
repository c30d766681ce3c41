"""Readers of the published layouts, on small folders built here."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from PIL import Image

from idmvton.data.dress_code import DressCode
from idmvton.data.pairs_folder import PairsFolder
from idmvton.data.synthetic import make_dataset, sample
from idmvton.data.viton_hd import VitonHd
from idmvton.errors import InputError

SIZE = (64, 48)


def photo(path, colour=(200, 100, 50), size=(96, 128), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path)


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vitonhd")
    make_dataset(folder, pairs=3, size=SIZE, split="test", workers=0)
    return folder


def test_viton_hd_reads_what_the_studio_wrote(studio):
    made = sample(0, 1, "test", "mixed", SIZE)
    read = VitonHd(studio, "test", paired=True, size=SIZE)[1]
    assert np.array_equal(read.mask, made.mask)
    assert np.array_equal(read.labels, made.labels)
    assert np.allclose(read.keypoints, made.keypoints, atol=1e-3)
    assert np.abs(read.person.astype(int) - made.person).mean() < 3
    assert np.array_equal(read.person, read.truth)
    assert (read.caption, read.category) == (made.caption, made.category)
    unpaired = VitonHd(studio, "test", paired=False, size=SIZE)[1]
    assert unpaired.caption == made.other_caption
    assert np.abs(unpaired.truth.astype(int) - made.unpaired).mean() < 3
    assert unpaired.name == "000001_00__000001_01"


def test_viton_hd_as_published(tmp_path):
    for name in ("a_00", "b_00"):
        photo(tmp_path / "test" / "image" / f"{name}.jpg")
        photo(tmp_path / "test" / "cloth" / f"{name}.jpg", (10, 20, 30))
    photo(tmp_path / "test" / "agnostic-mask" / "a_00_mask.png", 255, mode="L")
    (tmp_path / "test_pairs.txt").write_text("a_00.jpg b_00.jpg\n")
    tags = [
        {"tag_name": "item", "tag_category": "T-shirts"},
        {"tag_name": "sleeveLength", "tag_category": "Short Sleeve"},
        {"tag_name": "neckLine", "tag_category": None},
    ]
    tagged = {"data": [{"file_name": "b_00.jpg", "category_name": "TOPS", "tag_info": tags}]}
    (tmp_path / "test" / "vitonhd_test_tagged.json").write_text(json.dumps(tagged))
    read = VitonHd(tmp_path, "test", paired=False, size=SIZE)[0]
    assert read.person.shape == (*SIZE, 3)
    assert read.caption == "short sleeve t-shirts"
    assert read.truth is None
    assert read.mask.all()
    assert read.densepose is None
    assert VitonHd(tmp_path, "test", size=SIZE)[0].caption is None


def test_viton_hd_reports_what_is_wrong(tmp_path):
    with pytest.raises(InputError, match="list of pairs"):
        VitonHd(tmp_path, "train")
    (tmp_path / "train_pairs.txt").write_text("a.jpg\n")
    with pytest.raises(InputError, match="too short"):
        VitonHd(tmp_path, "train")
    (tmp_path / "train_pairs.txt").write_text("a.jpg a.jpg\n")
    with pytest.raises(InputError, match="does not exist"):
        VitonHd(tmp_path, "train")[0]


def test_dress_code(tmp_path):
    folder = tmp_path / "lower_body"
    photo(folder / "images" / "000001_0.jpg")
    photo(folder / "images" / "000002_1.jpg")
    labels = np.zeros((128, 96), np.uint8)
    labels[60:100, 30:60] = 6
    (folder / "label_maps").mkdir()
    Image.fromarray(labels).save(folder / "label_maps" / "000001_4.png")
    (folder / "keypoints").mkdir()
    (folder / "keypoints" / "000001_2.json").write_text(json.dumps({"keypoints": [[192.0, 256.0, 1.0, 0]] * 18}))
    (folder / "test_pairs_unpaired.txt").write_text("000001_0.jpg 000002_1.jpg\n")
    (tmp_path / "dc_caption.txt").write_text("000002_1.jpg blue jeans\n")
    read = DressCode(tmp_path, "test", categories=("lower_body",), paired=False, size=SIZE)[0]
    assert read.caption == "blue jeans"
    assert read.mask[40, 22] == 255
    assert read.mask[2, 2] == 0
    assert np.allclose(read.keypoints, [24, 32])
    assert read.truth is None
    with pytest.raises(InputError):
        DressCode(tmp_path, "train", paired=False)
    with pytest.raises(InputError):
        DressCode(tmp_path, "test", categories=("hats",))


def test_pairs_folder(tmp_path):
    photo(tmp_path / "me.png")
    photo(tmp_path / "shirt.png")
    with (tmp_path / "pairs.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("person", "garment", "caption"), ("me.png", "shirt.png", "a red shirt")])
    reader = PairsFolder(tmp_path, size=SIZE, transform=lambda read: (read.caption, read.category, read.mask))
    assert list(reader) == [("a red shirt", "upper_body", None)]
    (tmp_path / "pairs.csv").write_text("person,cloth\n")
    with pytest.raises(InputError, match="columns"):
        PairsFolder(tmp_path)
    (tmp_path / "pairs.csv").write_text("person,garment,category\nme.png,shirt.png,hats\n")
    with pytest.raises(InputError, match="line 2"):
        PairsFolder(tmp_path)


def test_photos_are_turned_upright(tmp_path):
    picture = Image.new("RGB", (128, 96))
    picture.paste((255, 0, 0), (0, 0, 64, 96))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn clockwise
    picture.save(tmp_path / "me.jpg", exif=exif)
    picture.save(tmp_path / "shirt.jpg")
    (tmp_path / "pairs.csv").write_text("person,garment\nme.jpg,shirt.jpg\n")
    person = PairsFolder(tmp_path, size=SIZE)[0].person
    assert person[5, 24, 0] > 200
    assert person[60, 24, 0] < 50
