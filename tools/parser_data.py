"""Pictures for training the person parser: studio samples, changed so much that only what is true of photos stays.

A sample is read from a folder of the studio, its garments, skin, hair and background get other colours and
textures (the labels say where they are), then it is cropped, turned and mirrored, its colours are distorted, and
its skeleton and outline are made as unreliable as those of a real pose model.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from parser_textures import repaint
from torch.utils.data import Dataset, IterableDataset

from idmvton.images.densepose import OTHER_SIDE
from idmvton.prepare.backends.blazepose.landmarks import MIRRORED, landmarks_of
from idmvton.prepare.backends.protocols import PoseEstimator
from idmvton.prepare.backends.studio_net import encoding
from idmvton.prepare.mask import ATR_LABELS, OTHER_LABEL

HELD_OUT = 40  # every so many samples one is for validation
SOURCE = (192, 144)  # height, width at which pictures are repainted; larger costs much time and teaches little more
_EMPTY = 512  # bytes that a file of signals has without any
_CACHED = 6000  # pictures that a process keeps in memory, 0.2 MB each
_PERSON_FILES = (("image", "image-parse-v3"), ("image-unpaired", "image-parse-unpaired"))
_BAG = ATR_LABELS.index("bag")


@dataclass(frozen=True, slots=True)
class Example:
    """One picture with its truth and what the pose model said of it.

    Attributes:
        image: uint8 (H, W, 3) RGB.
        labels, parts: uint8 (H, W).
        points, visibility: float32 (33, 2) in pixels and (33,).
        outline: float32 (H, W), the pose model's segmentation.
    """

    image: np.ndarray
    labels: np.ndarray
    parts: np.ndarray
    points: np.ndarray
    visibility: np.ndarray
    outline: np.ndarray


@functools.lru_cache(maxsize=_CACHED)
def read_example(data: Path, signals: Path, name: str, other: bool = False) -> Example:
    """Reads a sample of a studio folder.

    Args:
        data: the folder with ``image``, ``image-parse-v3``, ``image-iuv``.
        signals: the folder of the pose model's answers (see ``train_parser.py``).
        name: stem of the files.
        other: the picture in the other garment.
    """
    picture, parse = _PERSON_FILES[other]
    image = cv2.imread(str(data / picture / f"{name}.jpg"), cv2.IMREAD_COLOR)[..., ::-1]
    image = np.ascontiguousarray(image)
    labels = cv2.imread(str(data / parse / f"{name}.png"), cv2.IMREAD_UNCHANGED)
    parts = np.ascontiguousarray(cv2.imread(str(data / "image-iuv" / f"{name}.png"), cv2.IMREAD_UNCHANGED)[..., 2])
    with np.load(signals / f"{name}.npz") as found:
        outline = found["segmentation"]
        points, visibility = found["landmarks"] * (SOURCE[0] / labels.shape[0]), found["visibility"]
    if other:  # the pose is the same, the outline is not
        outline = cv2.GaussianBlur((labels > 0).astype(np.uint8) * 255, (0, 0), labels.shape[0] / 200)
    image, outline = (cv2.resize(values, SOURCE[::-1], interpolation=cv2.INTER_AREA) for values in (image, outline))
    labels, parts = (
        cv2.resize(values, SOURCE[::-1], interpolation=cv2.INTER_NEAREST_EXACT) for values in (labels, parts)
    )
    return Example(image, labels, parts, points, visibility, outline.astype(np.float32) / 255)


def make_signals(data: Path, signals: Path, estimator: PoseEstimator) -> int:
    """Keeps what the pose backend says of each picture that it has not seen yet.

    Args:
        data: see :func:`read_example`.
        signals: a file a sample goes there; a sample in which nobody was found gets an empty one.
        estimator: the backend.

    Returns:
        how many pictures were new.
    """
    signals.mkdir(parents=True, exist_ok=True)
    complete = sorted(file.stem for file in (data / "meta").glob("*.json"))
    new = [name for name in complete if not (signals / f"{name}.npz").exists()]
    for name in new:
        image = cv2.imread(str(data / "image" / f"{name}.jpg"), cv2.IMREAD_COLOR)[..., ::-1]
        people = estimator(np.ascontiguousarray(image))
        found = {}
        if people and people[0].outline is not None:
            outline = np.round(people[0].outline * 255).astype(np.uint8)
            landmarks = landmarks_of(people[0])
            found = {"landmarks": landmarks.points, "visibility": landmarks.visibility, "segmentation": outline}
        temporary = signals / f".{name}.npz"
        np.savez(temporary, **found)
        temporary.replace(signals / f"{name}.npz")
    return len(new)


def known_names(data: Path, signals: Path, held_out: bool) -> list[str]:
    """Stems of the samples in which the pose backend found somebody, for training or for validation."""
    files = (file for file in signals.glob("[!.]*.npz") if file.stat().st_size > _EMPTY)
    names = sorted(file.stem for file in files if (data / "meta" / f"{file.stem}.json").exists())
    return [name for name in names if (int(name.split("_")[0]) % HELD_OUT == 0) == held_out]


class Validation(Dataset):
    """Held-out pictures as they are, cropped as in use."""

    def __init__(self, data: Path, signals: Path, size: tuple[int, int]) -> None:
        self.data, self.signals, self.size = data, signals, size
        self.names = known_names(data, signals, held_out=True)

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, ...]:
        found = read_example(self.data, self.signals, self.names[index])
        crop = encoding.person_crop(found.outline, self.size)
        maps = (_nearest(values, crop) for values in (found.labels, found.parts))
        picture = encoding.encode_picture(crop.cut(found.image), crop.cut(found.outline))
        pose = encoding.encode_pose(crop.points(found.points), found.visibility, self.size)
        return _tensors(picture, pose, *maps)


class Distorted(IterableDataset):
    """Endless training pictures at random.

    Args:
        data, signals: see :func:`read_example`.
        size: (height, width) of the network's picture.
        seed: equal seeds and folders give equal pictures.
    """

    def __init__(self, data: Path, signals: Path, size: tuple[int, int], seed: list[int]) -> None:
        self.data, self.signals, self.size, self.seed = data, signals, size, seed
        self.names = known_names(data, signals, held_out=False)

    def __iter__(self):
        rng = np.random.default_rng(self.seed)
        cv2.setNumThreads(0)
        scenery = self._random(rng).image
        while True:
            found = self._random(rng)
            yield distort(found, scenery, self.size, rng)
            scenery = found.image

    def _random(self, rng: np.random.Generator) -> Example:
        name = self.names[int(rng.integers(len(self.names)))]
        return read_example(self.data, self.signals, name, other=bool(rng.random() < 0.5))


def distort(found: Example, scenery: np.ndarray, size: tuple[int, int], rng: np.random.Generator):
    """One training picture: tensors picture, pose, labels, parts."""
    image = repaint(found.image, found.labels, scenery, rng)
    outline = unreliable_outline(found, rng)
    crop, window = _random_crop(found.labels > 0, size, rng)
    turn = cv2.getRotationMatrix2D((size[1] / 2, size[0] / 2), float(rng.normal(0, 7)), 1.0)
    flip = rng.random() < 0.5
    if flip:
        turn = turn @ np.array([[-1, 0, size[1] - 1], [0, 1, 0], [0, 0, 1]])
    matrix = crop.matrix() @ np.vstack([turn, [0, 0, 1]])

    def cut(values: np.ndarray, how: int) -> np.ndarray:
        visible = np.zeros_like(values)
        visible[window] = values[window]
        return cv2.warpAffine(visible, matrix, size[::-1], flags=how | cv2.WARP_INVERSE_MAP)

    picture = photographed(cut(image, cv2.INTER_LINEAR), rng)
    labels, parts = (cut(values, cv2.INTER_NEAREST) for values in (found.labels, found.parts))
    back = cv2.invertAffineTransform(matrix)
    points = (found.points - 0.5) @ back[:, :2].T.astype(np.float32) + back[:, 2].astype(np.float32) + 0.5
    points, visibility = unreliable_pose(points, found.visibility, size, rng)
    if flip:
        labels, parts = OTHER_LABEL[labels], OTHER_SIDE[parts]
        points, visibility = points[MIRRORED], visibility[MIRRORED]
    encoded = encoding.encode_picture(picture, cut(outline, cv2.INTER_LINEAR))
    return _tensors(encoded, encoding.encode_pose(points.astype(np.float32), visibility, size), labels, parts)


def _random_crop(person: np.ndarray, size: tuple[int, int], rng: np.random.Generator):
    """A photo's edges (as slices of the picture) and the window around who is left inside them."""
    rows, columns = np.flatnonzero(person.any(1)), np.flatnonzero(person.any(0))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    tall, wide = bottom - top, right - left
    edge = [0, person.shape[0], 0, person.shape[1]]
    if rng.random() < 0.55:  # half a body
        edge[1] = int(top + tall * rng.uniform(0.42, 0.95))
    if rng.random() < 0.2:  # no eyes
        edge[0] = int(top + tall * rng.uniform(0.03, 0.12))
    if rng.random() < 0.1:
        edge[2] = int(left + wide * rng.uniform(0, 0.25))
    if rng.random() < 0.1:
        edge[3] = int(right - wide * rng.uniform(0, 0.25))
    top, bottom, left, right = max(top, edge[0]), min(bottom, edge[1]), max(left, edge[2]), min(right, edge[3])
    crop = encoding.fitted_crop((left, top, right, bottom), float(rng.uniform(0, 0.14)), size)
    shift = rng.normal(0, 0.03, 2) * crop.scale * size[0]
    crop = encoding.Crop(crop.left + float(shift[0]), crop.top + float(shift[1]), crop.scale, size)
    return crop, (slice(edge[0], edge[1]), slice(edge[2], edge[3]))


