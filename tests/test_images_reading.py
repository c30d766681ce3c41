"""Every accepted form of a picture arrives as the same pixels."""

from __future__ import annotations

import struct
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from idmvton import images
from idmvton.errors import InputError
from pictures import picture, pixels, png_16_bit, png_header


def test_importing_loads_neither_torch_nor_opencv():
    code = "import sys, idmvton.images, idmvton.images.framing; print('torch' in sys.modules or 'cv2' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_file_pil_arrays_and_tensors_give_the_same_pixels(tmp_path):
    image = picture()
    image.save(tmp_path / "a.png")
    array = np.asarray(image)
    tensor = torch.from_numpy(array.copy()).permute(2, 0, 1)
    sources = [
        tmp_path / "a.png",
        str(tmp_path / "a.png"),
        image,
        array,
        array.astype(np.float32) / 255,
        array.astype(np.float64) / 255,
        tensor,
        tensor.float() / 255,
    ]
    for source in sources:
        loaded = images.load_image(source)
        assert loaded.mode == "RGB"
        assert (pixels(loaded) == array).all()


def test_half_precision_tensors_are_read():
    tensor = torch.full((3, 20, 20), 0.5, dtype=torch.bfloat16)
    assert images.load_image(tensor).getpixel((0, 0)) == (128, 128, 128)


def test_the_result_is_a_copy_without_metadata():
    image = picture()
    image.info["icc_profile"] = b"broken"
    loaded = images.load_image(image)
    loaded.putpixel((0, 0), (1, 2, 3))
    assert image.getpixel((0, 0)) != (1, 2, 3)
    assert loaded.info == {}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
