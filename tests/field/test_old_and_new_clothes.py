"""The mask where old and new clothes differ: matching sets, dresses of which one half is exchanged, longer garments."""

import numpy as np
import pytest
from PIL import Image

from idmvton.options import PrepareOptions
from idmvton.prepare.backends.blazepose.landmarks import NUM_LANDMARKS, Landmark, Landmarks
from idmvton.prepare.backends.studio_net.sets import complete_top, divide_set
from idmvton.prepare.dress import divide_dress
from idmvton.prepare.garment import GarmentPicture
from idmvton.prepare.mask import ATR_LABELS
from idmvton.prepare.mask_making import PersonSeen
from idmvton.prepare.new_garment import mask_for
from idmvton.prepare.room import room_for
from truth_backends import of_sample

LABEL = {name: number for number, name in enumerate(ATR_LABELS)}
JOINTS = {
    Landmark.LEFT_SHOULDER: (125, 60), Landmark.RIGHT_SHOULDER: (75, 60),
    Landmark.LEFT_HIP: (115, 160), Landmark.RIGHT_HIP: (85, 160),
    Landmark.LEFT_KNEE: (118, 240), Landmark.RIGHT_KNEE: (82, 240),
}  # fmt: skip


@pytest.fixture
def skeleton():
    points, visibility = np.zeros((NUM_LANDMARKS, 2), np.float32), np.full(NUM_LANDMARKS, -1, np.float32)
    for landmark, point in JOINTS.items():
        points[landmark], visibility[landmark] = point, 1.0
    return Landmarks(points, visibility)


def suit(name, legs):
    """A sleeveless garment that ends in two short legs, or in a hem; with a photo in which a hem is seen at row 150."""
    labels = np.zeros((320, 200), np.uint8)
    labels[55:185, 65:135] = LABEL[name]
    if legs:
        labels[185:225, 65:97] = labels[185:225, 103:135] = LABEL[name]
    else:
        labels[185:225, 60:140] = LABEL[name]
    photo = np.full((320, 200, 3), 240, np.uint8)
    photo[labels > 0] = (205, 190, 160)
    photo[150:153][labels[150:153] > 0] = (150, 135, 110)
    return labels, photo


class TestMatchingSets:
    @pytest.mark.parametrize("name", ["dress", "upper_clothes"])
    def test_two_legs_are_trousers_from_the_hem_on(self, skeleton, name):
        labels, photo = suit(name, legs=True)
        made = divide_set(photo, labels, skeleton)
        assert (made[60:147][labels[60:147] > 0] == LABEL["upper_clothes"]).all()
        assert (made[156:][labels[156:] > 0] == LABEL["pants"]).all()

    @pytest.mark.parametrize("name", ["dress", "upper_clothes"])
    def test_one_hem_is_one_garment(self, skeleton, name):
        labels, photo = suit(name, legs=False)
        assert divide_set(photo, labels, skeleton) is labels

    def test_a_top_over_trousers_is_left_alone(self, skeleton):
        labels, photo = suit("upper_clothes", legs=True)
        labels[150:][labels[150:] > 0] = LABEL["pants"]
        assert divide_set(photo, labels, skeleton) is labels

    def test_without_knees_nothing_is_guessed(self, skeleton):
        labels, photo = suit("dress", legs=True)
        skeleton.visibility[[Landmark.LEFT_KNEE, Landmark.RIGHT_KNEE]] = -1
        assert divide_set(photo, labels, skeleton) is labels


class TestTwoColouredTops:
    def test_a_lower_half_of_another_colour_than_the_trousers_is_the_tops(self, skeleton):
        labels, photo = suit("upper_clothes", legs=True)
        labels[110:][labels[110:] > 0] = LABEL["pants"]
        photo[160:][labels[160:] > 0] = (40, 50, 110)
        made = complete_top(photo, labels, skeleton)
        assert (made[112:148][labels[112:148] > 0] == LABEL["upper_clothes"]).all()
        assert (made[170:] == labels[170:]).all()

    def test_high_trousers_of_one_material_stay(self, skeleton):
        labels, photo = suit("upper_clothes", legs=True)
        labels[110:][labels[110:] > 0] = LABEL["pants"]
        photo[110:][labels[110:] > 0] = (40, 50, 110)
        assert complete_top(photo, labels, skeleton) is labels


