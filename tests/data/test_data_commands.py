"""``idmvton data`` and ``idmvton studio``: words, tables, JSON and exit statuses."""

import json
import subprocess
import sys

import pytest
from layouts import ATR, draw, keypoints, mask, save, viton_hd
from typer.testing import CliRunner

from idmvton.cli import app
from idmvton.data import ShardDataset
from truth_backends import Truth, use

runner = CliRunner(env={"COLUMNS": "200"})
PHRASE = ("--missing-caption", "category phrase")


@pytest.fixture
def root(tmp_path):
    return viton_hd(tmp_path / "data")


def call(*arguments):
    return runner.invoke(app, [str(argument) for argument in arguments])


def test_check_of_a_good_data_set(root):
    result = call("data", "check", root)
    assert result.exit_code == 0, result.output
    assert "3 samples, good (1 caption)" in result.stdout


def test_check_finds_errors_and_draws_them(root, tmp_path):
    save(~mask(), root / "test" / "agnostic-mask" / "00001_00_mask.png")
    result = call("data", "check", root, "--sheet", tmp_path / "worst.png")
    assert result.exit_code == 1
    assert "inverted mask" in result.stdout
    assert "00001_00_mask.png" in result.stdout
    assert (tmp_path / "worst.png").exists()


def test_check_as_json(root):
    (root / "test" / "image" / "00002_00.jpg").unlink()
    result = call("data", "check", root, "--json")
    assert result.exit_code == 1
    told = json.loads(result.stdout)["test"]
    assert (told["samples"], told["good"], told["counts"]["missing"]) == (3, False, 1)
    assert told["findings"][0]["path"].endswith("00002_00.jpg")


def test_long_reports_are_cut(root):
    for path in (root / "test" / "image").iterdir():
        path.unlink()
    assert "... and 3 more" in call("data", "check", root, "--rows", "1").stdout


def test_pack_refuses_and_obeys(root, tmp_path):
    arguments = ("data", "pack", root, "-o", tmp_path / "shards", "--split", "test", "--size", "64x48")
    refused = call(*arguments)
    assert refused.exit_code == 1
    assert "1 garments have no caption" in refused.stderr
    done = call(*arguments, *PHRASE)
    assert done.exit_code == 0, done.output
    assert "3 samples in 1 shards" in done.stdout
    assert "1 garments have no caption" in done.stderr
    assert [sample.size for sample in ShardDataset(tmp_path / "shards")] == [(64, 48)] * 3


def test_pack_of_an_impossible_size(root, tmp_path):
    result = call("data", "pack", root, "-o", tmp_path / "shards", "--split", "test", "--size", "huge", *PHRASE)
    assert result.exit_code == 1
    assert "HEIGHTxWIDTH" in result.stderr


def test_prepare(root, monkeypatch):
    use(Truth(draw(ATR), draw(ATR, parts=True), keypoints()), monkeypatch)
    for path in (root / "test" / "agnostic-mask").iterdir():
        path.unlink()
    assert "test: 3 masks, 3 new" in call("data", "prepare", root).stdout
    assert "test: 3 masks, 0 new" in call("data", "prepare", root).stdout
    (root / "test" / "image-densepose" / "00001_00.jpg").unlink()
    assert "0 new; 1 other maps made" in call("data", "prepare", root).stdout
    (root / "test" / "image" / "00001_00.jpg").write_bytes(b"")
    (root / "test" / "image-densepose" / "00001_00.jpg").unlink()
    refused = call("data", "prepare", root)
    assert refused.exit_code == 1
    assert "00001_00.jpg" in refused.stderr


@pytest.mark.parametrize("command", ["check", "prepare"])
def test_a_folder_that_is_none(command, tmp_path):
    result = call("data", command, tmp_path / "nothing")
    assert result.exit_code == 1
    assert "not a folder" in result.stderr
    assert "Traceback" not in result.output


def test_ctrl_c_tells_what_stays(root, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    for path in (root / "test" / "agnostic-mask").iterdir():
        path.unlink()
    monkeypatch.setattr("idmvton.data.prepare.make_mask", interrupted)
    result = call("data", "prepare", root)
    assert result.exit_code == 130
    assert "what was made is kept" in result.stderr


@pytest.mark.parametrize("group", ["data", "studio"])
def test_help_loads_nothing_heavy(group):
    code = (
        "import sys, atexit\n"
        "heavy = {'torch', 'numpy', 'cv2', 'moderngl', 'PIL'}\n"
        "atexit.register(lambda: print(sorted(heavy & set(sys.modules)), file=sys.stderr))\n"
        f"sys.argv = ['idmvton', '{group}', '--help']\n"
        "from idmvton.cli import main; main()"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stderr.strip() == "[]"
    assert {"data": "prepare", "studio": "make"}[group] in result.stdout
