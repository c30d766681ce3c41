"""OpenPose against golden numbers of the published code: network, pictures, decoding."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.numpy import load_file

from idmvton.prepare.backends.openpose.decoding import decode, published_points
from idmvton.prepare.backends.openpose.network import BodyNet
from idmvton.prepare.backends.openpose.picture import maps_of_picture, network_input, working_picture
from idmvton.prepare.self_test.comparison import OTHER, Check
from idmvton.prepare.self_test.golden import weights_formula

_NETWORK: Final = 1e-4
_LEVEL: Final = 1.0  # of 256
_PIXEL: Final = 1.0
_SCORE: Final = 1e-4


def check_openpose(folder: Path, salt: str) -> Iterator[Check]:
    """Every comparison of a folder ``openpose/`` in the golden format.

    Args:
        folder: holds ``manifest.json``, ``openpose_weights.py``, ``network_io``, ``decode_cases`` and
            ``picture_inputs``.
        salt: which weights the network was run with.
    """
    yield from check_network(folder, salt)
    yield from check_pictures(folder)
    yield from check_decoding(folder)


def formula_weights(folder: Path, salt: str) -> dict[str, torch.Tensor]:
    """The tensors that the numbers were made with."""
    value = weights_formula(folder, "openpose_weights.py")
    shapes = _json(folder / "manifest.json")["tensors"]
    return {name: torch.from_numpy(value(name, shape, salt)) for name, shape in shapes.items()}


@torch.inference_mode()
def check_network(folder: Path, salt: str) -> Iterator[Check]:
    """The network, and what it says in between."""
    network = BodyNet()
    network.load_state_dict(formula_weights(folder, salt))
    golden = load_file(folder / "network_io.safetensors")
    picture = torch.from_numpy(golden["in.tensor"])
    features = network.features(picture)
    first = network.stage(1, features)
    last = network(picture)
    for name, value in (
        ("mid.features", features[:, ::8]),
        ("mid.stage1_pafs", first[0]),
        ("mid.stage1_heatmaps", first[1]),
        ("out.pafs", last[0]),
        ("out.heatmaps", last[1]),
    ):
        yield f"network {name}", _difference(value.numpy(), golden[name]), _NETWORK


def check_pictures(folder: Path) -> Iterator[Check]:
    """Photos as the network reads them, in levels of 1/256."""
    for name, about in _json(folder / "picture_inputs.json").items():
        values = network_input(working_picture(_pixels(folder / "pictures" / f"{name}.png", name))).values
        golden = np.asarray(Image.open(folder / "pictures" / f"{name}_network_input.png"))[..., ::-1].transpose(2, 0, 1)
        assert about["tensor_shape"] == [1, *values.shape]
        yield f"picture {name}, levels", _difference((values + 0.5) * 256, golden), _LEVEL


def _pixels(path: Path, name: str) -> NDArray[np.uint8]:
    """A picture as it reaches the pose model: through the demo's sizes, or as it is."""
    image = Image.open(path)
    if name.startswith("app_"):
        return np.asarray(image.convert("RGB").resize((768, 1024)).resize((384, 512)))
    pixels = np.asarray(image)
    if pixels.ndim == 2:
        return np.repeat(pixels[..., None], 3, axis=2)
    if pixels.shape[2] == 4:
        alpha = pixels[..., 3:].astype(np.float32) / 255
        over = pixels[..., :3].astype(np.float32) * alpha + 255 * (1 - alpha)
        return over.clip(0, 255).astype(np.uint8)
    return pixels


def check_decoding(folder: Path) -> Iterator[Check]:
    """Peaks, people and the first person's joints, from given maps."""
    golden = load_file(folder / "decode_cases.safetensors")
    for name, about in _json(folder / "decode_cases.json").items():
        width, height = about["picture_wh"]
        size = network_input(np.zeros((height, width, 3), np.uint8)).size
        maps = [
            maps_of_picture(golden[f"{name}.in.{kind}"].astype(np.float32), size, (height, width))
            for kind in ("heatmaps", "pafs")
        ]
        found = decode(*maps)
        peaks, people = golden[f"{name}.out.candidate"][:, :3], golden[f"{name}.out.subset"]
        same = found.candidates.shape == peaks.shape and found.people.shape == people.shape
        yield f"decoding {name}, peaks", _difference(found.candidates[:, :2], peaks[:, :2]) if same else OTHER, _PIXEL
        scores = (
            max(_difference(found.candidates[:, 2], peaks[:, 2]), _difference(found.people, people)) if same else OTHER
        )
        yield f"decoding {name}, scores", scores, _SCORE
        if f"{name}.out.first_person" in golden and same:
            yield f"decoding {name}, person", _difference(found.points(0), golden[f"{name}.out.first_person"]), _PIXEL
            yield (
                f"decoding {name}, demo",
                _difference(published_points(found), golden[f"{name}.out.keypoints"]),
                _PIXEL,
            )


def _difference(ours: NDArray[Any], golden: NDArray[Any]) -> float:
    return float(np.abs(ours - golden).max(initial=0.0))


def _json(path: Path) -> Any:
    return json.loads(path.read_text())
