"""What cannot be a picture is refused in words."""

from __future__ import annotations

import io
import warnings
import zlib

import numpy as np
import pytest
import torch
from PIL import Image, ImageFile

from idmvton import images
from idmvton.errors import InputError
from pictures import noise, picture, pixels, png_chunk, png_header


def test_a_bomb_is_refused_from_its_header(tmp_path):
    """No pixel data at all: decoding it would say truncated instead."""
    for side in (11_000, 13_400, 30_000):  # over our limit, over PIL's warning, over PIL's own error
        path = tmp_path / f"{side}.png"
        path.write_bytes(png_header(side, side, 8, 2) + png_chunk(b"IDAT", zlib.compress(b"\0")))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(InputError, match=r"too many pixels(.|\n)*120,000,000") as caught:
                images.load_image(path, what="garment")
        assert str(path) in str(caught.value)
        assert "garment" in str(caught.value)


def test_an_opened_but_undecoded_pil_bomb_is_refused(tmp_path):
    path = tmp_path / "bomb.png"
    path.write_bytes(png_header(11_000, 11_000, 8, 2) + png_chunk(b"IDAT", zlib.compress(b"\0")))
    with pytest.raises(InputError, match="too many pixels"):
        images.load_image(Image.open(path))


def test_pil_settings_are_left_alone(tmp_path):
    before = (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, list(warnings.filters))
    picture().save(tmp_path / "a.png")
    images.load_image(tmp_path / "a.png")
    assert (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, list(warnings.filters)) == before


@pytest.mark.parametrize(
    ("size", "message"),
    [((0, 30), "too small"), ((1, 1), "too small"), ((15, 400), "too small"), ((16, 700), "too narrow")],
)
def test_impossible_sizes(size, message):
    with pytest.raises(InputError, match=message):
        images.load_image(Image.new("RGB", size))
    with pytest.raises(InputError, match=message):
        images.load_image(np.zeros((size[1], size[0], 3), np.uint8))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<!DOCTYPE html><html><body>404</body></html>", "HTML page"),
        (b"\n\n<html lang='en'>", "HTML page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00", "git lfs pull"),
        (b"%PDF-1.7 ...", "PDF"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC(.|\n)*JPEG or PNG"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"PK\x03\x04rest", "zip"),
        (b"", "empty"),
        (b"hello world, no picture", "hello world, no"),
    ],
)
def test_what_is_not_a_picture_is_described(tmp_path, content, message):
    path = tmp_path / "photo.jpg"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        images.load_image(path, what="garment")
    assert str(path) in str(caught.value)
    assert "garment" in str(caught.value)


def test_an_encapsulated_postscript_is_refused(tmp_path):
    picture().save(tmp_path / "a.eps")
    with pytest.raises(InputError, match="drawing"):
        images.load_image(tmp_path / "a.eps")


@pytest.mark.parametrize(
    ("suffix", "options"),
    [("jpg", {}), ("jpg", {"progressive": True}), ("png", {}), ("webp", {}), ("gif", {}), ("tif", {}), ("bmp", {})],
)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_truncated_files_are_refused(tmp_path, suffix, options, share):
    path = tmp_path / f"a.{suffix}"
    noise(300, 200).save(path, **options)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(InputError) as caught:
        images.load_image(path)
    assert str(path) in str(caught.value)


def test_a_half_filled_jpeg_is_refused_even_where_pil_shows_it_grey(tmp_path, monkeypatch):
    noise(300, 200).save(tmp_path / "a.jpg")
    whole = (tmp_path / "a.jpg").read_bytes()
    half = len(whole) // 2
    (tmp_path / "zeros.jpg").write_bytes(whole[:half] + bytes(len(whole) - half))
    (tmp_path / "cut.jpg").write_bytes(whole[:half])
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    for name in ("zeros.jpg", "cut.jpg"):
        with pytest.raises(InputError, match="damaged or truncated"):
            images.load_image(tmp_path / name)
    images.load_image(tmp_path / "a.jpg")


def test_bytes_after_the_jpeg_do_no_harm(tmp_path):
    thumbnail = io.BytesIO()
    picture().save(thumbnail, "JPEG")
    noise(60, 40).save(tmp_path / "a.jpg")
    with (tmp_path / "a.jpg").open("ab") as file:
        file.write(thumbnail.getvalue()[:-2] + b"\xff\xda motion")
    assert images.load_image(tmp_path / "a.jpg").size == (60, 40)


def test_missing_file_folder_and_url(tmp_path):
    with pytest.raises(InputError, match=r"garment picture does not exist(.|\n)*none\.png"):
        images.load_image(tmp_path / "none.png", what="garment")
    with pytest.raises(InputError, match="is a folder"):
        images.load_image(tmp_path)
    with pytest.raises(InputError, match="download it first"):
        images.load_image("https://example.org/shirt.jpg")


@pytest.mark.parametrize(
    "array",
    [
        np.full((20, 20, 3), -1.0, np.float32),
        np.full((20, 20, 3), 200.0, np.float32),
        np.full((20, 20, 3), np.nan, np.float32),
        torch.linspace(-1, 1, 1200).reshape(3, 20, 20),
    ],
)
def test_floats_outside_zero_to_one_are_refused(array):
    with pytest.raises(InputError, match=r"float pictures in \[0, 1\]; uint8 pictures in 0\.\.255"):
        images.load_image(array)


def test_a_float_picture_within_the_slack_is_clipped():
    array = np.zeros((20, 20, 3), np.float32)
    array[0], array[1] = -0.0005, 1.0005
    loaded = pixels(images.load_image(array))
    assert loaded.min() == 0
    assert loaded[1].min() == 255


def test_dark_pictures_are_not_rescaled():
    """The dtype decides: uint8 0 and 1 stays nearly black."""
    assert pixels(images.load_image(np.ones((20, 20, 3), np.uint8))).max() == 1


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (np.zeros((3, 20, 30), np.uint8), "wrong shape"),
        (torch.zeros((20, 30, 3), dtype=torch.uint8), "wrong shape(.|\n)*torch CHW"),
        (np.zeros((1, 20, 20, 3), np.uint8), "wrong shape"),
        (np.zeros((20, 20, 3), np.int64), "dtype"),
        (np.zeros((20, 20), bool), "bool"),
        (b"bytes", "type"),
        (None, "type"),
    ],
)
def test_arrays_outside_the_conventions(source, message):
    with pytest.raises(InputError, match=message):
        images.load_image(source)
