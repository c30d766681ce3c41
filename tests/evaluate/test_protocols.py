"""Protocols against independent restatements of what they say."""

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.metrics import structural_similarity
from tests.evaluate.conftest import drawn
from torchmetrics.functional.image import structural_similarity_index_measure

from idmvton.errors import ConfigError
from idmvton.evaluate.matching import Case
from idmvton.evaluate.metrics import METRICS, with_metrics
from idmvton.evaluate.protocols import PROTOCOLS, explain, find_protocol
from idmvton.evaluate.scoring import show
from idmvton.evaluate.shown import Shown


def test_every_protocol_is_complete_and_explained():
    for name, protocol in PROTOCOLS.items():
        assert protocol.name == name
        assert set(protocol.metrics) <= METRICS.keys()
        words = explain(protocol)
        assert all(metric in words for metric in protocol.metrics)
    with pytest.raises(ConfigError, match="'catvton'"):
        find_protocol("catvtn")


def shown_by(name, result, truth, folder):
    """A result and its truth as a protocol shows them, from files."""
    for kind, picture in (("result", result), ("truth", truth)):
        picture.save(folder / f"{kind}.png")
    case = Case("a", folder / "result.png", truth=folder / "truth.png")
    return show(case, find_protocol(name))


def unit(picture):
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].double() / 255


def test_catvton_stores_a_truth_that_it_resizes_as_jpeg(tmp_path):
    result, truth = Image.fromarray(drawn(2)), Image.fromarray(drawn(3, size=(128, 96)))
    shown = shown_by("catvton", result, truth, tmp_path)
    small = truth.resize((int(truth.width * result.height / truth.height), result.height), Image.LANCZOS)
    small.save(tmp_path / "resized.jpg")  # as their script does: the default quality is 75
    stored = Image.open(tmp_path / "resized.jpg").convert("RGB")
    assert np.array_equal(shown.truth, np.asarray(stored))
    assert np.array_equal(shown.reference, np.asarray(stored))
    expected = structural_similarity_index_measure(unit(result), unit(stored), data_range=1.0)
    assert METRICS["ssim"].load()(shown) == pytest.approx(float(expected), abs=1e-6)
    same = shown_by("catvton", result, Image.fromarray(drawn(4)), tmp_path)
    assert np.array_equal(same.truth, drawn(4))
    assert "JPEG of quality 75" in explain(find_protocol("catvton"))


def test_ladi_scores_at_512_x_384_and_sets_as_they_are_stored(tmp_path):
    result, truth = Image.fromarray(drawn(2)), Image.fromarray(drawn(3, size=(128, 96)))
    shown = shown_by("ladi", result, truth, tmp_path)
    resized = [each.resize((384, 512), Image.BILINEAR) for each in (result, truth)]
    expected = structural_similarity_index_measure(*map(unit, resized), data_range=1.0)
    assert METRICS["ssim"].load()(shown) == pytest.approx(float(expected), abs=1e-6)
    assert np.array_equal(shown.candidate, np.asarray(result))
    assert np.array_equal(shown.reference, np.asarray(truth))


def test_hr_viton_scores_grey_pictures_and_lpips_at_128(tmp_path):
    result, truth = Image.fromarray(drawn(4)), Image.fromarray(drawn(5, size=(128, 96)))
    shown = shown_by("hr-viton", result, truth, tmp_path)
    small = truth.resize((48, 64), Image.BILINEAR)
    grey = [np.asarray(each.convert("L")) for each in (small, result)]
    expected = structural_similarity(*grey, data_range=255, gaussian_weights=True, use_sample_covariance=False)
    assert METRICS["ssim_grey"].load()(shown) == pytest.approx(expected, abs=1e-9)
    seen = find_protocol("hr-viton").seen_by_lpips(shown.result)
    assert np.array_equal(seen, np.asarray(result.resize((128, 128), Image.BILINEAR)))


def test_a_region_restricts_what_counts():
    mask = np.zeros((64, 48), bool)
    mask[:20] = True
    result = drawn(1).copy()
    result[40:] = 0
    inside, whole = (
        Shown("a", result, result, find_protocol(name), truth=drawn(1), mask=mask)
        for name in ("idmvton-mask", "idmvton")
    )
    assert METRICS["psnr"].load()(inside) == 100
    assert METRICS["psnr"].load()(whole) < 20


def test_other_metrics_can_be_chosen():
    chosen = with_metrics(find_protocol("catvton"), ["psnr", "ssim", "psnr"])
    assert chosen.metrics == ("psnr", "ssim")
    assert chosen.truth_jpeg == 75
    with pytest.raises(ConfigError, match="unknown metric"):
        with_metrics(chosen, ["sim"])
    with pytest.raises(ConfigError, match="no metric"):
        with_metrics(chosen, [])
