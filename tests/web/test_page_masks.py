"""Masks as a visitor paints them, without a browser."""

import numpy as np
import pytest
from PIL import Image

from idmvton.errors import InputError
from idmvton.web.masks import data_uri, edits_of, layer_of, mask_of_layer, shown_mask, shown_size


def box(size, left, top, right, bottom):
    mask = np.zeros(size, np.bool_)
    mask[top:bottom, left:right] = True
    return mask


def test_a_layer_is_read_by_its_alpha_alone():
    mask = box((40, 30), 5, 5, 20, 25)
    layer = layer_of(mask)
    pixels = np.array(layer)
    pixels[..., :3] = 255 - pixels[..., :3]  # other colours, same alpha
    assert (mask_of_layer(data_uri(Image.fromarray(pixels), "png"), (30, 40)) == mask).all()


def test_an_empty_layer_erases_everything_and_nothing_more():
    shown = box((40, 30), 5, 5, 20, 25)
    empty = mask_of_layer(data_uri(Image.new("RGBA", (30, 40)), "png"), (30, 40))
    edits = edits_of(empty, shown)
    assert not edits.apply(shown).any()
    assert not edits.added.any()


def test_an_untouched_mask_is_no_edit():
    shown = box((40, 30), 5, 5, 20, 25)
    assert edits_of(shown, shown) is None


def test_edits_hold_when_the_mask_below_changes():
    shown = box((40, 30), 5, 5, 20, 25)
    painted = shown | box((40, 30), 0, 30, 10, 40)
    painted &= ~box((40, 30), 5, 5, 10, 10)
    edits = edits_of(painted, shown)
    larger = box((40, 30), 3, 3, 22, 27)
    after = edits.apply(larger)
    assert after[35, 5]
    assert not after[6, 6]
    assert after[26, 21]


def test_an_undone_stroke_leaves_no_edit():
    shown = box((40, 30), 5, 5, 20, 25)
    edits = edits_of(shown | box((40, 30), 0, 30, 10, 40), shown)
    assert edits_of(shown, shown, edits) is None


def test_a_large_photo_keeps_its_own_edge_where_nothing_was_painted():
    width, height = shown_size(3000, 4000)
    assert (width, height) == (768, 1024)
    mask = box((4000, 3000), 1001, 1003, 2001, 3003)
    shown = shown_mask(mask)
    edits = edits_of(shown | box(shown.shape, 0, 0, 50, 50), shown)
    whole = edits.apply_to_photo(mask)
    assert (whole[1000:] == mask[1000:]).all()
    assert whole[100, 100]


@pytest.mark.parametrize(
    "layer", ["", "data:image/png;base64,", "data:image/png;base64,QUJD", "http://example.com/a.png"]
)
def test_what_is_no_layer_is_refused(layer):
    with pytest.raises(InputError, match="painted mask"):
        mask_of_layer(layer, (30, 40))


def test_a_layer_of_another_size_is_refused():
    with pytest.raises(InputError, match="instead of"):
        mask_of_layer(data_uri(Image.new("RGBA", (10, 10)), "png"), (30, 40))
