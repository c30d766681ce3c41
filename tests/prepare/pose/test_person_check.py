"""Whether a try-on can work on the people of a photo."""

import numpy as np
import pytest
from test_pose_parts import standing

from idmvton.data.augment import MIRRORED_KEYPOINTS
from idmvton.errors import NoPersonError, PreparationError, SeveralPeopleError, UnusablePersonError
from idmvton.prepare.backends.blazepose.landmarks import Landmark
from idmvton.prepare.backends.protocols import Joint, Pose
from idmvton.prepare.person_check import check_person, shows_back, sits

PHOTO = np.full((600, 400, 3), 180, np.uint8)


def person(centre=(200.0, 300.0), scale=2.5, change=None):
    points = joints(centre, scale)
    for joint, place in (change or {}).items():
        points[joint] = place
    return Pose(points, np.ones(18, np.float32), "test")


def joints(centre, scale):
    """The joints of a person who stands."""
    points = standing(centre, scale)
    found = np.array(
        [points[Landmark[joint.name]] if joint is not Joint.NECK else (0, 0) for joint in Joint], np.float32
    )
    found[Joint.NECK] = found[[Joint.LEFT_SHOULDER, Joint.RIGHT_SHOULDER]].mean(0)
    return found


def test_a_person_who_is_fine_gets_no_words():
    pose = person()
    for category in (None, "upper_body", "lower_body", "dresses"):
        chosen, notes = check_person(PHOTO, [pose], 1, category)
        assert chosen is pose
        assert notes == ()


def test_nobody():
    with pytest.raises(NoPersonError, match="no person was found"):
        check_person(PHOTO, [])
    with pytest.raises(NoPersonError, match="very dark"):
        check_person(PHOTO // 10, [])


def test_of_several_people_the_largest_or_the_chosen_is_taken_and_it_is_said():
    people = [person(), person(scale=1.5), person(scale=1.2)]
    chosen, notes = check_person(PHOTO, people)
    assert chosen is people[0]
    assert any("3 people" in note and "largest" in note and "--person N" in note for note in notes)
    chosen, notes = check_person(PHOTO, people, person=2)
    assert chosen is people[1]
    for number in (-1, 4):
        with pytest.raises(NoPersonError, match=r"from 1 \(the largest\) to 3"):
            check_person(PHOTO, people, person=number)


def test_where_there_must_be_only_one_person_several_are_refused():
    people = [person(), person(scale=1.5)]
    assert check_person(PHOTO, people[:1], person=0) == (people[0], ())
    with pytest.raises(SeveralPeopleError, match="there are 2 people in the photo") as caught:
        check_person(PHOTO, people, person=0)
    assert caught.value.expected == "person_number, from 1 (the largest) to 2"
    with pytest.raises(NoPersonError, match="no person was found"):
        check_person(PHOTO, [], person=0)


def test_an_uncertain_pose_is_told():
    unsure = Pose(joints((200, 300), 2.5), np.ones(18, np.float32), "test", confidence=0.5)
    assert "not certain" in check_person(PHOTO, [unsure])[1][0]


def test_too_small_and_small():
    with pytest.raises(UnusablePersonError, match="too small"):
        check_person(PHOTO, [person(scale=0.6)])
    assert "small" in check_person(PHOTO, [person(scale=1.2)])[1][0]


def test_too_dark_and_dark():
    with pytest.raises(UnusablePersonError, match="too dark"):
        check_person(PHOTO // 12, [person()])
    assert "dark" in check_person(PHOTO // 4, [person()])[1][0]
    lit = PHOTO // 20
    lit[100:200, 100:300] = 150
    assert check_person(lit, [person()])[1] == ()


@pytest.mark.parametrize("category", [None, "upper_body", "dresses"])
def test_only_a_face_is_not_enough_for_an_upper_garment(category):
    with pytest.raises(UnusablePersonError, match="only the face"):
        check_person(PHOTO, [person(centre=(200, 680), scale=2.5)], 1, category)


def test_half_a_trunk_is_told():
    notes = check_person(PHOTO, [person(centre=(200, 650))], 1, "upper_body")[1]
    assert "50% of the trunk" in notes[0]


def test_legs_must_be_there_for_trousers_and_better_for_a_dress():
    half = person(centre=(200, 590))
    with pytest.raises(UnusablePersonError, match="legs are not in the photo"):
        check_person(PHOTO, [half], 1, "lower_body")
    assert "dress will be cut off" in check_person(PHOTO, [half], 1, "dresses")[1][0]
    assert check_person(PHOTO, [half], 1, "upper_body")[1] == ()


def test_the_back_is_told():
    pose = person()
    assert not shows_back(pose)
    turned = Pose(pose.points[list(MIRRORED_KEYPOINTS)], pose.visibility, "test")
    assert shows_back(turned)
    assert "behind" in check_person(PHOTO, [turned])[1][0]


def test_sitting_is_told_for_lower_garments_and_dresses():
    knees = {Joint.LEFT_KNEE: (260, 310), Joint.RIGHT_KNEE: (150, 320)}
    seated = person(change=knees)
    assert sits(seated)
    assert not sits(person())
    assert check_person(PHOTO, [seated], 1, "upper_body")[1] == ()
    for category in ("lower_body", "dresses"):
        assert "sits" in check_person(PHOTO, [seated], 1, category)[1][0]
    one_leg_up = person(change={Joint.LEFT_KNEE: (260, 310)})
    assert not sits(one_leg_up)


def test_they_are_errors_of_preparation():
    assert issubclass(NoPersonError, PreparationError)
    assert issubclass(UnusablePersonError, PreparationError)


@pytest.mark.parametrize("missing", [[8, 11], [9, 12], [8, 9, 10, 11, 12, 13], [10, 13], [14, 15, 16, 17]])
def test_joints_that_are_not_known_do_not_speak_against_a_person(missing):
    """Other backends leave out what they do not see."""
    pose = person()
    seen = np.ones(18, np.float32)
    seen[missing] = 0
    alone = Pose(np.where(seen[:, None] > 0, pose.points, 0), seen, "other")
    assert check_person(PHOTO, [alone], 1, "upper_body")[1] == ()


def test_without_shoulders_nothing_can_be_told():
    pose = person()
    seen = np.ones(18, np.float32)
    seen[[2, 5]] = 0
    with pytest.raises(UnusablePersonError, match="shoulders were not found"):
        check_person(PHOTO, [Pose(pose.points, seen, "other")])
