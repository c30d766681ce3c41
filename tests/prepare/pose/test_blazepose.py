"""The pose estimator and the person outline on rendered people, whose truth is known."""

from dataclasses import replace

import cv2
import huggingface_hub
import numpy as np
import pytest
from test_pose_parts import standing

from idmvton.errors import ConfigError, PreparationError, WeightsError
from idmvton.prepare.backends.blazepose import BlazePose
from idmvton.prepare.backends.blazepose.estimator import facing_without_head
from idmvton.prepare.backends.blazepose.landmark_model import Reading
from idmvton.prepare.backends.blazepose.landmarks import MIRRORED
from idmvton.prepare.backends.blazepose.regions import Region
from idmvton.prepare.backends.edges import EdgeSegmenter
from idmvton.prepare.backends.protocols import Pose
from idmvton.types import Size

MEDIAN_ERROR = 0.03  # of the torso


def errors(pose, truth, size):
    """Distances of the points that both know, as shares of the torso."""
    found = pose.keypoints(size)
    both = found.any(1) & truth.any(1)
    return np.hypot(*(found - truth)[both].T) / pose.torso


def scene(height, width):
    """A photo of a plain room: light wall, darker floor."""
    photo = np.full((height, width, 3), 205, np.uint8)
    photo[int(0.8 * height) :] = 150
    return photo


def test_everybody_is_found_once_and_points_are_right(people, poses):
    assert [len(found) for found in poses] == [1] * len(people)
    apart = [errors(found[0], each.keypoints, Size(384, 288)) for each, found in zip(people, poses, strict=True)]
    assert np.median(np.concatenate(apart)) <= MEDIAN_ERROR
    assert max(np.median(each) for each in apart) <= 3 * MEDIAN_ERROR


def test_a_pose_is_whole_and_says_its_source(poses):
    pose = poses[0][0]
    assert pose.points.shape == (18, 2)
    assert pose.visibility.shape == (18,)
    assert pose.points.dtype == pose.visibility.dtype == pose.outline.dtype == np.float32
    assert pose.outline.shape == (384, 288)
    assert 0 <= pose.visibility.min() <= pose.visibility.max() <= 1
    assert pose.source == "blazepose full"


def test_a_photo_gives_the_same_pose_again(estimator, people, poses):
    again = estimator(people[0].person)[0]
    assert np.array_equal(again.points, poses[0][0].points)


def test_the_mirror_picture_gives_the_mirror_pose(estimator, people, poses):
    mirrored = estimator(np.ascontiguousarray(people[0].person[:, ::-1]))[0]
    own = poses[0][0].keypoints(Size(384, 288))
    other = mirrored.keypoints(Size(384, 288))
    other[other.any(1), 0] = 288 - other[other.any(1), 0]
    swapped = other[[0, 1, 5, 6, 7, 2, 3, 4, 11, 12, 13, 8, 9, 10, 15, 14, 17, 16]]
    both = swapped.any(1) & own.any(1)
    assert both.sum() > 8
    assert np.median(np.hypot(*(own - swapped)[both].T)) < 0.02 * poses[0][0].torso


def test_nobody_is_found_where_nobody_is(estimator):
    assert estimator(scene(300, 400)) == ()
    noise = np.random.default_rng(0).integers(0, 256, (240, 180, 3), np.uint8)
    assert estimator(noise) == ()


def test_the_shape_of_an_empty_garment_is_not_a_person(estimator, people):
    assert [estimator(each.garment) for each in people] == [()] * len(people)


def test_a_person_with_a_head_is_sure(poses):
    assert all(found[0].confidence > 0.7 for found in poses)


def test_two_people_are_two_and_the_larger_comes_first(estimator, people):
    photo = scene(384, 700)
    small = cv2.resize(people[1].person, (180, 240), interpolation=cv2.INTER_AREA)
    photo[144:, 20:200] = small
    photo[:, 350:638] = people[0].person
    found = estimator(photo)
    assert len(found) == 2
    assert found[0].visible_box(Size(384, 700))[0] > 330
    assert found[1].visible_box(Size(384, 700))[2] < 230
    moved = np.where(people[0].keypoints.any(1, keepdims=True), people[0].keypoints + np.array([350, 0]), 0)
    assert np.median(errors(found[0], moved, Size(384, 700))) < 2 * MEDIAN_ERROR


