"""Metrics of a pair: equal pictures, agreement with the libraries' own calls, regions."""

import math

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.color import deltaE_ciede2000, rgb2lab
from skimage.metrics import structural_similarity
from tests.evaluate.conftest import LARGE, drawn
from torchmetrics.image import MultiScaleStructuralSimilarityIndexMeasure, StructuralSimilarityIndexMeasure
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import KernelInceptionDistance

from idmvton.errors import InputError
from idmvton.evaluate import pictures, sets
from idmvton.evaluate.similarity import multi_scale_similarity
from idmvton.types import Size

ONE, TWO = drawn(1, size=LARGE), drawn(2, size=LARGE)


def tensor(picture):
    return torch.from_numpy(picture).permute(2, 0, 1)[None] / 255


def test_equal_pictures_have_the_best_scores():
    assert pictures.ssim(ONE, ONE) == pytest.approx(1, abs=1e-6)
    assert multi_scale_similarity(ONE, ONE) == pytest.approx(1, abs=1e-6)
    assert pictures.ssim_grey(ONE, ONE) == pytest.approx(1, abs=1e-6)
    assert math.isinf(pictures.psnr(ONE, ONE))
    assert pictures.colour_difference(ONE, ONE) == 0
    assert pictures.change(ONE, ONE, np.ones(LARGE, bool)) == (0, 0)


def test_values_are_the_libraries_own():
    ssim, ms_ssim = (
        kind(data_range=1.0)(tensor(ONE).double(), tensor(TWO).double())
        for kind in (StructuralSimilarityIndexMeasure, MultiScaleStructuralSimilarityIndexMeasure)
    )
    assert pictures.ssim(ONE, TWO) == pytest.approx(float(ssim), abs=1e-6)
    assert multi_scale_similarity(ONE, TWO) == pytest.approx(float(ms_ssim), abs=1e-6)
    grey = [np.asarray(Image.fromarray(each).convert("L")) for each in (ONE, TWO)]
    expected = structural_similarity(*grey, data_range=255, gaussian_weights=True, use_sample_covariance=False)
    assert pictures.ssim_grey(ONE, TWO) == pytest.approx(expected, abs=1e-9)
    error = ((ONE.astype(float) - TWO) ** 2).mean()
    assert pictures.psnr(ONE, TWO) == pytest.approx(20 * math.log10(255) - 10 * math.log10(error), abs=1e-9)
    means = [rgb2lab(each).reshape(-1, 3).mean(0) for each in (ONE, TWO)]
    assert pictures.colour_difference(ONE, TWO) == pytest.approx(deltaE_ciede2000(*means), abs=1e-9)


def test_a_region_counts_alone():
    changed, mask = ONE.copy(), np.zeros(LARGE, bool)
    mask[:60] = True
    changed[100:] = 255 - changed[100:]
    assert math.isinf(pictures.psnr(changed, ONE, mask))
    assert pictures.ssim(changed, ONE, mask) == pytest.approx(1, abs=1e-6)
    assert pictures.psnr(changed, ONE, ~mask) < pictures.psnr(changed, ONE) < 30
    largest, mean = pictures.change(changed, ONE, ~mask)
    assert 0 < mean < largest <= 255
    with pytest.raises(InputError, match="differ in size"):
        pictures.psnr(changed, ONE, mask[:10])
    with pytest.raises(InputError, match="empty"):
        pictures.ssim(changed, ONE, np.zeros(LARGE, bool))


def test_distances_of_sets_are_torchmetrics_own():
    random = np.random.default_rng(0)
    results, photos = random.normal(size=(2, 40, 8)).astype(np.float32)

    class Flat(torch.nn.Module):
        num_features = 8

        def forward(self, x):
            return x[:, 0, 0, :8].float()

    def as_pictures(features):
        return torch.from_numpy(features)[:, None, None].expand(-1, 3, 299, 8)

    expected = FrechetInceptionDistance(feature=Flat())
    expected.set_dtype(torch.float64)
    kernel = KernelInceptionDistance(feature=Flat(), subsets=100, subset_size=40)
    for metric in (expected, kernel):
        metric.update(as_pictures(photos), real=True)
        metric.update(as_pictures(results), real=False)
    assert sets.fid(results, photos) == pytest.approx(float(expected.compute()), abs=1e-6)
    assert sets.fid(photos, photos) == pytest.approx(0, abs=1e-6)
    assert sets.kid(results, photos)[0] == pytest.approx(float(kernel.compute()[0]), abs=1e-6)
    assert sets.kid(results, photos) == sets.kid(results, photos)
    with pytest.raises(InputError, match="too few pictures"):
        sets.fid(results[:1], photos[:1])


def test_small_pictures_have_no_five_scales():
    with pytest.raises(InputError, match="too small for five scales"):
        multi_scale_similarity(ONE[:100], TWO[:100])


def test_the_face_is_a_disc_around_its_points():
    points = np.zeros((18, 2))
    assert pictures.face(points, Size(60, 60)) is None
    points[[14, 15, 0]] = [25, 20], [35, 20], [30, 26]
    region = pictures.face(points, Size(60, 60))
    assert region[22, 30]
    assert region[20, 25]
    assert not region[45, 30]
    assert not region[22, 45]
