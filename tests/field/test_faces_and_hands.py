"""What must stay the photo's own: faces down to the chin, hands, hair, whatever the parser says."""

import dataclasses

import numpy as np
import pytest

from idmvton.options import PrepareOptions
from idmvton.prepare.backends.blazepose.landmarks import NUM_LANDMARKS, Landmark, Landmarks
from idmvton.prepare.backends.studio_net.face import face_region
from idmvton.prepare.backends.studio_net.repair import repair
from idmvton.prepare.mask import ATR_LABELS, NECK
from idmvton.prepare.preparer import Preparer
from idmvton.studio import sample

HEAD, ARM, CLOTH = (ATR_LABELS.index(name) for name in ("head", "left_arm", "upper_clothes"))
SKIN, BLUE = (205, 150, 120), (40, 60, 140)


def pose_of(points):
    landmarks, visibility = np.zeros((NUM_LANDMARKS, 2), np.float32), np.full(NUM_LANDMARKS, -1, np.float32)
    for landmark, point in points.items():
        landmarks[landmark], visibility[landmark] = point, 1.0
    return Landmarks(landmarks, visibility)


def face(height, x=100.0, y=100.0):
    """A head of this height whose chin is known: crown above, chin below the point between the eyes."""
    eyes_to_mouth = 0.28 * height
    return pose_of(
        {
            Landmark.LEFT_EYE: (x + 0.14 * height, y),
            Landmark.RIGHT_EYE: (x - 0.14 * height, y),
            Landmark.NOSE: (x, y + 0.18 * height),
            Landmark.MOUTH_LEFT: (x + 0.1 * height, y + eyes_to_mouth),
            Landmark.MOUTH_RIGHT: (x - 0.1 * height, y + eyes_to_mouth),
            Landmark.LEFT_EAR: (x + 0.34 * height, y + 0.05 * height),
            Landmark.RIGHT_EAR: (x - 0.34 * height, y + 0.05 * height),
        }
    ), y + 1.7 * eyes_to_mouth


@pytest.mark.parametrize("height", [26, 40, 100, 180, 300])
def test_the_face_reaches_to_the_chin_for_every_size_of_head(height):
    size = 3 * height
    pose, chin = face(height, size / 2, size / 3)
    region = face_region(pose, (size, size))
    rows = np.flatnonzero(region[:, size // 2])
    assert abs(rows[-1] - chin) < 0.05 * height + 1
    assert not region[int(chin + 0.1 * height) :].any()


def test_a_border_at_the_lips_is_moved_to_the_chin():
    pose, chin = face(120, 150, 120)
    photo = np.full((300, 300, 3), SKIN, np.uint8)
    labels = np.full((300, 300), NECK, np.uint8)
    labels[: int(120 + 0.3 * 120)] = HEAD  # the parser's border lies between mouth and chin
    found, _ = repair(photo, labels, np.zeros_like(labels), pose)
    assert (found[int(chin) - 4, 140:160] == HEAD).all()
    assert (found[int(chin) + 8, 140:160] == NECK).all()


def test_a_hand_before_cloth_is_found_by_its_colour():
    pose = pose_of(
        {
            Landmark.LEFT_SHOULDER: (180, 60), Landmark.RIGHT_SHOULDER: (100, 60),
            Landmark.LEFT_HIP: (165, 220), Landmark.RIGHT_HIP: (115, 220),
            Landmark.LEFT_ELBOW: (200, 140), Landmark.LEFT_WRIST: (160, 180),
            Landmark.LEFT_PINKY: (142, 192), Landmark.LEFT_INDEX: (146, 186),
        }
    )  # fmt: skip
    rng = np.random.default_rng(0)
    photo = np.full((300, 280, 3), BLUE, np.float32)
    hand = np.zeros((300, 280), bool)
    hand[178:204, 122:160] = True
    labels = np.full((300, 280), CLOTH, np.uint8)
    labels[5:50, 120:160] = HEAD
    photo[hand], photo[labels == HEAD] = SKIN, SKIN
    photo = np.clip(photo + rng.normal(0, 3, photo.shape), 0, 255).astype(np.uint8)
    found, parts = repair(photo, labels, np.zeros_like(labels), pose)
    assert (found[hand] == ARM).mean() > 0.85
    assert (found == ARM)[~hand & (labels == CLOTH)].mean() < 0.01
    assert (parts[found == ARM] == 4).all()


def test_without_a_size_nothing_but_the_face_is_touched():
    labels = np.full((60, 60), CLOTH, np.uint8)
    found, _ = repair(np.zeros((60, 60, 3), np.uint8), labels, labels * 0, pose_of({}))
    assert np.array_equal(found, labels)


@pytest.mark.parametrize(("index", "split", "size"), [(21, "wild", (768, 576)), (11, "wild", (384, 288))])
def test_rendered_people_keep_face_and_hands(index, split, size):
    truth = sample(11, index, split, "mixed", size)
    options = dataclasses.replace(PrepareOptions(), category=truth.category)
    mask = Preparer()(truth.person, options=options).photo_mask
    assert mask[truth.labels == HEAD].mean() < 0.03  # 5 % before the face was guarded
    hands = np.isin(truth.iuv[..., 0], [3, 4]) & np.isin(truth.labels, [ARM, ARM + 1])
    assert mask[hands].mean() < 0.08
