"""The parser studio-net: what it reads, what it says of rendered people, how it sharpens borders."""

import numpy as np
import pytest

from idmvton.errors import InputError
from idmvton.evaluate.label_maps import confusion, intersection_over_union, mean_iou
from idmvton.images.densepose import COARSE_PARTS, OTHER_SIDE
from idmvton.prepare.backends.blazepose.landmarks import MIRRORED, Landmarks, landmarks_of
from idmvton.prepare.backends.protocols import Pose
from idmvton.prepare.backends.studio_net import encoding, outfit, refine
from idmvton.prepare.backends.studio_net.parser import StudioBody, StudioLabels, StudioNet
from idmvton.prepare.mask import ATR_LABELS, OTHER_LABEL
from idmvton.studio import sample

# OpenPose's number -> BlazePose's
LANDMARKS = {
    0: 0, 2: 12, 3: 14, 4: 16, 5: 11, 6: 13, 7: 15, 8: 24, 9: 26, 10: 28, 11: 23, 12: 25, 13: 27, 16: 8, 17: 7,
}  # fmt: skip
LIMB_ENDS = ("left_arm", "right_arm", "left_shoe", "right_shoe")
HANDS = {16: (14, (18, 20)), 15: (13, (17, 19))}


def pose_of(keypoints):
    """The skeleton that a pose backend would find, from the true points."""
    points, visibility = np.zeros((33, 2), np.float32), np.full(33, -1, np.float32)
    for openpose, blazepose in LANDMARKS.items():
        if keypoints[openpose].any():
            points[blazepose], visibility[blazepose] = keypoints[openpose], 1
    for wrist, (elbow, hand) in HANDS.items():
        if min(visibility[[wrist, elbow]]) > 0:
            points[list(hand)] = points[wrist] + 0.35 * (points[wrist] - points[elbow])
            visibility[list(hand)] = 1
    return Landmarks(points, visibility).pose("truth")


def mirrored(pose, width):
    points, visibility = (each[MIRRORED] for each in (landmarks_of(pose).points, landmarks_of(pose).visibility))
    points[:, 0] = width - points[:, 0]
    return Landmarks(points, visibility).pose("truth")


@pytest.fixture(scope="module")
def people():
    """Photo, pose, outline, true labels and parts."""
    made = [sample(11, index, "test", "mixed", (256, 192)) for index in range(4)]
    return [
        (each.person, pose_of(each.keypoints), (each.labels > 0).astype(np.float32), each.labels, each.iuv[..., 0])
        for each in made
    ]


@pytest.fixture(scope="module")
def parser():
    return StudioNet()


@pytest.fixture(scope="module")
def found(parser, people):
    return [parser(photo, pose, outline) for photo, pose, outline, _, _ in people]


def test_it_reads_rendered_people(people, found):
    parts, coarse, labels = (np.zeros((size, size), np.int64) for size in (25, 15, 19))
    for (*_, true_labels, true_parts), each in zip(people, found, strict=True):
        parts += confusion(true_parts, each.parts, 25)
        coarse += confusion(COARSE_PARTS[true_parts], COARSE_PARTS[each.parts], 15)
        labels += confusion(true_labels, each.labels, 19)
    assert mean_iou(coarse) > 0.7
    assert mean_iou(parts) > 0.42
    assert mean_iou(labels) > 0.75


def test_maps_have_the_photos_shape_and_end_at_the_outline(people, found):
    for (photo, _, outline, _, _), each in zip(people, found, strict=True):
        for values, highest in ((each.labels, 18), (each.parts, 24)):
            assert values.shape == photo.shape[:2]
            assert values.dtype == np.uint8
            assert values.max() <= highest
        beyond = outline < 0.5
        fingers_and_toes = np.isin(each.labels, [ATR_LABELS.index(name) for name in LIMB_ENDS])
        assert not (each.labels > 0)[beyond & ~fingers_and_toes].any()
        assert fingers_and_toes[beyond].mean() < 0.01
        assert np.isin(each.parts[beyond], (0, 3, 4)).all()


