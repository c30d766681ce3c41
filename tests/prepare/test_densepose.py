"""DensePose: golden numbers of the published code, independent restatements of its parts, photos in, errors."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from golden_data import GOLDEN
from idmvton.errors import NoPersonError, WeightsError
from idmvton.images.densepose import part_colours
from idmvton.prepare.backends.densepose import backend, proposals, reader
from idmvton.prepare.backends.densepose.backend import DensePoseBody
from idmvton.prepare.backends.densepose.boxes import intersection_over_union, suppress_doubles
from idmvton.prepare.backends.densepose.decoding import Surface, decode_box, place_in_picture, whole_pixels
from idmvton.prepare.backends.densepose.heads import BodyMaps
from idmvton.prepare.backends.densepose.network import DensePoseNet
from idmvton.prepare.backends.densepose.roi_align import pooled, roi_align
from idmvton.prepare.backends.protocols import Pose
from idmvton.prepare.backends.registry import BODY_BACKENDS
from idmvton.prepare.self_test import densepose as golden_check
from idmvton.prepare.self_test.densepose import check_densepose, check_features, formula_weights

FOLDER = GOLDEN / "densepose"
SIDE = 128  # of the network's picture in tests: the published 800 take seconds


@pytest.fixture(scope="module")
def network():
    made = DensePoseNet().eval().requires_grad_(False)
    made.load_state_dict(formula_weights(FOLDER))
    return made


@pytest.fixture
def densepose(network, monkeypatch):
    """A reader with the formula's weights, which looks at small pictures."""
    monkeypatch.setattr(reader, "load_densepose", lambda path: network)
    monkeypatch.setattr(reader, "SHORT_SIDE", SIDE)
    monkeypatch.setattr(proposals, "MAX_PROPOSALS", 60)
    return reader.DensePoseReader(FOLDER / "given.pkl", device="cpu")


@pytest.fixture
def photo():
    return np.asarray(Image.open(FOLDER / "image_bgr.png").convert("RGB"))


def test_names_and_shapes_are_those_of_the_published_file():
    with torch.device("meta"):
        ours = {name: list(value.shape) for name, value in DensePoseNet().state_dict().items()}
    assert ours == json.loads((FOLDER / "manifest.json").read_text())


def test_every_number_agrees_with_the_published_code(network, monkeypatch):
    monkeypatch.setattr(golden_check, "_network", lambda *_: network)
    checks = list(check_densepose(FOLDER, "dev"))
    assert len(checks) >= 34
    assert [each for each in checks if not each[1] <= each[2]] == []


@torch.inference_mode()
def test_other_weights_do_not_agree(network, photo):
    changed = DensePoseNet().eval()
    changed.load_state_dict(network.state_dict() | {"backbone.bottom_up.res4.2.conv2.norm.bias": torch.zeros(256)})
    levels = changed.levels(torch.from_numpy(photo[..., ::-1].copy()).permute(2, 0, 1).float())
    checks = check_features(changed, levels, load_file(FOLDER / "io.safetensors"))
    failed = {what for what, difference, allowed in checks if not difference <= allowed}
    assert {"features p2", "features p4", "proposal deltas p6"} <= failed
    assert "anchors p2, pixels" not in failed


def sampled(features, x, y):
    """Bilinear reading of (C, H, W) at one place, as ROIAlign does it, in plain words."""
    channels, height, width = features.shape
    if not (-1 <= x <= width and -1 <= y <= height):
        return torch.zeros(channels)
    x, y = max(x, 0.0), max(y, 0.0)
    left, top = min(int(x), width - 1), min(int(y), height - 1)
    right, bottom = min(left + 1, width - 1), min(top + 1, height - 1)
    across = x - left if left < width - 1 else 0.0
    down = y - top if top < height - 1 else 0.0
    above = features[:, top, left] * (1 - across) + features[:, top, right] * across
    below = features[:, bottom, left] * (1 - across) + features[:, bottom, right] * across
    return above * (1 - down) + below * down


