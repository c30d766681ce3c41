"""How well two maps of classes agree."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]


def confusion(truth: NDArray[np.uint8], found: NDArray[np.uint8], num_classes: int) -> Counts:
    """Pixels by true class (rows) and found class (columns): int64 (classes, classes). Sums over pictures add up."""
    codes = truth.astype(np.int64) * num_classes + found
    return np.bincount(codes.ravel(), minlength=num_classes**2).reshape(num_classes, num_classes)


def intersection_over_union(counts: Counts) -> NDArray[np.float64]:
    """One value a class, NaN for a class that never occurs in the truth."""
    hits = np.diag(counts).astype(np.float64)
    union = counts.sum(0) + counts.sum(1) - hits
    return np.where(counts.sum(1) > 0, hits / np.maximum(union, 1), np.nan)


def mean_iou(counts: Counts) -> float:
    """The mean over all classes but 0, the background, that occur in the truth."""
    return float(np.nanmean(intersection_over_union(counts)[1:]))