def test_exif_orientation_is_applied_once(tmp_path, orientation, suffix):
    upright = picture()
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # the inverse of each turn, as PIL numbers them
    stored = upright if orientation == 1 else upright.transpose(Image.Transpose(undo[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"turned.{suffix}"
    options = {"jpg": {"quality": 100, "subsampling": 0}, "webp": {"lossless": True}}.get(suffix, {})
    stored.save(path, exif=exif, **options)
    for source in (path, Image.open(path)):
        once = images.load_image(source)
        assert once.size == (40, 30)
        assert np.abs(pixels(once) - pixels(upright)).max() <= 4
        assert (pixels(images.load_image(once)) == pixels(once)).all()


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize("damaged", [b"II*\0\xff\xff\xff\xff garbage", b"not a TIFF header at all", b"II*\0"])
def test_damaged_exif_is_ignored(tmp_path, damaged):
    picture().save(tmp_path / "a.png", exif=b"Exif\0\0" + damaged)
    assert (pixels(images.load_image(tmp_path / "a.png")) == pixels(picture())).all()


def test_transparency_is_composited_onto_the_background(tmp_path):
    rgba = picture().convert("RGBA")
    alpha = np.full((30, 40), 255, np.uint8)
    alpha[:10] = 0
    alpha[10:20] = 51
    rgba.putalpha(Image.fromarray(alpha))
    rgba.save(tmp_path / "a.png")
    loaded = pixels(images.load_image(tmp_path / "a.png"))
    assert (loaded[:10] == 255).all()
    assert (loaded[20:] == pixels(picture())[20:]).all()
    assert np.abs(loaded[10:20] - (0.2 * pixels(picture())[10:20] + 0.8 * 255)).max() <= 1
    on_black = pixels(images.load_image(tmp_path / "a.png", background=(0, 0, 0)))
    assert (on_black[:10] == 0).all()
    from_array = pixels(images.load_image(np.asarray(rgba)))
    assert (from_array == loaded).all()


def test_palette_with_transparency(tmp_path):
    palette = Image.new("P", (20, 20), 1)
    palette.putpalette([0, 0, 0, 200, 10, 30])
    palette.paste(0, (0, 0, 10, 20))
    palette.save(tmp_path / "a.png", transparency=0)
    loaded = images.load_image(tmp_path / "a.png")
    assert loaded.getpixel((0, 0)) == (255, 255, 255)
    assert loaded.getpixel((15, 0)) == (200, 10, 30)


def test_grey_forms(tmp_path):
    grey = Image.fromarray(np.arange(400, dtype=np.uint16).reshape(20, 20).clip(0, 255).astype(np.uint8))
    grey.save(tmp_path / "l.png")
    grey.convert("LA").save(tmp_path / "la.png")
    grey.convert("1").save(tmp_path / "one.png")
    for name in ("l.png", "la.png"):
        assert (pixels(images.load_image(tmp_path / name)) == pixels(grey)[..., None]).all()
    assert set(np.unique(pixels(images.load_image(tmp_path / "one.png")))) == {0, 255}
    assert (pixels(images.load_image(np.asarray(grey))) == pixels(grey)[..., None]).all()


def test_cmyk_jpeg(tmp_path):
    Image.new("RGB", (20, 20), (250, 120, 0)).convert("CMYK").save(tmp_path / "a.jpg", quality=100)
    loaded = images.load_image(tmp_path / "a.jpg")
    assert np.abs(np.array(loaded.getpixel((10, 10))) - (250, 120, 0)).max() <= 3


def test_16_bit_grey_is_scaled_and_not_clipped(tmp_path):
    values = np.linspace(0, 65535, 400).astype(np.uint16).reshape(20, 20)
    (tmp_path / "grey.png").write_bytes(png_16_bit(values, 0))
    Image.fromarray(values.astype(np.int32)).save(tmp_path / "i.tif")
    expected = np.round(values / 257.0)
    for name in ("grey.png", "i.tif"):
        assert (pixels(images.load_image(tmp_path / name))[..., 1] == expected).all()


def test_16_bit_rgb(tmp_path):
    values = np.random.default_rng(0).integers(0, 65536, (20, 20, 3))
    (tmp_path / "rgb.png").write_bytes(
        png_16_bit(values.reshape(20, 60), 2).replace(png_header(60, 20, 16, 2), png_header(20, 20, 16, 2))
    )
    assert np.abs(pixels(images.load_image(tmp_path / "rgb.png")) - values / 257).max() <= 1


def test_pil_float_mode_is_zero_to_one():
    unit = np.linspace(0, 1, 400, dtype=np.float32).reshape(20, 20)
    assert (pixels(images.load_image(Image.fromarray(unit)))[..., 0] == (unit * 255).round()).all()
    with pytest.raises(InputError, match=r"outside \[0, 1\]"):
        images.load_image(Image.fromarray(unit * 255))


def test_pil_32_bit_grey_beyond_16_bit_is_refused():
    with pytest.raises(InputError, match="16 bit"):
        images.load_image(Image.fromarray(np.full((20, 20), 70000, np.int32)))


@pytest.mark.parametrize("suffix", ["gif", "png", "webp"])
def test_of_an_animation_the_first_frame_is_used(tmp_path, suffix):
    frames = [Image.new("RGB", (20, 20), colour) for colour in ((255, 0, 0), (0, 255, 0), (0, 0, 255))]
    extra = {"lossless": True} if suffix == "webp" else {}
    frames[0].save(tmp_path / f"a.{suffix}", save_all=True, append_images=frames[1:], **extra)
    assert images.load_image(tmp_path / f"a.{suffix}").getpixel((5, 5)) == (255, 0, 0)


def swapped_profile(name: str) -> bytes:
    """An sRGB profile whose red and green primaries are swapped, under a name of four letters."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = struct.unpack(">I", profile[128:132])[0]
    at = {bytes(profile[132 + 12 * i : 136 + 12 * i]): 132 + 12 * i for i in range(count)}
    red, green = (slice(at[tag] + 4, at[tag] + 12) for tag in (b"rXYZ", b"gXYZ"))
    profile[red], profile[green] = profile[green], profile[red]
    return bytes(profile).replace("sRGB".encode("utf-16-be"), name.encode("utf-16-be"))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_an_embedded_profile_is_converted_to_srgb(tmp_path, mode):
    image = Image.new("RGB", (20, 20), (255, 0, 51)).convert(mode)
    image.save(tmp_path / "a.png", icc_profile=swapped_profile("test"))
    loaded = images.load_image(tmp_path / "a.png")
    assert np.abs(np.array(loaded.getpixel((5, 5))) - (0, 255, 51)).max() <= 3


def test_a_profile_that_calls_itself_srgb_leaves_the_pixels_exact(tmp_path):
    picture().save(tmp_path / "a.png", icc_profile=swapped_profile("sRGB"))
    assert (pixels(images.load_image(tmp_path / "a.png")) == pixels(picture())).all()


def test_an_srgb_profile_changes_nothing_and_a_broken_or_foreign_one_is_ignored(tmp_path):
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for name, profile in (("srgb", srgb), ("broken", srgb[:200]), ("lab", None), ("noise", b"\0" * 300)):
        if profile is None:
            profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
        picture().save(tmp_path / f"{name}.png", icc_profile=profile)
        assert (pixels(images.load_image(tmp_path / f"{name}.png")) == pixels(picture())).all(), name
