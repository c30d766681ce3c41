"""DensePose against golden numbers of the published code: features, proposals, heads, boxes, part maps."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from idmvton.prepare.backends.densepose.decoding import decode_box, whole_pixels
from idmvton.prepare.backends.densepose.heads import BodyMaps
from idmvton.prepare.backends.densepose.network import DensePoseNet, padded
from idmvton.prepare.backends.densepose.proposals import make_anchors
from idmvton.prepare.self_test.comparison import OTHER, Check
from idmvton.prepare.self_test.golden import weights_formula

Golden = dict[str, Tensor]

PLAIN_SALT: Final = "dev"
_SCALED: Final = 1e-4  # of the largest value of the tensor
_PIXELS: Final = 0.05
_SCORE: Final = 1e-4
_LABELS: Final = 0.001  # share of the pixels
_SURFACE: Final = 1e-3
_MIN_SCORE: Final = 0.05  # the golden boxes are those of the detector's own limit, not of the demo's 0.8


def check_densepose(folder: Path, salt: str) -> Iterator[Check]:
    """Every comparison of a folder ``densepose/`` in the golden format.

    Args:
        folder: holds ``densepose_weights.py``, ``image_bgr.png`` and ``io.safetensors``.
        salt: which weights the network was run with.
    """
    golden = load_file(folder / "io.safetensors")
    pixels = np.asarray(Image.open(folder / "image_bgr.png").convert("RGB"))[..., ::-1].copy()
    picture = torch.from_numpy(pixels).permute(2, 0, 1).float()
    network = _network(folder, salt, picture, golden)
    with torch.inference_mode():
        yield "padded picture", _scaled(padded(picture), golden["padded_image"]), _SCALED
        levels = network.levels(picture)
        yield from check_features(network, levels, golden)
        maps = network.roi_heads.body_maps(levels, golden["boxes"])
        yield from check_heads(network, levels, maps, golden)
        yield from check_maps(maps, golden)
        yield from check_people(network, levels, picture, golden)


def formula_weights(folder: Path, salt: str = PLAIN_SALT) -> dict[str, Tensor]:
    """The tensors that the numbers were made with, by the formula in the folder.

    Args:
        folder: holds ``densepose_weights.py``, whose ``value(name, shape)`` is called; a third parameter of it gets
            the salt. A formula without one gets the names as they are for ``"dev"``, and ``salt/name`` for others.
        salt: which weights.
    """
    value = weights_formula(folder, "densepose_weights.py")
    takes_salt = len(inspect.signature(value).parameters) > 2
    with torch.device("meta"):
        shapes = {name: tuple(tensor.shape) for name, tensor in DensePoseNet().state_dict().items()}
    tensors = {}
    for name, shape in shapes.items():
        if takes_salt:
            array = value(name, shape, salt)
        else:
            array = value(name if salt == PLAIN_SALT else f"{salt}/{name}", shape)
        tensors[name] = torch.from_numpy(array)
    return tensors


def _network(folder: Path, salt: str, picture: Tensor, golden: Golden) -> DensePoseNet:
    """The network with the formula's weights.

    The formula of the first golden data knows no salt. Numbers that were made with it beside another salt of the
    other networks would be compared with the wrong weights; so the coarsest features decide which it is.
    """
    network = DensePoseNet().eval()
    network.load_state_dict(formula_weights(folder, salt))
    if salt != PLAIN_SALT:
        with torch.inference_mode():
            features = network.levels(picture)["p6"]
        if _scaled(features, golden["feature_p6"]) > _SCALED:
            network.load_state_dict(formula_weights(folder))
    return network


def check_features(network: DensePoseNet, levels: dict[str, Tensor], golden: Golden) -> Iterator[Check]:
    """The pyramid and what the proposal network makes of it."""
    for number, (name, features) in enumerate(levels.items()):
        kept = golden[f"feature_{name}"]
        yield f"features {name}", _scaled(features[:, :: features.shape[1] // kept.shape[1]], kept), _SCALED
        logits, deltas = network.proposal_generator.rpn_head(features)
        yield f"proposal logits {name}", _scaled(logits, golden[f"rpn_logits_{number}"]), _SCALED
        yield f"proposal deltas {name}", _scaled(deltas, golden[f"rpn_deltas_{number}"]), _SCALED
        anchors = golden[f"anchors_{number}"]
        yield (
            f"anchors {name}, pixels",
            _largest(make_anchors(name, *features.shape[2:])[: len(anchors)], anchors),
            1e-3,
        )


def check_heads(network: DensePoseNet, levels: dict[str, Tensor], maps: BodyMaps, golden: Golden) -> Iterator[Check]:
    """The heads on given boxes."""
    scores, deltas = network.roi_heads.judge(levels, golden["boxes"])
    yield "box scores", _scaled(scores, golden["box_scores"]), _SCALED
    yield "box deltas", _scaled(deltas, golden["box_deltas"]), _SCALED
    decoded = network.roi_heads.decoder(levels)
    for name, ours, kept in (
        ("decoder", decoded[:, ::16], golden["decoded"]),
        ("coarse", maps.coarse, golden["coarse_segm"]),
        ("fine", maps.fine[:, ::4], golden["fine_segm_every_4th"]),
        ("u", maps.u[:, ::8], golden["u_every_8th"]),
        ("v", maps.v[:, ::8], golden["v_every_8th"]),
    ):
        yield name, _scaled(ours, kept), _SCALED


def check_maps(maps: BodyMaps, golden: Golden) -> Iterator[Check]:
    """Part maps and surface coordinates of the given boxes."""
    for number, box in enumerate(golden["boxes"]):
        _, _, width, height = whole_pixels(box)
        surface = decode_box(BodyMaps(*(each[number : number + 1] for each in maps)), height, width)
        labels, uv = golden[f"labels_{number}"], golden[f"uv_{number}"]
        if surface.parts.shape != labels.shape:
            yield f"parts {number}, share that differs", OTHER, _LABELS
            continue
        same = surface.parts == labels
        yield f"parts {number}, share that differs", 1 - float(same.float().mean()), _LABELS
        ours = torch.stack([surface.u, surface.v])
        yield f"surface {number}, where the parts agree", _largest(ours[:, same], uv[:, same]), _SURFACE


def check_people(network: DensePoseNet, levels: dict[str, Tensor], picture: Tensor, golden: Golden) -> Iterator[Check]:
    """The detector from end to end.

    Each golden box is compared with the nearest one of ours: people of nearly the same score may change places. Golden
    boxes that end at a higher score than ours are compared as far as they go.
    """
    found = network.detect(levels, picture.shape[1], picture.shape[2], _MIN_SCORE)
    boxes, scores = golden["detected_boxes"], golden["detected_scores"]
    if len(found.boxes) < len(boxes):
        yield f"{len(found.boxes)} detected boxes instead of {len(boxes)}", OTHER, _PIXELS
        return
    distances = (boxes[:, None] - found.boxes[None, : len(boxes)]).abs().amax(2)
    nearest = distances.argmin(1)
    yield "detected boxes, pixels", _largest(found.boxes[nearest], boxes), _PIXELS
    yield "detected scores", _largest(found.scores[nearest], scores), _SCORE


def _scaled(ours: Tensor, golden: Tensor) -> float:
    """The largest difference as a share of the largest value."""
    return _largest(ours, golden) / max(float(golden.abs().max()), 1e-12)


def _largest(ours: Tensor, golden: Tensor) -> float:
    if ours.shape != golden.shape:
        return OTHER
    return float((ours - golden).abs().max()) if golden.numel() else 0.0
