"""From folders to a report: matching by names, resuming, equal bytes, what is missing, comparing."""

import hashlib
import itertools
import json

import numpy as np
import pytest
from PIL import Image
from tests.evaluate.conftest import drawn, save
from typer.testing import CliRunner

from idmvton.cli import app
from idmvton.errors import InputError
from idmvton.evaluate import evaluation, scoring
from idmvton.evaluate.comparison import compare
from idmvton.evaluate.evaluation import evaluate
from idmvton.evaluate.matching import match_folder
from idmvton.evaluate.metrics import find_metric
from idmvton.evaluate.protocols import find_protocol
from idmvton.evaluate.report import write_report

IDMVTON = find_protocol("idmvton")


def scored(folders, output="report", results="results"):
    matched = match_folder(folders / results, folders / "truth", masks=folders / "masks")
    report = evaluate(matched, IDMVTON, folders / output, workers=1)
    write_report(report, folders / output)
    return report


def test_figures_are_means_with_intervals_and_a_scale(folders, st_lpips):
    report = scored(folders)
    assert {"ssim", "psnr", "st_lpips", "colour"} <= report.figures.keys()
    for figure in report.figures.values():
        assert figure.low <= figure.value <= figure.high
        assert figure.n == 6
    values = report.measured.numbers["psnr"]
    assert values[0] == 100
    assert all(first > second for first, second in itertools.pairwise(values))
    scale = list(report.scale.values())
    assert scale[0]["ssim"] == pytest.approx(1, abs=1e-6)
    assert scale[0]["psnr"] == 100
    assert scale[0]["st_lpips"] == 0
    assert scale[1]["ssim"] < 1
    assert scale[2]["ssim"] < 1


def test_what_cannot_be_computed_names_what_it_needs(folders, cache):
    report = scored(folders)
    missing = {each.metric: each.why for each in report.missing}
    assert "idmvton weights get st-lpips" in missing["st_lpips"]
    assert "idmvton weights get backbone-alex" in missing["lpips_alex"]
    assert "idmvton weights get inception-fid" in missing["fid"] or "no photo" in missing["fid"]
    assert "no garment" in missing["text_kept"]
    assert missing["ms_ssim"] == "no picture has an answer"
    assert not missing.keys() & report.figures.keys()
    assert set(IDMVTON.metrics) == missing.keys() | report.figures.keys()


def test_two_runs_write_the_same_bytes_and_finished_parts_are_not_measured_again(folders, cache, monkeypatch):
    scored(folders, "one")
    scored(folders, "two")
    for name in ("report.json", "pictures.csv", "report.html"):
        assert (folders / "one" / name).read_bytes() == (folders / "two" / name).read_bytes()
    monkeypatch.setattr(scoring, "_do_part", lambda *_: pytest.fail("measured again"))
    scored(folders, "one")


def test_a_changed_result_is_measured_again(folders, cache):
    before = scored(folders).figures["psnr"].value
    save(drawn(50), folders / "results" / "p0.png")
    assert scored(folders).figures["psnr"].value < before


def test_the_report_is_strict_json_and_one_page(folders, cache):
    scored(folders)
    report = json.loads((folders / "report" / "report.json").read_text(), parse_constant=pytest.fail)
    assert report["metrics"]["ssim"].keys() == {"value", "low", "high", "n", "how"}
    assert report["protocol"]["name"] == "idmvton"
    page = (folders / "report" / "report.html").read_text()
    assert "http" not in page.replace("http-equiv", "")
    assert page.count("data:image/jpeg") == 12


def test_missing_extra_and_unreadable_results_are_errors_with_a_list(folders, cache):
    (folders / "results" / "p3.png").rename(folders / "results" / "other.png")
    with pytest.raises(InputError, match="1 of 6 results are missing") as caught:
        scored(folders)
    assert "p3" in str(caught.value)
    save(drawn(3), folders / "results" / "p3.png")
    with pytest.raises(InputError, match=r"1 pictures belong to no pair(.|\n)*other"):
        scored(folders)
    (folders / "results" / "other.png").unlink()
    (folders / "results" / "p3.png").write_text("no picture")
    with pytest.raises(InputError, match=r"p3.png"):
        scored(folders)


