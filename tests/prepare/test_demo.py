"""The published demo's chain: sizes, filters, orientation, mask."""

import hashlib
import json

import numpy as np
import pytest
from PIL import Image

from golden_data import GOLDEN
from idmvton.images.densepose import part_colours
from idmvton.prepare import demo

PICTURES = json.loads((GOLDEN / "openpose" / "picture_inputs.json").read_text())
MASKS = json.loads((GOLDEN / "dev" / "masks" / "cases.json").read_text())["cases"]


@pytest.mark.parametrize("name", [name for name in PICTURES if name.startswith("app_")])
def test_both_sizes_are_the_demo_s_to_the_byte(name):
    photo = demo.read_photo(GOLDEN / "openpose" / "pictures" / f"{name}.png")
    for picture, size in ((photo.person, "768x1024"), (photo.small, "384x512")):
        assert hashlib.sha256(picture.tobytes()).hexdigest() == PICTURES[name][f"sha256_rgb_{size}"]


def turned(tmp_path, size=(60, 40)):
    """A photo that is stored lying on its side."""
    pixels = np.random.default_rng(0).integers(0, 255, (*size[::-1], 3), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(tmp_path / "photo.png", exif=exif)
    return pixels


def test_only_the_body_map_is_turned_upright(tmp_path):
    pixels = turned(tmp_path)
    photo = demo.read_photo(tmp_path / "photo.png")
    assert np.array_equal(np.asarray(photo.photo), pixels)
    assert photo.small.size == (384, 512)
    assert photo.for_body_map.size == (512, 384)
    assert np.array_equal(np.rot90(np.asarray(photo.small), -1), np.asarray(photo.for_body_map))


@pytest.mark.parametrize(
    ("size", "box"), [((300, 400), (0, 0, 300, 400)), ((500, 400), (100, 0, 400, 400)), ((300, 500), (0, 50, 300, 450))]
)
def test_the_crop_is_the_largest_in_the_middle(size, box):
    assert demo.read_photo(Image.new("RGB", size), crop=True).framing.box == box
    assert demo.read_photo(Image.new("RGB", size)).framing.box == (0, 0, *size)


def test_what_lies_under_transparency_is_seen():
    photo = demo.read_photo(Image.new("RGBA", (60, 80), (200, 100, 50, 0)))
    assert photo.person.getpixel((10, 10)) == (200, 100, 50)


@pytest.mark.parametrize(
    "case", [each for each in MASKS if each["arm_width"] == demo.ARM_WIDTH], ids=lambda case: case["mask"]
)
def test_masks_are_the_published_ones_enlarged(case):
    labels = np.asarray(Image.open(GOLDEN / "dev" / "masks" / case["labels"]))
    expected = Image.open(GOLDEN / "dev" / "masks" / case["mask"]).convert("L").resize((768, 1024))
    mask = demo.make_mask(labels, np.array(case["keypoints"]), case["category"])
    assert np.array_equal(mask, np.asarray(expected) >= 128)


def test_the_body_map_has_the_published_colours():
    parts = np.zeros((512, 384), np.uint8)
    parts[:, 192:] = 2
    picture = np.asarray(demo.body_map(parts))
    assert picture.shape == (1024, 768, 3)
    assert (picture[:, 400] == part_colours()[2]).all()
    assert not picture[:, 370].any()
    assert len(np.unique(picture[500], axis=0)) > 2  # the filter blends the border