def test_roi_align_against_loops():
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(3, 9, 11, generator=generator)
    boxes = torch.tensor(
        [[0.0, 0, 88, 72], [10.3, 5.7, 40.2, 60.9], [70, 60, 120, 100], [-30, -20, 4, 3], [8, 8, 9, 9]]
    )
    ours = roi_align(features, boxes, 1 / 8, 3)
    for box, cells in zip(boxes / 8, ours, strict=True):
        width, height = max(float(box[2] - box[0]), 1), max(float(box[3] - box[1]), 1)
        for row in range(3):
            for column in range(3):
                values = [
                    sampled(features, float(box[0]) + (column + i) * width / 3, float(box[1]) + (row + j) * height / 3)
                    for j in (0.25, 0.75)
                    for i in (0.25, 0.75)
                ]
                torch.testing.assert_close(cells[:, row, column], torch.stack(values).mean(0), atol=1e-5, rtol=0)


def test_boxes_are_read_from_the_level_of_their_size():
    levels = [(level, torch.full((1, 600, 600), float(level))) for level in (2, 3, 4, 5)]
    sizes = torch.tensor([20.0, 111, 113, 223, 225, 449, 2000])
    boxes = torch.stack([torch.zeros(7), torch.zeros(7), sizes, sizes], 1)
    assert pooled(levels, boxes, 7)[:, 0, 3, 3].round().tolist() == [2, 2, 3, 3, 4, 5, 5]
    assert pooled(levels, boxes[:0], 7).shape == (0, 1, 7, 7)


def test_doubles_against_loops():
    generator = torch.Generator().manual_seed(1)
    corners = torch.rand(200, 2, generator=generator) * 50
    boxes = torch.cat([corners, corners + 5 + torch.rand(200, 2, generator=generator) * 30], 1)
    scores = (torch.rand(200, generator=generator) * 20).round()  # many are equal
    left, kept = sorted(range(200), key=lambda index: -float(scores[index])), []
    while left:
        best = left.pop(0)
        kept.append(best)
        overlaps = intersection_over_union(boxes[best][None], boxes)[0]
        left = [index for index in left if overlaps[index] <= 0.5]
    assert suppress_doubles(boxes, scores, 0.5).tolist() == kept
    assert suppress_doubles(boxes[:0], scores[:0], 0.5).tolist() == []


@pytest.mark.parametrize(("height", "width"), [(1, 1), (112, 112), (37, 300), (700, 40)])
def test_decoding_is_enlarging_then_choosing(height, width):
    generator = torch.Generator().manual_seed(2)
    maps = BodyMaps(*(torch.randn(1, channels, 112, 112, generator=generator) for channels in (2, 25, 25, 25)))
    large = [torch.nn.functional.interpolate(each, (height, width), mode="bilinear")[0] for each in maps]
    parts = large[1].argmax(0) * (large[0].argmax(0) > 0)
    surface = decode_box(maps, height, width)
    same = surface.parts == parts
    assert same.float().mean() > 0.9999 - 1 / same.numel()
    for ours, values in ((surface.u, large[2]), (surface.v, large[3])):
        expected = values.gather(0, parts[None])[0] * (parts > 0)
        torch.testing.assert_close(ours[same], expected[same], atol=1e-4, rtol=0)


def test_a_box_is_cut_to_whole_pixels_and_placed():
    assert whole_pixels(torch.tensor([3.9, 2.2, 6.8, 2.5])) == (3, 2, 2, 1)  # the width is cut, not the right edge
    box = Surface(torch.ones(4, 3, dtype=torch.uint8), torch.full((4, 3), 0.5), torch.full((4, 3), 0.25))
    placed = place_in_picture(box, 2, 1, 3, 4)
    assert placed.parts.tolist() == [[0, 0, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1]]
    assert float(placed.u.sum()) == 2.0
    assert float(placed.v.sum()) == 1.0


