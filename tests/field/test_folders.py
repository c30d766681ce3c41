"""Folders of people and garments: one with many, prepared people, two runs at once, what may be lost, reports."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.data import layouts
from tests.field.test_signals import heeded

from idmvton import TryOnPipeline
from idmvton.data.prepare import Made, prepare_dataset
from idmvton.engine.pairs import names_of
from idmvton.images import read_provenance
from idmvton.images.writing import is_result
from idmvton.resume import claimed, work_through


@pytest.fixture
def folders(photos, rendered):
    """One person and two garments, each in a folder."""
    for name in ("people", "garments"):
        (photos / name).mkdir()
    (photos / "anna.png").rename(photos / "people" / "anna.png")
    (photos / "shirt.png").rename(photos / "garments" / "shirt.png")
    Image.fromarray(np.roll(rendered.garment, 1, 2)).save(photos / "garments" / "other.png")
    return photos


def made(folder):
    return sorted(path.name for path in folder.iterdir())


class TestOneWithMany:
    def test_one_person_in_a_folder_of_garments(self, folders, try_on):
        result = try_on(folders / "people" / "anna.png", folders / "garments", "-o", folders / "out")
        assert result.exit_code == 0, result.output
        assert made(folders / "out") == ["anna__other.png", "anna__shirt.png", "report.json"]

    def test_a_folder_of_people_in_one_garment(self, folders, try_on, rendered):
        Image.fromarray(rendered.person).save(folders / "people" / "eva.png")
        result = try_on(folders / "people", folders / "garments" / "shirt.png", "-o", folders / "out")
        assert result.exit_code == 0, result.output
        assert made(folders / "out") == ["anna__shirt.png", "eva__shirt.png", "report.json"]

    def test_prepared_people_with_their_corrected_masks(self, folders, cli, try_on):
        cli("prepare", folders / "people", folders / "garments" / "shirt.png", "-o", folders / "prepared")
        mask = folders / "prepared" / "anna" / "mask.png"
        corrected = np.asarray(Image.open(mask)).copy()
        corrected[:40] = 255
        Image.fromarray(corrected).save(mask)
        alone = folders / "alone.png"
        assert try_on(mask.parent, folders / "garments" / "shirt.png", "-o", alone).exit_code == 0
        for person in (folders / "prepared", mask.parent):  # a folder of prepared people, and one of them
            out = folders / f"out-{person.name}"
            result = try_on(person, folders / "garments", "-o", out)
            assert result.exit_code == 0, result.output
            assert made(out) == ["anna__other.png", "anna__shirt.png", "report.json"]
            assert np.array_equal(np.asarray(Image.open(out / "anna__shirt.png")), np.asarray(Image.open(alone)))
        corrected[:60] = 255
        Image.fromarray(corrected).save(mask)
        assert "2 made" in try_on(folders / "prepared", folders / "garments", "-o", folders / "out-prepared").stdout

    def test_prepared_people_in_their_own_garments(self, folders, cli, try_on):
        cli("prepare", folders / "people", folders / "garments" / "shirt.png", "-o", folders / "prepared")
        assert try_on(folders / "prepared" / "anna", "-o", folders / "alone.png").exit_code == 0
        result = try_on(folders / "prepared", "-o", folders / "out")
        assert result.exit_code == 0, result.output
        together = np.asarray(Image.open(folders / "out" / "anna__anna-own.png"))
        assert np.array_equal(together, np.asarray(Image.open(folders / "alone.png")))

    def test_options_that_prepared_people_do_not_use_are_refused(self, folders, cli, try_on):
        cli("prepare", folders / "people", "-o", folders / "prepared")
        result = try_on(folders / "prepared", folders / "garments", "-o", folders / "out", "--mask-grow", "3")
        assert result.exit_code == 1
        assert "--mask-grow" in result.stderr

    def test_nobody_there(self, folders, try_on):
        result = try_on(folders / "MISSING", folders / "garments", "-o", folders / "out")
        assert "the person does not exist" in result.stderr
        assert not (folders / "out").exists()


class TestLoss:
    def test_not_among_the_photos(self, folders, try_on):
        for place in ("people", "garments"):
            result = try_on(folders / "people", folders / "garments", "-o", folders / place)
            assert result.exit_code == 1
            assert "the output folder holds the photos" in result.stderr
        assert made(folders / "people") == ["anna.png"]

    @pytest.mark.parametrize("name", ["anna.png", "shirt.png", "link.png", "holiday.png"])
    def test_a_photo_a_link_or_another_picture_is_not_replaced(self, photos, try_on, name):
        shutil.copy(photos / "shirt.png", photos / "holiday.png")
        (photos / "link.png").symlink_to(photos / "holiday.png")
        before = (photos / name).read_bytes()
        result = try_on(photos / "anna.png", photos / "shirt.png", "-o", photos / name)
        assert result.exit_code == 1
        assert "would replace something else" in result.stderr
        assert "--overwrite" in result.stderr
        assert (photos / name).read_bytes() == before

    def test_overwrite_and_older_results(self, photos, try_on):
        pair = (photos / "anna.png", photos / "shirt.png")
        (photos / "out.png").write_bytes(b"notes")
        assert try_on(*pair, "-o", photos / "out.png", "--overwrite").exit_code == 0
        assert is_result(photos / "out.png")
        assert try_on(*pair, "-o", photos / "out.png").exit_code == 0

    def test_a_file_in_the_place_of_a_result_fails_that_pair_alone(self, folders, try_on):
        (folders / "out").mkdir()
        (folders / "out" / "anna__shirt.png").write_bytes(b"notes")
        result = try_on(folders / "people", folders / "garments", "-o", folders / "out")
        assert "1 made, 0 done before, 1 failed" in result.stdout
        assert (folders / "out" / "anna__shirt.png").read_bytes() == b"notes"


class TestReports:
    def test_warnings_captions_and_categories_as_of_a_single_run(self, folders, try_on):
        pair = (folders / "people" / "anna.png", folders / "garments" / "shirt.png")
        long = ("--caption", "red " * 90)
        try_on(*pair, "-o", folders / "one.png", *long)
        alone = read_provenance(folders / "one.png")
        assert alone["warnings"]
        for word in ("made", "skipped"):
            try_on(pair[0], folders / "garments", "-o", folders / "out", *long)
            report = json.loads((folders / "out" / "report.json").read_text())
            assert "anna__shirt.png" in report[word]
            assert report["warnings"]["anna__shirt.png"] == alone["warnings"]
            assert report["captions"]["anna__shirt.png"] == alone["caption"]
            assert report["categories"]["anna__shirt.png"] == alone["preparation"]["category"]

    def test_files_that_are_no_pictures_are_named(self, folders, try_on, cli):
        (folders / "people" / "notes.txt").write_text("x")
        try_on(folders / "people", folders / "garments", "-o", folders / "out")
        report = json.loads((folders / "out" / "report.json").read_text())
        assert report["ignored"] == [str(folders / "people" / "notes.txt")]
        cli("prepare", folders / "people", "-o", folders / "pr")
        assert json.loads((folders / "pr" / "report.json").read_text())["ignored"] == ["notes.txt"]


class TestTwoRuns:
    def test_what_another_run_works_on_is_left_to_it(self, tmp_path):
        told = []
        with claimed(tmp_path / "a") as is_ours, claimed(tmp_path / "a") as again:
            assert (is_ours, again) == (True, False)
            outcomes = work_through(
                ["a", "b"], lambda _: False, lambda item: told.append(item) or (), place=tmp_path.__truediv__
            )
        assert (outcomes.elsewhere, outcomes.made, told) == (["a"], ["b"], ["b"])
        assert not list(tmp_path.iterdir())
        with claimed(tmp_path / "a") as is_ours:
            assert is_ours

    def test_a_claim_ends_with_its_process(self, tmp_path):
        code = (
            "import sys, time; from pathlib import Path; from idmvton.resume import claimed\n"
            "with claimed(Path(sys.argv[1])): print('mine', flush=True); time.sleep(60)"
        )
        process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "a")], stdout=subprocess.PIPE)
        assert process.stdout.readline() == b"mine\n"
        with claimed(tmp_path / "a") as is_ours:
            assert not is_ours
        process.kill()
        process.wait()
        with claimed(tmp_path / "a") as is_ours:
            assert is_ours

    def test_data_sets(self, tmp_path):
        root = layouts.viton_hd(tmp_path)
        masks = root / "test" / "agnostic-mask"
        names = sorted(path.name for path in masks.iterdir())
        shutil.rmtree(masks)
        with claimed(masks / names[0]):
            assert prepare_dataset(root, split="test") == Made(num_masks=2, num_new=2, num_elsewhere=1)
        assert prepare_dataset(root, split="test") == Made(num_masks=3, num_new=1)
        assert made(masks) == names


def test_names_that_are_too_long_are_cut_and_told_and_end_no_batch(folders, try_on):
    long = "ä" * 120
    (folders / "people" / "anna.png").rename(folders / "people" / f"{long}.png")
    result = try_on(folders / "people", folders / "garments", "-o", folders / "out")
    assert result.exit_code == 0, result.output
    (folders / "garments" / "shirt.png").rename(folders / "garments" / f"{long}.png")
    result = try_on(folders / "people", folders / "garments", "-o", folders / "out")
    assert "1 made, 1 done before, 0 failed" in result.stdout
    assert "too long for files" in result.stderr
    pairs = [(Path("x" * 200 + end), Path("y" * 200)) for end in "ab"]
    names = list(names_of(pairs).values())
    assert names[0] != names[1]
    assert all(len(name) <= 255 for name in names)


def test_sigterm_writes_the_report_and_says_so(folders, try_on, monkeypatch):
    """While it makes the second of its pairs."""
    call, calls = TryOnPipeline.__call__, []

    def dress(*arguments, **keywords):
        calls.append(1)
        if len(calls) == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return call(*arguments, **keywords)

    monkeypatch.setattr(TryOnPipeline, "__call__", dress)
    with heeded():
        result = try_on(folders / "people", folders / "garments", "-o", folders / "out")
    assert result.exit_code == 143
    assert "terminated: what was made is kept" in result.stderr
    assert json.loads((folders / "out" / "report.json").read_text())["made"] == ["anna__other.png"]
    assert made(folders / "out") == ["anna__other.png", "report.json"]