@pytest.mark.parametrize(
    ("height", "width", "top", "left", "shrink"),
    [(384, 1500, 0, 1000, 1), (1200, 450, 700, 60, 1), (768, 1024, 500, 700, 2), (384, 280, 0, -60, 1)],
    ids=["panorama", "phone", "small in a large scene", "at the border"],
)
def test_unusual_photos_are_read_as_usual_ones(estimator, people, height, width, top, left, shrink):
    truth, picture = people[2].keypoints, people[2].person
    if shrink > 1:
        picture = cv2.resize(picture, None, fx=1 / shrink, fy=1 / shrink, interpolation=cv2.INTER_AREA)
    photo = scene(height, width)
    visible = picture[: height - top, max(-left, 0) : width - left]
    photo[top : top + visible.shape[0], max(left, 0) : max(left, 0) + visible.shape[1]] = visible
    moved = np.where(truth.any(1, keepdims=True), truth / shrink + (left, top), 0)
    inside = (moved >= 0).all(1) & (moved[:, 0] < width) & (moved[:, 1] < height)
    found = estimator(photo)
    assert found
    assert np.median(errors(found[0], np.where(inside[:, None], moved, 0), Size(height, width))) < 2 * MEDIAN_ERROR


def test_a_person_without_the_top_of_the_head_is_read(estimator, people):
    nose = int(people[0].keypoints[0, 1])
    truth = people[0].keypoints - (0, nose)
    truth[(truth[:, 1] < 0) | ~people[0].keypoints.any(1)] = 0
    found = estimator(np.ascontiguousarray(people[0].person[nose:]))
    assert np.median(errors(found[0], truth, Size(384 - nose, 288))) < 2 * MEDIAN_ERROR


def test_a_person_without_a_head_faces_the_camera_and_one_with_a_head_keeps_its_sides():
    points = standing(centre=(100, 20), scale=2.0)[MIRRORED]
    region = Region(100, 20, 400)
    reading = Reading(
        points, np.linspace(0, 1, 33, dtype=np.float32), np.ones((256, 256), np.float32), 1, region, region
    )
    turned = facing_without_head(reading, Size(300, 200))
    assert np.array_equal(turned.landmarks, points[MIRRORED])
    assert np.array_equal(turned.visibility, reading.visibility[MIRRORED])
    lower = replace(reading, landmarks=points + np.float32(120))
    assert facing_without_head(lower, Size(400, 400)) is lower
    assert facing_without_head(turned, Size(300, 200)) is turned


def test_the_outline_is_the_persons_and_follows_the_edges(people, poses):
    segmenter = EdgeSegmenter()
    rough, fine = [], []
    for each, found in zip(people, poses, strict=True):
        silhouette = segmenter(each.person, found[0])
        assert silhouette.shape == (384, 288)
        assert silhouette.dtype == np.float32
        assert 0 <= silhouette.min() <= silhouette.max() <= 1
        truth = each.labels > 0
        for shares, mask in ((rough, found[0].outline > 0.5), (fine, silhouette > 0.5)):
            shares.append((mask & truth).sum() / (mask | truth).sum())
    assert np.mean(fine) > 0.95
    assert np.mean(fine) > np.mean(rough)


def test_the_skeleton_alone_gives_an_outline_too(people, poses):
    """As of a pose backend that has no outline and no more than OpenPose's points."""
    segmenter, shares = EdgeSegmenter(), []
    for each, found in zip(people, poses, strict=True):
        seen = found[0].visibility >= 0.5
        alone = Pose(found[0].points * seen[:, None], seen.astype(np.float32), "other")
        mask, truth = segmenter(each.person, alone) > 0.5, each.labels > 0
        shares.append((mask & truth).sum() / (mask | truth).sum())
    assert np.mean(shares) > 0.88


def test_a_pose_that_shows_nobody_has_no_outline(people):
    empty = np.zeros(people[0].person.shape[:2], np.float32)
    for visible, outline in ((1, empty), (0, None)):
        pose = Pose(np.zeros((18, 2), np.float32), np.full(18, visible, np.float32), "points", outline=outline)
        with pytest.raises(PreparationError, match="nobody"):
            EdgeSegmenter()(people[0].person, pose)


def test_unknown_models_list_the_known_ones():
    with pytest.raises(ConfigError, match="full"):
        BlazePose(model="lite")


def test_missing_and_damaged_files_name_the_command(tmp_path, monkeypatch):
    with pytest.raises(WeightsError, match="run `idmvton weights get pose`"):
        BlazePose(cache_dir=tmp_path)
    with pytest.raises(WeightsError, match="run `idmvton weights get pose-heavy`"):
        BlazePose(model="heavy", cache_dir=_with_damaged_files(tmp_path))
    with pytest.raises(WeightsError, match="cannot be read as a network"):
        BlazePose(model="full", cache_dir=tmp_path)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(WeightsError, match="cannot be read as a network"):
        BlazePose()


def _with_damaged_files(cache):
    folder = cache / "idmvton" / "pose-0.10.21"
    folder.mkdir(parents=True)
    for name in ("pose_detection.tflite", "pose_landmark_full.tflite"):
        (folder / name).write_bytes(b"not a network")
    return cache
