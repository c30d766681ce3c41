"""What is checked before the expensive work, and processes that leave others their share of the machine."""

import os
import subprocess
import sys

import pytest
import torch

from idmvton.data.check import check_dataset
from idmvton.engine import ready


@pytest.fixture
def unprepared(monkeypatch):
    """Preparation that must not begin."""
    monkeypatch.setattr(ready, "make_ready", lambda *_: pytest.fail("preparation began"))


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        (("--model", "no/where/at/all"), "does not exist"),
        (("--model", "tests"), "is not an IDM-VTON checkpoint"),
        (("--device", "cuda:7"), "is not there"),
        (("--height", "130"), "use height"),
        (("--variant", "int4"), "holds no weights to load of the variant 'int4'"),
        (("--cpu-offload", "--device", "cpu"), "needs a GPU"),
        (("--save-intermediates", "FILE"), "cannot be made"),
    ],
)
def test_first(photos, try_on, unprepared, extra, words):
    (photos / "file").write_text("x")
    extra = [photos / "file" if each == "FILE" else each for each in extra]
    result = try_on(photos / "anna.png", photos / "shirt.png", "-o", photos / "out.png", *extra)
    assert result.exit_code == 1
    assert words in result.stderr


def test_a_batch_stops_where_nothing_can_be_written(photos, try_on, monkeypatch, truth):
    (photos / "garments").mkdir()
    for name in ("a.png", "b.png"):
        (photos / "garments" / name).write_bytes((photos / "shirt.png").read_bytes())

    def full(*_arguments, **_keywords):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("PIL.Image.Image.save", full)
    result = try_on(photos / "anna.png", photos / "garments", "-o", photos / "out")
    assert result.exit_code == 1
    assert "No space left" in result.stderr
    assert truth.calls.count("body") == 1


@pytest.mark.parametrize(("own", "used"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_threads_wait_without_spinning_unless_a_person_says_otherwise(own, used):
    env = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    env |= {"OMP_WAIT_POLICY": own} if own else {}
    code = (
        "import os, sys, atexit; sys.argv = ['idmvton', '--version']\n"
        "atexit.register(lambda: print(os.environ['OMP_WAIT_POLICY'], 'torch' in sys.modules))\n"
        "import runpy; runpy.run_module('idmvton', run_name='__main__')"
    )
    told = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True).stdout
    assert told.splitlines()[-1] == f"{used} False"


def test_the_number_of_threads(photos, try_on, monkeypatch):
    asked = []
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    result = try_on(photos / "anna.png", photos / "shirt.png", "-o", photos / "out.png", "--threads", "1")
    assert result.exit_code == 0, result.output
    assert set(asked) == {1}


def test_the_check_of_a_data_set_says_what_is_there_and_what_can_be_made(photos):
    (photos / "pairs.csv").write_text("person,garment\nanna.jpg,shirt.png\n")
    findings = {each.path.name: each.detail for each in check_dataset(photos).findings if each.problem == "missing"}
    assert "anna.png" in findings["anna.jpg"]
    assert any("data prepare" in detail for detail in findings.values())
