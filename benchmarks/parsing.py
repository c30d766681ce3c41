"""How well the person parser reads rendered people; a stage of ``benchmarks/preparation.py``.

Everything is as in use: landmarks and outline come from the backends, so their mistakes count too. For each category
the agnostic mask is made from the found labels and points; what it covers of the old garment and what it touches of
that which stays is counted in true pixels. The published strokes along the arms end beyond the wrist, so a mask from
the true labels and points touches hands too; that share stands beside.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from idmvton.evaluate.label_maps import confusion, intersection_over_union, mean_iou
from idmvton.images.densepose import COARSE_PARTS
from idmvton.prepare.backends.edges import EdgeSegmenter
from idmvton.prepare.backends.protocols import Photo, Pose
from idmvton.prepare.backends.studio_net.network import NUM_LABELS, NUM_PART_CLASSES
from idmvton.prepare.backends.studio_net.parser import NAME, StudioNet
from idmvton.prepare.mask import ATR_LABELS, agnostic_mask
from idmvton.studio.sampling import StudioSample
from idmvton.types import Category, Size

TIMED_SIZE: Final = (1024, 768)
REPEATS: Final = 9
ARM_WIDTH: Final = 45
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
_FEW: Final = 20  # pixels: smaller regions say nothing

Line = tuple[str, str, str]


@dataclass
class Shares:
    """Of each person: what a mask covers and touches, by name."""

    covered: dict[str, list[float]] = field(default_factory=dict)
    touched: dict[str, list[float]] = field(default_factory=dict)

    def add(self, truth: StudioSample, mask: NDArray[np.bool_]) -> None:
        """Counts one person's mask."""
        garment = _where(truth.labels, OLD_GARMENT[truth.category])
        if garment.any():
            self.covered.setdefault(truth.category, []).append(float(mask[garment].mean()))
        regions = {name: _where(truth.labels, (name,)) for name in STAYS[truth.category]}
        regions["hands"] = np.isin(truth.iuv[..., 0], HANDS) & _where(truth.labels, ("left_arm", "right_arm"))
        for name, region in regions.items():
            if region.sum() > _FEW:
                self.touched.setdefault(f"{truth.category}, {name}", []).append(float(mask[region].mean()))


def parsing_rows(people: Sequence[tuple[StudioSample, Pose]]) -> list[Line]:
    """Stage, measure and value: agreement of labels and parts with the truth, masks made from them, time."""
    parser, segmenter = StudioNet(), EdgeSegmenter()
    counts = {classes: np.zeros((classes, classes), np.int64) for classes in (NUM_LABELS, NUM_PART_CLASSES, 15)}
    found_masks, true_masks = Shares(), Shares()
    for truth, pose in people:
        labels, parts = parser(truth.person, pose, segmenter(truth.person, pose))
        true_parts = np.ascontiguousarray(truth.iuv[..., 0])
        counts[NUM_LABELS] += confusion(truth.labels, labels, NUM_LABELS)
        counts[NUM_PART_CLASSES] += confusion(true_parts, parts, NUM_PART_CLASSES)
        counts[15] += confusion(COARSE_PARTS[true_parts], COARSE_PARTS[parts], 15)
        points = pose.keypoints(Size(*truth.labels.shape))
        found_masks.add(truth, agnostic_mask(labels, points, truth.category, ARM_WIDTH) > 0)
        true_masks.add(truth, agnostic_mask(truth.labels, truth.keypoints, truth.category, ARM_WIDTH) > 0)
    stage = f"parser ({NAME})"
    overlaps = intersection_over_union(counts[NUM_LABELS])
    names = (*ATR_LABELS, "bare neck and trunk")
    return [
        (stage, "mean overlap of 24 parts", f"{mean_iou(counts[NUM_PART_CLASSES]):.3f}"),
        (stage, "mean overlap of 14 parts", f"{mean_iou(counts[15]):.3f}"),
        (stage, "mean overlap of labels", f"{mean_iou(counts[NUM_LABELS]):.3f}"),
        *((stage, f"label {name}", f"{value:.3f}") for name, value in zip(names, overlaps, strict=True) if value >= 0),
        *_mask_rows(found_masks, true_masks),
        (stage, "ms", _milliseconds(parser, *people[0])),
    ]


def _mask_rows(found: Shares, true: Shares) -> list[Line]:
    rows = []
    for what, shares, exact in (
        ("old garment covered", found.covered, true.covered),
        ("touched", found.touched, true.touched),
    ):
        for name, values in shares.items():
            worst = min(values) if shares is found.covered else max(values)
            text = f"{statistics.fmean(values):.1%} (worst {worst:.1%}, from the truth {np.mean(exact[name]):.1%})"
            rows.append(("mask", f"{what}: {name}", text))
    return rows


def _where(labels: Photo, names: tuple[str, ...]) -> NDArray[np.bool_]:
    return np.isin(labels, [ATR_LABELS.index(name) for name in names])


def _milliseconds(parser: StudioNet, truth: StudioSample, pose: Pose) -> str:
    """The median time for that person's photo, enlarged."""
    scale = TIMED_SIZE[0] / truth.labels.shape[0]
    photo = cv2.resize(truth.person, TIMED_SIZE[::-1], interpolation=cv2.INTER_CUBIC)
    outline = cv2.resize((truth.labels > 0).astype(np.float32), TIMED_SIZE[::-1])
    larger = pose.mapped(lambda points: points * np.float32(scale), None)
    times = []
    for _ in range(REPEATS):
        photo = photo.copy()  # what was computed for the last one is kept
        start = time.perf_counter()
        parser(photo, larger, outline)
        times.append(time.perf_counter() - start)
    return f"{statistics.median(times) * 1000:.0f}"
