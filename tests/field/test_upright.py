"""Photos that are turned: people on their side are refused, with the way back; garments on their head set upright."""

import numpy as np
import pytest
from PIL import Image

from idmvton.errors import UnusablePersonError
from idmvton.prepare.backends.protocols import Joint, Pose
from idmvton.prepare.orientation import check_upright, trunk_angle
from idmvton.prepare.preparer import Preparer
from idmvton.studio import sample


def standing(degrees):
    """Somebody whose head points so far away from up, clockwise."""
    points = np.zeros((18, 2), np.float32)
    upright = {
        Joint.NOSE: (0, -90), Joint.RIGHT_SHOULDER: (-20, -50), Joint.LEFT_SHOULDER: (20, -50),
        Joint.RIGHT_HIP: (-14, 50), Joint.LEFT_HIP: (14, 50),
    }  # fmt: skip
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    visibility = np.zeros(18, np.float32)
    for joint, place in upright.items():
        points[joint], visibility[joint] = turn @ np.array(place) + 200, 1.0
    return Pose(points, visibility, "drawn")


@pytest.mark.parametrize("degrees", [0, 30, -30, 45])
def test_leaning_people_are_read(degrees):
    pose = standing(degrees)
    assert trunk_angle(pose) == pytest.approx(degrees, abs=0.1)
    check_upright(pose)


@pytest.mark.parametrize(
    ("degrees", "how"), [(90, "90 degrees to the left"), (-90, "90 degrees to the right"), (180, "180")]
)
def test_turned_photos_are_refused_with_the_way_back(degrees, how):
    with pytest.raises(UnusablePersonError, match=how):
        check_upright(standing(degrees))


def test_too_little_of_a_trunk_tells_nothing():
    pose = standing(90)
    pose.visibility[:] = 0
    assert trunk_angle(pose) is None
    check_upright(pose)


@pytest.mark.parametrize(("quarters", "way_back"), [(1, "to the right"), (3, "to the left")])
def test_a_rendered_photo_on_its_side_names_the_way_back(rendered, quarters, way_back):
    turned = Image.fromarray(np.ascontiguousarray(np.rot90(rendered.person, quarters)))  # counter-clockwise
    with pytest.raises(UnusablePersonError, match=way_back):
        Preparer()(turned)


@pytest.mark.parametrize("index", [0, 2, 3])
def test_product_pictures_that_stand_on_their_head_are_set_upright(index):
    """Rendered garments of a seed that the outlines were not learned from; upright ones stay."""
    picture = sample(71, index, "test", "mixed", (256, 192)).garment
    upright = Preparer().read_garment(picture)
    turned = Preparer().read_garment(np.ascontiguousarray(picture[::-1, ::-1]))
    assert not any("turned" in note or "upright" in note for note in upright.warnings)
    assert any("turned" in note or "upright" in note for note in turned.warnings), turned.warnings
    assert (upright.mask == turned.mask).mean() > 0.97
