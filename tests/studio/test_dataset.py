"""Folders: layout, resuming, streams, and what happens when things go wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from idmvton.cli.studio import app as studio_app
from idmvton.cli.studio import parse_size
from idmvton.data.flow_files import STEPS, read_flow
from idmvton.errors import ConfigError, InputError
from idmvton.studio import StudioStream, contact_sheet, dataset, make_dataset, renderer, sampling

SIZE = (64, 48)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("studio")
    make_dataset(folder, pairs=3, size=SIZE, split="test", workers=0)
    return folder


def test_the_layout_is_vitonhds(made):
    split = made / "test"
    for folder, (_, suffix) in dataset.PICTURES.items():
        names = {path.name for path in (split / folder).iterdir()}
        assert {f"{dataset.stem(index)}{suffix}" for index in range(3)} <= names
    assert (made / "test_pairs.txt").read_text() == (made / "test_pairs_unpaired.txt").read_text()
    person, garment = (made / "test_pairs_paired.txt").read_text().splitlines()[0].split()
    assert person == garment == "000000_00.jpg"
    for line in (made / "test_pairs.txt").read_text().splitlines():
        person, garment = line.split()
        assert (split / "image" / person).exists()
        assert (split / "cloth" / garment).exists()
        assert (split / "cloth-mask" / garment).exists()
    points = json.loads((split / "openpose_json" / "000000_00_keypoints.json").read_text())
    assert len(points["people"][0]["pose_keypoints_2d"]) == 54
    tagged = json.loads((split / "vitonhd_test_tagged.json").read_text())["data"]
    assert len(tagged) == 6
    captions = json.loads((split / "captions.json").read_text())
    assert set(captions["000000_01.jpg"]) == {"detailed", "naive"}


def test_exact_maps_survive_the_disk(made):
    sample = sampling.sample(0, 1, "test", "mixed", SIZE)
    split = made / "test"
    assert np.array_equal(dataset.read_picture(split / "image-iuv" / "000001_00.png"), sample.iuv)
    labels = dataset.read_picture(split / "image-parse-v3" / "000001_00.png", colour=False)
    assert np.array_equal(labels, sample.labels)
    mask = dataset.read_picture(split / "agnostic-mask" / "000001_00_mask.png", colour=False)
    assert np.array_equal(mask, sample.mask)


def test_making_again_keeps_what_is_there_and_adds_what_is_missing(made):
    before = (made / "test" / "image" / "000000_00.jpg").stat().st_mtime_ns
    (made / "test" / "meta" / "000002_00.json").unlink()
    calls = []
    again = make_dataset(made, pairs=3, size=SIZE, split="test", workers=0, progress=lambda *at: calls.append(at))
    assert (again.num_samples, again.num_new) == (3, 1)
    assert calls == [(3, 3)]
    assert (made / "test" / "image" / "000000_00.jpg").stat().st_mtime_ns == before


def test_workers_make_the_same_bytes(made, tmp_path):
    make_dataset(tmp_path, pairs=2, size=SIZE, split="test", workers=2)
    for name in ("image/000000_00.jpg", "cloth/000001_01.jpg", "image-iuv/000001_00.png"):
        assert (tmp_path / "test" / name).read_bytes() == (made / "test" / name).read_bytes()


def test_other_settings_are_refused(made):
    with pytest.raises(InputError, match="other settings"):
        make_dataset(made, pairs=1, size=SIZE, split="test", seed=5, workers=0)


@pytest.mark.parametrize(
    "bad",
    [
        {"size": (60, 48)},
        {"size": (64, 44)},
        {"size": (8, 8)},
        {"split": "dev"},
        {"category": "hats"},
        {"pairs": 0},
    ],
)
def test_bad_requests_are_refused_before_anything_is_made(bad, tmp_path):
    with pytest.raises(InputError):
        make_dataset(tmp_path / "new", **{"pairs": 1, "size": SIZE, "workers": 0, **bad})
    assert not (tmp_path / "new").exists()


def test_a_full_disk_loses_nothing(tmp_path, monkeypatch):
    real, written = Path.write_bytes, []

    def full(self, data):
        written.append(self)
        if len(written) > 20:
            raise OSError(28, "No space left on device")
        return real(self, data)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(InputError, match="could not be written"):
            make_dataset(tmp_path, pairs=4, size=SIZE, workers=0)
    assert not list(tmp_path.rglob("*.part"))
    assert (tmp_path / "train" / "meta" / "000000_00.json").exists()
    assert make_dataset(tmp_path, pairs=2, size=SIZE, workers=0).num_new == 1


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "train").write_text("a file is in the way")
    with pytest.raises(InputError, match="cannot be used"):
        make_dataset(tmp_path, pairs=1, size=SIZE, workers=0)


def test_samples_of_an_older_format_are_refused(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(dataset, "sample", pytest.fail)
        settings = {"seed": 0, "split": "train", "category": "mixed", "height": 64, "width": 48, "format": 1}
        (tmp_path / "train").mkdir()
        (tmp_path / "train" / "studio.json").write_text(json.dumps(settings))
        with pytest.raises(InputError, match="other settings"):
            make_dataset(tmp_path, pairs=1, size=SIZE, workers=0)


def test_flow_is_written_when_asked_for_and_reads_back(made, tmp_path):
    assert not (made / "test" / "garment-flow").exists()
    make_dataset(tmp_path, pairs=1, size=SIZE, split="test", workers=0, flow=True)
    exact = sampling.sample(0, 0, "test", "mixed", SIZE, flow=True)
    for folder, flow in (("garment-flow", exact.flow), ("garment-flow-unpaired", exact.unpaired_flow)):
        file = tmp_path / "test" / folder / "000000_00.png"
        stored, known = read_flow(file), np.isfinite(flow)
        assert np.array_equal(stored[~known], flow[~known], equal_nan=True)
        assert np.abs(stored[known] - flow[known]).max() <= 0.5 / STEPS + 1e-4
    with pytest.raises(InputError, match="not the file of a flow"):
        read_flow(tmp_path / "test" / "image" / "000000_00.jpg")
    with pytest.raises(InputError, match="does not fit"):
        make_dataset(tmp_path / "large", pairs=1, size=(2048, 1536), workers=0, flow=True)


def test_damaged_settings_are_reported(tmp_path):
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "studio.json").write_text("{")
    with pytest.raises(InputError, match="cannot be used"):
        make_dataset(tmp_path, pairs=1, size=SIZE, workers=0)


def test_no_driver_names_the_packages(monkeypatch):
    import moderngl

    def fail(**_):
        raise RuntimeError("libEGL.so not loaded")

    monkeypatch.setattr(moderngl, "create_standalone_context", fail)
    with pytest.raises(ConfigError, match="libegl1 libgl1-mesa-dri"):
        renderer.Renderer()


def test_contact_sheet(made, tmp_path):
    sheet = dataset.read_picture(contact_sheet(made, tmp_path / "sheet.png", rows=2, height=64))
    assert sheet.shape == (128, 8 * 48, 3)
    with pytest.raises(InputError, match="no studio samples"):
        contact_sheet(tmp_path, tmp_path / "sheet.png")
    with pytest.raises(InputError, match="format"):
        contact_sheet(made, tmp_path / "sheet.gif")


def test_a_corrupted_picture_is_named(made, tmp_path):
    make_dataset(tmp_path, pairs=1, size=SIZE, split="test", workers=0)
    (tmp_path / "test" / "image" / "000000_00.jpg").write_bytes(b"not a picture")
    with pytest.raises(InputError, match="cannot be read"):
        contact_sheet(tmp_path, tmp_path / "sheet.png")


def test_the_studio_needs_neither_torch_nor_anny():
    code = "import sys, idmvton.studio.dataset; sys.exit(bool({'torch', 'anny'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_stream():
    stream = StudioStream(2, size=SIZE, transform=lambda sample: sample.person)
    assert len(stream) == 2
    assert [picture.shape for picture in stream] == [(64, 48, 3)] * 2
    with pytest.raises(IndexError):
        stream[2]
    with pytest.raises(InputError):
        StudioStream(2, size=(10, 10))


def test_commands(tmp_path):
    runner = CliRunner()
    options = ["--pairs", "1", "--size", "64x48", "--workers", "0", "--flow", "--json"]
    made = runner.invoke(studio_app, ["make", str(tmp_path), *options])
    assert made.exit_code == 0, made.output
    assert json.loads(made.stdout) == {"folder": str(tmp_path / "train"), "samples": 1, "new": 1}
    assert (tmp_path / "train" / "garment-flow" / "000000_00.png").exists()
    shown = runner.invoke(studio_app, ["show", str(tmp_path), "-o", str(tmp_path / "sheet.png")])
    assert shown.exit_code == 0, shown.output
    assert (tmp_path / "sheet.png").exists()
    refused = runner.invoke(studio_app, ["make", str(tmp_path), "--size", "huge"])
    assert refused.exit_code == 1
    assert "512x384" in refused.stderr
    with pytest.raises(InputError):
        parse_size("512")


def test_another_thread_renders_the_same_picture():
    """An OpenGL context works in the thread that made it; the page renders in one of its own."""
    here = sampling.sample(3, 1, "test", "mixed", SIZE, worn=False).person
    with ThreadPoolExecutor(1) as pool:
        there = pool.submit(sampling.sample, 3, 1, "test", "mixed", SIZE, worn=False).result(timeout=120).person
    assert np.array_equal(here, there)
