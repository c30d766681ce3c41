"""What a user can change about the mask, one pure function at a time, and all of it together."""

import numpy as np
import pytest

from idmvton.options import PrepareOptions
from idmvton.prepare.mask import ATR_LABELS, agnostic_mask
from idmvton.prepare.mask_making import (
    PersonSeen,
    auto_arm_width,
    beyond_wrists,
    complete_labels,
    feather,
    grow,
    in_shape,
    make_mask,
    without_crumbs,
)

LABEL = {name: number for number, name in enumerate(ATR_LABELS)}


def blank(size=(128, 96)):
    return np.zeros(size, np.uint8)


def made(rendered, labels=None, **options):
    labels = rendered.labels if labels is None else labels
    silhouette = np.where(rendered.labels > 0, np.uint8(255), np.uint8(0))
    points = rendered.keypoints.astype(np.float32)
    parts = np.ascontiguousarray(rendered.iuv[..., 0])
    return make_mask(PersonSeen(labels, parts, silhouette, points), "upper_body", PrepareOptions(**options))


def hands_of(rendered):
    arms = np.isin(rendered.labels, [LABEL["left_arm"], LABEL["right_arm"]])
    return arms & np.isin(rendered.iuv[..., 0], [3, 4])


def test_without_options_it_is_the_rules_mask_without_the_hands(rendered):
    rules = agnostic_mask(rendered.labels, rendered.keypoints, "upper_body", 45) > 0
    hands = hands_of(rendered)
    assert rules[hands].any()
    assert not made(rendered)[hands].any()
    beyond = beyond_wrists(rendered.keypoints, rules.shape)  # there nothing is repainted but clothes
    assert (made(rendered) == rules)[~hands & ~beyond].mean() > 0.998
    assert not made(rendered)[beyond & (rendered.labels == 0)].mean() > 0.1
    bare = made(rendered, cover_old_garment=False)
    assert not (bare & ~rules).any()
    shirt = rendered.labels == LABEL["upper_clothes"]
    assert (rules & ~bare & ~hands)[shirt].mean() < 0.01  # beside what is kept a narrow rim stays too


def test_arms_are_drawn_by_how_much_is_seen():
    points = np.zeros((18, 2))
    points[[1, 2, 5, 8, 11]] = 50.0
    assert auto_arm_width(points) == 60
    points[9] = 40.0, 90.0
    assert auto_arm_width(points) == 45


def test_a_given_arm_width_goes_first(rendered):
    thin, wide = made(rendered, arm_width=20), made(rendered, arm_width=70)
    assert thin.sum() < made(rendered).sum() < wide.sum()


def test_growing_and_shrinking_are_in_pixels():
    mask = np.zeros((60, 60), bool)
    mask[20:40, 20:40] = True
    larger, smaller = grow(mask, 5), grow(mask, -5)
    assert larger[30, 15:45].all()
    assert not larger[30, [14, 45]].any()
    assert smaller[30, 25:35].all()
    assert not smaller[30, [24, 35]].any()
    assert grow(mask, 0) is mask


def test_growing_never_reaches_face_hair_and_hands(rendered):
    large = made(rendered, mask_grow=40)
    kept = np.isin(rendered.labels, [LABEL[name] for name in ("head", "hair", "left_shoe", "right_shoe")])
    assert not large[kept].any()
    hands = hands_of(rendered)
    assert hands.sum() > 50
    assert not large[hands].any()
    assert large.sum() > 1.3 * made(rendered).sum()


def test_a_grown_mask_may_reach_the_other_garment(rendered):
    skirt = rendered.labels == LABEL["skirt"]
    assert made(rendered)[skirt].mean() < 0.01
    assert made(rendered, mask_grow=12)[skirt].mean() > 0.05


def test_hands_are_repainted_on_demand(rendered):
    arms = np.isin(rendered.labels, [LABEL["left_arm"], LABEL["right_arm"]])
    assert not made(rendered)[arms].all()
    assert made(rendered, keep_hands=False)[arms].all()


