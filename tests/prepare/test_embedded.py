"""The whole way with the embedded backends: a rendered person's photo in, a prepared folder and a try-on out."""

import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from golden_data import CHECKPOINT
from idmvton import read_prepared
from idmvton.cli import app
from idmvton.prepare.mask import ATR_LABELS

runner = CliRunner(env={"COLUMNS": "300", "HF_HUB_OFFLINE": "1"})


def call(*arguments):
    result = runner.invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture(scope="module")
def prepared(rendered, tmp_path_factory):
    folder = tmp_path_factory.mktemp("embedded")
    Image.fromarray(rendered.person).save(folder / "anna.png")
    Image.fromarray(rendered.garment).save(folder / "blouse.png")
    call("prepare", folder / "anna.png", folder / "blouse.png", "-o", folder / "anna", "--category", "upper")
    return folder / "anna"


def test_the_mask_covers_the_old_garment_and_spares_the_rest(prepared, rendered):
    mask = read_prepared(prepared).photo_mask

    def share(*names):
        return mask[np.isin(rendered.labels, [ATR_LABELS.index(name) for name in names])].mean()

    assert share("upper_clothes") > 0.95
    assert share("head", "hair") < 0.05
    assert share("skirt", "pants") < 0.1
    assert share("left_shoe", "right_shoe") < 0.01
    assert mask[rendered.labels == 0].mean() < 0.25


def test_points_and_parts_lie_where_the_truth_has_them(prepared, rendered):
    made = read_prepared(prepared)
    points = made.framing.to_photo(made.keypoints)
    both = made.keypoints.any(1) & rendered.keypoints.any(1)
    assert both.sum() >= 12
    assert np.median(np.abs(points - rendered.keypoints)[both]) < 8
    parts = made.framing.invert_labels(made.parts)
    body = rendered.iuv[..., 0] > 0
    assert (parts == rendered.iuv[..., 0])[body].mean() > 0.7


def test_every_map_names_its_backend(prepared):
    summary = json.loads((prepared / "prepared.json").read_text())
    assert summary["sources"]["keypoints"].startswith("blazepose")
    assert summary["sources"]["silhouette"] == "edges"
    assert summary["sources"]["labels"] == summary["sources"]["densepose"] == "studio-net"


def test_a_try_on_of_it(prepared, rendered):
    out = prepared.parent / "out.png"
    call("try-on", prepared, "-o", out, "--model", CHECKPOINT, "--steps", "2")
    picture = np.asarray(Image.open(out))
    assert picture.shape == rendered.person.shape
    changed = (picture != rendered.person).any(2)
    assert changed[rendered.labels == ATR_LABELS.index("upper_clothes")].mean() > 0.9
    assert not changed[np.isin(rendered.labels, [9, 10])].any()
