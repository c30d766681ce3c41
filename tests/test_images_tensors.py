"""Pictures <-> tensors of the VAE and of CLIP; results as files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from idmvton import images
from idmvton.errors import InputError, NumericsError
from pictures import noise, picture, pixels

GOLDEN = Path(__file__).parent / "golden" / "dev"


@pytest.fixture
def white_left() -> np.ndarray:
    mask = np.zeros((30, 40), bool)
    mask[:, :17] = True
    return mask


def test_vae_tensors_use_the_published_arithmetic():
    image = Image.fromarray(np.arange(768, dtype=np.uint16).reshape(16, 16, 3).astype(np.uint8))
    tensor = images.to_vae_tensor([image, image])
    expected = 2.0 * (torch.from_numpy(np.array(image).astype(np.float32) / 255.0).permute(2, 0, 1)) - 1.0
    assert tensor.shape == (2, 3, 16, 16)
    assert tensor.dtype == torch.float32
    assert torch.equal(tensor[0], expected)
    assert (tensor.min(), tensor.max()) == (-1, 1)


def test_vae_tensors_and_pictures_round_trip_exactly():
    batch = [noise(24, 16, seed) for seed in range(3)]
    back = images.to_pil(images.from_vae_tensor(images.to_vae_tensor(batch)))
    for image, again in zip(batch, back, strict=True):
        assert again.mode == "RGB"
        assert (pixels(image) == pixels(again)).all()


def test_decoded_values_beyond_the_range_are_clamped():
    tensor = images.from_vae_tensor(torch.tensor([-3.0, -1.0, 0.0, 1.0, 3.0], dtype=torch.float16))
    assert tensor.dtype == torch.float32
    assert tensor.tolist() == [0, 0, 0.5, 1, 1]


def test_to_pil_rounds_and_to_numpy_is_bhwc():
    tensor = torch.full((1, 3, 16, 20), 100.6 / 255)
    tensor[:, 1] = 0
    assert images.to_pil(tensor)[0].getpixel((0, 0)) == (101, 0, 101)
    array = images.to_numpy(tensor)
    assert array.shape == (1, 16, 20, 3)
    assert array[0, 0, 0, 1] == 0
    assert images.to_numpy(torch.full((1, 3, 16, 16), 1.0005)).max() == 1


def test_bad_output_values_are_refused():
    tensor = torch.zeros(1, 3, 16, 16)
    tensor[0, 0, 0, 0] = torch.nan
    with pytest.raises(NumericsError, match="1 of 768"):
        images.to_pil(tensor)
    with pytest.raises(InputError, match=r"outside \[0, 1\]"):
        images.to_pil(torch.full((1, 3, 16, 16), -1.0))


def test_mask_tensors(white_left):
    tensor = images.mask_to_tensor([white_left, ~white_left])
    assert tensor.shape == (2, 1, 30, 40)
    assert tensor.dtype == torch.float32
    assert torch.equal(tensor[0, 0] == 1, torch.from_numpy(white_left))
    assert torch.equal(tensor[0] + tensor[1], torch.ones(1, 30, 40))
    with pytest.raises(InputError, match="not bool"):
        images.mask_to_tensor([white_left.astype(np.uint8)])


def test_batches_must_be_uniform():
    with pytest.raises(InputError, match="differ in size"):
        images.to_vae_tensor([picture(40, 30), picture(30, 40)])
    with pytest.raises(InputError, match="no pictures"):
        images.to_vae_tensor([])
    with pytest.raises(InputError, match="not RGB"):
        images.to_vae_tensor([picture().convert("L")])


def test_clip_values_equal_the_golden_ones():
    golden = load_file(GOLDEN / "pipeline_io.safetensors")["in.clip_pixel_values"]
    garments = [images.load_image(GOLDEN / "pipeline_inputs" / f"garment_{index}.png") for index in (0, 1)]
    assert torch.allclose(images.clip_pixel_values(garments), golden, atol=1e-6, rtol=0)


@pytest.mark.parametrize(("width", "height"), [(301, 517), (517, 301), (301, 518), (518, 301), (97, 98)])
@pytest.mark.parametrize("size", [224, 32])
def test_clip_values_equal_those_of_transformers(width, height, size):
    try:
        from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil as Processor
    except ImportError:
        from transformers import CLIPImageProcessor as Processor
    processor = Processor(size={"shortest_edge": size}, crop_size={"height": size, "width": size})
    image = noise(width, height)
    reference = processor(image, return_tensors="pt")["pixel_values"]
    ours = images.clip_pixel_values([image, image], size)
    assert ours.shape == (2, 3, size, size)
    assert torch.allclose(ours[:1], reference, atol=1e-6, rtol=0)


def test_png_is_lossless_and_carries_provenance(tmp_path):
    image = noise(50, 40)
    provenance = {
        "seed": 7,
        "prompt": "kurzärmelig ✓",
        "timings": {"denoise": 1.5},
        "weights": Path("a/b"),
        "none": None,
    }
    images.save_png(image, tmp_path / "out.png", provenance)
    assert (pixels(Image.open(tmp_path / "out.png")) == pixels(image)).all()
    assert images.read_provenance(tmp_path / "out.png") == {**provenance, "weights": str(Path("a/b"))}
    assert json.loads(Image.open(tmp_path / "out.png").text["idmvton"])["seed"] == 7
    assert [path.name for path in tmp_path.iterdir()] == ["out.png"]


def test_provenance_that_is_missing_or_damaged(tmp_path):
    picture().save(tmp_path / "plain.png")
    with pytest.raises(InputError, match="does not say how it was made"):
        images.read_provenance(tmp_path / "plain.png")
    with pytest.raises(InputError, match="does not exist"):
        images.read_provenance(tmp_path / "none.png")


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, RuntimeError, OSError])
def test_no_partial_file_is_left(tmp_path, monkeypatch, interruption):
    (tmp_path / "out.png").write_bytes(b"the earlier result")

    def save_half(self, file, *args, **kwargs):
        file.write(b"\x89PNG half")
        raise interruption("no space")

    monkeypatch.setattr(Image.Image, "save", save_half)
    with pytest.raises(InputError if interruption is OSError else interruption, match="no space"):
        images.save_png(picture(), tmp_path / "out.png", {})
    assert [path.name for path in tmp_path.iterdir()] == ["out.png"]
    assert (tmp_path / "out.png").read_bytes() == b"the earlier result"


def test_writing_into_a_missing_folder_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="cannot be written"):
        images.save_png(picture(), tmp_path / "none" / "out.png", {})


def test_a_good_output_path_leaves_nothing_behind(tmp_path, monkeypatch):
    images.check_output_path(tmp_path / "out.PNG")
    monkeypatch.chdir(tmp_path)
    images.check_output_path("out.png")
    assert list(tmp_path.iterdir()) == []


def test_output_paths_that_cannot_work(tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder.png").mkdir()
    cases = [
        (tmp_path / "out.jpg", "ends in .png(.|\n)*out.png"),
        (tmp_path / "out", "PNG only"),
        (tmp_path / "folder.png", "is a folder"),
        (tmp_path / "none" / "out.png", "does not exist(.|\n)*mkdir -p"),
        (tmp_path / "file" / "out.png", "not a folder"),
    ]
    for path, message in cases:
        with pytest.raises(InputError, match=message):
            images.check_output_path(path)


def test_a_folder_that_takes_no_files(tmp_path, monkeypatch):
    if Path("/proc/self").is_dir():
        with pytest.raises(InputError, match="cannot be written"):
            images.check_output_path("/proc/out.png")

    def refuse(self, *args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(InputError, match="Permission denied"):
        images.check_output_path(tmp_path / "out.png")
