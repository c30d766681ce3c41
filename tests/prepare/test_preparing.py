"""Preparing with backends that know the truth: what comes out is the truth, framed, and the rules' mask."""

import inspect
import json
import sys
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from idmvton.errors import ConfigError, InputError, PreparationError
from idmvton.options import PrepareOptions, describe
from idmvton.prepare import Given, Preparer, prepare, read_prepared
from idmvton.prepare.backends.protocols import Pose
from idmvton.prepare.backends.registry import POSE_BACKENDS, Registry
from idmvton.prepare.choice import resolve
from idmvton.prepare.maps import corrected_pose, frame_pose, pose_of_keypoints
from idmvton.prepare.mask_making import beyond_wrists
from idmvton.prepare.preparer import preparer_for
from truth_backends import use


def test_the_maps_are_the_truth_in_the_photo(rendered, truth):
    made = truth.preparer()(rendered.person, rendered.garment)
    framing = made.framing
    restored = framing.invert_labels(made.labels)
    assert (restored == rendered.labels).mean() > 0.99
    assert (framing.invert_labels(made.parts) == rendered.iuv[..., 0]).mean() > 0.99
    found = framing.to_photo(made.keypoints)
    expected = truth.known.keypoints(framing.photo)
    assert np.array_equal(made.keypoints.any(1), expected.any(1))
    assert np.abs(found - expected)[expected.any(1)].max() < 0.1
    compared = ~beyond_wrists(found, rendered.labels.shape)  # there the published rules repaint background
    expected, mask = (rendered.mask > 0) & compared, made.photo_mask & compared
    assert (mask & expected).sum() / (mask | expected).sum() > 0.95
    assert made.category == "upper_body"
    assert made.size.height * 3 == made.size.width * 4
    assert set(made.timings) == {"reading", "pose", "framing", "outline", "parsing", "garment", "mask"}
    assert made.sources["labels"] == made.sources["densepose"] == "truth"


def test_a_wide_photo_is_framed_and_comes_back(rendered, truth):
    wide = np.pad(rendered.person, ((0, 0), (700, 500), (0, 0)), mode="edge")
    truth.labels, truth.parts = (np.pad(each, ((0, 0), (700, 500))) for each in (truth.labels, truth.parts))
    outline = (truth.labels > 0).astype(np.float32)
    truth.known = truth.known.mapped(lambda points: points + np.array([700, 0], np.float32), outline)
    made = truth.preparer()(wide)
    assert (made.photo.height, made.photo.width) == wide.shape[:2]
    clothes = truth.labels == 4
    assert made.photo_mask.shape == clothes.shape
    assert made.photo_mask[clothes].mean() > 0.98


def test_what_is_given_is_not_searched(rendered, truth):
    given = Given(
        mask=rendered.mask,
        densepose=rendered.densepose,
        labels=rendered.labels,
        keypoints=rendered.keypoints.astype(np.float32),
    )
    made = truth.preparer()(rendered.person, given=given)
    assert truth.calls == []
    assert np.array_equal(made.photo_mask, rendered.mask > 0)
    assert set(made.sources.values()) == {"given"}


@pytest.mark.parametrize("kind", ["mask", "densepose", "labels"])
def test_a_given_map_of_another_size_is_refused(kind, rendered, truth):
    maps = {"mask": rendered.mask, "densepose": rendered.densepose, "labels": rendered.labels}
    given = Given(**{kind: np.ascontiguousarray(maps[kind][:-8])})
    with pytest.raises(InputError, match=f"the {kind} file and the photo differ in size") as caught:
        truth.preparer()(rendered.person, given=given)
    assert "504x384" in str(caught.value)


def test_keypoints_outside_the_photo_are_refused(rendered, truth):
    given = Given(keypoints=rendered.keypoints.astype(np.float32) * 3)
    with pytest.raises(InputError, match="keypoints lie outside"):
        truth.preparer()(rendered.person, given=given)


