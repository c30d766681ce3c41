"""The benchmark: the same people and garments again, with a hash, and nothing about it can be set."""

import json

import pytest
from typer.testing import CliRunner

from idmvton.cli import app
from idmvton.errors import InputError
from idmvton.studio import benchmark


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(benchmark, "COUNTS", {"test": 3, "wild": 1})
    monkeypatch.setattr(benchmark, "SIZE", (64, 48))


def test_the_same_benchmark_has_the_same_hash_and_a_part_says_so(tmp_path):
    part = benchmark.make_benchmark(tmp_path / "a", pairs=2, workers=0)
    assert (dict(part.counts), part.is_whole) == ({"test": 2, "wild": 1}, False)
    seen = []
    whole = benchmark.make_benchmark(tmp_path / "a", workers=0, progress=lambda *state: seen.append(state))
    assert whole.is_whole
    assert seen == [(3, 4)]
    assert whole.hashes["test"] != part.hashes["test"]
    assert whole.hashes["wild"] == part.hashes["wild"]
    record = json.loads((tmp_path / "a" / benchmark.RECORD_NAME).read_text())
    assert record["hashes"] == whole.hashes
    assert benchmark.make_benchmark(tmp_path / "b", workers=0).hashes == whole.hashes
    picture = tmp_path / "b" / "test" / "image" / "000001_00.jpg"
    picture.write_bytes(picture.read_bytes() + b"x")
    assert benchmark.hash_of(tmp_path / "b" / "test") != whole.hashes["test"]
    with pytest.raises(InputError, match="no such number"):
        benchmark.make_benchmark(tmp_path / "a", pairs=4)


def test_the_command_refuses_to_change_it(tmp_path):
    run = CliRunner().invoke
    failed = run(app, ["studio", "make", str(tmp_path), "--split", "benchmark", "--seed", "3"])
    assert failed.exit_code == 1
    assert "the benchmark is fixed" in failed.output
    made = run(app, ["studio", "make", str(tmp_path), "--split", "benchmark", "--pairs", "2", "--workers", "0"])
    assert made.exit_code == 0, made.output
    assert "a part of it: 2 of test, 1 of wild" in made.output
