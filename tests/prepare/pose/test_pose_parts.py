"""The steps around the networks: anchors, suppression, regions, refinement, agreement."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from idmvton.prepare.backends.blazepose.consensus import AGREEMENT, MIN_AGREEING, agree, difference, plausible
from idmvton.prepare.backends.blazepose.detector import anchors, squares, suppress
from idmvton.prepare.backends.blazepose.landmark_model import Reading, refine
from idmvton.prepare.backends.blazepose.landmarks import MIRRORED, Landmark, Landmarks, landmarks_of
from idmvton.prepare.backends.blazepose.regions import Region
from idmvton.prepare.backends.protocols import Pose
from idmvton.types import Size

STANDING = {
    "NOSE": (0, -60), "EYE_INNER": (3, -64), "EYE": (5, -64), "EYE_OUTER": (7, -64), "EAR": (10, -60),
    "MOUTH": (4, -54), "SHOULDER": (20, -40), "ELBOW": (26, -15), "WRIST": (28, 8), "PINKY": (29, 14),
    "INDEX": (28, 15), "THUMB": (26, 12), "HIP": (12, 0), "KNEE": (13, 40), "ANKLE": (14, 80), "HEEL": (13, 84),
    "FOOT": (16, 88),
}  # fmt: skip


def standing(centre=(128.0, 120.0), scale=1.0):
    """A person who faces the camera: their left is on the picture's right."""
    points = np.zeros((33, 2), np.float32)
    for landmark in Landmark:
        name = landmark.name.replace("LEFT_", "").replace("RIGHT_", "").replace("_LEFT", "").replace("_RIGHT", "")
        x, y = STANDING[name]
        points[landmark] = centre[0] + scale * (-x if "RIGHT" in landmark.name else x), centre[1] + scale * y
    return points


def pose_of(points, visibility=None):
    return Landmarks(points, np.ones(33, np.float32) if visibility is None else visibility).pose("test")


def reading_of(points, region=None, score=1.0, visibility=None):
    region = region or Region(128, 128, 256)
    outline = np.zeros((256, 256), np.float32)
    places = region.from_photo(points, 256).astype(int).clip(0, 255)
    outline[places[:, 1].min() : places[:, 1].max() + 1, places[:, 0].min() : places[:, 0].max() + 1] = 1
    seen = np.ones(33, np.float32) if visibility is None else visibility
    return Reading(points, seen, outline, score, region, region)


def test_anchors_are_the_centres_of_three_grids():
    centres = anchors()
    assert centres.shape == (2254, 2)
    assert centres[:2].tolist() == pytest.approx(np.full((2, 2), 0.5 / 28))
    assert centres[2].tolist() == pytest.approx([1.5 / 28, 0.5 / 28])
    assert centres[2 * 28 * 28] == pytest.approx([0.5 / 14, 0.5 / 14])
    assert centres[-1] == pytest.approx([6.5 / 7, 6.5 / 7])
    assert len(np.unique(centres, axis=0)) == 28**2 + 14**2 + 7**2


def test_suppression_averages_a_group_by_score_and_keeps_apart_what_is_apart():
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [50, 50, 60, 60]], float)
    found = suppress(boxes, np.array([0.9, 0.6, 0.95]), boxes)
    assert [score for _, score in found] == [0.95, 0.9]
    assert found[0][0].tolist() == [50, 50, 60, 60]
    assert found[1][0].tolist() == pytest.approx([0.4, 0, 10.4, 10])
    assert suppress(np.zeros((0, 4)), np.zeros(0), np.zeros((0, 4))) == []


@pytest.mark.parametrize(("height", "width", "side"), [(100, 400, 100), (900, 300, 300), (640, 480, 240)])
def test_squares_cover_the_picture_and_overlap_by_half(height, width, side):
    views = squares(height, width, side)
    covered = np.zeros((height, width), int)
    for left, top, w, h in views:
        assert 0 <= left <= left + w <= width
        assert 0 <= top <= top + h <= height
        covered[top : top + h, left : left + w] += 1
    assert covered.min() >= 1
    starts = sorted({left for left, *_ in views})
    assert all(after - before <= side / 2 + 1 for before, after in pairwise(starts))


