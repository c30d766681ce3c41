"""The published backends together: the demo's way to the pixel, ours with the same networks, how they are chosen."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file
from typer.testing import CliRunner

from golden_data import GOLDEN
from idmvton.cli import app
from idmvton.errors import ConfigError, NoPersonError, WeightsError
from idmvton.images.densepose import colour_parts
from idmvton.options import PrepareOptions
from idmvton.prepare import Given, choice, demo, read_prepared
from idmvton.prepare.backends import registry
from idmvton.prepare.backends.densepose.backend import DensePoseBody
from idmvton.prepare.backends.openpose.estimator import OpenPose
from idmvton.prepare.backends.schp.backends import SchpLabels, SchpOutline, SchpReader
from idmvton.prepare.backends.schp.parser import ATR_FILE, LIP_FILE, Schp
from idmvton.prepare.choice import PUBLISHED_FILES, SETS, for_model, resolve
from idmvton.prepare.preparer import Preparer, preparer_for

PORTRAIT = GOLDEN / "schp" / "pictures" / "portrait.png"
MAPS = load_file(GOLDEN / "openpose" / "decode_cases.safetensors")


class CannedPose(OpenPose):
    """OpenPose with a network that says what a golden case says."""

    def __init__(self, case):
        self.canned = [MAPS[f"{case}.in.{kind}"].astype(np.float32)[None] for kind in ("pafs", "heatmaps")]

    def maps(self, pictures):
        return tuple(self.canned)


class CannedBody(DensePoseBody):
    """DensePose that finds a trunk, or nobody."""

    def __init__(self, parts):
        self.parts = parts

    def __call__(self, photo, pose, outline):
        return np.where(outline > 0.5, np.uint8(2), np.uint8(0))

    def demo_parts(self, picture):
        assert picture.shape == (512, 384, 3)
        return self.parts


DEMO = PrepareOptions(as_published=True)
TRUNK = np.zeros((512, 384), np.uint8)
TRUNK[120:250, 150:240] = 2


@pytest.fixture(scope="module")
def reader():
    return SchpReader(Schp(GOLDEN / "schp" / ATR_FILE, GOLDEN / "schp" / LIP_FILE))


@pytest.fixture
def published(reader, monkeypatch):
    """The published set, as the command line finds it."""
    backends = {
        registry.POSE_BACKENDS: ("openpose", CannedPose("one_clear")),
        registry.LABELS_BACKENDS: ("schp", SchpLabels(reader)),
        registry.OUTLINE_BACKENDS: ("schp", SchpOutline(reader)),
        registry.BODY_BACKENDS: ("densepose", CannedBody(TRUNK)),
    }
    for kind, (name, backend) in backends.items():
        monkeypatch.setitem(kind._entries, name, registry.Entry("", lambda backend=backend: backend))
        monkeypatch.setattr(kind, "_loaded", {})
    monkeypatch.setattr(choice.weights, "status", lambda name: type("Status", (), {"present": True}))
    return backends


def call(*arguments):
    return CliRunner().invoke(app, [str(each) for each in arguments])


def golden_map(name):
    return np.asarray(Image.open(GOLDEN / "schp" / "maps" / f"portrait.app.{name}.png"))


def test_the_demo_s_way(published):
    made = preparer_for(DEMO)(PORTRAIT, PORTRAIT, options=PrepareOptions(as_published=True))
    labels, points = golden_map("labels"), MAPS["one_clear.out.keypoints"]
    assert made.size == demo.DEMO_SIZE
    assert (made.labels[::2, ::2] == labels).mean() >= 0.998
    assert np.array_equal(made.keypoints, points * 2)
    expected = demo.make_mask(made.labels[::2, ::2], points, "upper_body")
    assert np.array_equal(made.mask, expected)
    ideal = demo.make_mask(labels, points, "upper_body")
    assert (expected & ideal).sum() / (expected | ideal).sum() > 0.99
    assert made.densepose.tobytes() == colour_parts(TRUNK).resize((768, 1024), Image.Resampling.BICUBIC).tobytes()
    assert made.garment.tobytes() == Image.open(PORTRAIT).convert("RGB").resize((768, 1024)).tobytes()
    assert made.sources["densepose"] == "densepose, as published"
    assert made.sources["labels"] == "schp (CPU), as published"
    assert made.options == dataclasses.replace(
        PrepareOptions(as_published=True, backend="published"), **SETS["published"]
    )


def test_the_demo_s_map_comes_back_from_the_folder(published, tmp_path):
    result = call("prepare", PORTRAIT, "-o", tmp_path / "anna", "--as-published")
    assert result.exit_code == 0, result.output
    back = read_prepared(tmp_path / "anna")
    again = preparer_for(DEMO)(PORTRAIT, options=DEMO)
    assert back.densepose.tobytes() == again.densepose.tobytes()
    assert np.array_equal(back.mask, again.mask)
    assert np.array_equal(back.parts, again.parts)
    told = json.loads((tmp_path / "anna" / "prepared.json").read_text())
    assert told["options"]["as_published"] is True
    assert told["options"]["backend"] == "published"


def test_nobody(published, monkeypatch):
    preparer = preparer_for(DEMO)
    monkeypatch.setitem(registry.POSE_BACKENDS._loaded, "openpose", CannedPose("nobody_peaks"))
    with pytest.raises(NoPersonError, match="finds no person"):
        preparer(PORTRAIT)
    with pytest.raises(NoPersonError):
        preparer_for(PrepareOptions(backend="published"))(PORTRAIT)


def test_a_demo_without_a_body_is_black_and_said(published, monkeypatch):
    monkeypatch.setitem(registry.BODY_BACKENDS._loaded, "densepose", CannedBody(None))
    made = preparer_for(DEMO)(PORTRAIT)
    assert not np.asarray(made.densepose).any()
    assert any("DensePose finds nobody" in note for note in made.warnings)


def test_ours_with_the_published_networks(published, tmp_path):
    large = Image.open(PORTRAIT).convert("RGB").resize((1200, 1600), Image.Resampling.LANCZOS)
    large.save(tmp_path / "anna.png")
    result = call("prepare", tmp_path / "anna.png", "-o", tmp_path / "anna", "--backend", "published")
    assert result.exit_code == 0, result.output
    made = read_prepared(tmp_path / "anna")
    assert made.photo.size == (1200, 1600)
    assert (made.labels[::2, ::2] == golden_map("labels")).mean() > 0.97
    assert made.sources["keypoints"] == "openpose"
    assert made.sources["silhouette"] == made.sources["labels"] == "schp (CPU)"
    assert made.sources["densepose"] == "densepose"
    assert made.options.backend == "published"
    assert made.mask.any()


def test_backends_are_mixed_and_told(published, tmp_path):
    flags = ("--pose", "openpose", "--labels", "schp", "--body", "embedded", "--outline", "embedded")
    result = call("prepare", PORTRAIT, "-o", tmp_path / "anna", *flags)
    assert result.exit_code == 0, result.output
    told = json.loads((tmp_path / "anna" / "prepared.json").read_text())
    assert told["sources"]["keypoints"] == "openpose"
    assert told["sources"]["labels"] == "schp (CPU)"
    assert told["sources"]["densepose"] == "studio-net"
    assert told["sources"]["silhouette"].startswith(("edges", "blazepose"))


def test_a_folder_with_one_bad_picture(published, tmp_path):
    (tmp_path / "photos").mkdir()
    shutil.copy(PORTRAIT, tmp_path / "photos" / "anna.png")
    (tmp_path / "photos" / "bad.png").write_bytes(b"rubbish")
    result = call("prepare", tmp_path / "photos", "-o", tmp_path / "out", "--backend", "published")
    assert result.exit_code == 1
    assert read_prepared(tmp_path / "out" / "anna").options.backend == "published"
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert [each["photo"] for each in report["failed"]] == ["bad.png"]
    again = call("prepare", tmp_path / "photos", "-o", tmp_path / "out", "--backend", "published")
    assert "1 done before" in again.output


def test_an_own_segmenter_by_its_path(tmp_path):
    shutil.copy(GOLDEN / "schp" / ATR_FILE, tmp_path / "model.onnx")
    names = [
        "Background", "Hat", "Hair", "Sunglasses", "Upper-clothes", "Skirt", "Pants", "Dress", "Belt", "Left-shoe",
        "Right-shoe", "Face", "Left-leg", "Right-leg", "Left-arm", "Right-arm", "Bag", "Scarf",
    ]  # fmt: skip
    (tmp_path / "labels.json").write_text(json.dumps(dict(enumerate(names))))
    preparer = preparer_for(PrepareOptions(segmenter=str(tmp_path)))
    assert preparer.labels.name == f"{tmp_path.name} (licence not known here: see its card)"


def test_missing_files_name_the_command(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    registry._openpose.cache_clear()
    with pytest.raises(WeightsError, match="idmvton weights get openpose-body"):
        registry.POSE_BACKENDS.make("openpose")
    with pytest.raises(WeightsError, match="idmvton weights get schp-atr"):
        registry.LABELS_BACKENDS.make("schp")
    with pytest.raises(WeightsError, match="hf download mattmdjaga/segformer_b2_clothes") as caught:
        registry.LABELS_BACKENDS.make("segformer-clothes")
    assert "licence" in str(caught.value)


def test_one_message_names_all_that_is_missing(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    result = call("prepare", PORTRAIT, "-o", tmp_path / "out", "--backend", "published", "--body", "embedded")
    assert result.exit_code == 1
    assert "without openpose-body, schp-atr, schp-lip\n" in result.stderr
    assert "idmvton weights get preparation-published" in result.stderr


class TestChoice:
    def test_every_backend_of_a_set_is_registered(self):
        for names in SETS.values():
            for kind in ("pose", "outline", "labels", "body"):
                registry_of = getattr(registry, f"{kind.upper()}_BACKENDS")
                assert names[f"{kind}_backend"] in registry_of.entries

    def test_one_signal_keeps_what_was_chosen_for_it(self):
        chosen = resolve(PrepareOptions(backend="published", outline_backend="embedded"))
        assert (chosen.pose_backend, chosen.outline_backend) == ("openpose", "embedded")
        assert resolve(chosen) == chosen

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"as_published": True, "body_backend": "embedded"}, "needs the published backends"),
            ({"as_published": True, "backend": "embedded"}, "needs the published backends"),
            ({"as_published": True, "keep_hands": False}, "does not have"),
            ({"as_published": True, "person_number": 2}, "does not have"),
            ({"demo_crop": True}, "does nothing alone"),
            ({"labels_backend": "segmenter"}, "not clear"),
            ({"labels_backend": "schp", "segmenter": "model.onnx"}, "not clear"),
        ],
    )
    def test_contradictions(self, options, message):
        with pytest.raises(ConfigError, match=message):
            resolve(PrepareOptions(**options))

    def test_given_maps_are_refused_by_the_demo_s_way(self, published):
        with pytest.raises(ConfigError, match="makes its own"):
            preparer_for(DEMO)(PORTRAIT, given=Given(labels=np.zeros((512, 384), np.uint8)))

    def test_published_weights_take_the_published_backends_where_they_are(self, monkeypatch):
        there = set(PUBLISHED_FILES)

        def status(name):
            return type("Status", (), {"present": name in there})()

        monkeypatch.setattr(choice.weights, "status", status)
        assert for_model(PrepareOptions(), "idm-vton") == (PrepareOptions(backend="published"), ())
        assert for_model(PrepareOptions(), "yisol/IDM-VTON-DC")[0].backend == "published"
        assert for_model(PrepareOptions(), "mini") == (PrepareOptions(), ())
        assert for_model(PrepareOptions(backend="embedded"), "idm-vton") == (PrepareOptions(backend="embedded"), ())
        there.remove("schp-lip")
        options, (note,) = for_model(PrepareOptions(), "idm-vton")
        assert options == PrepareOptions()
        assert "schp-lip" in note
        assert "idmvton weights get preparation-published" in note

    def test_the_choice_for_a_model_is_told_with_what_is_prepared(self, monkeypatch, truth, rendered):
        monkeypatch.setattr(choice, "_why_not", lambda: "they are not here")
        preparer = truth.preparer().named(*(resolve(PrepareOptions()), for_model(PrepareOptions(), "idm-vton")[1]))
        made = preparer(rendered.person)
        assert "the embedded backends are used" in made.warnings[0]
        assert made.options.backend == "embedded"

    def test_data_sets_take_them_too(self, published):
        preparer = Preparer.unshared(PrepareOptions(backend="published"))
        assert (preparer.pose.name, preparer.body.name) == ("openpose", "densepose")
