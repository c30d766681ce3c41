"""Whether a try-on can work on the people of a photo."""

import numpy as np
import pytest
from test_pose_parts import standing

from idmvton.errors import NoPersonError, PreparationError, UnusablePersonError
from idmvton.prepare.backends.blazepose.landmarks import MIRRORED, Landmark
from idmvton.prepare.backends.protocols import Pose
from idmvton.prepare.person_check import check_person, shows_back, sits

PHOTO = np.full((600, 400, 3), 180, np.uint8)


def person(centre=(200.0, 300.0), scale=2.5, change=None):
    points = standing(centre, scale)
    for landmark, place in (change or {}).items():
        points[landmark] = place
    return Pose(points, np.ones(33, np.float32), None, "test")


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
    assert any("3 people" in note and "largest" in note and "person=N" in note for note in notes)
    chosen, notes = check_person(PHOTO, people, person=2)
    assert chosen is people[1]
    for number in (0, 4):
        with pytest.raises(NoPersonError, match=r"from 1 \(the largest\) to 3"):
            check_person(PHOTO, people, person=number)


def test_an_uncertain_pose_is_told():
    unsure = Pose(standing((200, 300), 2.5), np.ones(33, np.float32), None, "test", confidence=0.5)
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
    turned = Pose(pose.landmarks[MIRRORED], pose.visibility, None, "test")
    assert shows_back(turned)
    assert "behind" in check_person(PHOTO, [turned])[1][0]


def test_sitting_is_told_for_lower_garments_and_dresses():
    knees = {Landmark.LEFT_KNEE: (260, 310), Landmark.RIGHT_KNEE: (150, 320)}
    seated = person(change=knees)
    assert sits(seated)
    assert not sits(person())
    assert check_person(PHOTO, [seated], 1, "upper_body")[1] == ()
    for category in ("lower_body", "dresses"):
        assert "sits" in check_person(PHOTO, [seated], 1, category)[1][0]
    one_leg_up = person(change={Landmark.LEFT_KNEE: (260, 310)})
    assert not sits(one_leg_up)


def test_they_are_errors_of_preparation():
    assert issubclass(NoPersonError, PreparationError)
    assert issubclass(UnusablePersonError, PreparationError)
