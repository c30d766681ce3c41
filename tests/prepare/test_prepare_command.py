"""``idmvton prepare``, and ``idmvton try-on`` with what it made; the backends know the truth."""

import inspect
import json
import shutil

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from golden_data import CHECKPOINT
from idmvton.cli import app
from idmvton.cli.prepare import prepare as command
from idmvton.images import read_provenance
from idmvton.options import PrepareOptions, describe
from idmvton.prepare import read_prepared

runner = CliRunner(env={"COLUMNS": "300", "HF_HUB_OFFLINE": "1"})
FILES = {"person", "photo", "mask", "densepose", "labels", "silhouette", "overlay", "garment", "garment_mask"}
MODEL = ("--model", str(CHECKPOINT), "--steps", "2", "--seed", "3")


def call(*arguments):
    result = runner.invoke(app, [str(argument) for argument in arguments])
    assert "Traceback" not in result.output
    return result


def test_everything_is_written(photos, rendered):
    result = call("prepare", photos / "anna.png", photos / "shirt.png", "-o", photos / "out")
    assert result.exit_code == 0, result.output
    assert "overlay.png shows it" in result.stdout
    names = {f"{name}.png" for name in FILES} | {"keypoints.json", "prepared.json"}
    assert {path.name for path in (photos / "out").iterdir()} == names
    sizes = {Image.open(photos / "out" / f"{name}.png").size for name in FILES - {"garment", "garment_mask", "photo"}}
    assert len(sizes) == 1
    people = json.loads((photos / "out" / "keypoints.json").read_text())["people"]
    assert len(people[0]["pose_keypoints_2d"]) == 54
    labels = Image.open(photos / "out" / "labels.png")
    assert labels.mode == "P"
    assert set(np.unique(np.asarray(labels))) == set(np.unique(rendered.labels))


def test_json_for_machines(photos):
    told = json.loads(call("prepare", photos / "anna.png", "-o", photos / "out", "--json").stdout)
    assert told["category"] == "upper_body"
    assert told["sources"]["labels"] == "truth"
    assert told["output"] == str(photos / "out")


@pytest.mark.parametrize("word", ["lower", "lower_body"])
def test_categories_by_either_name(photos, word):
    call("prepare", photos / "anna.png", "-o", photos / "out", "--category", word)
    assert read_prepared(photos / "out").category == "lower_body"


def test_the_mask_options_arrive(photos):
    call("prepare", photos / "anna.png", "-o", photos / "plain")
    call(
        "prepare",
        photos / "anna.png",
        "-o",
        photos / "box",
        "--mask-shape",
        "box",
        "--mask-grow",
        "10",
        "--no-keep-hands",
    )
    plain, box = (read_prepared(photos / name) for name in ("plain", "box"))
    assert box.mask[plain.mask].all()
    assert box.mask.sum() > 1.2 * plain.mask.sum()
    assert (box.options.mask_shape, box.options.mask_grow, box.options.keep_hands) == ("box", 10, False)


def test_every_declared_option_is_a_flag():
    parameters = inspect.signature(command).parameters
    assert "labels_backend" not in parameters  # its flag is that of the label map's file
    for option in describe(PrepareOptions):
        if option.name == "labels_backend":
            continue
        declared = parameters[option.name].default
        assert declared.default == option.default
        assert declared.param_decls[0].split("/")[0] == f"--{option.flag}"


def test_a_mask_of_another_size(photos):
    Image.new("L", (100, 100), 255).save(photos / "mask.png")
    result = call("prepare", photos / "anna.png", "-o", photos / "out", "--mask", photos / "mask.png")
    assert result.exit_code == 1
    assert "the mask file and the photo differ in size" in result.stderr
    assert "512x384" in result.stderr
    assert not (photos / "out").exists()


@pytest.mark.parametrize(
    ("content", "words"), [(b"rubbish", "cannot be read"), (b"", "cannot be read"), (None, "does not exist")]
)
def test_an_unreadable_photo(photos, content, words):
    path = photos / "broken.jpg"
    if content is not None:
        path.write_bytes(content)
    result = call("prepare", path, "-o", photos / "out")
    assert result.exit_code == 1
    assert words in result.stderr
    assert not (photos / "out").exists()


def test_nobody_in_the_photo(photos, truth):
    truth.find = lambda photo: ()
    result = call("prepare", photos / "anna.png", "-o", photos / "out")
    assert result.exit_code == 1
    assert "NoPersonError: no person was found" in result.stderr