def test_the_same_photo_gives_the_same_maps(parser, people, found):
    photo, pose, outline, _, _ = people[0]
    again = parser(photo, pose, outline)
    assert np.array_equal(again.labels, found[0].labels)
    assert np.array_equal(again.parts, found[0].parts)


def test_a_mirror_exchanges_left_and_right(parser, people, found):
    for (photo, pose, outline, _, _), each in zip(people, found, strict=True):
        flipped = parser(
            np.ascontiguousarray(photo[:, ::-1]),
            mirrored(pose, photo.shape[1]),
            np.ascontiguousarray(outline[:, ::-1]),
        )
        person = outline > 0.5
        assert np.mean((OTHER_LABEL[flipped.labels] == each.labels[:, ::-1])[person[:, ::-1]]) > 0.99
        assert np.mean((OTHER_SIDE[flipped.parts] == each.parts[:, ::-1])[person[:, ::-1]]) > 0.99


def test_labels_and_body_ask_the_network_once(people, monkeypatch):
    network, calls = StudioNet(), []
    parse = network._parse
    monkeypatch.setattr(network, "_parse", lambda *told: calls.append(1) or parse(*told))
    labels, body = StudioLabels(network), StudioBody(network)
    for photo, pose, outline, _, _ in people[:2]:
        made = labels(photo, pose, outline), body(photo, pose, outline)
        assert [each.max() > 0 for each in made] == [True, True]
    assert len(calls) == 2


def test_the_eighteen_points_alone_are_enough(parser, people, found):
    """A skeleton of another backend has no hands and feet; what it lacks is unknown, not somewhere."""
    agree = []
    for (photo, pose, outline, *_), each in zip(people, found, strict=True):
        alone = Pose(pose.points, pose.visibility, "other")
        assert (landmarks_of(alone).visibility < 0).sum() >= 33 - 17
        agree.append((parser(photo, alone, outline).labels == each.labels)[outline > 0.5].mean())
    assert np.mean(agree) > 0.95


def test_nobody_outlined_is_nobody_labelled(parser, people):
    photo, pose, outline, _, _ = people[0]
    nobody = parser(photo, pose, np.zeros_like(outline))
    assert not nobody.labels.any()
    assert not nobody.parts.any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda photo, pose, outline: (photo[..., 0], pose, outline), "photo cannot be parsed"),
        (lambda photo, pose, outline: (photo.astype(float), pose, outline), "photo cannot be parsed"),
        (lambda photo, pose, outline: (photo, pose, outline[1:]), "outline does not fit"),
        (lambda photo, pose, outline: (photo, pose, outline > 0), "outline does not fit"),
    ],
)
def test_what_cannot_be_parsed_is_refused(parser, people, change, message):
    with pytest.raises(InputError, match=message):
        parser(*change(*people[0][:3]))


def test_a_crop_maps_points_and_pixels_alike():
    photo = np.zeros((400, 300), np.uint8)
    photo[200:210, 100:110] = 255
    outline = np.zeros((400, 300), np.float32)
    outline[150:300, 60:160] = 1
    crop = encoding.person_crop(outline)
    for zoom in (1.0, 2.0):
        rows, columns = np.nonzero(crop.cut(photo, zoom) > 127)
        middle = np.array([columns.mean(), rows.mean()]) + 0.5
        assert np.allclose(middle / zoom, crop.points(np.float32([[105, 205]]))[0], atol=0.35)


def test_a_crop_holds_the_person_and_beyond_the_photo_is_black():
    outline = np.ones((300, 100), np.float32)
    crop = encoding.person_crop(outline)
    corners = crop.points(np.float32([[0, 0], [100, 300]]))
    assert (corners >= 0).all()
    assert (corners <= [encoding.SIZE[1], encoding.SIZE[0]]).all()
    assert not crop.cut(np.full((300, 100, 3), 255, np.uint8))[:, 0].any()


