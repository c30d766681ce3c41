"""Dark, tinted and grey photos, and photos with transparency: the garment follows, and it is told."""

from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from idmvton.prepare import prepare
from idmvton.prepare.exposure import is_grey, light_of, match_scene


@pytest.fixture
def garment():
    picture = np.full((128, 96, 3), 255, np.uint8)
    mask = np.zeros((128, 96), bool)
    mask[20:110, 20:76] = True
    picture[mask] = (200, 60, 40)
    return Image.fromarray(picture), mask


def scene(rendered, factor=(1.0, 1.0, 1.0)):
    return np.rint(rendered.person * np.array(factor)).astype(np.uint8)


def inside(picture, mask):
    return np.asarray(picture)[mask].mean(0)


def test_ordinary_light_changes_nothing(rendered, garment):
    lit, notes = match_scene(*garment, scene(rendered))
    assert notes == ()
    assert lit is garment[0]


def test_a_dark_photo_darkens_the_garment_and_not_the_white_around_it(rendered, garment):
    dark = scene(rendered, (0.3, 0.3, 0.3))
    lit, notes = match_scene(*garment, dark)
    share = inside(lit, garment[1]) / inside(garment[0], garment[1])
    assert "dark" in notes[0]
    assert share.max() < 0.6
    assert (np.asarray(lit)[:10] == 255).all()


def test_darker_photos_darken_more_and_without_a_step(rendered, garment):
    means = [
        inside(match_scene(*garment, scene(rendered, (each,) * 3))[0], garment[1])[0]
        for each in (1.0, 0.72, 0.6, 0.45, 0.3)
    ]
    assert all(first >= second - 1 for first, second in pairwise(means))
    assert max(np.diff(means) * -1) < 60


def test_coloured_light_tints_it(rendered, garment):
    lit, _ = match_scene(*garment, scene(rendered, (0.5, 0.32, 0.2)))
    before, after = inside(garment[0], garment[1]), inside(lit, garment[1])
    assert after[2] / before[2] < 0.9 * after[0] / before[0]


def test_a_grey_photo_gets_a_grey_garment(rendered, garment):
    grey = np.repeat(rendered.person.mean(-1, keepdims=True), 3, -1).astype(np.uint8)
    assert is_grey(grey)
    assert not is_grey(rendered.person)
    lit, notes = match_scene(*garment, grey)
    assert "grey" in notes[0]
    assert np.ptp(np.asarray(lit), axis=-1).max() <= 1


def test_a_lamp_does_not_make_a_dark_photo_bright(rendered):
    dark = scene(rendered, (0.3, 0.3, 0.3))
    with_lamp = dark.copy()
    with_lamp[:40, :40] = 255
    assert light_of(with_lamp) < 1.5 * light_of(dark)


def test_the_whole_way_tells_it(photos, rendered):
    Image.fromarray(scene(rendered, (0.35, 0.35, 0.35))).save(photos / "dark.png")
    made = prepare(photos / "dark.png", photos / "shirt.png", "upper")
    assert any("darkened" in note for note in made.warnings)
    bright = prepare(photos / "anna.png", photos / "shirt.png", "upper")
    assert inside(made.garment, made.garment_mask).mean() < 0.8 * inside(bright.garment, bright.garment_mask).mean()


def test_a_persons_transparency_is_told(photos, rendered):
    alpha = np.where(rendered.labels > 0, np.uint8(255), np.uint8(0))
    Image.fromarray(np.dstack([rendered.person, alpha])).save(photos / "cut.png")
    made = prepare(photos / "cut.png", category="upper")
    assert any("transparen" in note for note in made.warnings)
    assert (np.asarray(made.photo)[rendered.labels == 0] == 255).all()
