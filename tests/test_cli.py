"""The command line: the golden checkpoint in, a picture with its settings out; errors in words."""

import inspect
import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from golden_data import CHECKPOINT, golden_pictures
from idmvton.cli import app
from idmvton.cli.try_on import try_on
from idmvton.engine.job import note_of_equals
from idmvton.images import read_provenance
from idmvton.options import JobOptions, ModelOptions, TryOnOptions, describe

runner = CliRunner(env={"COLUMNS": "200", "HF_HUB_OFFLINE": "1"})


def call(out, *extra):
    kinds = {kind: str(golden_pictures(kind)[0]) for kind in ("person", "garment", "mask", "densepose")}
    return [
        "try-on", kinds["person"], kinds["garment"], "--mask", kinds["mask"], "--densepose", kinds["densepose"],
        "--caption", "short sleeve round neck t-shirts", "--model", str(CHECKPOINT), "--steps", "2", "--seed", "3",
        "-o", str(out), *extra,
    ]  # fmt: skip


def test_try_on_writes_the_pipelines_picture(tmp_path, pipe, one_call):
    result = runner.invoke(app, call(tmp_path / "out.png"))
    assert result.exit_code == 0, result.output
    assert "Saved" in result.output
    assert "128x96 height x width, seed 3" in result.output
    written = np.asarray(Image.open(tmp_path / "out.png")).astype(int)
    assert np.abs(written - np.asarray(pipe(**one_call).images[0]).astype(int)).max() <= 1
    told = read_provenance(tmp_path / "out.png")
    assert (told["seed"], told["num_inference_steps"], told["guidance_scale"]) == (3, 2, 2.0)
    assert told["caption"] == "short sleeve round neck t-shirts"
    assert [each.name for each in tmp_path.iterdir()] == ["out.png"]


def test_json_for_machines(tmp_path):
    result = runner.invoke(app, call(tmp_path / "out.png", "--json", "--scheduler", "ddim"))
    told = json.loads(result.stdout)
    assert told["output"] == str(tmp_path / "out.png")
    assert told["scheduler"] == "ddim"
    assert told["picture"] == {"height": 128, "width": 96}


def test_errors_are_words_and_an_exit_status(tmp_path):
    result = runner.invoke(app, call(tmp_path / "missing" / "out.png"))
    assert result.exit_code == 1
    assert "InputError" in result.stderr
    assert "mkdir -p" in result.stderr
    assert "Traceback" not in result.output


def test_errors_as_json(tmp_path):
    result = runner.invoke(app, [*call(tmp_path / "out.png", "--json"), "--model", "no-such-weights"])
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert told["error"] == "WeightsError"
    assert "no-such-weights" in told["message"]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("option", [("--steps", "-1"), ("--scheduler", "heun"), ("--device", "tpu")])
def test_bad_options(tmp_path, option):
    result = runner.invoke(app, call(tmp_path / "out.png", *option))
    assert result.exit_code in (1, 2)
    assert "Traceback" not in result.output
    assert not list(tmp_path.iterdir())


def test_long_captions_are_told(tmp_path):
    result = runner.invoke(app, [*call(tmp_path / "out.png"), "--caption", "red " * 80])
    assert result.exit_code == 0
    assert "not read" in result.stderr


def test_brackets_in_a_caption_are_no_markup(tmp_path):
    result = runner.invoke(app, [*call(tmp_path / "[red].png"), "--caption", "[/nope] " * 60])
    assert result.exit_code == 0, result.output
    assert "[/nope]" in result.stderr
    assert "[red].png" in result.stdout


@pytest.mark.parametrize("mode", ["balanced", "low"])
def test_a_memory_mode_without_a_gpu_is_refused_in_words(tmp_path, mode):
    result = runner.invoke(app, call(tmp_path / "out.png", "--memory", mode, "--device", "cpu"))
    assert result.exit_code == 1
    assert f"the memory mode '{mode}' needs a GPU" in result.stderr


def test_every_declared_option_is_a_flag():
    parameters = inspect.signature(try_on).parameters
    for declaration in (JobOptions, TryOnOptions, ModelOptions):
        for option in describe(declaration):
            declared = parameters[option.name].default
            assert declared.default == (list(option.default) if isinstance(option.default, tuple) else option.default)
            assert declared.param_decls[0].split("/")[0] == f"--{option.flag}"
            assert option.help in declared.help


def test_ctrl_c_leaves_no_file(tmp_path):
    """A real process, interrupted while it denoises."""
    command = [sys.executable, "-m", "idmvton", *call(tmp_path / "out.png"), "--steps", "900"]
    process = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"COLUMNS": "80", "FORCE_COLOR": "1"},  # the bar is drawn as on a terminal
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    seen = ""
    while "/900" not in seen:
        seen += process.stderr.read(20)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "no file was written" in stderr
    assert "Traceback" not in stderr
    assert not list(tmp_path.iterdir())


def test_doctor():
    told = json.loads(runner.invoke(app, ["doctor", "--json"]).stdout)
    assert told["versions"]["torch"] != "not installed"
    assert "idm-vton" in told["weights"]
    assert told["machine"]["cores"] == os.cpu_count()
    assert "versions" in runner.invoke(app, ["doctor"]).stdout


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))


@pytest.mark.usefixtures("empty_cache")
class TestWeights:
    def test_list(self):
        table = runner.invoke(app, ["weights", "list"]).stdout
        assert "idm-vton-dc" in table
        assert "CC BY-NC-SA 4.0" in table
        told = json.loads(runner.invoke(app, ["weights", "list", "--json"]).stdout)
        assert {each["name"]: each["state"] for each in told if each["state"] != "absent"} == {"mini": "present"}

    def test_get_shows_the_licence_and_asks(self):
        result = runner.invoke(app, ["weights", "get", "idm-vton"], input="n\n")
        assert result.exit_code == 1
        assert "CC BY-NC-SA 4.0" in result.stderr
        assert "Do you accept" in result.stderr

    def test_get_offline(self):
        result = runner.invoke(app, ["weights", "get", "idm-vton", "--offline"])
        assert result.exit_code == 1
        assert "WeightsError" in result.stderr

    def test_path_of_absent_weights_names_the_command(self):
        result = runner.invoke(app, ["weights", "path", "idm-vton"])
        assert result.exit_code == 1
        assert "idmvton weights get idm-vton" in result.stderr

    def test_verify_a_folder(self, tmp_path):
        result = runner.invoke(app, ["weights", "verify", str(CHECKPOINT)])
        assert result.exit_code == 0, result.output
        assert "unet/diffusion_pytorch_model.safetensors" in result.stdout
        (tmp_path / "model.safetensors").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
        result = runner.invoke(app, ["weights", "verify", str(tmp_path)])
        assert result.exit_code == 1
        assert "git-lfs" in result.stdout


@pytest.mark.parametrize(("difference", "notes"), [(0, 1), (2, 1), (30, 0)])
def test_pictures_that_are_alike_are_noted(difference, notes):
    first = np.full((40, 40, 3), 100, np.uint8)
    other = first.copy()
    other[:4, :4] += np.uint8(difference)
    assert len(note_of_equals([Image.fromarray(each) for each in (first, other)])) == notes
    assert not note_of_equals([Image.fromarray(first)])
