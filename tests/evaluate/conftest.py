"""Small folders of results and truths, and networks with random weights where the public files would be."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from idmvton import weights
from idmvton.evaluate import backbones, metrics, scoring
from idmvton.types import Size
from idmvton.weights.local import package_folder

SIZE = (64, 48)
LARGE = (192, 176)  # MS-SSIM needs sides of 176 pixels


def drawn(seed: int, shift: int = 0, size: tuple[int, int] = SIZE) -> np.ndarray:
    """A smooth coloured picture, uint8 (H, W, 3)."""
    random = np.random.default_rng(seed)
    small = random.integers(0, 256, (9, 9, 3), dtype=np.uint8)
    picture = np.asarray(Image.fromarray(small).resize(size[::-1], Image.Resampling.BICUBIC)).astype(int)
    return (picture + shift).clip(0, 255).astype(np.uint8)


def save(picture: np.ndarray, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path)
    return path


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty weights cache, and no network loaded before."""
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    scoring.measure_of.cache_clear()
    yield tmp_path / "cache"
    scoring.measure_of.cache_clear()


@pytest.fixture
def st_lpips(cache, monkeypatch):
    """A shift-tolerant network of random weights, laid out as the public file, which sees small pictures."""
    monkeypatch.setattr(metrics, "ST_LPIPS_SIZE", Size(*SIZE))
    torch.manual_seed(0)
    stack = backbones.build_shift_tolerant("alex").features
    slices = {0: 1, 1: 1, 4: 2, 5: 2, 8: 3, 9: 3, 11: 4, 13: 5}
    tensors = {
        f"net.slice{slices[number]}.{number}.{name}": value
        for number, layer in enumerate(stack)
        for name, value in layer.state_dict().items()
    }
    heads = {f"lin{n}.model.1.weight": torch.rand(1, width, 1, 1) for n, width in enumerate(backbones.CHANNELS["alex"])}
    folder = package_folder(weights.find_entry("st-lpips"), None)
    folder.mkdir(parents=True)
    torch.save(tensors | heads, folder / "alex_shift_tolerant.pth")
    return folder / "alex_shift_tolerant.pth"


@pytest.fixture
def folders(tmp_path):
    """Six results, truths and masks of equal names; the first result equals its truth."""
    for number in range(6):
        name = f"p{number}.png"
        save(drawn(number), tmp_path / "truth" / name)
        save(drawn(number, shift=number * 4), tmp_path / "results" / name)
        mask = np.zeros(SIZE, np.uint8)
        mask[14:40, 8:30] = 255
        save(mask, tmp_path / "masks" / name)
    return tmp_path
