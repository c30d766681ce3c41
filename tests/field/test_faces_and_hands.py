"""What must stay the photo's own: faces down to the chin, hands, hair, whatever the parser says."""

import dataclasses
from typing import ClassVar

import numpy as np
import pytest

from idmvton.options import PrepareOptions
from idmvton.prepare.backends.blazepose.landmarks import NUM_LANDMARKS, Landmark, Landmarks
from idmvton.prepare.backends.studio_net.cuffs import find_cuffs
from idmvton.prepare.backends.studio_net.face import face_region
from idmvton.prepare.backends.studio_net.repair import repair
from idmvton.prepare.mask import ATR_LABELS, NECK
from idmvton.prepare.mask_making import PersonSeen, beyond_wrists, make_mask
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


def test_hands_and_feet_beyond_the_picture_are_left():
    pose = pose_of(
        {
            Landmark.LEFT_SHOULDER: (180, 60), Landmark.RIGHT_SHOULDER: (100, 60),
            Landmark.LEFT_HIP: (165, 220), Landmark.RIGHT_HIP: (115, 220),
            Landmark.LEFT_ELBOW: (260, 140), Landmark.LEFT_WRIST: (500, 180),
            Landmark.LEFT_PINKY: (520, 192), Landmark.LEFT_INDEX: (520, 186),
            Landmark.LEFT_ANKLE: (165, 480), Landmark.LEFT_HEEL: (165, 500), Landmark.LEFT_FOOT: (175, 520),
        }
    )  # fmt: skip
    labels = np.full((300, 280), CLOTH, np.uint8)
    found, parts = repair(np.full((300, 280, 3), BLUE, np.uint8), labels, np.zeros_like(labels), pose)
    assert np.array_equal(found, labels)
    assert not parts.any()


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


class TestSleeves:
    """An arm that hangs straight down: shoulder, elbow and wrist at x = 100; the sleeve is cloth to its cuff."""

    joints: ClassVar = {
        Landmark.LEFT_SHOULDER: (100, 40),
        Landmark.RIGHT_SHOULDER: (30, 40),
        Landmark.LEFT_HIP: (90, 140),
        Landmark.RIGHT_HIP: (40, 140),
        Landmark.LEFT_ELBOW: (100, 90),
        Landmark.LEFT_WRIST: (100, 140),
    }

    def seen(self, cuff):
        photo, labels = np.full((200, 140, 3), 255, np.uint8), np.zeros((200, 140), np.uint8)
        for rows, colour, label in (
            (slice(5, 35), SKIN, HEAD),
            (slice(40, 120), BLUE, CLOTH),
            (slice(120, 138), cuff, ARM),
            (slice(138, 165), SKIN, ARM),
        ):
            photo[rows, 88:112], labels[rows, 88:112] = colour, label
        return photo, labels

    @pytest.mark.parametrize("cuff", [BLUE, (30, 120, 40)])
    def test_a_cuff_that_was_taken_for_a_hand_belongs_to_the_sleeve(self, cuff):
        photo, labels = self.seen(cuff)
        found = find_cuffs(photo, labels, pose_of(self.joints))
        assert (found[120:136, 90:110] == CLOTH).mean() > 0.95
        assert (found[142:165, 88:112] == ARM).all()

    def test_bare_skin_below_a_short_sleeve_stays_an_arm(self):
        photo, labels = self.seen(SKIN)
        assert np.array_equal(find_cuffs(photo, labels, pose_of(self.joints)), labels)

    def test_nothing_is_repainted_beyond_a_wrist_but_the_arm_before_it_is(self):
        _, labels = self.seen(SKIN)
        labels[138:] = 0  # the parser does not see the hand
        points = np.zeros((18, 2), np.float32)
        for row, joint in ((2, "RIGHT_SHOULDER"), (5, "LEFT_SHOULDER"), (6, "LEFT_ELBOW"), (7, "LEFT_WRIST")):
            points[row] = self.joints[Landmark[joint]]
        points[8], points[11] = self.joints[Landmark.RIGHT_HIP], self.joints[Landmark.LEFT_HIP]
        hand = beyond_wrists(points, labels.shape)
        assert hand[140:160, 95:105].all()
        assert not hand[:134].any()
        seen = PersonSeen(labels, np.zeros_like(labels), np.where(labels > 0, np.uint8(255), np.uint8(0)), points)
        mask = make_mask(seen, "upper_body", PrepareOptions())
        assert not mask[142:].any()
        assert mask[60:130, 92:108].all()
        assert make_mask(seen, "upper_body", PrepareOptions(keep_hands=False))[142:146, 95:105].all()