def unreliable_outline(found: Example, rng: np.random.Generator) -> np.ndarray:
    """The person's outline as a segmenter may give it: float32 (H, W) from 0 to 1."""
    height, width = found.labels.shape
    if rng.random() < 0.05:
        return np.zeros((height, width), np.float32)
    if rng.random() < 0.4:
        outline = found.outline
    else:
        person = found.labels > 0
        if rng.random() < 0.5:
            person &= found.labels != _BAG
        outline = person.astype(np.float32)
        waves = cv2.resize(rng.normal(0, 1, (12, 9)).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
        outline = cv2.GaussianBlur(outline, (0, 0), rng.uniform(0.5, height / 60))
        outline = np.clip((outline - 0.5 + waves * rng.uniform(0, 0.25)) * rng.uniform(1, 5) + 0.5, 0, 1)
    if rng.random() < 0.2:  # something else is taken for the person, or a part of it is not
        centre = (int(rng.integers(width)), int(rng.integers(height)))
        axes = tuple(int(value) for value in rng.integers(4, height // 8, 2))
        outline = outline.copy()
        cv2.ellipse(outline, centre, axes, float(rng.uniform(0, 180)), 0, 360, float(rng.integers(2)), -1)
    return outline


def unreliable_pose(points: np.ndarray, visibility: np.ndarray, size: tuple[int, int], rng: np.random.Generator):
    """Points moved at random, some unknown."""
    points = points + rng.normal(0, rng.choice([0.002, 0.006, 0.015]) * size[0], points.shape)
    visibility = visibility.copy()
    if rng.random() < 0.06:
        visibility[:] = -1
    visibility[rng.random(len(visibility)) < (0.08 if rng.random() < 0.3 else 0.0)] = -1
    return points.astype(np.float32), visibility


def photographed(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Another exposure, white balance, lens and file."""
    height, width = image.shape[:2]
    tone = np.linspace(0, 1, 256, dtype=np.float32)[:, None]
    gain = rng.normal(1, 0.08, 3) * rng.normal(1, 0.15) * np.ones(3)
    tone = np.clip(tone * gain, 0, 1) ** np.exp(rng.normal(0, 0.3)) * rng.uniform(0.75, 1) + rng.uniform(0, 0.08)
    table = np.clip(tone * 255, 0, 255).astype(np.uint8)
    image = cv2.LUT(image, table[:, None])
    colourful = np.clip(rng.normal(1.0, 0.3), 0, 1.8) if rng.random() > 0.06 else 0.0
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None].repeat(3, 2)
    image = cv2.addWeighted(image, float(colourful), grey, float(1 - colourful), 0)
    if rng.random() < 0.3:  # light from somewhere
        light = cv2.resize(
            rng.normal(1, 0.25, (4, 3)).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC
        )
        image = np.clip(image * np.clip(light, 0.3, 1.7)[..., None], 0, 255).astype(np.uint8)
    if rng.random() < 0.25:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.3))
    elif rng.random() < 0.3:
        image = cv2.addWeighted(
            image, 1 + (sharp := rng.uniform(0.3, 1.2)), cv2.GaussianBlur(image, (0, 0), 1.0), -sharp, 0
        )
    if rng.random() < 0.3:
        noise = rng.normal(0, rng.uniform(2, 12), image.shape).astype(np.float32)
        image = np.clip(image + noise, 0, 255).astype(np.uint8)
    for _ in range(int(rng.integers(1, 4)) if rng.random() < 0.12 else 0):  # something stands before
        y, x = int(rng.integers(height)), int(rng.integers(width))
        tall, wide = rng.integers(height // 24, height // 8, 2)
        image[y : y + tall, x : x + wide] = rng.integers(0, 256, 3)
    if rng.random() < 0.25:
        _, code = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(30, 90))])
        image = cv2.imdecode(code, cv2.IMREAD_UNCHANGED)
    return image


def _nearest(values: np.ndarray, crop: encoding.Crop) -> np.ndarray:
    flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(values, crop.matrix(), crop.size[::-1], flags=flags)


def _tensors(picture: np.ndarray, pose: np.ndarray, labels: np.ndarray, parts: np.ndarray) -> tuple[torch.Tensor, ...]:
    return (
        torch.from_numpy(picture),
        torch.from_numpy(pose),
        torch.from_numpy(labels.astype(np.int64)),
        torch.from_numpy(parts.astype(np.int64)),
    )
