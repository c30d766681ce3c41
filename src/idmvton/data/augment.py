"""Augmentation of whole samples, before anything is normalised (paper, section 4.1: flip, shift, scale).

Everything happens on 8-bit pictures. Person and garment are mirrored together and get one and the same colour
change; the maps follow the person, and what is left becomes right.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from idmvton.data.augment_options import AugmentOptions
from idmvton.data.sample import TryOnSample
from idmvton.errors import InputError
from idmvton.images.densepose import OFF_PALETTE, OTHER_SIDE, part_colours, parts_of
from idmvton.images.framing import Framing
from idmvton.prepare.mask import ATR_LABELS, NECK


def _mirrored(name: str) -> str:
    side, _, rest = name.partition("_")
    return {"left": f"right_{rest}", "right": f"left_{rest}"}.get(side, name)


MIRRORED_LABELS: Final = np.array([*(ATR_LABELS.index(_mirrored(name)) for name in ATR_LABELS), NECK], np.uint8)
"""ATR class -> the class that a mirror makes of it."""
MIRRORED_KEYPOINTS: Final = (0, 1, 5, 6, 7, 2, 3, 4, 11, 12, 13, 8, 9, 10, 15, 14, 17, 16)
"""OpenPose point -> the point that a mirror puts in its place."""

_LUMA: Final = np.array([0.299, 0.587, 0.114])
_YIQ: Final = np.array([_LUMA, [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])


def augmented(sample: TryOnSample, rng: np.random.Generator, options: AugmentOptions | None = None) -> TryOnSample:
    """One random variation of a sample; the same generator state gives the same one.

    Args:
        sample: stays as it is.
        rng: drawn from equally often, whatever the options and the sample are.
        options: how much; the paper's where not given.

    Raises:
        InputError: a body map that is not in the palette is to be mirrored.
    """
    chosen = options or AugmentOptions()
    happens = rng.random(3) < (chosen.flip, chosen.affine, chosen.colour)
    amounts = rng.uniform(-1, 1, 7)
    if happens[0]:
        sample = flip(sample)
    if happens[1]:
        rows, columns, zoom = amounts[:3] * (chosen.shift, chosen.shift, chosen.scale)
        sample = shift_and_scale(sample, float(rows), float(columns), 1 + float(zoom))
    if happens[2]:
        limits = (chosen.brightness, chosen.contrast, chosen.saturation, chosen.hue)
        sample = change_colours(sample, *(float(amount) for amount in amounts[3:] * limits))
    return sample


def flip(sample: TryOnSample) -> TryOnSample:
    """The mirrored sample: body parts, labels and keypoints change sides, and so does the garment's picture.

    Raises:
        InputError: the body map is not in the palette.
    """
    labels, points = sample.labels, sample.keypoints
    return replace(
        sample,
        person=ImageOps.mirror(sample.person),
        garment=ImageOps.mirror(sample.garment),
        mask=np.ascontiguousarray(sample.mask[:, ::-1]),
        densepose=_flip_densepose(sample.densepose, sample.name),
        labels=None if labels is None else np.ascontiguousarray(MIRRORED_LABELS[labels[:, ::-1]]),
        keypoints=None if points is None else _flip_keypoints(points, sample.size.width),
        garment_worn=sample.garment_worn and ImageOps.mirror(sample.garment_worn),
        unpaired_target=sample.unpaired_target and ImageOps.mirror(sample.unpaired_target),
        flow=None if sample.flow is None else _flip_flow(sample.flow, sample.size.width),
    )


def _flip_flow(flow: NDArray[np.float32], width: int) -> NDArray[np.float32]:
    return flow[:, ::-1] * np.array([-1, 1], np.float32) + np.array([width, 0], np.float32)


def _flip_densepose(densepose: Image.Image, name: str) -> Image.Image:
    """Each pixel moves by the difference of its part's colour and the other side's: JPEG noise stays as it was."""
    mirrored = ImageOps.mirror(densepose)
    parts, strange = parts_of(mirrored)
    if strange > OFF_PALETTE:
        raise InputError(
            f"the densepose of sample {name} cannot be mirrored",
            got=f"{strange:.0%} of its pixels have colours that stand for no body part",
            expected="24 body parts in OpenCV's parula palette on black",
            fix="find such maps with `idmvton data check`, or turn mirroring off",
        )
    colours = part_colours().astype(np.int16)
    moved = np.asarray(mirrored) + (colours[OTHER_SIDE] - colours)[parts]
    return Image.fromarray(moved.clip(0, 255).astype(np.uint8))


def _flip_keypoints(points: NDArray[np.float32], width: int) -> NDArray[np.float32]:
    swapped = points[list(MIRRORED_KEYPOINTS)]
    missing = (swapped == 0).all(1, keepdims=True)
    mirrored = np.array([width, 0], np.float32) - swapped * np.array([1, -1], np.float32)
    return np.where(missing, np.float32(0), mirrored)


def shift_and_scale(sample: TryOnSample, down: float, right: float, zoom: float) -> TryOnSample:
    """Moves the person and every map; the garment stays. Nothing happens if nothing would be left to repaint.

    Args:
        sample: stays as it is.
        down, right: by how much of the height and of the width.
        zoom: factor about the centre; above 1 the person grows.
    """
    height, width = sample.size
    seen_height, seen_width = (max(1, round(side / zoom)) for side in (height, width))
    top = round((height - seen_height) / 2 - down * seen_height)
    left = round((width - seen_width) / 2 - right * seen_width)
    framing = Framing(sample.size, (left, top, left + seen_width, top + seen_height), sample.size)
    moved = sample.reframed(framing)
    return moved if moved.mask.any() else sample


def change_colours(
    sample: TryOnSample, brightness: float, contrast: float, saturation: float, hue: float
) -> TryOnSample:
    """One colour change for all photos of a sample: equal colours stay equal. Maps are not touched.

    Args:
        sample: stays as it is.
        brightness, contrast, saturation: relative changes, 0 for none; contrast is about middle grey.
        hue: a turn in degrees.
    """
    turn = np.deg2rad(hue)
    rotation = np.array([[1, 0, 0], [0, np.cos(turn), -np.sin(turn)], [0, np.sin(turn), np.cos(turn)]])
    saturate = (1 + saturation) * np.eye(3) - saturation * np.tile(_LUMA, (3, 1))
    matrix = (1 + contrast) * (1 + brightness) * saturate @ np.linalg.inv(_YIQ) @ rotation @ _YIQ
    offset = -contrast * 127.5

    def change(picture: Image.Image) -> Image.Image:
        pixels = np.asarray(picture).astype(np.float32) @ matrix.T.astype(np.float32) + np.float32(offset)
        return Image.fromarray(pixels.round().clip(0, 255).astype(np.uint8))

    return replace(
        sample,
        person=change(sample.person),
        garment=change(sample.garment),
        garment_worn=sample.garment_worn and change(sample.garment_worn),
        unpaired_target=sample.unpaired_target and change(sample.unpaired_target),
    )