def test_keypoints_alone_correct_the_pose(rendered, truth):
    """The outline is still looked for; the points are the given ones."""
    points = rendered.keypoints.astype(np.float32)
    points[4] += 12
    made = truth.preparer()(rendered.person, given=Given(keypoints=points))
    assert truth.calls == ["pose", "labels", "body"]
    assert np.abs(made.framing.to_photo(made.keypoints) - points)[points.any(1)].max() < 0.1
    assert made.sources["keypoints"] == "given"
    known = truth.known
    fixed = corrected_pose(known, pose_of_keypoints(points, "given"))
    assert np.allclose(fixed.points[4], known.points[4] + 12)
    assert np.array_equal(fixed.points[5], known.points[5])
    assert fixed.outline is known.outline


def test_nobody_in_the_photo(rendered, truth):
    truth.find = lambda photo: ()
    with pytest.raises(PreparationError):
        truth.preparer()(rendered.person)


def test_nothing_to_repaint(rendered, truth):
    truth.labels = np.where(truth.labels == 11, truth.labels, 0).astype(np.uint8)
    with pytest.raises(PreparationError, match="nothing to repaint") as caught:
        truth.preparer()(rendered.person, options=PrepareOptions(category="lower"))
    assert "category lower" in str(caught.value)


def test_one_signal_may_have_another_backend(rendered, truth):
    def nothing(photo, pose, outline):
        return np.zeros(photo.shape[:2], np.uint8)

    nothing.name = "nothing"
    made = Preparer(truth.pose, truth.outline, truth.label_map, nothing)(rendered.person)
    assert truth.calls == ["pose", "labels"]
    assert not made.parts.any()
    assert (made.sources["labels"], made.sources["densepose"]) == ("truth", "nothing")


def test_a_given_body_map_in_other_colours_is_refused(rendered, truth):
    with pytest.raises(InputError, match="colours that stand for no body part"):
        truth.preparer()(rendered.person, given=Given(densepose=rendered.person))


def test_saved_and_read_back(rendered, truth, tmp_path):
    made = truth.preparer()(rendered.person, rendered.garment, options=PrepareOptions(mask_feather=9))
    made.save(tmp_path / "anna")
    back = read_prepared(tmp_path / "anna")
    for name in ("mask", "labels", "parts", "keypoints", "silhouette", "garment_mask"):
        assert np.array_equal(getattr(back, name), getattr(made, name)), name
    for name in ("photo", "person", "densepose", "garment"):
        assert np.array_equal(np.asarray(getattr(back, name)), np.asarray(getattr(made, name))), name
    for name in ("framing", "category", "options", "warnings", "sources"):
        assert getattr(back, name) == getattr(made, name), name
    assert back.timings == pytest.approx(made.timings, abs=1e-4)
    assert [path.name for path in tmp_path.iterdir()] == ["anna"]


def test_folders_of_older_versions_are_read(rendered, truth, tmp_path):
    """They name one parser for labels and body, and the outline's backend by what it starts from."""
    made = truth.preparer()(rendered.person)
    made.save(tmp_path / "anna")
    file = tmp_path / "anna" / "prepared.json"
    summary = json.loads(file.read_text())
    options = summary["options"]
    options["parser_backend"] = options.pop("labels_backend")
    del options["body_backend"]
    options["outline_backend"] = "blazepose+edges"
    file.write_text(json.dumps(summary))
    back = read_prepared(tmp_path / "anna")
    assert resolve(back.options) == resolve(made.options)
    assert np.array_equal(back.parts, made.parts)


def test_a_mask_changed_by_hand_is_used(rendered, truth, tmp_path):
    made = truth.preparer()(rendered.person)
    made.save(tmp_path / "anna")
    changed = np.zeros(made.size, np.uint8)
    changed[10:40, 20:60] = 255
    changed[40:42, 20:60] = 90  # the soft edge of a brush
    Image.fromarray(changed).save(tmp_path / "anna" / "mask.png")
    assert np.array_equal(read_prepared(tmp_path / "anna").mask, changed > 128)
    Image.fromarray(changed[:-1]).save(tmp_path / "anna" / "mask.png")
    with pytest.raises(InputError, match=r"mask\.png"):
        read_prepared(tmp_path / "anna")


