"""Which part of a photo is worked on."""

import numpy as np
import pytest
from PIL import Image

from idmvton.prepare.backends.protocols import Pose
from idmvton.prepare.frame import MARGIN, frame_person, person_box
from idmvton.types import Size


def person(photo, left, top, right, bottom):
    """A pose whose landmarks and outline fill a box of the photo."""
    points = np.random.default_rng(0).uniform((left, top), (right, bottom), (18, 2)).astype(np.float32)
    outline = np.zeros(photo, np.float32)
    outline[max(top, 0) : bottom, max(left, 0) : right] = 1
    return Pose(points, np.ones(18, np.float32), "test", outline=outline)


def aspect(framing):
    left, top, right, bottom = framing.box
    return (bottom - top) / (right - left)


CASES = {
    "small in a large scene": (Size(1200, 1800), (1300, 700, 1450, 1100)),
    "panorama": (Size(800, 4000), (2500, 60, 2800, 790)),
    "phone": (Size(2100, 900), (250, 300, 700, 2000)),
    "phone, half body": (Size(2100, 900), (100, 900, 820, 2100)),
    "left border": (Size(1000, 1500), (0, 100, 200, 900)),
    "lower right corner": (Size(1000, 1500), (1300, 500, 1500, 1000)),
    "wide arms": (Size(1000, 1500), (200, 500, 1300, 900)),
    "tiny photo": (Size(120, 200), (40, 10, 90, 120)),
}


@pytest.mark.parametrize("name", CASES)
def test_the_box_holds_the_person_in_the_working_aspect(name):
    photo, (left, top, right, bottom) = CASES[name]
    framing = frame_person(photo, person(photo, left, top, right, bottom))
    box = framing.box
    assert box[0] <= left
    assert box[1] <= top
    assert box[2] >= right
    assert box[3] >= bottom
    assert aspect(framing) == pytest.approx(4 / 3, rel=0.01)
    assert framing.size.height * 3 == framing.size.width * 4
    assert framing.size.height <= max(box[3] - box[1], 256)
    assert framing.size.height % 32 == 0


@pytest.mark.parametrize(("name", "padded"), [("small in a large scene", False), ("left border", False),
                                              ("lower right corner", False), ("panorama", False),
                                              ("phone", True), ("wide arms", True)])  # fmt: skip
def test_it_reaches_beyond_the_photo_only_where_it_must(name, padded):
    photo, corners = CASES[name]
    left, top, right, bottom = frame_person(photo, person(photo, *corners)).box
    outside = left < 0 or top < 0 or right > photo.width or bottom > photo.height
    assert outside == padded


def test_a_small_person_gets_a_margin_and_a_person_cut_by_the_border_none_there():
    photo = Size(2000, 3000)
    framing = frame_person(photo, person(photo, 1400, 600, 1600, 1100))
    assert framing.box[1] == pytest.approx(600 - MARGIN * 500, abs=2)
    assert framing.box[3] == pytest.approx(1100 + MARGIN * 500, abs=2)
    cut = frame_person(photo, person(photo, 1400, 1500, 1600, 2000))
    assert cut.box[3] == 2000


@pytest.mark.parametrize("photo", [Size(1024, 768), Size(724, 540), Size(640, 470)])
def test_a_photo_of_the_aspect_that_holds_the_person_well_stays_whole(photo):
    framing = frame_person(photo, person(photo, 100, 60, 400, photo.height))
    left, top, right, bottom = framing.box
    assert left <= 0
    assert top <= 0
    assert right >= photo.width
    assert bottom >= photo.height
    assert frame_person(Size(1024, 768), person(Size(1024, 768), 100, 60, 400, 1024)).is_identity


def test_a_given_size_decides_size_and_aspect():
    photo = Size(1000, 1000)
    framing = frame_person(photo, person(photo, 300, 100, 600, 900), size=Size(256, 192))
    assert framing.size == (256, 192)
    square = frame_person(photo, person(photo, 300, 100, 600, 900), size=Size(256, 256))
    assert aspect(square) == pytest.approx(1, abs=0.01)


def test_the_silhouette_goes_before_the_rough_outline():
    photo = Size(400, 400)
    pose = person(photo, 100, 100, 200, 300)
    wide = np.zeros(photo, np.float32)
    wide[50:350, 60:260] = 1
    assert person_box(photo, pose, wide) == (60, 50, 260, 350)
    nothing = Pose(pose.points, np.zeros(18, np.float32), "test")
    assert person_box(photo, nothing) == (0, 0, 400, 400)


def test_applying_and_inverting_gives_the_photo_back_inside_the_box():
    photo = Size(300, 700)
    ramp = np.stack(np.broadcast_arrays(np.arange(300)[:, None] * 0.8, np.arange(700)[None] * 0.3, 90.0), -1)
    picture = Image.fromarray(ramp.astype(np.uint8))
    framing = frame_person(photo, person(photo, 420, 30, 520, 290))
    back = np.asarray(framing.invert(framing.apply(picture, resample="photo", fill="edge")), float)
    left, top, right, bottom = framing.box
    inside = np.s_[max(top, 0) + 4 : bottom - 4, max(left, 0) + 4 : right - 4]
    assert np.abs(back[inside] - np.asarray(picture, float)[inside]).max() <= 2