def test_lines_know_left_from_right_and_what_is_unknown():
    points = np.zeros((33, 2), np.float32)
    points[12], points[14], points[11], points[13] = (50, 40), (40, 90), (90, 40), (100, 90)
    visibility = np.full(33, -1, np.float32)
    visibility[[11, 12, 13, 14]] = 1
    planes = encoding.encode_pose(points, visibility)
    assert planes.shape == (encoding.POSE_CHANNELS, 48, 36)
    assert np.flatnonzero(planes.any((1, 2))).tolist() == [0, 1]
    stride = encoding.POSE_STRIDE
    assert planes[0, 65 // stride, 45 // stride] > 0.8 > 0.1 > planes[0, 65 // stride, 95 // stride]
    visibility[14] = 0.1
    assert 0.2 < encoding.encode_pose(points, visibility)[0].max() < 0.5, "extrapolated points are drawn faintly"


def test_the_filter_moves_a_border_to_the_pictures_edge():
    picture = np.full((80, 80, 3), (200, 80, 80), np.uint8)
    picture[:, 40:] = (80, 120, 80)
    planes = np.zeros((2, 80, 80), np.float32)
    planes[0, :, :37], planes[1, :, 37:] = 1, 1
    sharp = refine.guided_filter(picture, planes, 6, 1e-3)
    assert abs(int(sharp.argmax(0)[40].argmax()) - 40) <= 1, "it was 3 pixels off"


def test_colours_correct_what_the_network_is_unsure_of():
    picture = np.full((60, 60, 3), (190, 150, 120), np.uint8)
    picture[:, 30:] = (40, 60, 150)
    shares = np.full((2, 60, 60), 0.5, np.float32)
    shares[0, :, :20], shares[1, :, :20] = 0.9, 0.1
    shares[0, :, 40:], shares[1, :, 40:] = 0.1, 0.9
    corrected = refine.colour_evidence(picture, shares, np.array([0, 1]))
    assert abs(int(corrected.argmax(0)[30].argmax()) - 30) <= 2, "the middle third was undecided"
    one_material = refine.colour_evidence(picture, shares, np.array([0, 0]))
    assert np.allclose(one_material, shares, atol=1e-3), "left and right arm have one colour"


UPPER, SKIRT, DRESS = (ATR_LABELS.index(name) for name in ("upper_clothes", "skirt", "dress"))


def standing(top, bottom, dress):
    """A clothed figure of two colours that meet at row 100, and shares of a network that puts the waist at row 115."""
    picture = np.full((200, 100, 3), 255, np.uint8)
    picture[40:100, 30:70], picture[100:170, 30:70] = top, bottom
    shares = np.zeros((19, 200, 100), np.float32)
    shares[0] = 1
    shares[:, 40:170, 30:70] = 0
    shares[DRESS, 40:170, 30:70] = dress
    shares[UPPER, 40:115, 30:70] = shares[SKIRT, 115:170, 30:70] = 1 - dress
    return picture, shares


def test_two_colours_are_two_garments_that_meet_where_the_colours_change():
    settled = outfit.settle_outfit(*standing((200, 60, 60), (40, 60, 120), dress=0.7)).argmax(0)
    assert not (settled == DRESS).any()
    assert (settled[42:97, 32:68] == UPPER).all()
    assert (settled[103:168, 32:68] == SKIRT).all()


def test_one_colour_is_a_dress_where_the_network_sees_one():
    red = (200, 60, 60)
    settled = outfit.settle_outfit(*standing(red, red, dress=0.8)).argmax(0)
    assert (settled[40:170, 30:70] == DRESS).all()
    settled = outfit.settle_outfit(*standing(red, red, dress=0.2)).argmax(0)
    assert not (settled == DRESS).any()


def test_scores():
    truth = np.array([[0, 0, 1, 1]], np.uint8)
    counts = confusion(truth, np.array([[0, 1, 1, 1]], np.uint8), 3)
    assert np.allclose(intersection_over_union(counts)[:2], [1 / 2, 2 / 3])
    assert np.isnan(intersection_over_union(counts)[2])
    assert mean_iou(counts) == pytest.approx(2 / 3)
