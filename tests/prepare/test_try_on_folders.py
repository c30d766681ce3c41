"""``idmvton try-on`` with what is new beside one pair: folders, several pictures, intermediates, captions."""

import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from golden_data import CHECKPOINT
from idmvton.cli import app
from idmvton.engine.pairs import listed_pairs, names_of
from idmvton.errors import InputError
from idmvton.images import read_provenance

runner = CliRunner(env={"COLUMNS": "300", "HF_HUB_OFFLINE": "1"})
MODEL = ("--model", str(CHECKPOINT), "--steps", "1", "--seed", "3")


def call(*arguments):
    result = runner.invoke(app, [str(argument) for argument in arguments])
    assert "Traceback" not in result.output
    return result


@pytest.fixture
def folders(photos, rendered):
    """Two people (one is no picture) and two garments."""
    for name in ("people", "garments"):
        (photos / name).mkdir()
    (photos / "anna.png").rename(photos / "people" / "anna.png")
    (photos / "people" / "broken.jpg").write_bytes(b"no picture")
    (photos / "shirt.png").rename(photos / "garments" / "shirt.png")
    Image.fromarray(np.roll(rendered.garment, 1, 2)).save(photos / "garments" / "other.png")
    return photos


def run(folders, *extra):
    return call("try-on", folders / "people", folders / "garments", "-o", folders / "out", *MODEL, *extra)


class TestFolders:
    def test_every_person_in_every_garment(self, folders, rendered):
        result = run(folders)
        assert result.exit_code == 1  # one person is no picture
        assert "2 made, 0 done before, 2 failed" in result.stdout
        made = ["anna__other.png", "anna__shirt.png"]
        assert sorted(path.name for path in (folders / "out").iterdir()) == [*made, "report.json"]
        report = json.loads((folders / "out" / "report.json").read_text())
        assert sorted(report["made"]) == made
        assert {(each["person"], each["garment"]) for each in report["failed"]} == {
            ("broken.jpg", "other.png"), ("broken.jpg", "shirt.png"),
        }  # fmt: skip
        pictures = [np.asarray(Image.open(folders / "out" / name)) for name in made]
        assert all(picture.shape == rendered.person.shape for picture in pictures)
        assert (pictures[0] != pictures[1]).any()

    def test_a_pair_is_what_it_is_alone(self, folders):
        run(folders)
        alone = folders / "alone.png"
        assert (
            call("try-on", folders / "people/anna.png", folders / "garments/shirt.png", "-o", alone, *MODEL).exit_code
            == 0
        )
        together = Image.open(folders / "out" / "anna__shirt.png")
        assert np.array_equal(np.asarray(Image.open(alone)), np.asarray(together))

    def test_run_again_it_makes_what_is_missing(self, folders, truth):
        run(folders)
        (folders / "out" / "anna__shirt.png").unlink()
        told = json.loads(run(folders, "--json").stdout)
        assert (told["made"], told["skipped"]) == (["anna__shirt.png"], ["anna__other.png"])
        told = json.loads(run(folders, "--json", "--guidance", "3").stdout)
        assert len(told["made"]) == 2

    def test_work_is_done_once(self, folders, truth):
        (folders / "people" / "broken.jpg").unlink()
        assert run(folders).exit_code == 0
        results = len(list((folders / "out").glob("*.png")))
        assert truth.calls.count("labels") == 1 + results  # the person once, and what each result shows
        assert truth.calls.count("body") == 1

    def test_listed_pairs(self, folders):
        (folders / "pairs.txt").write_text("# person garment\nanna.png, shirt.png\n\n")
        assert "1 made" in run(folders, "--pairs", folders / "pairs.txt").stdout
        (folders / "pairs.txt").write_text("anna.png no.png\n")
        result = run(folders, "--pairs", folders / "pairs.txt")
        assert result.exit_code == 1
        assert "line 1" in result.stderr
        (folders / "pairs.txt").write_text("anna.png\n")
        with pytest.raises(InputError, match="damaged"):
            listed_pairs(folders / "pairs.txt", folders / "people", folders / "garments")

    def test_what_is_for_one_pair_is_refused(self, folders):
        result = run(folders, "--num-images", "2")
        assert result.exit_code == 1
        assert "for one pair" in result.stderr
        pair = (folders / "people" / "anna.png", folders / "garments" / "shirt.png")
        result = call("try-on", *pair, "-o", folders / "out.png", *MODEL, "--batch-size", "2")
        assert result.exit_code == 1
        assert "for folders" in result.stderr

    def test_equal_names_stay_apart(self, tmp_path):
        pairs = [(tmp_path / person, tmp_path / "a.png") for person in ("x.png", "x.jpg", "y.png")]
        assert list(names_of(pairs).values()) == ["x.png__a.png.png", "x.jpg__a.png.png", "y__a.png"]


class TestOnePair:
    def test_several_pictures_with_seeds_that_count_up(self, photos):
        pair = (photos / "anna.png", photos / "shirt.png")
        assert call("try-on", *pair, "-o", photos / "out.png", *MODEL, "--num-images", "2").exit_code == 0
        assert [read_provenance(photos / f"out-{n}.png")["seed"] for n in (1, 2)] == [3, 4]
        assert not (photos / "out.png").exists()
        call("try-on", *pair, "-o", photos / "one.png", *MODEL)
        first, second, one = (np.asarray(Image.open(photos / name)) for name in ("out-1.png", "out-2.png", "one.png"))
        assert np.abs(first.astype(int) - one).max() <= 1
        assert (first != second).any()

    def test_intermediates(self, photos):
        told = call(
            "try-on", photos / "anna.png", photos / "shirt.png", "-o", photos / "out.png", *MODEL,
            "--save-intermediates", photos / "stages",
        )  # fmt: skip
        assert told.exit_code == 0, told.output
        assert {path.name for path in (photos / "stages").iterdir()} == {"prepared", "repainted-1.png"}
        assert Image.open(photos / "stages" / "repainted-1.png").size == (96, 128)
        assert (photos / "stages" / "prepared" / "mask.png").exists()

    def test_without_a_clip_the_embedded_network_describes_the_garment(self, photos, monkeypatch):
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(photos))
        pair = (photos / "anna.png", photos / "shirt.png")
        assert call("try-on", *pair, "-o", photos / "out.png", *MODEL).exit_code == 0
        made = read_provenance(photos / "out.png")
        assert made["caption_words"]["item"][0] in made["caption"]
        call("try-on", *pair, "-o", photos / "other.png", *MODEL, "--caption", "vest")
        assert read_provenance(photos / "other.png")["caption"] == "vest"
