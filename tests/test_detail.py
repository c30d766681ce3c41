"""The garment's own detail, and outlines that do not tear."""

import numpy as np
import torch
from PIL import Image

from idmvton.draft.detail import Laid, add_detail
from idmvton.draft.outline import settle_outlines
from idmvton.draft.warp_net import places
from idmvton.images.framing import Framing
from idmvton.types import Size

WORKING, PHOTO = Size(64, 48), Size(256, 192)
HERE = places(WORKING, torch.zeros(()))[0].numpy()


def stripes(period):
    """Grey stripes, as fine as the photo can show them."""
    columns = 128 + 60 * np.sign(np.sin(2 * np.pi * np.arange(PHOTO.width) / period))
    return Image.fromarray(np.broadcast_to(columns[None, :, None], (*PHOTO, 3)).astype(np.uint8))


def dressed(result, picture):
    framing = Framing.fit(PHOTO, WORKING)
    laid = Laid(picture, framing, HERE, np.ones(WORKING, np.float32))
    return np.asarray(add_detail(framing.invert(result), result, laid, framing), int)


def contrast(pixels):
    return np.abs(np.diff(pixels[64:-64, 48:-48, 0], axis=1)).mean()


def test_what_shrinking_lost_comes_back():
    picture, framing = stripes(8), Framing.fit(PHOTO, WORKING)
    result = framing.apply(picture, resample="photo", fill="edge")
    own = contrast(np.asarray(picture, int))
    assert contrast(np.asarray(framing.invert(result), int)) < 0.7 * own
    assert abs(contrast(dressed(result, picture)) - own) < 0.2 * own
    inner = np.s_[64:-64, 48:-48]
    assert np.abs(dressed(result, picture) - np.asarray(picture, int))[inner].mean() < 15


def test_the_results_light_stays():
    picture = stripes(8)
    dark = Image.new("RGB", WORKING[::-1], (64, 64, 64))
    assert abs(dressed(dark, picture)[64:-64, 48:-48].mean() - 64) < 4


def test_nothing_is_added_where_the_result_shows_another_colour():
    red = Image.new("RGB", WORKING[::-1], (220, 20, 20))
    assert (dressed(red, stripes(8)) == np.array([220, 20, 20])).all()


def opacity(logits, carried, parts, mask=None):
    mask = np.ones_like(carried, bool) if mask is None else mask
    told = (torch.from_numpy(each)[None, None] for each in (logits, carried, parts, mask))
    return settle_outlines(*told).settled[0, 0].numpy()


def torn():
    """A garment on the trunk whose outline has a narrow tear."""
    logits, carried = np.full((128, 96), 5, np.float32), np.zeros((128, 96), np.float32)
    carried[20:110, 20:76] = 1
    logits[40:80, 47:50] = -5
    return logits, carried, np.full((128, 96), 2, np.uint8)


def test_a_tear_on_the_trunk_is_mended():
    found = opacity(*torn())
    assert (found[25:105, 25:71] > 0.9).all()
    assert (found[:17] == 0).all()
    assert (found[:, :17] == 0).all()


def test_an_opening_that_the_product_picture_shows_stays_open():
    logits, carried, parts = torn()
    carried[40:80, 46:51] = 0
    assert (opacity(logits, carried, parts)[45:75, 48] < 0.1).all()


def test_arms_in_front_stay_in_front():
    logits, carried, parts = torn()
    logits[40:80, 40:56], parts[40:80, 40:56] = -5, 15
    assert (opacity(logits, carried, parts)[50:70, 46:50] < 0.1).all()


def above_trousers(gap):
    """A shirt that ends so many pixels above trousers that stay on."""
    logits, carried, parts = torn()
    logits[:], mask = 5, np.zeros((128, 96), bool)
    carried[100 - gap :], mask[:100] = 0, True
    return opacity(logits, carried, parts, mask)[:100, 30:66]


def test_a_hem_is_drawn_down_to_the_waistband_nearby():
    assert above_trousers(4)[30:98].min() > 0.9


def test_a_short_top_stays_short():
    assert above_trousers(20)[84:].max() < 0.1


def test_detail_goes_on_up_to_the_edge_of_the_garment():
    """The right half is covered by an arm; the product picture goes on there."""
    picture, framing = stripes(8), Framing.fit(PHOTO, WORKING)
    result = np.array(framing.apply(picture, resample="photo", fill="edge"))
    opacity_of_left = np.ones(WORKING, np.float32)
    result[:, 24:], opacity_of_left[:, 24:] = (200, 150, 120), 0
    result = Image.fromarray(result)
    laid = Laid(picture, framing, HERE, opacity_of_left)
    beside = np.asarray(add_detail(framing.invert(result), result, laid, framing), int)[64:-64, :, 0]
    assert np.abs(np.diff(beside[:, 84:94], axis=1)).mean() > 0.7 * np.abs(np.diff(beside[:, 40:80], axis=1)).mean()
    assert np.ptp(beside[:, 110:]) < 3


def test_specks_go_and_nothing_leaves_the_mask():
    logits, carried, parts = torn()
    mask = np.zeros((128, 96), bool)
    mask[:60] = True
    logits[:] = -5
    logits[50, 40] = 5
    assert opacity(logits, carried, parts, mask).max() == 0
    logits[:] = 5
    assert opacity(logits, carried, parts, mask)[60:].max() == 0


def test_no_slit_is_left_between_a_sleeve_and_the_trunk():
    logits, carried, parts = (each.repeat(2, 0).repeat(2, 1) for each in torn())
    logits[:], parts[40:220, 40:64] = 5, 15
    carried[60:200, 64:68] = 0
    assert opacity(logits, carried, parts)[70:190, 64:68].min() > 0.9


def trousers(top, ankle):
    """Where trousers are seen whose waistband and hems are so many pixels away from top and shoes."""
    parts, mask = np.zeros((128, 96), np.uint8), np.zeros((128, 96), bool)
    parts[10:50, 30:66], parts[50:110, 30:66], parts[110:120, 30:66] = 2, 9, 5
    mask[44:110] = True
    carried = np.zeros((128, 96), np.float32)
    carried[44 + top : 110 - ankle, 30:66] = 1
    logits = np.where(carried > 0, 5, -5).astype(np.float32)
    return opacity(logits, carried, parts, mask)[:, 34:62]


def test_trousers_reach_the_top_and_the_shoes_nearby():
    assert trousers(4, 4)[46:108].min() > 0.9


def test_short_trousers_stay_short():
    found = trousers(15, 30)
    assert found[84:108].max() < 0.1
    assert found[46:56].max() < 0.1
