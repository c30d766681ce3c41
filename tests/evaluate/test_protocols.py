"""Protocols against independent restatements of what they say."""

import io

import numpy as np
import pytest
from PIL import Image
from skimage.metrics import structural_similarity
from tests.evaluate.conftest import drawn

from idmvton.errors import ConfigError
from idmvton.evaluate.metrics import METRICS
from idmvton.evaluate.protocols import PROTOCOLS, explain, find_protocol
from idmvton.evaluate.shown import Shown
from idmvton.types import Size


def test_every_protocol_is_complete_and_explained():
    for name, protocol in PROTOCOLS.items():
        assert protocol.name == name
        assert set(protocol.metrics) <= METRICS.keys()
        words = explain(protocol)
        assert all(metric in words for metric in protocol.metrics)
    with pytest.raises(ConfigError, match="'catvton'"):
        find_protocol("catvtn")


def test_catvton_stores_the_truth_as_jpeg_after_a_lanczos_resize():
    truth = Image.fromarray(drawn(3))
    shown = find_protocol("catvton").truth(truth, Size(96, 88))
    buffer = io.BytesIO()
    truth.resize((88, 96), Image.Resampling.LANCZOS).save(buffer, "JPEG", quality=75)
    assert np.array_equal(np.asarray(shown), np.asarray(Image.open(buffer).convert("RGB")))
    assert "JPEG of quality 75" in explain(find_protocol("catvton"))


def test_ladi_scores_at_512_x_384():
    protocol = find_protocol("ladi")
    assert protocol.result(Image.new("RGB", (768, 1024))).size == (384, 512)
    assert protocol.truth(Image.new("RGB", (100, 200)), Size(7, 7)).size == (384, 512)


def test_hr_viton_scores_grey_pictures():
    first, second = drawn(4), drawn(5)
    shown = Shown("a", first, second, None, None, None, find_protocol("hr-viton"))
    grey = [np.asarray(Image.fromarray(each).convert("L")) for each in (first, second)]
    expected = structural_similarity(*grey, data_range=255, gaussian_weights=True, use_sample_covariance=False)
    assert METRICS["ssim_grey"].load()(shown) == pytest.approx(expected, abs=2e-3)
    assert find_protocol("hr-viton").perceptual_size == Size(128, 128)


def test_a_region_restricts_what_counts():
    mask = np.zeros((192, 176), bool)
    mask[:50] = True
    result = drawn(1).copy()
    result[100:] = 0
    inside = Shown("a", result, drawn(1), None, None, mask, find_protocol("idmvton-mask"))
    whole = Shown("a", result, drawn(1), None, None, mask, find_protocol("idmvton"))
    assert METRICS["psnr"].load()(inside) == 100
    assert METRICS["psnr"].load()(whole) < 20