def test_a_region_is_upright_along_the_body():
    upright = Region.around(np.array([100.0, 100.0]), np.array([100.0, 60.0]), 1.25)
    assert (upright.angle, upright.side) == pytest.approx((0, 100))
    lying = Region.around(np.array([100.0, 100.0]), np.array([140.0, 100.0]), 1.0)
    assert lying.angle == pytest.approx(math.pi / 2)
    top_of_crop = lying.to_photo(np.array([[32.0, 0.0]]), 64)
    assert top_of_crop[0] == pytest.approx([140, 100], abs=1e-3)


@pytest.mark.parametrize("region", [Region(40, 30, 50, 0.4), Region(10, 60, 120, -2.0), Region(30, 40, 700, 0.1)])
def test_points_go_to_the_crop_and_back(region):
    points = np.random.default_rng(0).uniform(0, 64, (20, 2))
    assert region.from_photo(region.to_photo(points, 64), 64) == pytest.approx(points, abs=1e-3)


def test_crop_and_paste_agree_with_the_map_of_points():
    photo = np.zeros((200, 160, 3), np.uint8)
    photo[90:110, 60:80] = 255
    region = Region(80, 100, 120, 0.5)
    crop = region.crop(photo, 96)
    rows, columns = np.nonzero(crop[..., 0] > 127)
    centre = region.to_photo(np.array([[columns.mean() + 0.5, rows.mean() + 0.5]]), 96)[0]
    assert centre == pytest.approx([70, 100], abs=0.5)
    back = region.paste(crop[..., 0].astype(np.float32) / 255, 200, 160)
    assert back.shape == (200, 160)
    assert np.abs(back - photo[..., 0] / 255.0).mean() < 0.01


def test_refinement_moves_a_point_to_the_peak_nearby_only():
    heat = np.full((64, 64, 3), -20, np.float32)
    heat[30, 22, 0] = 20
    heat[60, 60, 1] = 20
    places = np.array([[20 / 64, 31 / 64], [20 / 64, 31 / 64], [1.5, -0.2]], np.float32)
    moved = refine(places, heat)
    assert moved[0] == pytest.approx([22 / 64, 30 / 64], abs=1e-4)
    assert np.array_equal(moved[1:], places[1:])


def test_mirroring_exchanges_the_sides_and_nothing_else():
    assert np.array_equal(MIRRORED[MIRRORED], np.arange(33))
    for landmark in Landmark:
        swapped = {"LEFT": "RIGHT", "RIGHT": "LEFT"}
        name = "_".join(swapped.get(word, word) for word in landmark.name.split("_"))
        assert MIRRORED[landmark] == Landmark[name]


def test_a_standing_person_is_plausible_and_a_collapsed_one_is_not():
    assert plausible(reading_of(standing()))
    assert not plausible(reading_of(standing(), score=0.3))
    collapsed = standing()
    collapsed[[Landmark.LEFT_HIP, Landmark.RIGHT_HIP]] = collapsed[[Landmark.LEFT_SHOULDER, Landmark.RIGHT_SHOULDER]]
    assert not plausible(reading_of(collapsed))
    stretched = standing()
    stretched[Landmark.LEFT_WRIST] += (0, 110)
    assert not plausible(reading_of(stretched))
    beside = reading_of(standing())
    assert not plausible(
        Reading(beside.landmarks + 90, beside.visibility, beside.outline, 1.0, beside.region, beside.region)
    )


def test_readings_that_agree_outvote_those_that_do_not():
    right, wrong = standing(), standing(centre=(128, 120), scale=0.6)
    answers = iter([wrong, right, right + 0.5, right - 0.5, right, wrong * 1.02, right, right, right, right])
    calls = []

    def read(region, mirrored):
        calls.append(mirrored)
        return reading_of(next(answers))

    agreed = agree(Region(128, 128, 256), read)
    assert agreed is not None
    assert difference(agreed.reading, reading_of(right)) < 0.01
    assert (agreed.agreeing, agreed.tried) == (8, 10)
    assert calls.count(True) == 5


