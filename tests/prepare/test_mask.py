from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from idmvton.errors import InputError
from idmvton.prepare.mask import ATR_LABELS, RULES, agnostic_mask

GOLDEN = Path(__file__).parents[1] / "golden" / "dev" / "masks"
CASES = json.loads((GOLDEN / "cases.json").read_text())
NO_POINTS = np.zeros((18, 2))


def read(name: str) -> np.ndarray:
    return np.array(Image.open(GOLDEN / name))


@pytest.mark.parametrize("case", CASES["cases"], ids=lambda case: case["mask"])
def test_reproduces_the_published_masks(case):
    ours = agnostic_mask(
        read(case["labels"]),
        np.array(case["keypoints"]),
        case["category"],
        arm_width=case["arm_width"],
        as_published=True,
    )
    assert np.array_equal(ours, read(case["mask"]))


def test_label_numbers_are_those_of_the_golden_data():
    assert {name: ATR_LABELS.index(name) for name in ATR_LABELS} == CASES["label_map"]


def open_jacket() -> np.ndarray:
    labels = np.zeros((512, 384), np.uint8)
    labels[100:300, 40:110] = ATR_LABELS.index("upper_clothes")
    labels[100:300, 240:300] = ATR_LABELS.index("upper_clothes")
    return labels


def test_the_default_keeps_both_halves_of_an_open_jacket():
    mask = agnostic_mask(open_jacket(), NO_POINTS, "upper_body")
    assert mask[200, 70] == 255
    assert mask[200, 270] == 255
    largest_only = agnostic_mask(open_jacket(), NO_POINTS, "upper_body", as_published=True)
    assert largest_only[200, 270] == 0


@pytest.mark.parametrize("category", RULES)
def test_kept_labels_are_never_repainted(category):
    labels = np.random.default_rng(0).integers(0, 18, (64, 48)).astype(np.uint8).repeat(8, 0).repeat(8, 1)
    kept = [ATR_LABELS.index(name) for name in ("head", "hair", "bag", *RULES[category].keep)]
    mask = agnostic_mask(labels, NO_POINTS, category)
    assert not mask[np.isin(labels, kept)].any()
    assert set(np.unique(mask)) <= {0, 255}


def test_the_mask_scales_with_the_picture():
    case = CASES["cases"][0]
    labels, points = read(case["labels"]), np.array(case["keypoints"])
    small = agnostic_mask(labels, points, "upper_body")
    large = agnostic_mask(labels.repeat(2, 0).repeat(2, 1), points * 2, "upper_body")[::2, ::2]
    assert ((small > 0) & (large > 0)).sum() / ((small > 0) | (large > 0)).sum() > 0.97


def test_input_is_not_changed_and_same_input_gives_same_bytes():
    case = CASES["cases"][3]
    labels, points = read(case["labels"]), np.array(case["keypoints"])
    before = labels.copy(), points.copy()
    first, second = (agnostic_mask(labels, points, "dresses") for _ in range(2))
    assert np.array_equal(first, second)
    assert np.array_equal(labels, before[0])
    assert np.array_equal(points, before[1])


def test_a_garment_at_the_border_is_repainted_up_to_it():
    labels = np.zeros((512, 384), np.uint8)
    labels[200:, 100:] = ATR_LABELS.index("upper_clothes")
    assert agnostic_mask(labels, NO_POINTS, "upper_body")[200:, 100:].all()


def test_a_bare_neck_is_repainted_with_the_garment_above_it_but_not_with_trousers():
    labels = np.zeros((512, 384), np.uint8)
    labels[100:140, 150:230] = 18
    assert agnostic_mask(labels, NO_POINTS, "upper_body")[120, 190] == 255
    assert agnostic_mask(labels, NO_POINTS, "lower_body")[120, 190] == 0


@pytest.mark.parametrize(
    ("labels", "points", "category"),
    [
        (np.zeros((8, 8, 3), np.uint8), NO_POINTS, "upper_body"),
        (np.zeros((8, 8), np.float32), NO_POINTS, "upper_body"),
        (np.full((8, 8), 19, np.uint8), NO_POINTS, "upper_body"),
        (np.zeros((8, 8), np.uint8), np.zeros((17, 2)), "upper_body"),
        (np.zeros((8, 8), np.uint8), np.full((18, 2), np.nan), "upper_body"),
        (np.zeros((8, 8), np.uint8), NO_POINTS, "upper"),
    ],
)
def test_bad_input_is_refused(labels, points, category):
    with pytest.raises(InputError):
        agnostic_mask(labels, points, category)