def test_no_garment_in_the_garment_photo(photos):
    Image.new("RGB", (300, 400), (240, 240, 240)).save(photos / "empty.png")
    result = call("prepare", photos / "anna.png", photos / "empty.png", "-o", photos / "out")
    assert result.exit_code == 1
    assert "no garment in the garment photo" in result.stderr


def test_a_folder_with_something_else_is_not_touched(photos):
    result = call("prepare", photos / "anna.png", "-o", photos)
    assert result.exit_code == 1
    assert "holds something else" in result.stderr


class TestFolder:
    @pytest.fixture
    def people(self, photos):
        folder = photos / "people"
        folder.mkdir()
        for name in ("anna.png", "ben.png"):
            shutil.copy(photos / "anna.png", folder / name)
        (folder / "broken.jpg").write_bytes(b"rubbish")
        (folder / "notes.txt").write_text("no photo")
        return folder

    def test_failures_are_reported_and_the_rest_is_made(self, people, photos):
        result = call("prepare", people, "-o", photos / "out")
        assert result.exit_code == 1
        assert "2 prepared, 0 done before, 1 failed" in result.stdout
        assert "broken.jpg" in result.stderr
        report = json.loads((photos / "out" / "report.json").read_text())
        assert report["made"] == ["anna.png", "ben.png"]
        assert report["failed"][0]["photo"] == "broken.jpg"
        assert report["failed"][0]["error"] == "InputError"
        assert "cannot be read" in report["failed"][0]["what"]
        assert sorted(path.name for path in (photos / "out").iterdir()) == ["anna", "ben", "report.json"]

    def test_run_again_it_makes_what_is_missing(self, people, photos, truth):
        (people / "broken.jpg").unlink()
        call("prepare", people, "-o", photos / "out")
        shutil.rmtree(photos / "out" / "ben")
        edited = np.zeros(read_prepared(photos / "out" / "anna").size, np.uint8)
        edited[:50] = 255
        Image.fromarray(edited).save(photos / "out" / "anna" / "mask.png")
        truth.calls.clear()
        result = call("prepare", people, "-o", photos / "out", "--json")
        assert result.exit_code == 0
        told = json.loads(result.stdout)
        assert (told["made"], told["skipped"], told["failed"]) == (["ben.png"], ["anna.png"], [])
        assert truth.calls.count("pose") == 1
        assert read_prepared(photos / "out" / "anna").mask.sum() == 50 * edited.shape[1]

    def test_other_options_or_another_photo_are_made_anew(self, people, photos, rendered):
        (people / "broken.jpg").unlink()
        call("prepare", people, "-o", photos / "out")
        assert "2 prepared" in call("prepare", people, "-o", photos / "out", "--category", "lower").stdout
        Image.fromarray(rendered.person).save(people / "ben.png", compress_level=1)
        result = call("prepare", people, "-o", photos / "out", "--category", "lower")
        assert "1 prepared, 1 done before" in result.stdout

    def test_equal_names_stay_apart(self, people, photos):
        (people / "broken.jpg").unlink()
        Image.open(people / "ben.png").save(people / "ben.webp", lossless=True)
        call("prepare", people, "-o", photos / "out")
        names = {path.name for path in (photos / "out").iterdir()}
        assert names == {"anna", "ben.png", "ben.webp", "report.json"}

    def test_one_garment_for_all(self, people, photos):
        (people / "broken.jpg").unlink()
        assert call("prepare", people, photos / "shirt.png", "-o", photos / "out").exit_code == 0
        first, second = (read_prepared(photos / "out" / name).garment for name in ("anna", "ben"))
        assert np.array_equal(np.asarray(first), np.asarray(second))

    def test_maps_belong_to_one_photo(self, people, photos):
        result = call("prepare", people, "-o", photos / "out", "--mask", photos / "anna.png")
        assert result.exit_code == 1
        assert "for a folder of photos" in result.stderr

    def test_a_folder_without_photos(self, photos):
        (photos / "none").mkdir()
        result = call("prepare", photos / "none", "-o", photos / "out")
        assert result.exit_code == 1
        assert "holds no pictures" in result.stderr


