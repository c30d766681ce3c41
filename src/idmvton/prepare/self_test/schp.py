"""SCHP against golden numbers of the published code: warp, networks, scores, rules."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from safetensors.numpy import load_file

from idmvton.prepare.backends.schp.parser import ATR_FILE, ATR_SIDE, FUSION, LIP_FILE, LIP_SIDE, Schp
from idmvton.prepare.backends.schp.rules import merge_labels
from idmvton.prepare.backends.schp.square import Square
from idmvton.prepare.self_test.comparison import Check

_AFFINE: Final = 1e-6
_INPUT: Final = 0.04
_SCORES: Final = 0.2  # of the scores in the picture, and of what leads to them
_LABELS: Final = 0.002  # share of the pixels


def check_schp(folder: Path) -> Iterator[Check]:
    """Every comparison of a folder ``schp/`` in the golden format.

    Args:
        folder: holds ``parsing_atr.onnx``, ``parsing_lip.onnx``, ``parsing_io``, ``pictures`` and ``maps``.
    """
    parser = Schp(folder / ATR_FILE, folder / LIP_FILE)
    golden = load_file(folder / "parsing_io.safetensors")
    for name, about in json.loads((folder / "parsing_io.json").read_text()).items():
        picture = _picture(folder, name)
        for key, side in (("atr", ATR_SIDE), ("lip", LIP_SIDE)):
            square = Square(picture.shape[0], picture.shape[1], side)
            yield from _check_network(parser, square, picture, f"{name}.{key}", about[key], golden)
        labels = parser(picture, as_published=True)
        expected = _map(folder, f"{name}.labels")
        yield f"labels {name}, share", float((labels != expected).mean()), _LABELS
        rules = merge_labels(_map(folder, f"{name}.atr_argmax"), _map(folder, f"{name}.lip_argmax"), as_published=True)
        yield f"rules {name}, pixels", float((rules != expected).sum()), 0.0


def _check_network(
    parser: Schp, square: Square, picture: NDArray[np.uint8], name: str, about: Any, golden: dict[str, NDArray[Any]]
) -> Iterator[Check]:
    height, width = picture.shape[:2]
    yield f"{name} to_network", _difference(square.to_network, np.array(about["to_network"])), _AFFINE
    yield f"{name} to_picture", _difference(square.to_picture(), np.array(about["to_picture"])), _AFFINE
    values = square.encode(picture)
    scores = parser.networks[name.rsplit(".", 1)[-1]](values)[FUSION]
    large = square.enlarged(scores[0]).transpose(1, 2, 0)
    placed = square.scores_in_picture(scores[0]).transpose(1, 2, 0)
    for what, ours, limit in (
        ("input_slice", values[:, :, 8::32, 8::32], _INPUT),
        ("fusion_slice", scores[:, ::4, 4::16, 4::16], _SCORES),
        ("upsampled_slice", large[8::64, 8::64], _SCORES),
        ("picture_logits_slice", placed[5 :: max(1, height // 8), 5 :: max(1, width // 8)], _SCORES),
    ):
        yield f"{name} {what}", _difference(ours, golden[f"{name}.{what}"]), limit


def _picture(folder: Path, name: str) -> NDArray[np.uint8]:
    image = Image.open(folder / "pictures" / f"{name.split('.')[0]}.png").convert("RGB")
    if name.endswith(".app"):
        image = image.resize((768, 1024)).resize((384, 512))
    return np.asarray(image)


def _map(folder: Path, name: str) -> NDArray[np.uint8]:
    return np.asarray(Image.open(folder / "maps" / f"{name}.png"))


def _difference(ours: NDArray[Any], golden: NDArray[Any]) -> float:
    return float(np.abs(ours - golden).max(initial=0.0))