def test_two_readings_that_agree_are_enough_and_none_that_do_are_nobody():
    points = standing()
    assert agree(Region(128, 128, 256), lambda region, mirrored: reading_of(points)).tried == 2
    scales = iter(np.linspace(0.5, 1.6, 10))

    def scattered(region, mirrored):
        return reading_of(standing(scale=next(scales)))

    assert MIN_AGREEING > 2
    assert difference(reading_of(standing(scale=0.5)), reading_of(standing(scale=0.63))) > AGREEMENT
    assert agree(Region(128, 128, 256), scattered) is None
    assert agree(Region(128, 128, 256), lambda region, mirrored: reading_of(points, score=0.1)) is None


def test_a_doubtful_region_needs_more_than_two_readings():
    points = standing()
    doubtful = agree(Region(128, 128, 256), lambda region, mirrored: reading_of(points), doubtful=True)
    assert (doubtful.agreeing, doubtful.tried) == (10, 10)
    assert doubtful.support == 1


def test_openpose_points_lie_on_the_joints_and_missing_ones_are_zero():
    visibility = np.ones(33, np.float32)
    visibility[Landmark.RIGHT_WRIST] = 0.2
    points = standing()
    points[Landmark.LEFT_ANKLE] = (140, 300)
    made = pose_of(points, visibility).keypoints(Size(256, 256))
    assert made.shape == (18, 2)
    assert made.dtype == np.float32
    assert made[4].tolist() == [0, 0]
    assert made[13].tolist() == [0, 0]
    assert made[1] == pytest.approx((made[2] + made[5]) / 2)
    assert made[2][0] < made[1][0] < made[5][0]
    assert made[0].tolist() == points[Landmark.NOSE].tolist()
    assert made[5][1] - points[Landmark.LEFT_SHOULDER][1] == pytest.approx(0.048 * 40, abs=1e-3)
    visibility[Landmark.LEFT_SHOULDER] = 0
    made = pose_of(points, visibility).keypoints(Size(256, 256))
    assert not made[[1, 5]].any()
    assert made[2].any()


def test_the_visible_box_is_cut_at_the_border():
    points = standing(centre=(20, 120))
    left, top, right, bottom = pose_of(points).visible_box(Size(150, 256))
    assert (left, top, right, bottom) == (0, 56, 49, 150)
    assert pose_of(points, np.zeros(33, np.float32)).visible_box(Size(150, 256)) == (0, 0, 0, 0)
    assert landmarks_of(pose_of(points)).torso == pytest.approx(40)
    assert pose_of(points).torso == pytest.approx(0.952 * 40)


def test_without_hips_the_shoulders_tell_the_torso():
    pose = pose_of(standing())
    seen = np.array([each not in (8, 11) for each in range(18)], np.float32)
    alone = Pose(pose.points, seen, "other")
    assert alone.torso == pytest.approx(1.3 * np.hypot(*(pose.points[2] - pose.points[5])))
    assert Pose(pose.points, np.zeros(18, np.float32), "other").torso == 0


def test_landmarks_come_back_from_a_pose_and_follow_joints_that_were_moved():
    points = standing()
    pose = pose_of(points)
    assert np.array_equal(landmarks_of(pose).points, points)
    moved = pose.points.copy()
    moved[4] += 12
    corrected = landmarks_of(replace(pose, points=moved))
    assert corrected.points[Landmark.RIGHT_WRIST] == pytest.approx(points[Landmark.RIGHT_WRIST] + 12)
    others = [each for each in Landmark if each is not Landmark.RIGHT_WRIST]
    assert np.array_equal(corrected.points[others], points[others])
    alone = landmarks_of(Pose(pose.points, pose.visibility, "other"))
    assert np.array_equal(alone.points[Landmark.LEFT_KNEE], pose.points[12])
    assert alone.visibility[Landmark.LEFT_INDEX] < 0