def test_a_folder_with_other_files_is_left_alone(rendered, truth, tmp_path):
    made = truth.preparer()(rendered.person)
    (tmp_path / "holiday.txt").write_text("mine")
    with pytest.raises(InputError, match="holds something else"):
        made.save(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["holiday.txt"]


def test_saving_again_replaces_the_whole_folder(rendered, truth, tmp_path):
    truth.preparer()(rendered.person, rendered.garment).save(tmp_path / "anna")
    truth.preparer()(rendered.person).save(tmp_path / "anna")
    assert not (tmp_path / "anna" / "garment.png").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["anna"]


def test_a_full_disk_leaves_the_old_folder(rendered, truth, tmp_path, monkeypatch):
    made = truth.preparer()(rendered.person)
    made.save(tmp_path / "anna")

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(InputError, match="No space left"):
        made.save(tmp_path / "anna")
    assert [path.name for path in tmp_path.iterdir()] == ["anna"]
    assert read_prepared(tmp_path / "anna").category == "upper_body"


@pytest.mark.parametrize("content", ["{", "[]", '{"format": 9}', '{"format": 1}'])
def test_a_damaged_summary(content, rendered, truth, tmp_path):
    truth.preparer()(rendered.person).save(tmp_path / "anna")
    (tmp_path / "anna" / "prepared.json").write_text(content)
    with pytest.raises(InputError, match=r"prepared\.json"):
        read_prepared(tmp_path / "anna")


def test_prepare_is_a_function_although_the_package_has_its_name(rendered, truth, monkeypatch):
    use(truth, monkeypatch)
    import idmvton.prepare.frame

    made = idmvton.prepare(rendered.person, category="upper")
    assert isinstance(made, idmvton.Prepared)
    assert made.mask.any()
    assert inspect.isfunction(idmvton.prepare)
    assert type(sys.modules["idmvton.prepare"]) is ModuleType


def test_the_functions_options_are_the_declared_ones():
    parameters = inspect.signature(prepare).parameters
    for option in describe(PrepareOptions):
        assert parameters[option.name].default == option.default
    assert list(parameters)[:7] == ["person", "garment", "category", "mask", "densepose", "labels", "keypoints"]


def test_both_kinds_of_category_names(rendered, truth, monkeypatch):
    use(truth, monkeypatch)
    short, long = (prepare(rendered.person, category=name) for name in ("lower", "lower_body"))
    assert short.category == long.category == "lower_body"
    assert np.array_equal(short.mask, long.mask)
    with pytest.raises(ConfigError, match="category"):
        prepare(rendered.person, category="hat")


def test_backends_are_loaded_once(truth, monkeypatch, rendered):
    use(truth, monkeypatch)
    loads = []
    entry = POSE_BACKENDS.entries["blazepose"]
    monkeypatch.setitem(POSE_BACKENDS._entries, "blazepose", type(entry)("", lambda: loads.append(1) or truth.pose))
    for _ in range(3):
        prepare(rendered.person)
    assert loads == [1]
    first, second = preparer_for(PrepareOptions()), preparer_for(PrepareOptions(mask_grow=3))
    assert first.labels is second.labels
    assert first.pose is second.pose


def test_an_unknown_backend_is_told_at_once():
    with pytest.raises(ConfigError, match="unknown pose backend") as caught:
        Preparer(pose="crystal ball")
    assert "blazepose: " in str(caught.value)


def test_a_name_is_registered_once():
    registry = Registry("thing")
    registry.register("one", object, "the first")
    with pytest.raises(ConfigError, match="already a thing 'one'"):
        registry.register("one", object, "the second")
    assert registry.get("one") is registry.get("one")
    assert registry.make("one") is not registry.get("one")


def test_a_pose_moves_with_its_photo(rendered, truth):
    made = truth.preparer()(rendered.person)
    outline = (rendered.labels > 0).astype(np.float32)
    known = truth.known
    extra = {"more": np.column_stack([known.points, known.visibility])}
    box = (10.0, 20.0, 200.0, 300.0)
    moved = frame_pose(Pose(known.points, known.visibility, "truth", 1.0, outline, box, extra), made.framing)
    assert moved.outline.shape == tuple(made.size)
    assert ((moved.outline > 0.5) == (made.labels > 0)).mean() > 0.98
    back = made.framing.to_photo(moved.points)
    assert np.abs(back - known.points).max() < 1e-2
    assert np.array_equal(moved.extra["more"][:, :2], moved.points)
    corners = made.framing.to_photo(np.array(moved.box).reshape(2, 2))
    assert np.abs(corners.ravel() - box).max() < 1e-2
