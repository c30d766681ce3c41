"""Minimal repaint: what need not change is the photo's own."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from idmvton.draft.detail import Laid
from idmvton.images.framing import Framing
from idmvton.options import TryOnOptions
from idmvton.prepare.mask import ATR_LABELS, NECK
from idmvton.studio.sampling import sample
from idmvton.tryon.compose import compose
from idmvton.tryon.inputs import Person
from idmvton.tryon.keep import clothes, differing, old_garment
from idmvton.types import Size

SIZE = Size(256, 192)
SHIRT, PANTS, ARM = (ATR_LABELS.index(name) for name in ("upper_clothes", "pants", "left_arm"))


@pytest.fixture(scope="module", params=["upper_body", "lower_body", "dresses"])
def made(request):
    return sample(3, 4, "test", request.param, SIZE, worn=False)


def person_of(made):
    photo, framing = Image.fromarray(made.person), Framing.fit(SIZE, SIZE)
    mask = made.mask > 0
    return Person(photo, mask, framing, photo, mask, Image.fromarray(made.densepose), made.labels)


def new_garment(made):
    """Where the person in the other garment shows clothes that are exchanged."""
    return clothes(made.unpaired_labels) & old_garment(made.unpaired_labels, made.mask > 0)


def laid_exactly(made):
    """A garment that lies where the truth shows it, and has no detail to add."""
    shade = Image.new("RGB", SIZE[::-1], (128, 128, 128))
    flow = np.zeros((2, *SIZE), np.float32)
    return Laid(shade, Framing.fit(SIZE, SIZE), flow, new_garment(made).astype(np.float32))


@pytest.mark.parametrize("how", ["draft", "parsed"])
def test_what_both_truths_share_is_the_photo_bit_by_bit(made, how):
    person, result = person_of(made), Image.fromarray(made.unpaired)
    options = TryOnOptions(feather=0)
    told = {"laid": laid_exactly(made)} if how == "draft" else {"parse": lambda *_: made.unpaired_labels}
    composed = np.asarray(compose(result, person, options, **told))
    shared = (made.person == made.unpaired).all(2)
    unchanged = (composed == made.person).all(2)
    assert unchanged[shared].mean() >= 0.995
    assert np.array_equal(composed[~person.mask], made.person[~person.mask])


def test_the_new_garment_is_the_results(made):
    person, result = person_of(made), Image.fromarray(made.unpaired)
    composed = np.asarray(compose(result, person, TryOnOptions(feather=0), parse=lambda *_: made.unpaired_labels))
    inside = new_garment(made) & (made.mask > 0)
    difference = np.abs(composed.astype(int) - made.unpaired).max(2)
    assert (difference[inside] <= 8).mean() > 0.97


def test_nothing_is_kept_inside_the_mask_where_that_is_asked_for(made):
    person = person_of(made)
    white = Image.new("RGB", SIZE[::-1], (255, 255, 255))
    options = TryOnOptions(feather=0, keep="mask")
    composed = np.asarray(compose(white, person, options, parse=lambda *_: made.labels))
    assert (composed[person.mask] == 255).all()


def test_without_a_label_map_all_of_the_mask_is_repainted(made):
    person = dataclasses.replace(person_of(made), labels=None)
    white = Image.new("RGB", SIZE[::-1], (255, 255, 255))
    assert (np.asarray(compose(white, person, TryOnOptions(feather=0)))[person.mask] == 255).all()


def test_the_old_garment_is_what_the_mask_covers():
    labels = np.zeros((40, 40), np.uint8)
    labels[5:20, 10:30], labels[20:40, 10:30] = SHIRT, PANTS
    mask = np.zeros((40, 40), bool)
    mask[3:23, 8:32] = True
    assert np.array_equal(old_garment(labels, mask), labels == SHIRT)


def test_other_parts_of_the_body_differ_and_other_skin_does_not():
    photo, result = np.zeros((1, 4), np.uint8), np.zeros((1, 4), np.uint8)
    photo[0] = [ARM, ARM, 0, SHIRT]
    result[0] = [NECK, 0, SHIRT, SHIRT]
    assert differing(photo, result).tolist() == [[False, True, True, True]]
