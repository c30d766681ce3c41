"""Folders of work that go on where they stopped, and files and folders that are whole or not there."""

import json

import pytest

from idmvton.atomic import whole_file, whole_folder
from idmvton.errors import ConfigError, InputError, OutputError, WeightsError
from idmvton.resume import REPORT, Outcomes, digest, work_through, write_report


def work(item):
    if item == "bad":
        raise InputError("it is bad", got=item, fix="mend it")
    return ("look at it",) if item == "odd" else ()


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_what_is_done_is_skipped_and_what_fails_is_kept(workers):
    told = []
    items = ["good", "done", "bad", "odd"]
    outcomes = work_through(items, lambda item: item == "done", work, lambda *now: told.append(now), workers)
    assert (outcomes.made, outcomes.skipped) == (["good", "odd"], ["done"])
    assert outcomes.warnings == {"odd": ("look at it",)}
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
    report = outcomes.to_dict(str.upper, lambda item: {"photo": item})
    assert report["made"] == ["GOOD", "ODD"]
    failed = {"photo": "bad", "error": "InputError", "what": "it is bad"}
    assert report["failed"][0].items() >= failed.items()
    assert "mend it" in report["failed"][0]["message"]


@pytest.mark.parametrize("error", [OutputError, ConfigError, RuntimeError])
@pytest.mark.parametrize("workers", [0, 2])
def test_what_does_not_speak_of_one_item_stops_everything(error, workers):
    def fails(item):
        raise error("no space left")

    with pytest.raises(error, match="no space left"):
        work_through(range(9), lambda _: False, fails, workers=workers)


def test_one_attempt():
    outcomes = Outcomes()
    assert [outcomes.attempt(item, work) for item in ("good", "bad", "odd")] == [True, False, True]
    assert len(outcomes.failed) == 1


def test_the_report_and_the_digest(tmp_path):
    path = write_report(tmp_path / "out", {"made": ["a"]})
    assert path == tmp_path / "out" / REPORT
    assert json.loads(path.read_text()) == {"made": ["a"]}
    before = digest(path)
    path.write_text("{}")
    assert digest(path) != before
    assert digest(tmp_path / "none").startswith("unreadable")


def write_half(path, error):
    with whole_file(path) as file:
        file.write(b"two")
        raise error


def make_half(folder, error):
    with whole_folder(folder, "them", WeightsError) as new:
        (new / "two").write_text("2")
        raise error


def test_a_file_is_whole_or_the_older_one(tmp_path):
    path = tmp_path / "a" / "file"
    with whole_file(path) as file:
        file.write(b"one")
    for error in (KeyboardInterrupt, OSError, ValueError):
        with pytest.raises(OutputError if error is OSError else error):
            write_half(path, error)
    assert path.read_bytes() == b"one"
    assert list(path.parent.iterdir()) == [path]
    lonely = whole_file(tmp_path / "none" / "file", "the result", make_parents=False)
    with pytest.raises(OutputError, match="the result cannot be written"), lonely:
        pass
    assert not (tmp_path / "none").exists()


def test_a_folder_is_whole_or_the_older_one(tmp_path):
    folder = tmp_path / "a" / "folder"
    with whole_folder(folder) as new:
        (new / "one").write_text("1")
    for error in (KeyboardInterrupt, OSError, ValueError):
        with pytest.raises(WeightsError if error is OSError else error):
            make_half(folder, error)
    assert [path.name for path in folder.iterdir()] == ["one"]
    with whole_folder(folder) as new:
        (new / "two").write_text("2")
    assert [path.name for path in folder.iterdir()] == ["two"]
    assert list(folder.parent.iterdir()) == [folder]
