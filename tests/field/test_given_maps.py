"""Maps that people hand in: body maps in wrong colours, keypoints as shares, a summary that was changed, schedulers."""

import json
import shutil

import diffusers
import numpy as np
import pytest
from PIL import Image

from golden_data import CHECKPOINT
from idmvton import TryOnPipeline
from idmvton.errors import BodyMapWarning, ConfigError, InputError, WeightsError
from idmvton.images.densepose import checked_parts, colour_parts
from idmvton.prepare.maps import Given
from idmvton.prepare.record import read_prepared
from idmvton.tryon.schedulers import make_scheduler
from idmvton.types import Size


@pytest.fixture
def parts():
    map_of_parts = np.zeros((96, 72), np.uint8)
    map_of_parts[10:30, 25:45] = 23
    map_of_parts[30:60, 20:50] = 2
    map_of_parts[60:90, 22:34], map_of_parts[60:90, 36:48] = 9, 10
    return map_of_parts


def test_a_right_body_map_is_read_as_parts(parts):
    assert np.array_equal(checked_parts(colour_parts(parts)), parts)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda right, parts: right[..., ::-1], "red and blue swapped"),
        (lambda right, parts: np.repeat(parts[..., None], 3, 2), "part numbers"),
        (lambda right, parts: np.repeat(parts[..., None] * 10, 3, 2), "grey"),
        (lambda right, parts: np.zeros_like(right), "shows nobody"),
        (lambda right, parts: np.random.default_rng(0).integers(0, 255, right.shape, np.uint8), "no body part"),
        (lambda right, parts: np.where(right.any(-1, keepdims=True), right, np.uint8(255)), "no body part"),
    ],
)
def test_wrong_body_maps_are_refused_with_the_reason(parts, spoil, message):
    wrong = np.ascontiguousarray(spoil(np.asarray(colour_parts(parts)), parts)).astype(np.uint8)
    with pytest.raises(InputError, match=message):
        Given(densepose=wrong).read(Size(96, 72))


def test_the_published_form_warns_of_a_body_map_that_is_none(pipe, one_call):
    with pytest.warns(BodyMapWarning, match="no body part"):
        result = pipe(**one_call)
    assert any("no body part" in note for note in result.warnings)


def test_keypoints_as_shares_of_the_photo():
    points = np.random.default_rng(0).uniform(0, 1, (18, 2)).astype(np.float32)
    with pytest.raises(InputError, match="multiply x by the photo's width"):
        Given(keypoints=points).read(Size(400, 300))
    assert Given(keypoints=points * 290).read(Size(400, 300)).keypoints is not None


@pytest.mark.parametrize("box", [[-60, 20, 224, 396], [1000, 1000, 1300, 1400]])
def test_a_changed_framing_is_noticed(photos, tmp_path, box):
    from idmvton import prepare

    prepare(photos / "anna.png").save(tmp_path / "anna")
    summary = json.loads((tmp_path / "anna" / "prepared.json").read_text())
    summary["framing"]["box"] = box
    (tmp_path / "anna" / "prepared.json").write_text(json.dumps(summary))
    with pytest.raises(InputError, match=r"do not belong together|shows nothing"):
        read_prepared(tmp_path / "anna")


def test_a_retouched_picture_is_no_changed_framing(photos, tmp_path):
    from idmvton import prepare

    prepare(photos / "anna.png").save(tmp_path / "anna")
    person = Image.open(tmp_path / "anna" / "person.png").copy()
    person.paste((200, 30, 30), (10, 10, 60, 60))
    person.save(tmp_path / "anna" / "person.png")
    assert read_prepared(tmp_path / "anna").size


def test_a_flow_matching_scheduler_is_refused_when_loaded_and_when_set(tmp_path):
    flow = diffusers.FlowMatchEulerDiscreteScheduler()
    with pytest.raises(ConfigError, match="flow matching"):
        make_scheduler(flow)
    shutil.copytree(CHECKPOINT, tmp_path / "checkpoint")
    flow.save_pretrained(tmp_path / "checkpoint" / "scheduler")
    with pytest.raises(WeightsError, match="FlowMatchEuler"):
        TryOnPipeline.from_pretrained(tmp_path / "checkpoint")