@pytest.mark.parametrize(
    ("photo_size", "size"),
    [((512, 384), (1067, 800)), ((1024, 768), (1067, 800)), ((384, 512), (800, 1067)), ((3000, 1000), (1333, 444))],
)
def test_the_size_of_the_networks_picture(photo_size, size):
    assert reader.network_size(*photo_size) == size


def test_a_photo_gives_parts_of_its_own_size(densepose, photo):
    densepose._min_score = 0.3
    people = densepose.people(photo)
    assert len(people)
    assert (people.scores > 0.3).all()
    found = densepose.read(photo)
    assert found.parts.shape == found.u.shape == found.v.shape == photo.shape[:2]
    assert found.score == people.scores[0]
    left, top, width, height = whole_pixels(torch.tensor(found.box))
    outside = found.parts.copy()
    outside[top : top + height, left : left + width] = 0
    assert found.parts.any()
    assert not outside.any()
    assert not found.u[found.parts == 0].any()


def test_which_person_is_read_is_chosen(densepose, photo):
    densepose._min_score = 0.05
    people = densepose.people(photo)
    assert len(people) > 1
    found = densepose.read(photo, lambda people: len(people) - 1)
    np.testing.assert_allclose(found.box, people.boxes[-1], atol=1e-4)


def test_nobody_in_the_photo(densepose, photo):
    densepose._min_score = 0.999
    with pytest.raises(NoPersonError, match=r"nobody in the photo(.|\n)*score above 0.999"):
        densepose.read(photo)


def pose_in(box):
    left, top, right, bottom = (float(side) for side in box)
    points = np.tile(np.array([(left + right) / 2, (top + bottom) / 2], np.float32), (18, 1))
    points[:2] = (left, top), (right, bottom)
    return Pose(points, np.ones(18, np.float32), "a test")


def test_the_body_backend_reads_the_person_whose_skeleton_it_gets(densepose, photo, monkeypatch):
    body = DensePoseBody(FOLDER / "given.pkl", device="cpu")
    body.reader = densepose
    densepose._min_score = 0.05
    boxes = densepose.people(photo).boxes
    number = len(boxes) - 1
    outline = np.ones(photo.shape[:2], np.float32)
    parts = body(photo, pose_in(boxes[number]), outline)
    np.testing.assert_array_equal(parts, densepose.read(photo, lambda people: number).parts)
    monkeypatch.setattr(densepose, "_min_score", 0.999)
    with pytest.raises(NoPersonError, match="finds nobody"):
        body(photo, pose_in(boxes[0]), outline)


def test_a_person_elsewhere_is_not_taken_for_the_chosen_one():
    people = reader.People(np.array([[0, 0, 40, 100], [60, 0, 90, 100]], np.float32), np.array([0.9, 0.85], np.float32))
    assert backend._person_at(people, (65, 10, 85, 90)) == 1
    assert backend._person_at(people, (30, 0, 61, 100)) == 0
    with pytest.raises(NoPersonError, match=r"chosen person(.|\n)*2 people with a score above 0.8"):
        backend._person_at(people, (200, 10, 300, 90))


def test_what_the_demo_draws_is_the_least_sure_person_alone(densepose, photo):
    body = DensePoseBody(FOLDER / "given.pkl", device="cpu")
    body.reader = densepose
    densepose._min_score = 0.5
    last = len(densepose.people(photo)) - 1
    assert last > 0
    np.testing.assert_array_equal(body.demo_parts(photo), densepose.read(photo, lambda people: last).parts)
    densepose._min_score = 0.999
    assert body.demo_parts(photo) is None


def test_colours_are_the_published_ones():
    colours = part_colours()
    assert colours[0].tolist() == [0, 0, 0]
    assert colours[[1, 2, 12, 24]].tolist() == [[37, 60, 163], [20, 80, 194], [55, 185, 159], [249, 251, 14]]


def test_the_command_line_knows_it():
    assert BODY_BACKENDS.entries["densepose"].description.startswith("DensePose R50-FPN")


def test_weights_that_are_not_here_name_the_command(tmp_path, monkeypatch):
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(WeightsError, match="idmvton weights get densepose-r50"):
        reader.DensePoseReader()
