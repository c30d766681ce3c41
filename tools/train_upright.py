"""Fits what tells a garment's upper end from its lower one, by the outlines of rendered product pictures.

python tools/train_upright.py [--people 100] [--seed 29] [-o src/idmvton/prepare/assets/upright.npy]

A logistic regression on the difference between an outline and the outline turned upside down. Prints how often it is
right on people that were left out. Trousers are left out: their legs tell.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from idmvton.prepare.category import has_legs
from idmvton.prepare.cutout import cut_out
from idmvton.prepare.mask import box_of
from idmvton.prepare.orientation import END_SHAPE, MARGIN, end_features
from idmvton.studio.sampling import sample

L2, STEPS, RATE = 0.03, 3000, 0.05
FOLDS = 5


def main() -> None:
    """Renders, fits and writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=100)
    parser.add_argument("--seed", type=int, default=29)
    parser.add_argument("-o", "--output", type=Path, default=Path("src/idmvton/prepare/assets/upright.npy"))
    options = parser.parse_args()
    if options.people < FOLDS:
        parser.error(f"--people {options.people}: at least {FOLDS}, because each fifth of them is left out once")
    found = [(index, features) for index in range(options.people) for features in product_features(options.seed, index)]
    person = np.array([index for index, _ in found])
    features = np.stack([each for _, each in found])
    left_out = np.concatenate(
        [features[person % FOLDS == fold] @ fit(features[person % FOLDS != fold]) for fold in range(FOLDS)]
    )
    print(
        f"{len(features)} garments, left out: {np.mean(left_out > 0):.1%} right, "
        f"{np.mean(left_out > MARGIN):.1%} found if turned, {np.mean(left_out < -MARGIN):.1%} turned wrongly"
    )
    np.save(options.output, fit(features).reshape(END_SHAPE).astype(np.float32))


def product_features(seed: int, index: int) -> Iterator[np.ndarray[Any, Any]]:
    """Of both product pictures of one rendered person."""
    truth = sample(seed, index, "test" if index % 2 == 0 else "wild", "mixed", (512, 384))
    for picture in (truth.garment, truth.other_garment):
        mask, _ = cut_out(picture)
        box = box_of(mask)
        if box is not None:
            outline = mask[box[1] : box[3], box[0] : box[2]]
            if not has_legs(outline):
                yield end_features(outline)


def fit(features: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Weights (F,) with which upright garments score above zero, and turned ones, by symmetry, below."""
    weights = np.zeros(features.shape[1])
    for _ in range(STEPS):
        wrong = 1 / (1 + np.exp(np.clip(features @ weights, -30, 30)))
        weights += RATE * ((wrong[:, None] * features).mean(0) - L2 * weights)
    return weights


if __name__ == "__main__":
    main()
