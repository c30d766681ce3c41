"""What is exchanged: told by the garment's outline, and by how much of the person is seen."""

import numpy as np
import pytest

from idmvton.errors import ConfigError
from idmvton.prepare.category import categories_of_labels, category_of_outline, choose_category, shows_legs
from idmvton.prepare.mask import ATR_LABELS
from idmvton.studio import sample

LABEL = {name: number for number, name in enumerate(ATR_LABELS)}
NO_POINTS = np.zeros((18, 2))


def person(*boxes):
    labels = np.zeros((120, 90), np.uint8)
    for name, top, bottom in boxes:
        labels[top:bottom, 30:60] = LABEL[name]
    return labels


FULL = person(("head", 5, 20), ("upper_clothes", 20, 55), ("pants", 55, 110))
HALF = person(("head", 5, 30), ("upper_clothes", 30, 112), ("pants", 112, 120))
DRESSED = person(("head", 5, 20), ("dress", 20, 80), ("left_leg", 80, 115))


def test_a_word_decides():
    for word, name in (("upper", "upper_body"), ("lower_body", "lower_body"), ("dress", "dresses")):
        assert choose_category(word, None, FULL, NO_POINTS) == (name, ())
    with pytest.raises(ConfigError, match="unknown category"):
        choose_category("hat", None, FULL, NO_POINTS)


def test_a_word_against_the_garment_is_told():
    category, notes = choose_category("upper", "lower_body", FULL, NO_POINTS)
    assert category == "upper_body"
    assert notes == ("the garment looks like lower, but upper is exchanged",)
    assert choose_category("upper", "dresses", FULL, NO_POINTS)[1] == ()


@pytest.mark.parametrize("garment", ["upper_body", "lower_body", "dresses"])
def test_the_garment_decides(garment):
    assert choose_category("auto", garment, FULL, NO_POINTS) == (garment, ())


def test_without_legs_a_dress_is_an_upper_garment():
    category, notes = choose_category("auto", "dresses", HALF, NO_POINTS)
    assert category == "upper_body"
    assert "ends above the legs" in notes[0]


def test_without_a_garment_the_person_decides():
    assert choose_category("auto", None, FULL, NO_POINTS)[0] == "upper_body"
    assert choose_category("auto", None, DRESSED, NO_POINTS)[0] == "dresses"


def test_legs_are_seen_by_labels_or_joints():
    assert shows_legs(FULL, NO_POINTS)
    assert not shows_legs(HALF, NO_POINTS)
    knees = NO_POINTS.copy()
    knees[9] = 40, 118
    assert shows_legs(HALF, knees)


def test_of_worn_garments_a_dress_comes_first_then_the_upper_one():
    assert categories_of_labels(DRESSED)[0] == "dresses"
    assert categories_of_labels(HALF)[0] == "upper_body"
    assert categories_of_labels(FULL) == ("upper_body", "lower_body")


@pytest.mark.parametrize(("category", "right"), [("upper_body", 5), ("lower_body", 5)])
def test_outlines_of_rendered_garments(category, right):
    found = [
        category_of_outline(sample(8, index, "test", category, (128, 96)).garment_mask > 127) for index in range(5)
    ]
    assert found.count(category) >= right


def test_nothing_is_an_upper_garment():
    assert category_of_outline(np.zeros((10, 10), bool)) == "upper_body"
