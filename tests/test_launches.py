"""How many kernels a step launches: what makes a GPU fast or slow, counted without one."""

import json

import numpy as np
from benchmarks.launches import main, trace_both
from typer.testing import CliRunner

from golden_data import CHECKPOINT
from idmvton.cli import app
from idmvton.engine.bench import TORSO, Bench
from idmvton.images.densepose import checked_parts


def test_a_step_launches_few_kernels():
    published, ours = trace_both(4, counts_flops=False)
    assert 3800 < published.launches < 4600
    assert ours.launches <= 0.6 * published.launches
    assert ours.counts["_scaled_dot_product_flash_attention_for_cpu"] < 360
    assert ours.counts["merge"] == 70


def test_the_count_is_printed_for_machines(monkeypatch, capsys):
    class Few:
        launches = 100.0

    monkeypatch.setattr("benchmarks.launches.trace_both", lambda **_: (Few(), Few()))
    monkeypatch.setattr("sys.argv", ["launches", "--json"])
    main()
    assert json.loads(capsys.readouterr().out) == {"published": 100, "ours": 100, "ratio": 1.0}


def test_bench_measures_qualities_and_batches(tmp_path, monkeypatch, own_pipe):
    own_pipe.register_to_config(num_inference_steps=3)
    monkeypatch.setattr("idmvton.cli.bench.load_pipeline", lambda model: own_pipe)
    file = tmp_path / "bench.json"
    call = ["bench", "--device", "cpu", "--repeats", "1", "--batches", "1,2"]
    result = CliRunner().invoke(app, [*call, "--json", "-o", str(file)])
    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout)
    assert json.loads(file.read_text()) == figures
    rows = {row["name"]: row for row in figures["parts"]["fast"]}
    assert list(rows) == ["best", "balanced", "fast", "2 people, one garment", "one person, 2 garments"]
    assert [row["first"] is None for row in rows.values()] == [False, True, True, True, True]
    for row in rows.values():
        assert 0 < row["stages"]["denoising"] < row["seconds"]
        assert row["peak_bytes"] > 0
    assert rows["2 people, one garment"]["pictures_an_hour"] * rows["2 people, one garment"]["seconds"] > 7199


def test_bench_leaves_out_qualities_that_are_the_same(monkeypatch, own_pipe):
    own_pipe.register_to_config(num_inference_steps=1)
    monkeypatch.setattr("idmvton.cli.bench.load_pipeline", lambda model: own_pipe)
    result = CliRunner().invoke(app, ["bench", "--device", "cpu", "--repeats", "1", "--batches", "1"])
    assert result.exit_code == 0, result.output
    assert "balanced and fast are the same as best" in result.stdout
    assert "balanced  " not in result.stdout


def test_the_made_up_person_is_one_that_every_checkpoint_takes(own_pipe):
    """mini's WarpNet reads the parts of a body map, and refuses other pictures."""
    work = Bench(own_pipe, repeats=1)
    assert set(np.unique(checked_parts(work.body))) == {0, TORSO}


def test_bench_says_what_it_cannot_do(tmp_path):
    for wrong in (["--batches", "1,x"], ["--memory", "low", "--device", "cpu"], [str(tmp_path / "person.jpg")]):
        result = CliRunner().invoke(app, ["bench", "--model", str(CHECKPOINT), *wrong])
        assert result.exit_code == 1
        assert "Error" in result.stderr
