"""Garments in words: the embedded network against what the studio rendered."""

import numpy as np
import pytest
from PIL import Image

from idmvton.errors import PreparationError
from idmvton.prepare import garment_category
from idmvton.prepare.attribute_net import SIZE, WORDS, framed, read_attributes
from idmvton.prepare.garment_words import garment_words
from idmvton.studio.products import photograph_product
from idmvton.studio.wardrobe import make_garment


def product(item, seed=3):
    rng = np.random.default_rng([seed, 77])
    made = photograph_product(make_garment(rng, item), (256, 192), rng, depth=False)
    return made, Image.fromarray(made.picture)


@pytest.mark.parametrize(
    ("item", "category"), [("t-shirt", "upper_body"), ("jeans", "lower_body"), ("maxi dress", "dresses")]
)
def test_rendered_garments_are_told(item, category):
    _, picture = product(item)
    found, confidence = garment_category(picture)
    assert found == category
    assert 0.5 < confidence <= 1


def test_only_items_of_the_category_are_said():
    made, picture = product("jeans")
    words = garment_words(picture, made.mask > 127, "dresses")
    assert words.category == "dresses"
    assert words.confidence < 0.5
    assert words.words["item"][0].endswith("dress")


def test_lower_garments_have_no_sleeves():
    made, picture = product("jeans")
    assert set(garment_words(picture, made.mask > 127).words) == {"item", "colour", "pattern"}


def test_shares_add_up_and_do_not_depend_on_where_the_garment_is():
    made, _ = product("shirt")
    shares = read_attributes(made.picture, made.mask > 127)
    assert {name: len(each) for name, each in shares.items()} == {name: len(each) for name, each in WORDS.items()}
    assert all(abs(each.sum() - 1) < 1e-4 for each in shares.values())
    wide = np.pad(made.picture, ((40, 10), (90, 0), (0, 0)), constant_values=255)
    moved = framed(wide, np.pad(made.mask > 127, ((40, 10), (90, 0))))
    assert moved.shape == (*SIZE, 4)
    assert np.array_equal(moved, framed(made.picture, made.mask > 127))


def test_an_empty_picture_has_no_garment():
    with pytest.raises(PreparationError, match="no garment"):
        garment_category(Image.new("RGB", (96, 128), (255, 255, 255)))