def test_jpeg_results_are_warned_of(folders, cache):
    save(drawn(0), folders / "results" / "p0.jpg")
    (folders / "results" / "p0.png").unlink()
    assert any("JPEG" in warning for warning in scored(folders).warnings)


def test_two_systems_are_compared_pair_by_pair(folders, cache):
    for number in range(6):
        save(drawn(number, shift=number * 4 + 8), folders / "worse" / f"p{number}.png")
    scored(folders, "first")
    scored(folders, "second", "worse")
    differences, largest = compare(folders / "first", folders / "second")
    psnr = next(each for each in differences if each.metric == "psnr")
    assert psnr.mean < 0
    assert psnr.low <= psnr.mean <= psnr.high < 0
    assert psnr.p < 0.05
    assert psnr.second_better == 0
    assert largest["psnr"][0] == "p0"
    same, _ = compare(folders / "first", folders / "first")
    assert all(each.p == 1 and each.mean == 0 and each.second_better == 0.5 for each in same)
    (folders / "second" / "pictures.csv").write_text("pair,result,psnr\nelse,a,1\n")
    with pytest.raises(InputError, match="not of the same pairs"):
        compare(folders / "first", folders / "second")
    with pytest.raises(InputError, match="no report"):
        compare(folders / "first", folders)


def test_intervals_cover_the_mean_as_often_as_they_say():
    random = np.random.default_rng(7)
    hits = 0
    for _ in range(200):
        low, high = scoring.interval(random.normal(size=60), resamples=300)
        hits += low <= 0 <= high
    assert 0.88 <= hits / 200 <= 0.99


def test_the_command_scores_explains_and_names_what_is_wrong(folders, cache):
    run = CliRunner().invoke
    results, truth = str(folders / "results"), str(folders / "truth")
    done = run(app, ["evaluate", results, "--truth", truth, "-o", str(folders / "r"), "--workers", "1", "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["metrics"]["ssim"]["n"] == 6
    assert (folders / "r" / "report.html").exists()
    told = run(app, ["evaluate", "--explain", "catvton"])
    assert "JPEG of quality 75" in told.stdout
    failed = run(app, ["evaluate", results, "--truth", str(folders / "nowhere")])
    assert failed.exit_code == 1
    assert "does not exist" in failed.output
    lacking = run(app, ["evaluate", "--model", "mini"])
    assert lacking.exit_code == 1
    assert "--data" in lacking.output


def test_several_processes_give_what_one_gives(folders, cache):
    matched = match_folder(folders / "results", folders / "truth", masks=folders / "masks")
    metrics = [find_metric(name) for name in ("ssim", "psnr")]
    one, two = (
        scoring.measure(matched.cases, metrics, IDMVTON, folders / str(n), workers=n, part_size=3) for n in (1, 2)
    )
    assert one.names == two.names
    for name, values in one.numbers.items():
        assert np.array_equal(values, two.numbers[name], equal_nan=True), name


def test_the_scale_is_measured_on_few_truths(folders, cache, monkeypatch):
    monkeypatch.setattr(evaluation, "SCALE_CASES", 2)
    assert scored(folders).scale.keys() == set(evaluation.SCALE_ROWS)


def test_transparent_results_are_warned_of_and_bad_masks_named(folders, cache):
    glass = Image.fromarray(drawn(0))
    glass.putalpha(128)
    glass.save(folders / "results" / "p0.png")
    assert any("1 results are transparent" in warning for warning in scored(folders).warnings)
    for content in (b"no picture", None):
        mask = folders / "masks" / "p1.png"
        if content is None:
            save(np.zeros((64, 48), np.uint8), mask)
        else:
            mask.write_bytes(content)
        with pytest.raises(InputError, match=r"masks/p1.png"):
            scored(folders)


def test_the_report_has_the_hashes_of_weights(folders, st_lpips):
    expected = hashlib.sha256(st_lpips.read_bytes()).hexdigest()
    assert scored(folders).to_dict()["weights"] == {"st-lpips": {"alex_shift_tolerant.pth": expected}}
