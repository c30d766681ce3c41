"""Masks: white = repaint, binary, of the photo's size."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from idmvton import images
from idmvton.errors import InputError
from idmvton.types import Size
from pictures import picture, png_16_bit, write_mask


@pytest.fixture
def white_left() -> np.ndarray:
    mask = np.zeros((30, 40), bool)
    mask[:, :17] = True
    return mask


def test_every_form_of_a_mask_is_read_alike(tmp_path, white_left):
    eight = white_left.astype(np.uint8) * 255
    grey = Image.fromarray(eight)
    palette = grey.convert("P")
    black, red, mixed = (np.zeros((30, 40, 4), np.uint8) for _ in range(3))
    black[..., 3] = red[..., 3] = eight  # layers painted in one colour
    red[..., 0] = eight
    mixed[..., :3] = eight[..., None]
    mixed[..., 3] = 255
    mixed[20:, 20:] = (255, 255, 255, 0)  # white, but transparent
    files = {
        "l.png": grey,
        "one.png": grey.convert("1"),
        "p.png": palette,
        "rgb.png": grey.convert("RGB"),
        "black.png": Image.fromarray(black),
        "red.png": Image.fromarray(red),
        "mixed.png": Image.fromarray(mixed),
        "opaque.png": grey.convert("RGBA"),
        "la.png": grey.convert("LA"),
    }
    for name, image in files.items():
        image.save(tmp_path / name)
    (tmp_path / "16.png").write_bytes(png_16_bit(white_left * 65535, 0))
    arrays = [
        white_left,
        eight,
        eight[..., None],
        np.repeat(eight[..., None], 3, -1),
        white_left.astype(np.float32),
        torch.from_numpy(white_left),
        torch.from_numpy(eight)[None],
        torch.from_numpy(white_left).double(),
        grey,
    ]
    for source in [*(tmp_path / name for name in [*files, "16.png"]), *arrays]:
        mask = images.load_mask(source, size=Size(30, 40))
        assert mask.dtype == np.bool_
        assert (mask == white_left).all(), source


def test_a_turned_mask_is_set_upright(tmp_path, white_left):
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = Image.fromarray(white_left.astype(np.uint8) * 255).transpose(Image.Transpose.ROTATE_90)
    stored.save(tmp_path / "m.png", exif=exif)
    assert (images.load_mask(tmp_path / "m.png", size=Size(30, 40)) == white_left).all()


def test_a_fully_white_mask_is_allowed():
    assert images.load_mask(np.full((30, 40), 255, np.uint8), size=Size(30, 40)).all()


def test_mask_of_another_size(white_left):
    with pytest.raises(InputError, match=r"30x40(.|\n)*40x30(.|\n)*width 30, height 40"):
        images.load_mask(white_left, size=Size(40, 30))


@pytest.mark.parametrize("empty", [np.zeros((30, 40), np.uint8), np.zeros((30, 40), bool)])
def test_an_empty_mask_is_refused(empty):
    with pytest.raises(InputError, match=r"nothing to repaint(.|\n)*white = repaint"):
        images.load_mask(empty)


def test_a_grey_mask_needs_a_threshold(tmp_path, white_left):
    grey = white_left.astype(np.uint8) * 255
    grey[:3] = 100
    grey[3:6] = 128
    path = write_mask(tmp_path / "m.png", grey)
    with pytest.raises(InputError, match=r"20\.00%(.|\n)*--mask-threshold 128"):
        images.load_mask(path)
    mask = images.load_mask(path, threshold=128)
    assert not mask[:3].any()
    assert mask[3:6].all()
    assert (mask[6:] == white_left[6:]).all()
    with pytest.raises(InputError, match="not binary"):
        images.load_mask(grey.astype(np.float32) / 255)
    assert (images.load_mask(grey.astype(np.float32) / 255, threshold=128) == mask).all()


def test_a_threshold_above_everything_leaves_nothing():
    with pytest.raises(InputError, match=r"nothing to repaint(.|\n)*highest is 90"):
        images.load_mask(np.full((30, 40), 90, np.uint8), threshold=128)


@pytest.mark.parametrize("threshold", [0, 256, -1])
def test_thresholds_out_of_range(threshold, white_left):
    with pytest.raises(InputError, match="1 to 255"):
        images.load_mask(white_left, threshold=threshold)


def test_zero_and_one_in_8_bit_gets_its_own_hint(white_left):
    with pytest.raises(InputError, match="multiply it by 255"):
        images.load_mask(white_left.astype(np.uint8))


def test_a_coloured_mask_is_refused():
    with pytest.raises(InputError, match="coloured"):
        images.load_mask(picture())
    with pytest.raises(InputError, match="coloured"):
        images.load_mask(np.eye(30, 40)[..., None] * np.array([1.0, 0, 0]))
