"""Every kind of picture that telephones and shops hand out, large ones, and transparency beside the colours."""

import builtins
import functools
import struct

import cv2
import numpy as np
import pytest
from PIL import Image

from idmvton.errors import InputError, MissingExtraError
from idmvton.images import load_image, load_layers
from idmvton.images.files import PICTURE_SUFFIXES, list_pictures
from idmvton.images.framing import Framing
from idmvton.options import TryOnOptions
from idmvton.prepare.backends.protocols import Pose
from idmvton.prepare.frame import person_box
from idmvton.prepare.maps import frame_pose
from idmvton.tryon import large_photos
from idmvton.tryon.compose import compose
from idmvton.tryon.inputs import Person
from idmvton.tryon.large_photos import compose_bounded
from idmvton.types import Size
from pictures import png_chunk, png_header


def gradient(width=64, height=96):
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[..., 0], pixels[..., 1] = np.linspace(0, 255, width), np.linspace(0, 255, height)[:, None]
    return pixels


KINDS = {
    ".jpg": "JPEG", ".jpeg": "JPEG", ".jpe": "JPEG", ".jfif": "JPEG", ".mpo": "MPO", ".png": "PNG", ".webp": "WEBP",
    ".avif": "AVIF", ".heic": "HEIF", ".heif": "HEIF", ".jp2": "JPEG2000", ".j2k": "JPEG2000", ".bmp": "BMP",
    ".tif": "TIFF", ".tiff": "TIFF", ".gif": "GIF",
}  # fmt: skip


def save(path, pixels):
    if KINDS[path.suffix.lower()] == "HEIF":
        import pillow_heif

        pillow_heif.from_pillow(Image.fromarray(pixels)).save(path)
    else:
        Image.fromarray(pixels).save(path, KINDS[path.suffix.lower()])


def test_every_listed_kind_is_read_from_a_folder(tmp_path):
    assert set(KINDS) == set(PICTURE_SUFFIXES)
    for number, suffix in enumerate(KINDS):
        save(tmp_path / f"photo{number}{suffix.upper() if number % 2 else suffix}", gradient())
    (tmp_path / "notes.txt").write_text("no picture")
    found = list_pictures(tmp_path)
    assert len(found) == len(KINDS)
    for path in found:
        off = np.abs(np.asarray(load_image(path)).astype(int) - gradient())
        assert off.mean() < 8, path


def test_a_heic_photo_without_its_package_names_the_extra(tmp_path, monkeypatch):
    save(tmp_path / "telephone.heic", gradient())
    real, opener = builtins.__import__, Image.OPEN.pop("HEIF", None)
    ids = [each for each in Image.ID if each != "HEIF"]
    monkeypatch.setattr(Image, "ID", ids)

    def without(name, *rest, **more):
        if name == "pillow_heif":
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    try:
        with pytest.raises(MissingExtraError, match=r"idmvton\[heic\]"):
            load_image(tmp_path / "telephone.heic")
    finally:
        if opener is not None:
            Image.OPEN["HEIF"] = opener


def test_a_large_jpeg_is_decoded_reduced_where_fewer_pixels_do(tmp_path):
    Image.fromarray(gradient(3200, 2400)).save(tmp_path / "large.jpg")
    reduced = load_image(tmp_path / "large.jpg", least_side=700)
    assert reduced.size == (800, 600)
    assert load_image(tmp_path / "large.jpg").size == (3200, 2400)
    assert load_image(tmp_path / "large.jpg", least_side=3000).size == (3200, 2400)


def test_too_many_pixels_are_told_exactly(tmp_path):
    path = tmp_path / "huge.png"
    path.write_bytes(png_header(12_001, 10_000, 8, 2) + png_chunk(b"IDAT", b""))
    with pytest.raises(InputError, match=r"120,010,000 pixels(.|\n)*120,000,000"):
        load_image(path)


