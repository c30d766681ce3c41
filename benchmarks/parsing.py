"""How well the person parser reads rendered people it has never seen, and how long it takes.

idmvton studio make people --pairs 60 --split test --seed 11 --size 512x384
python benchmarks/parsing.py people/test [--weights FILE] [--limit 60] [--threads 2]

Everything is as in use: landmarks and outline come from the pose backend, so its mistakes count too. The table has
the mean IoU of 24 and 14 body parts and of the labels, and, for each category, how much of the old garment the
agnostic mask made from the found labels and keypoints covers, and how much of what must stay it touches.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from idmvton.prepare.densepose import COARSE_PARTS
from idmvton.prepare.mask import ATR_LABELS, NECK, Category, agnostic_mask
from idmvton.prepare.parsing.network import NUM_LABELS, NUM_PART_CLASSES, WEIGHTS
from idmvton.prepare.parsing.scores import confusion, intersection_over_union, mean_iou
from idmvton.prepare.parsing.studio_net import StudioNet
from idmvton.prepare.pose import load_pose_estimator, openpose_from_landmarks
from idmvton.prepare.signals import PersonParser, Photo, Pose, PoseEstimator
from idmvton.types import Size

OLD_GARMENT: Final[dict[Category, tuple[str, ...]]] = {
    "upper_body": ("upper_clothes",),
    "lower_body": ("pants", "skirt"),
    "dresses": ("dress",),
}
STAYS: Final[dict[Category, tuple[str, ...]]] = {
    "upper_body": ("head", "hair", "pants", "skirt"),
    "lower_body": ("head", "hair", "upper_clothes"),
    "dresses": ("head", "hair"),
}
HANDS: Final = (3, 4)  # body parts
NAMES: Final = (*ATR_LABELS, "bare neck, trunk")


@dataclass
class Scores:
    """Sums over pictures."""

    labels: NDArray[np.int64] = field(default_factory=lambda: np.zeros((NUM_LABELS, NUM_LABELS), np.int64))
    parts: NDArray[np.int64] = field(default_factory=lambda: np.zeros((NUM_PART_CLASSES, NUM_PART_CLASSES), np.int64))
    coarse: NDArray[np.int64] = field(default_factory=lambda: np.zeros((15, 15), np.int64))
    covered: dict[str, list[float]] = field(default_factory=dict)
    touched: dict[str, list[float]] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    missed: int = 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="a split's folder of the studio")
    parser.add_argument("--weights", type=Path, default=WEIGHTS)
    parser.add_argument("--limit", type=int, default=60)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    scores = Scores()
    backends = load_pose_estimator(num_threads=options.threads), StudioNet(options.weights)
    for file in sorted((options.folder / "meta").glob("*.json"))[: options.limit]:
        measure(options.folder, file.stem, json.loads(file.read_text())["category"], *backends, scores)
    show(scores)


def measure(
    folder: Path, name: str, category: Category, estimator: PoseEstimator, parser: PersonParser, scores: Scores
) -> None:
    """Adds one sample."""
    photo = read(folder / "image" / f"{name}.jpg", cv2.IMREAD_COLOR)[..., ::-1].copy()
    labels = read(folder / "image-parse-v3" / f"{name}.png")
    parts = read(folder / "image-iuv" / f"{name}.png")[..., 2]
    people = estimator(photo)
    if not people or people[0].segmentation is None:
        scores.missed += 1
        return
    pose: Pose = people[0]
    start = time.perf_counter()
    assert pose.segmentation is not None
    found = parser(photo, pose, pose.segmentation)
    scores.seconds.append(time.perf_counter() - start)
    assert found.labels is not None
    assert found.parts is not None
    scores.labels += confusion(labels, found.labels, NUM_LABELS)
    scores.parts += confusion(parts, found.parts, NUM_PART_CLASSES)
    scores.coarse += confusion(COARSE_PARTS[parts], COARSE_PARTS[found.parts], 15)
    points = openpose_from_landmarks(pose, Size(*labels.shape))
    mask = agnostic_mask(found.labels, points, category, arm_width=45) > 0
    add_mask(scores, category, mask, labels, parts)


def add_mask(scores: Scores, category: Category, mask: NDArray[np.bool_], labels: Photo, parts: Photo) -> None:
    """Shares of the old garment that the mask covers, and of what stays that it touches."""
    garment = np.isin(labels, [ATR_LABELS.index(name) for name in OLD_GARMENT[category]])
    if garment.any():
        scores.covered.setdefault(category, []).append(float(mask[garment].mean()))
    hands = np.isin(parts, HANDS) & np.isin(labels, [*(ATR_LABELS.index(f"{side}_arm") for side in ("left", "right"))])
    stays = {name: labels == ATR_LABELS.index(name) for name in STAYS[category]} | {"hands": hands}
    for name, region in stays.items():
        if region.sum() > 20:
            scores.touched.setdefault(f"{category}: {name}", []).append(float(mask[region].mean()))


def show(scores: Scores) -> None:
    """Prints the tables."""
    print(f"| what | mean IoU |\n|---|---|\n| 24 parts | {mean_iou(scores.parts):.3f} |")
    print(f"| 14 parts | {mean_iou(scores.coarse):.3f} |\n| labels | {mean_iou(scores.labels):.3f} |")
    print(f"| neck {NECK} and others |", end=" ")
    print(", ".join(f"{name} {value:.2f}" for name, value in named(scores.labels)), "|")
    print("| parts |", " ".join(f"{value:.2f}" for value in intersection_over_union(scores.parts)), "|\n")
    for title, shares in (("old garment covered", scores.covered), ("stays, touched", scores.touched)):
        for name, values in shares.items():
            print(f"| {title}: {name} | mean {np.mean(values):.4f}, worst {worst(title, values):.4f} |")
    print(f"| parsing | {1000 * float(np.median(scores.seconds)):.0f} ms |")
    print(f"| nobody found | {scores.missed} |")


def worst(title: str, values: list[float]) -> float:
    return min(values) if "covered" in title else max(values)


def named(counts: NDArray[np.int64]) -> list[tuple[str, Any]]:
    """Name and IoU of the labels that occur."""
    values = intersection_over_union(counts)
    return [(name, value) for name, value in zip(NAMES, values, strict=True) if not np.isnan(value)]


def read(path: Path, how: int = cv2.IMREAD_UNCHANGED) -> Photo:
    picture = cv2.imread(str(path), how)
    assert picture is not None, path
    return np.asarray(picture, np.uint8)


if __name__ == "__main__":
    main()
