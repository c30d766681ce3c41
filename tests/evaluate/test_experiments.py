"""Experiments as files, and their pictures from a data set: baselines that need no network, chosen pairs, tables."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from tests.data import layouts

from idmvton.errors import ConfigError, InputError
from idmvton.evaluate import experiments, making
from idmvton.evaluate.choice import DataChoice
from idmvton.evaluate.experiments import find_experiment, read_experiment, run_experiment
from idmvton.evaluate.matching import match_dataset
from idmvton.types import Size

FILES = sorted((Path(__file__).parents[2] / "experiments").glob("*.toml"))
TEXT = """
question = "Which is best?"
protocol = "idmvton-mask"
metrics = ["psnr", "identity_max"]
[data.all]
split = "test"
[variants.fill]
method = "colour fill"
[variants.bent]
method = "thin-plate warp"
[variants."fill again"]
method = "colour fill"
"""


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_file_of_the_project_can_be_read_by_name(path):
    found = read_experiment(path.stem, Path("renders"), model="other")
    assert found.name == path.stem
    assert found.question.endswith("?")
    assert found.model == "other"
    assert len(found.variants) > 1
    assert {data.split for data in found.data.values()} == {"test", "wild"}


def test_what_is_wrong_with_a_file_is_told(tmp_path):
    with pytest.raises(ConfigError, match="captions"):
        find_experiment("caption")
    file = tmp_path / "mine.toml"
    for text, what in (
        ("x = 1", "unknown keys"),
        ("[data.a]", "no variants"),
        ("[variants.a]", "no data"),
        ("[data.a]\n[variants.a]", "names no data set"),
        ('[data.a]\nroot = "x"\nsplits = 1\n[variants.a]', "unknown keys"),
        ('[data.a]\nroot = "x"\n[variants.a]\nmethod = "magic"', "unknown method"),
        ('[data.a]\nroot = "x"\n[variants.a]\noptions = { steps = 2 }', "steps"),
        ('metrics = ["sim"]\n[data.a]\nroot = "x"\n[variants.a]', "unknown metric"),
        ("[", "cannot be read"),
    ):
        file.write_text(text)
        with pytest.raises(ConfigError, match=what):
            read_experiment(file)


@pytest.fixture
def dataset(tmp_path):
    return layouts.viton_hd(tmp_path / "data")


def test_pairs_are_chosen_by_a_list(dataset, tmp_path):
    files = DataChoice(dataset, "test").files()
    chosen = tmp_path / "pairs.txt"
    chosen.write_text(f"{files[-1].person.name} {files[-1].garment.name}\n")
    assert [each.name for each in DataChoice(dataset, "test", pairs=chosen).files()] == [files[-1].name]
    chosen.write_text("nobody.jpg nothing.jpg\n")
    with pytest.raises(InputError, match=r"1 of 1 pairs are not in(.|\n)*nobody.jpg nothing.jpg"):
        DataChoice(dataset, "test", pairs=chosen).files()


def test_an_experiment_makes_scores_and_compares_its_variants(dataset, tmp_path, monkeypatch):
    pipe = SimpleNamespace(
        default_size=Size(128, 96), weights_name="none", drafter=None, set_progress_bar_config=lambda **_: None
    )
    monkeypatch.setattr(experiments.TryOnPipeline, "from_pretrained", lambda *_, **__: pipe)
    file = tmp_path / "mine.toml"
    file.write_text(TEXT)
    found = read_experiment(file, dataset)
    outcome = run_experiment(found, tmp_path / "out", workers=1)["all"]
    assert list(outcome.reports) == ["fill", "bent", "fill again"]
    assert outcome.reports["fill"].figures["identity_max"].value == 0
    assert all(each.mean == 0 and each.p == 1 for each in outcome.differences["fill again"])
    assert len(list((tmp_path / "out" / "pictures").iterdir())) == 2
    table = json.loads((tmp_path / "out" / "mine" / "table.json").read_text())
    assert table["data"]["all"]["variants"].keys() == {"fill", "bent", "fill again"}
    assert "| fill again |" in (tmp_path / "out" / "mine" / "table.md").read_text()
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "pictures").rglob("*.png")}
    run_experiment(found, tmp_path / "out", workers=1)
    assert times == {path: path.stat().st_mtime_ns for path in times}


def test_garments_are_cut_out_where_maps_are_prepared(dataset, tmp_path, monkeypatch):
    for files in DataChoice(dataset, "test").files():
        prepared = files.as_prepared()
        prepared.mask.parent.mkdir(exist_ok=True)
        for given, beside in ((files.mask, prepared.mask), (files.densepose, prepared.densepose)):
            shutil.copy(given, beside)
        shirt = Image.new("RGB", (96, 128), (238, 238, 238))
        shirt.paste((180, 20, 40), (30, 40, 66, 90))
        shirt.save(files.garment)
    shown = []

    def draw(samples, _):
        shown.extend(np.asarray(each.garment) for each in samples)
        return [each.person for each in samples]

    monkeypatch.setattr(making, "_method", lambda *_: draw)
    pipe = SimpleNamespace(default_size=Size(128, 96), weights_name="none")
    given, prepared = DataChoice(dataset, "test", count=1), DataChoice(dataset, "test", count=1, maps="prepared")
    for data in (given, prepared, prepared):
        making.make_pictures(pipe, data, tmp_path / "out")
    assert len(shown) == 2
    assert np.abs(shown[0][0].astype(int) - 238).max() < 3
    assert (shown[1][0] == 255).all()


def test_the_cases_of_a_data_set_have_everything_that_metrics_read(dataset, tmp_path):
    data = DataChoice(dataset, "test")
    for each in data.files():
        Image.open(each.person).save(tmp_path / f"{each.name}.png")
    matched = match_dataset(tmp_path, data)
    for case in matched.cases:
        assert case.truth == case.person
        assert all((case.garment, case.mask, case.keypoints))
