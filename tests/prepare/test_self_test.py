"""The self-test and the parity check: what they tell, and their exit status. The comparisons are tested by network."""

import pytest
from benchmarks import published_parity
from typer.testing import CliRunner

from golden_data import GOLDEN
from idmvton import weights
from idmvton.cli import app
from idmvton.errors import MissingExtraError
from idmvton.prepare.self_test import NETWORKS, checks, golden_folder

runner = CliRunner(env={"COLUMNS": "200"})


@pytest.fixture
def networks(monkeypatch, tmp_path):
    """Checks that cost nothing, and a cache without files."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    for name in NETWORKS:
        monkeypatch.setitem(NETWORKS, name, lambda folder, salt: iter([("all of it", 1e-6, 1e-4)]))
    return monkeypatch


def test_the_numbers_come_with_the_library():
    assert golden_folder() == GOLDEN
    assert all((golden_folder() / name).is_dir() for name in NETWORKS)


def test_everything_agrees_and_nothing_is_here(networks):
    result = runner.invoke(app, ["prepare", "--self-test"])
    assert result.exit_code == 0, result.output
    assert result.stdout.count("1 comparisons, all agree") == 3
    for name in ("densepose-r50", "openpose-body", "schp-atr", "schp-lip"):
        assert f"file {name}: not here: `idmvton weights get {name}` gets it" in result.stdout


def test_a_difference_is_named_and_fails(networks):
    networks.setitem(NETWORKS, "schp", lambda folder, salt: iter([("fine", 0.0, 0.0), ("labels", 0.5, 0.002)]))
    result = runner.invoke(app, ["prepare", "--self-test"])
    assert result.exit_code == 1
    assert "2 comparisons, 1 differ" in result.stdout
    assert "0.5 of 0.002 allowed: labels" in result.stdout


def test_what_is_not_installed_is_told(networks):
    def check(folder, salt):
        raise MissingExtraError("onnxruntime is not installed", fix="pip install 'idmvton[published]'")

    networks.setitem(NETWORKS, "schp", check)
    result = runner.invoke(app, ["prepare", "--self-test"])
    assert result.exit_code == 0
    assert "schp: not compared: onnxruntime is not installed: pip install 'idmvton[published]'" in result.stdout


def test_another_file_in_the_place_of_a_published_one_fails(networks, tmp_path):
    commit = "3" * 40
    snapshot = tmp_path / "spaces--yisol--IDM-VTON"
    file = snapshot / "snapshots" / commit / weights.CATALOGUE["openpose-body"].files[0]
    file.parent.mkdir(parents=True)
    file.write_bytes(b"x" * 1000)
    (snapshot / "refs").mkdir()
    (snapshot / "refs" / "main").write_text(commit)
    assert [each.state for each in checks.installed("openpose")] == ["wrong size"]
    result = runner.invoke(app, ["prepare", "--self-test"])
    assert result.exit_code == 1
    assert "1000 bytes instead of 209267595" in result.stdout


def parity(monkeypatch, capsys, *arguments):
    monkeypatch.setattr("sys.argv", ["published_parity", *map(str, arguments)])
    return published_parity.main(), capsys.readouterr().out


def test_parity_passes_salt_and_folder_on(networks, capsys, tmp_path):
    seen = []
    for name in NETWORKS:
        networks.setitem(NETWORKS, name, lambda folder, salt: seen.append((folder, salt)) or iter([("a", 0.0, 0.0)]))
    (tmp_path / "openpose").mkdir()
    assert parity(networks, capsys, tmp_path, "--salt", "other")[0] == 0
    assert seen == [(tmp_path / "openpose", "other")]


@pytest.mark.parametrize("difference", [0.2, float("inf"), float("nan")])
def test_parity_fails_beyond_a_tolerance(networks, capsys, tmp_path, difference):
    (tmp_path / "densepose").mkdir()
    networks.setitem(NETWORKS, "densepose", lambda folder, salt: iter([("boxes", difference, 0.05), ("u", 0.0, 0.1)]))
    status, said = parity(networks, capsys, tmp_path)
    assert status == 1
    assert "2 comparisons, 1 beyond their tolerance" in said
    assert said.index("FAILED") < said.index("ok ")


def test_parity_of_an_empty_folder(networks, capsys, tmp_path):
    status, said = parity(networks, capsys, tmp_path)
    assert status == 2
    assert "expected the folders densepose, openpose, schp" in said