class TestTryOn:
    def test_from_two_photos(self, photos, rendered):
        out = photos / "out.png"
        result = call("try-on", photos / "anna.png", photos / "shirt.png", "-o", out, *MODEL)
        assert result.exit_code == 0, result.output
        picture = np.asarray(Image.open(out))
        assert picture.shape == rendered.person.shape
        told = read_provenance(out)
        assert told["preparation"]["category"] == "upper_body"
        assert told["preparation"]["sources"]["labels"] == "truth"
        changed = (picture != rendered.person).any(2)
        assert changed.mean() > 0.05
        assert not changed[np.isin(rendered.labels, [9, 10])].any()  # shoes

    def test_from_a_wide_photo_the_result_has_its_size(self, photos, rendered, truth):
        wide = np.pad(rendered.person, ((0, 0), (500, 400), (0, 0)), mode="edge")
        truth.labels, truth.parts = (np.pad(each, ((0, 0), (500, 400))) for each in (truth.labels, truth.parts))
        outline = (truth.labels > 0).astype(np.float32)
        truth.known = truth.known.mapped(lambda points: points + np.array([500, 0], np.float32), outline)
        Image.fromarray(wide).save(photos / "wide.png")
        out = photos / "out.png"
        assert call("try-on", photos / "wide.png", photos / "shirt.png", "-o", out, *MODEL).exit_code == 0
        picture = np.asarray(Image.open(out))
        assert picture.shape == wide.shape
        changed = (picture != wide).any(2)
        clothes = truth.labels == 4
        assert changed[clothes].mean() > 0.9
        assert not changed[:, :300].any()

    def test_from_a_prepared_folder(self, photos, rendered):
        direct, folder = photos / "direct.png", photos / "folder.png"
        call("try-on", photos / "anna.png", photos / "shirt.png", "-o", direct, *MODEL)
        call("prepare", photos / "anna.png", photos / "shirt.png", "-o", photos / "anna")
        assert call("try-on", photos / "anna", photos / "shirt.png", "-o", folder, *MODEL).exit_code == 0
        assert np.array_equal(np.asarray(Image.open(direct)), np.asarray(Image.open(folder)))
        assert call("try-on", photos / "anna", "-o", folder, *MODEL).exit_code == 0
        assert np.array_equal(np.asarray(Image.open(direct)), np.asarray(Image.open(folder)))

    def test_a_changed_mask_is_used(self, photos, rendered):
        call("prepare", photos / "anna.png", photos / "shirt.png", "-o", photos / "anna")
        mask = np.zeros(read_prepared(photos / "anna").size, np.uint8)
        mask[-60:-20, 40:80] = 255
        Image.fromarray(mask).save(photos / "anna" / "mask.png")
        out = photos / "out.png"
        assert call("try-on", photos / "anna", "-o", out, *MODEL, "--feather", "0").exit_code == 0
        changed = (np.asarray(Image.open(out)) != rendered.person).any(2)
        assert changed[mask > 0].mean() > 0.9
        assert not changed[mask == 0].any()

    def test_half_of_the_maps_given(self, photos, rendered):
        Image.fromarray(rendered.mask).save(photos / "mask.png")
        out = photos / "out.png"
        result = call(
            "try-on", photos / "anna.png", photos / "shirt.png", "-o", out, "--mask", photos / "mask.png", *MODEL
        )
        assert result.exit_code == 0, result.output
        assert read_provenance(out)["preparation"]["sources"]["mask"] == "given: mask.png"

    @pytest.mark.parametrize(
        ("extra", "words"),
        [
            (("--category", "lower"), "is prepared already"),
            (("--mask-grow", "4"), "is prepared already"),
            (("--mask", "mask.png"), "maps are given beside a prepared folder"),
        ],
    )
    def test_what_a_prepared_folder_would_not_use_is_refused(self, photos, extra, words):
        call("prepare", photos / "anna.png", "-o", photos / "anna")
        result = call("try-on", photos / "anna", photos / "shirt.png", "-o", photos / "out.png", *extra, *MODEL)
        assert result.exit_code == 1
        assert words in result.stderr

    def test_no_garment(self, photos):
        result = call("try-on", photos / "anna.png", "-o", photos / "out.png", *MODEL)
        assert result.exit_code == 1
        assert "no garment was given" in result.stderr
        call("prepare", photos / "anna.png", "-o", photos / "anna")
        assert "no garment was given" in call("try-on", photos / "anna", "-o", photos / "out.png", *MODEL).stderr

    def test_a_folder_that_is_not_prepared(self, photos):
        (photos / "empty").mkdir()
        result = call("try-on", photos / "empty", photos / "shirt.png", "-o", photos / "out.png", *MODEL)
        assert result.exit_code == 1
        assert "holds no prepared photo" in result.stderr