def test_a_box_covers_the_outline_and_spares_what_is_kept(rendered):
    outline, box = made(rendered), made(rendered, mask_shape="box")
    assert box[outline].all()
    rows, columns = np.flatnonzero(outline.any(1)), np.flatnonzero(outline.any(0))
    inside = np.zeros_like(box)
    inside[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = True
    kept = np.isin(rendered.labels, [LABEL[name] for name in ("head", "hair", "skirt")])
    assert box[kept].mean() < 0.01
    free = inside & (rendered.labels == 0)
    far = ~grow(rendered.labels > 0, 6)  # beside faces and hands a rim of background stays too
    assert box[free & far].all()
    assert not box[~grow(inside, 4)].any()


def test_an_empty_mask_has_no_box():
    empty = np.zeros((8, 8), bool)
    assert in_shape(empty, "box") is empty


@pytest.mark.parametrize("width", [0, 1, 6, 21])
def test_half_of_a_soft_edge_is_the_mask(width):
    mask = np.zeros((80, 80), bool)
    mask[30:50, 20:60] = True
    soft = feather(mask, width)
    assert np.array_equal(soft >= 128, mask)
    levels = np.unique(soft[40])
    assert len(levels) == 2 if width < 2 else len(levels) > width - 2
    if width:
        assert soft[40, 20 - width // 2 - 1] == 0
        assert soft[40, 40] == 255 or width > 20


@pytest.mark.parametrize("mask", [np.zeros((5, 5), bool), np.ones((5, 5), bool)])
def test_masks_without_an_edge_have_no_soft_edge(mask):
    assert np.array_equal(feather(mask, 4) > 0, mask)


def test_what_the_parser_left_out_of_the_person_belongs_to_what_is_nearest(rendered):
    """A shirt whose hem and sleeves' rims the parser missed: the mask still covers all of it."""
    shirt = rendered.labels == LABEL["upper_clothes"]
    missed = shirt & ~grow(shirt, -5)
    labels = np.where(missed, 0, rendered.labels).astype(np.uint8)
    silhouette = np.where(rendered.labels > 0, np.uint8(255), np.uint8(0))
    completed = complete_labels(labels, silhouette, "upper_body")
    assert (completed[missed] == LABEL["upper_clothes"]).mean() > 0.75
    assert not (completed[rendered.labels == 0] > 0).any()
    assert np.array_equal(completed[labels > 0], labels[labels > 0])
    points = rendered.keypoints.astype(np.float32)
    for width, share in ((3, 0.98), (5, 0.975), (9, 0.95)):
        missed = shirt & ~grow(shirt, -width)
        labels = np.where(missed, 0, rendered.labels).astype(np.uint8)
        mask = make_mask(PersonSeen(labels, blank(labels.shape), silhouette, points), "upper_body", PrepareOptions())
        assert mask[shirt].mean() > share


def test_crumbs_are_dropped_and_halves_stay():
    mask = np.zeros((100, 100), bool)
    mask[10:80, 10:40] = mask[10:80, 60:80] = mask[90:95, 50:55] = True
    cleaned = without_crumbs(mask)
    assert cleaned[10:80, 10:40].all()
    assert cleaned[10:80, 60:80].all()
    assert not cleaned[85:].any()


def test_skin_that_sticks_out_of_an_arm_is_no_hand(rendered):
    """An arm wider than its stroke, and a label that runs over its edge: no island of the photo stays in the mask."""
    labels, shoulder, elbow = rendered.labels.copy(), *rendered.keypoints[[2, 3]]
    across = np.array([-(elbow - shoulder)[1], (elbow - shoulder)[0]]) / np.hypot(*(elbow - shoulder))
    x, y = (shoulder + elbow) / 2
    width = auto_arm_width(rendered.keypoints)
    for side in (-1, 1):
        column, row = np.array([x, y]) + side * across * (width / 2 + 10)
        labels[int(row) - 2 : int(row) + 3, int(column) - 2 : int(column) + 3] = LABEL["right_arm"]
    added = (labels != rendered.labels) & ~made(rendered)
    assert added.any()
    assert made(rendered, labels)[added].all()


def test_far_from_any_label_nothing_is_made_up():
    labels, silhouette = blank(), np.full((128, 96), 255, np.uint8)
    labels[:10] = LABEL["upper_clothes"]
    completed = complete_labels(labels, silhouette, "upper_body")
    assert (completed[:14] == LABEL["upper_clothes"]).all()
    assert not completed[20:].any()


def test_a_small_piece_of_another_garment_inside_the_old_one_is_a_part_of_it():
    labels, silhouette = blank(), np.full((128, 96), 255, np.uint8)
    labels[20:100, 20:70] = LABEL["upper_clothes"]
    labels[50:54, 40:44] = LABEL["scarf"]
    labels[100:120, 20:70] = LABEL["pants"]
    completed = complete_labels(labels, silhouette, "upper_body")
    assert (completed[50:54, 40:44] == LABEL["upper_clothes"]).all()
    assert (completed[100:120, 20:70] == LABEL["pants"]).all()
    assert labels[50, 40] == LABEL["scarf"]


def test_a_small_piece_beside_the_old_garment_stays_what_it_is():
    labels, silhouette = blank(), np.full((128, 96), 255, np.uint8)
    labels[20:60, 20:70] = LABEL["upper_clothes"]
    labels[60:64, 40:48] = LABEL["pants"]
    completed = complete_labels(labels, silhouette, "upper_body")
    assert (completed[60:64, 40:48] == LABEL["pants"]).all()