def linear_grey_profile():
    """An ICC profile for grey with gamma 1: a mid grey is much lighter in sRGB."""
    tags = {
        b"wtpt": b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061),
        b"kTRC": b"curv\0\0\0\0" + struct.pack(">I", 0),
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", 5) + b"grey\0" + b"\0" * 83,
    }
    place, table, data = 128 + 4 + 12 * len(tags), b"", b""
    for name, content in tags.items():
        content += b"\0" * (-len(content) % 4)
        table += name + struct.pack(">2I", place + len(data), len(content))
        data += content
    head = struct.pack(">I4sI4s4s4s", place + len(data), b"lcms", 0x02100000, b"mntr", b"GRAY", b"XYZ ")
    head += b"\0" * 12 + b"acsp" + b"\0" * 28 + struct.pack(">3i", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + data


def test_grey_with_alpha_follows_its_profile(tmp_path):
    grey = Image.fromarray(np.full((40, 40), 90, np.uint8))
    Image.merge("LA", [grey, grey.point(lambda _: 255)]).save(tmp_path / "alpha.png", icc_profile=linear_grey_profile())
    grey.save(tmp_path / "plain.png", icc_profile=linear_grey_profile())
    plain = np.asarray(load_image(tmp_path / "plain.png"))
    assert plain.mean() > 140  # linear 90 is sRGB 160
    assert np.array_equal(np.asarray(load_image(tmp_path / "alpha.png")), plain)


def test_layers_keep_colours_and_transparency_apart():
    layers = np.full((30, 40, 4), 200, np.uint8)
    layers[..., 3] = 0
    layers[10:20, 10:30, 3] = 255
    rgb, alpha = load_layers(layers)
    assert (np.asarray(rgb) == 200).all()
    assert alpha is not None
    assert (alpha[10:20, 10:30] == 255).all()
    assert alpha.sum() == 200 * 255
    layers[..., 3] = 255
    assert load_layers(layers)[1] is None


def test_a_fully_transparent_picture_is_told_as_such():
    with pytest.raises(InputError, match="fully transparent"):
        load_image(np.zeros((30, 40, 4), np.uint8), what="garment")


class TestVeryLargePhotos:
    """A hundred megapixels, by the same rules in a smaller copy."""

    def test_what_is_not_dressed_stays_pixel_by_pixel(self, monkeypatch):
        noise = np.random.default_rng(0).integers(0, 256, (512, 384, 3), np.uint8)
        mask = np.zeros((512, 384), bool)
        mask[200:300, 100:200] = True
        framing = Framing.fit(Size(512, 384), Size(256, 192))
        result = Image.new("RGB", (192, 256), (200, 30, 30))
        person = Person(Image.fromarray(noise), mask, framing, result, framing.apply_mask(mask), result)
        paste = functools.partial(compose, options=TryOnOptions(keep="mask", feather=4))
        whole = np.asarray(compose_bounded(paste, result, person))
        monkeypatch.setattr(large_photos, "LARGEST", 256 * 192)
        bounded = np.asarray(compose_bounded(paste, result, person))
        far = cv2.dilate(mask.astype(np.uint8), np.ones((41, 41))) == 0
        assert np.array_equal(bounded[far], noise[far])
        assert np.abs(bounded[205:295, 105:195].astype(int) - whole[205:295, 105:195]).max() <= 2

    def test_a_pose_keeps_the_outline_of_the_small_copy(self):
        outline = np.zeros((100, 75), np.float32)
        outline[20:80, 30:45] = 1
        points = np.full((18, 2), 400, np.float32)
        pose = Pose(points, np.ones(18, np.float32), "test", outline=outline)
        photo = Size(1000, 750)
        assert person_box(photo, pose) == (300, 200, 450, 800)
        framed = frame_pose(pose, Framing(photo, (300, 200, 450, 400), Size(256, 192)))
        assert framed.outline.shape == (256, 192)
        assert framed.outline.min() > 0.9