def openpose():
    points = np.zeros((18, 2), np.float32)
    points[[2, 5, 8, 11]] = [(75, 60), (125, 60), (85, 160), (115, 160)]
    points[[9, 12, 10, 13]] = [(82, 230), (118, 230), (82, 300), (118, 300)]
    return points


class TestHalfOfADress:
    @pytest.mark.parametrize(("category", "word"), [("upper_body", "as a skirt"), ("lower_body", "as a top")])
    def test_it_is_divided_at_the_waist_and_told(self, category, word):
        labels, _ = suit("dress", legs=False)
        divided, notes = divide_dress(labels, openpose(), category)
        assert (divided[60:130][labels[60:130] > 0] == LABEL["upper_clothes"]).all()
        assert (divided[145:][labels[145:] > 0] == LABEL["skirt"]).all()
        assert word in notes[0]

    def test_for_a_dress_it_stays_one(self):
        labels, _ = suit("dress", legs=False)
        assert divide_dress(labels, openpose(), "dresses") == (labels, ())

    def test_without_hips_it_stays_one_and_is_told(self):
        labels, _ = suit("dress", legs=False)
        points = openpose()
        points[[8, 11]] = 0
        divided, notes = divide_dress(labels, points, "upper_body")
        assert divided is labels
        assert "hips are not seen" in notes[0]


def product(length, hem):
    """A sleeveless dress 60 pixels wide at its waist: bool."""
    outline = np.zeros((length, 120), bool)
    for row in range(length):
        half = 30 if row < length / 2 else 30 + (hem / 2 - 30) * (row - length / 2) / (length / 2)
        outline[row, round(60 - half) : round(60 + half)] = True
    return outline


class TestRoom:
    def test_a_long_dress_reaches_the_ankles_and_a_short_one_does_not(self):
        long, short = (room_for(product(length, 70), "dresses", openpose(), (320, 200)) for length in (300, 130))
        assert np.flatnonzero(long.any(1))[-1] > 285
        assert np.flatnonzero(short.any(1))[-1] < 220

    def test_a_wide_hem_gets_more_room(self):
        wide, narrow = (room_for(product(250, hem), "dresses", openpose(), (320, 200)) for hem in (118, 60))
        assert wide.sum() > 1.2 * narrow.sum()

    def test_tops_trousers_and_unknown_bodies_get_none(self):
        legs = product(200, 60)
        legs[60:, 54:66] = False
        assert not room_for(product(200, 60), "upper_body", openpose(), (320, 200)).any()
        assert not room_for(legs, "lower_body", openpose(), (320, 200)).any()
        assert not room_for(product(200, 60), "dresses", np.zeros((18, 2), np.float32), (320, 200)).any()

    def test_the_whole_way(self, rendered):
        """The same person in a knee-long and in a floor-long dress."""
        masks = []
        for length in (150, 320):
            outline = product(length, 90)
            white = Image.fromarray(np.where(outline, np.uint8(90), np.uint8(255))).convert("RGB")
            picture = GarmentPicture(white, outline, "dresses", "plain background", "drawn", ())
            made = of_sample(rendered).preparer()(rendered.person, picture, options=PrepareOptions(category="dress"))
            masks.append(made.photo_mask)
        lowest = [np.flatnonzero(each.any(1))[-1] for each in masks]
        assert lowest[1] > lowest[0] + 20
        assert masks[1].sum() > masks[0].sum()
        assert not masks[1][np.isin(rendered.labels, [LABEL["left_shoe"], LABEL["right_shoe"], LABEL["head"]])].any()


@pytest.mark.parametrize(("left", "told"), [(30, True), (88, False)])
def test_a_bag_at_the_edge_of_the_mask_is_told(left, told):
    labels = np.zeros((128, 96), np.uint8)
    labels[30:80, 30:60] = ATR_LABELS.index("upper_clothes")
    labels[75:90, left : left + 6] = ATR_LABELS.index("bag")
    silhouette = np.where(labels > 0, np.uint8(255), np.uint8(0))
    person = PersonSeen(labels, np.zeros_like(labels), silhouette, np.zeros((18, 2), np.float32))
    _, notes = mask_for(person, None, "upper_body", PrepareOptions())
    assert any("bag" in note for note in notes) == told
