"""Backends of another package: found by their entry point, chosen by name."""

import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from idmvton.cli import app
from idmvton.errors import ConfigError
from idmvton.prepare.backends import registry
from idmvton.prepare.backends.registry import EntryPoints, Registry

runner = CliRunner(env={"COLUMNS": "300"})
REGISTRIES = ("POSE_BACKENDS", "OUTLINE_BACKENDS", "LABELS_BACKENDS", "BODY_BACKENDS")
TOY = """
import numpy as np

from idmvton.prepare.backends import registry
from idmvton.prepare.backends.protocols import Pose

STANDING = [
    (.5, .1), (.5, .2), (.35, .2), (.3, .35), (.3, .5), (.65, .2), (.7, .35), (.7, .5), (.4, .5), (.4, .7), (.4, .9),
    (.6, .5), (.6, .7), (.6, .9), (.47, .08), (.53, .08), (.44, .1), (.56, .1),
]


class Toy:
    name = "toy"

    def __init__(self, answer):
        self.answer = answer

    def __call__(self, photo, *more):
        return self.answer(photo)


def person(photo):
    height, width = photo.shape[:2]
    points = np.array(STANDING, np.float32) * np.array([width, height], np.float32)
    return (Pose(points, np.ones(18, np.float32), "toy 1"),)


def everywhere(value, dtype):
    def answer(photo):
        made = np.zeros(photo.shape[:2], dtype)
        made[photo.shape[0] // 5 : photo.shape[0] // 2, photo.shape[1] // 3 : 2 * photo.shape[1] // 3] = value
        return made

    return lambda: Toy(answer)


def register():
    registry.POSE_BACKENDS.register("toy", lambda: Toy(person), "a person who always stands")
    registry.OUTLINE_BACKENDS.register("toy", everywhere(1, np.float32), "a block")
    registry.LABELS_BACKENDS.register("toy", everywhere(4, np.uint8), "a shirt")
    registry.BODY_BACKENDS.register("toy", everywhere(2, np.uint8), "a trunk")
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Installs a package with an entry point, for one test."""
    fresh = EntryPoints()
    for name in REGISTRIES:
        one = getattr(registry, name)
        monkeypatch.setattr(one, "_others", fresh)
        for kept in ("_entries", "_aliases", "_loaded"):
            monkeypatch.setattr(one, kept, dict(getattr(one, kept)))

    def add(name, code):
        site = tmp_path / f"site-{name}"
        (site / f"{name}-1.0.dist-info").mkdir(parents=True)
        (site / f"{name}.py").write_text(code)
        (site / f"{name}-1.0.dist-info" / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        points = f"[idmvton.backends]\n{name} = {name}:register\n"
        (site / f"{name}-1.0.dist-info" / "entry_points.txt").write_text(points)
        monkeypatch.syspath_prepend(site)

    return add


@pytest.fixture
def photo(tmp_path):
    Image.fromarray(np.full((512, 384, 3), 170, np.uint8)).save(tmp_path / "anna.png")
    return tmp_path / "anna.png"


def call(*arguments):
    return runner.invoke(app, [str(argument) for argument in arguments])


def test_another_packages_backends_make_every_map(install, photo, tmp_path):
    install("toy_backends", TOY)
    names = [word for flag in ("--pose", "--outline", "--labels", "--body") for word in (flag, "toy")]
    result = call("prepare", photo, "-o", tmp_path / "anna", *names)
    assert result.exit_code == 0, result.output
    told = json.loads((tmp_path / "anna" / "prepared.json").read_text())
    assert {told["options"][f"{kind}_backend"] for kind in ("pose", "outline", "labels", "body")} == {"toy"}
    assert told["sources"]["keypoints"] == "toy 1"
    assert told["sources"]["labels"] == told["sources"]["densepose"] == told["sources"]["silhouette"] == "toy"
    labels = np.asarray(Image.open(tmp_path / "anna" / "labels.png"))
    assert set(np.unique(labels)) == {0, 4}
    assert np.asarray(Image.open(tmp_path / "anna" / "mask.png"))[labels == 4].mean() > 200


@pytest.mark.parametrize("flag", ["--pose", "--outline", "--labels", "--body"])
def test_an_unknown_name_lists_what_is_there(flag, install, photo, tmp_path):
    install("toy_backends", TOY)
    result = call("prepare", photo, "-o", tmp_path / "anna", flag, "ball")
    assert result.exit_code == 1
    kind = flag.removeprefix("--")
    assert f"unknown {kind} backend" in result.stderr
    embedded = {"pose": "blazepose", "outline": "edges", "labels": "studio-net", "body": "studio-net"}[kind]
    assert f"{embedded}: " in result.stderr
    assert "toy: a " in result.stderr
    assert not (tmp_path / "anna").exists()


def test_a_package_that_fails_keeps_nobody_away_and_is_told(install, photo, tmp_path):
    install("broken_backends", "import a_module_that_is_not_there\n")
    install("toy_backends", TOY)
    assert call("prepare", photo, "-o", tmp_path / "anna", "--body", "nothing").exit_code == 1
    with pytest.raises(ConfigError, match=r"'broken_backends' could not be loaded .*a_module_that_is_not_there"):
        registry.BODY_BACKENDS.check("nothing")
    assert "toy" in registry.BODY_BACKENDS.entries


def test_the_embedded_backends_have_a_common_name():
    for name in REGISTRIES:
        one = getattr(registry, name)
        one.check("embedded")
        assert "embedded" not in one.entries
    registry.OUTLINE_BACKENDS.check("blazepose+edges")  # its name in older folders


@pytest.mark.parametrize("name", ["my.net", "a/b", "", "labels png"])
def test_names_that_look_like_files_are_refused(name):
    with pytest.raises(ConfigError, match="cannot be the name"):
        Registry("thing", EntryPoints()).register(name, object, "a thing")
