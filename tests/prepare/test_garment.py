"""Garment photos: cut out whole, put on white, never squashed; who wears one, and who only seems to."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from idmvton.errors import PreparationError
from idmvton.prepare.cutout import cut_out, onto_white
from idmvton.prepare.garment import on_white, prepare_garment
from idmvton.prepare.maps import pose_of_keypoints
from idmvton.prepare.wearer import find_wearer
from idmvton.studio import sample
from truth_backends import of_sample

SHIRT = [(60, 60), (120, 40), (180, 40), (240, 60), (280, 150), (235, 170), (225, 120), (225, 340), (75, 340),
         (75, 120), (65, 170), (20, 150)]  # fmt: skip


def shirt(colour, background, size=(300, 400), *, shadow=0, slope=0.0, noise=0.0, seed=0):
    """A drawn shirt on a background, softly shaded; returns the photo and where the shirt is."""
    width, height = size
    picture = np.empty((height, width, 3), np.float32)
    picture[:] = background
    picture += slope * np.linspace(-1, 1, height)[:, None, None]
    place = Image.new("L", size)
    ImageDraw.Draw(place).polygon(SHIRT, fill=255)
    truth = np.asarray(place) > 0
    if shadow:
        fallen = np.roll(np.asarray(place.filter(ImageFilter.GaussianBlur(8)), np.float32) / 255, (8, 8), (0, 1))
        picture -= shadow * fallen[..., None]
    shade = 1 - 0.05 * np.abs(np.sin(np.arange(width) / 17))[None, :, None]
    soft = np.asarray(place.filter(ImageFilter.GaussianBlur(0.7)), np.float32)[..., None] / 255
    picture = (1 - soft) * picture + soft * (np.array(colour, np.float32) * shade)
    rim = np.asarray(place.filter(ImageFilter.FIND_EDGES).filter(ImageFilter.GaussianBlur(1)), np.float32)[..., None]
    picture -= rim / 255 * 14
    picture += np.random.default_rng(seed).normal(0, noise, picture.shape)
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8), truth


def overlap(found, truth):
    return (found & truth).sum() / (found | truth).sum()


def nobody(_):
    return ()


def no_parser(*_):
    raise AssertionError("nobody wears this")


def prepared(photo, choice="auto", people=nobody, parse=no_parser):
    return prepare_garment(Image.fromarray(photo), choice, people, parse)


@pytest.mark.parametrize(
    ("colour", "background"),
    [
        ((30, 30, 40), (255, 255, 255)),
        ((250, 250, 250), (255, 255, 255)),
        ((252, 252, 252), (244, 244, 244)),
        ((245, 240, 225), (255, 255, 255)),
        ((200, 40, 60), (236, 224, 214)),
        ((255, 255, 255), (40, 60, 90)),
    ],
)
def test_a_garment_is_cut_out_whole(colour, background):
    photo, truth = shirt(colour, background)
    found, border = cut_out(photo)
    assert border.is_plain
    assert found[truth].mean() > 0.985
    assert overlap(found, truth) > 0.93


@pytest.mark.parametrize(("slope", "noise"), [(12, 0), (0, 2), (10, 1.5)])
def test_backgrounds_may_slope_and_be_grainy(slope, noise):
    photo, truth = shirt((60, 90, 160), (225, 225, 222), slope=slope, noise=noise)
    found, border = cut_out(photo)
    assert border.is_plain
    assert overlap(found, truth) > 0.95


def test_a_soft_shadow_is_taken_off():
    photo, truth = shirt((60, 90, 160), (240, 240, 240), shadow=45)
    found, _ = cut_out(photo)
    assert found[truth].mean() > 0.98
    assert overlap(found, truth) > 0.9
    with_shadow = truth | (photo.max(2) < 225)
    assert overlap(with_shadow, truth) < 0.9


def test_a_print_of_the_backgrounds_colour_is_no_hole():
    photo, truth = shirt((20, 20, 20), (255, 255, 255))
    photo[150:220, 110:190] = np.random.default_rng(0).integers(236, 252, (70, 80, 1))
    found, _ = cut_out(photo)
    assert found[160:210, 120:180].all()
    assert overlap(found, truth) > 0.95


def test_background_seen_through_a_garment_is_a_hole():
    photo, truth = shirt((20, 20, 120), (240, 240, 240))
    photo[150:250, 110:190] = 240
    found, _ = cut_out(photo)
    assert not found[165:235, 125:175].any()
    assert found[truth].mean() < 0.9


def test_the_old_background_does_not_shine_through():
    photo, truth = shirt((40, 120, 60), (200, 210, 230))
    found, border = cut_out(photo)
    white = onto_white(photo, found, border)
    far = ~np.asarray(Image.fromarray(truth).filter(ImageFilter.MaxFilter(13)))
    assert (white[far] == 255).all()
    inner = np.asarray(Image.fromarray(truth).filter(ImageFilter.MinFilter(9)))
    assert np.abs(white[inner].astype(int) - photo[inner]).max() <= 2
    assert (white.astype(int).max(2) >= photo.astype(int).max(2) - 2).all()


def test_it_comes_out_letterboxed_and_not_squashed():
    photo, _ = shirt((30, 30, 120), (255, 255, 255))
    for given in (photo, np.pad(photo, ((0, 0), (300, 260), (0, 0)), mode="edge")):
        made = prepared(given)
        assert made.image.height * 3 == made.image.width * 4
        assert (made.image.height, made.image.width) == made.mask.shape
        rows, columns = np.flatnonzero(made.mask.any(1)), np.flatnonzero(made.mask.any(0))
        height, width = rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1
        assert width / height == pytest.approx(261 / 301, rel=0.03)
        assert max(height / made.image.height, width / made.image.width) > 0.85
        white = np.asarray(made.image)
        assert (white[[0, -1]] == 255).all()
        assert (white[:, [0, -1]] == 255).all()
        assert made.kind == "plain background"


@pytest.mark.parametrize("category", ["upper_body", "lower_body", "dresses"])
def test_rendered_product_pictures(category):
    for index in range(3):
        made = sample(4, index, "test", category, (256, 192))
        found, border = cut_out(made.garment)
        assert border.is_plain
        assert overlap(found, made.garment_mask > 127) > 0.8
        assert found[made.garment_mask > 127].mean() > 0.98


@pytest.mark.parametrize("category", ["lower_body", "dresses"])
def test_soft_shadows_are_taken_off(category):
    for index in range(2):
        made = sample(4, index, "test", category, (512, 384))
        found, _ = cut_out(made.garment)
        assert overlap(found, made.garment_mask > 127) > 0.98


def test_a_product_picture_as_a_try_on_sees_it():
    made = sample(4, 0, "test", "lower_body", (512, 384))
    seen = np.asarray(on_white(Image.fromarray(made.garment), "lower_body"))
    assert seen.shape == made.garment.shape
    rows = np.flatnonzero((seen < 250).any((1, 2)))
    assert (rows[-1] - rows[0] + 1) / len(seen) > 0.85
    plain = Image.new("RGB", (384, 512), "white")
    assert on_white(plain, "lower_body") is plain


@pytest.mark.parametrize("level", [0, 128, 255])
def test_no_garment(level):
    with pytest.raises(PreparationError, match="no garment in the garment photo"):
        prepared(np.full((300, 200, 3), level, np.uint8))


def test_a_busy_background_is_told():
    rng = np.random.default_rng(0)
    photo, _ = shirt((30, 30, 120), (255, 255, 255))
    floor = np.kron(rng.integers(60, 220, (50, 38, 3)), np.ones((8, 8, 1)))[:400, :300].astype(np.uint8)
    busy = np.where((photo == 255).all(2, keepdims=True), floor, photo)
    made = prepared(busy)
    assert made.kind == "busy background"
    assert "not plain" in made.warnings[0]


class TestWorn:
    """The rendered person is the wearer."""

    def test_it_is_cut_out_of_its_wearer(self, rendered):
        truth = of_sample(rendered)
        made = prepared(rendered.person, people=truth.find, parse=lambda photo, pose: rendered.labels)
        assert made.kind == "worn"
        assert made.category == "upper_body"
        assert "a person wears the garment" in made.warnings[0]
        covered = made.mask.mean()
        assert 0.15 < covered < 0.75
        outside = ~np.asarray(Image.fromarray(made.mask).filter(ImageFilter.MaxFilter(9)))
        assert (np.asarray(made.image)[outside] == 255).all()

    def test_another_of_the_wearers_clothes(self, rendered):
        truth = of_sample(rendered)
        upper, lower = (
            prepared(rendered.person, word, truth.find, lambda photo, pose: rendered.labels)
            for word in ("upper", "lower_body")
        )
        assert (upper.category, lower.category) == ("upper_body", "lower_body")
        assert np.asarray(upper.image)[upper.mask].mean(0) == pytest.approx(
            rendered.person[rendered.labels == 4].mean(0), abs=6
        )
        assert (
            np.abs(np.asarray(upper.image)[upper.mask].mean(0) - np.asarray(lower.image)[lower.mask].mean(0)).max() > 8
        )

    def test_clothes_that_the_wearer_does_not_have(self, rendered):
        truth = of_sample(rendered)
        with pytest.raises(PreparationError, match="no garment") as caught:
            prepared(rendered.person, "dress", truth.find, lambda *_: np.minimum(rendered.labels, 3))
        assert "no such garment is seen" in str(caught.value)

    def test_a_mannequin_is_nobody(self):
        """A pose network sees a person in every shirt; there is no skin."""
        photo, truth = shirt((120, 110, 160), (250, 250, 250))
        asked = []

        def sees_people(pixels):
            asked.append(pixels.shape)
            return (pose_of_keypoints(points(), "eager"),)

        assert find_wearer(photo, truth, sees_people) is None
        assert asked == []

    def test_a_printed_face_is_nobody(self):
        photo, truth = shirt((250, 250, 250), (255, 255, 255))
        photo[150:260, 110:190] = (224, 172, 140)
        face = points()
        face[[0, 14, 15]] = (150, 200), (135, 185), (165, 185)
        assert find_wearer(photo, truth, lambda _: (pose_of_keypoints(face, "eager"),)) is None

    def test_a_skin_coloured_garment_is_nobody(self):
        photo, truth = shirt((224, 172, 140), (255, 255, 255))
        assert find_wearer(photo, truth, lambda _: (pose_of_keypoints(points(), "eager"),)) is None


def points():
    """What a pose network makes of the drawn shirt: a head above the collar, hands below the sleeves."""
    found = np.zeros((18, 2), np.float32)
    found[[0, 14, 15]] = (150, 20), (140, 14), (160, 14)
    found[[2, 5]] = (80, 70), (220, 70)
    found[[3, 6]] = (50, 150), (250, 150)
    found[[4, 7]] = (40, 220), (260, 220)
    return found


def gapped_shirt(rows=slice(0)):
    """A pink shirt on light grey with a narrow gap between sleeve and trunk; rows of it are as white as paper."""
    picture, shirt = np.full((400, 300, 3), 246.0), np.zeros((400, 300), bool)
    shirt[60:340, 90:210], shirt[60:340, 60:82], shirt[60:110, 60:210] = True, True, True
    picture[shirt] = (200, 90, 110)
    shade = np.random.default_rng(2).normal(246, 1.5, (400, 300, 1))
    stripes = shirt.copy()
    stripes[np.setdiff1d(np.arange(400), np.arange(400)[rows])] = False
    picture = np.where(stripes[..., None], shade, picture)
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8), shirt


def test_a_narrow_gap_between_sleeve_and_trunk_is_no_garment():
    picture, shirt = gapped_shirt()
    found, _ = cut_out(picture)
    assert not found[130:330, 84:88].any()
    assert overlap(found, shirt) > 0.97


def test_white_stripes_between_the_gaps_stay():
    picture, _ = gapped_shirt(slice(140, 330, 16))
    found, _ = cut_out(picture)
    assert found[150:330, 95:205].all()
