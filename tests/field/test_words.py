"""Words that people use, and advice that leads on."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from idmvton.errors import ConfigError, InputError, MaskWarning
from idmvton.images import load_mask
from idmvton.options import JobOptions, PrepareOptions, TryOnOptions
from idmvton.prepare import read_prepared
from idmvton.training.recipe import load_recipe


@pytest.mark.parametrize(
    ("words", "category"),
    [
        (("tops", "Upper", "TOP", "upper body", "Upper-Body"), "upper_body"),
        (("bottoms", "Bottom", "pants", "trousers"), "lower_body"),
        (("one-pieces", "one_piece", "Dress", "overall", "Full body"), "dresses"),
    ],
)
def test_categories(photos, cli, words, category):
    for word in words:
        assert PrepareOptions(category=word).category in ("upper", "lower", "dress", "upper_body")
    assert cli("prepare", photos / "anna.png", "-o", photos / "out", "--category", words[0]).exit_code == 0
    assert read_prepared(photos / "out").category == category


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (("--category", "hat"), "auto, upper, lower, dress"),
        (("--guidance", "nan"), "from 1.0 to 30.0"),
        (("--guidance", "31"), "from 1.0 to 30.0"),
        (("--scheduler", "heun"), "ddpm, ddim"),
    ],
)
def test_what_is_out_of_range_is_told_in_our_words(photos, try_on, call, words):
    result = try_on(photos / "anna.png", photos / "shirt.png", "-o", photos / "out.png", *call)
    assert result.exit_code != 0
    assert words in result.output
    assert "Value error" not in result.output


def test_scheduler_names_in_any_case():
    assert TryOnOptions(scheduler="DDIM").scheduler == "ddim"


def test_an_address_is_shown_as_it_was_written(photos, try_on):
    result = try_on("https://shop.example/a.jpg", photos / "shirt.png", "-o", photos / "out.png")
    assert "https://shop.example/a.jpg" in result.stderr
    assert "download it first" in result.stderr


def test_a_folder_as_output(photos, try_on):
    result = try_on(photos / "anna.png", photos / "shirt.png", "-o", f"{photos}/newdir/")
    assert f"mkdir -p '{photos}/newdir'" in result.stderr
    assert "newdir/result.png" in result.stderr


class TestMasks:
    @pytest.mark.parametrize("make", [lambda mask: ~mask, lambda mask: np.ones_like(mask)])
    def test_inverted_and_white_ones_are_told(self, pipe, one_call, make):
        mask = make(load_mask(one_call["mask"]))
        with pytest.warns(MaskWarning, match="white = repaint"):
            result = pipe(**one_call | {"mask": mask})
        assert any("white = repaint" in note for note in result.warnings)

    def test_right_ones_are_not(self, pipe, one_call):
        assert not any("white = repaint" in note for note in pipe(**one_call).warnings)

    def test_a_layer_painted_at_one_opacity(self):
        alpha = np.zeros((32, 32), np.uint8)
        alpha[8:16] = 100
        layer = np.dstack([np.full((32, 32, 3), 200, np.uint8), alpha])
        assert np.array_equal(load_mask(Image.fromarray(layer)), alpha > 0)

    @pytest.mark.parametrize("threshold", [None, 128])
    def test_zeros_and_ones_are_told_as_such(self, threshold):
        with pytest.raises(InputError, match="holds 0 and 1"):
            load_mask(np.eye(32, dtype=np.uint8), threshold=threshold)


class TestTexts:
    @pytest.mark.parametrize("text", ["sci-fi\udce9", "a\0b"])
    def test_captions_that_are_no_text(self, pipe, one_call, text):
        with pytest.raises(ConfigError, match="caption is no text"):
            JobOptions(caption=text)
        with pytest.raises(ConfigError, match="negative_prompt is no text"):
            pipe(**one_call, negative_prompt=text)
        with pytest.raises(ConfigError, match="caption is no text"):
            pipe(**one_call | {"caption": text})

    @pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
    def test_narrow_terminals(self, tmp_path, encoding):
        """What a terminal cannot show is written as an escape, in errors and after the work."""
        env = os.environ | {"LC_ALL": "C.UTF-8", "PYTHONUTF8": "0", "PYTHONIOENCODING": encoding, "COLUMNS": "200"}
        code = (
            "import sys; from idmvton.cli import main, app\n"
            "from idmvton.cli.shared import err, out\n"
            "@app.command('say')\n"
            "def say(): out.print('Saved 安娜.png ━ é'); err.print('got 安娜.png')\n"
            "sys.argv = ['idmvton', 'say']; main()"
        )
        result = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True)
        assert (result.returncode, b"Traceback" in result.stderr) == (0, False)
        assert b"Saved \\u5b89\\u5a1c.png" in result.stdout
        assert b"\\u5b89" in result.stderr


class TestPaths:
    @pytest.mark.parametrize("place", ["person", "garment", "output", "model"])
    def test_names_that_are_too_long(self, photos, cli, place):
        long = "x" * 300 + ".png"
        places = {"person": photos / "anna.png", "garment": photos / "shirt.png", "output": photos / "out.png"}
        places |= {place: photos / long}
        model = photos / long if place == "model" else "mini"
        result = cli("try-on", places["person"], places["garment"], "-o", places["output"], "--model", model)
        assert result.exit_code == 1
        assert "too long" in result.stderr

    @pytest.mark.parametrize("command", ["prepare", "caption", "data check"])
    def test_in_other_commands(self, photos, cli, command):
        result = cli(*command.split(), photos / ("x" * 300), *(("-o", photos / "o") if command == "prepare" else ()))
        assert result.exit_code == 1
        assert "too long" in result.stderr

    def test_a_pipe_is_refused(self, photos, try_on):
        os.mkfifo(photos / "pipe.png")
        result = try_on(photos / "pipe.png", photos / "shirt.png", "-o", photos / "out.png")
        assert "not a file" in result.stderr


class TestTraining:
    def test_a_change_without_its_section(self):
        with pytest.raises(ConfigError, match=r"train\.steps"):
            load_recipe("tiny_cpu", ["steps=3"])

    def test_resume_without_a_run(self, cli, tmp_path):
        result = cli("train", "tiny_cpu", "-o", tmp_path / "run", "--resume")
        assert "nothing to resume" in result.stderr
        assert not (tmp_path / "run").exists()

    def test_an_empty_file_in_the_newest_state_names_the_older(self, cli, tmp_path):
        from idmvton.training.run_folder import FOLDER, PREFIX, PROGRESS

        for step in (3, 6):
            folder = tmp_path / "run" / FOLDER / f"{PREFIX}{step:08d}"
            folder.mkdir(parents=True)
            (folder / PROGRESS).write_text(json.dumps({"step": step}))
        (folder / "model.safetensors").touch()
        result = cli("train", "tiny_cpu", "-o", tmp_path / "run", "--resume")
        assert "model.safetensors is empty" in result.stderr
        assert f"{PREFIX}{3:08d}" in result.stderr
