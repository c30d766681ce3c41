"""What the studio writes, the reader reads: exact labels, both orders, and the truth of the unpaired ones."""

import numpy as np
import pytest

from idmvton.data import VitonHD, check_dataset, prepare_dataset
from idmvton.studio import make_dataset, sample

SIZE = (128, 96)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("studio")
    make_dataset(folder, pairs=2, size=SIZE, split="test", workers=0)
    return folder


@pytest.fixture(scope="module")
def made():
    return [sample(0, index, "test", "mixed", SIZE) for index in range(2)]


def close(picture, array):
    return np.abs(np.asarray(picture).astype(int) - array).mean() < 10


def test_paired(root, made):
    data = VitonHD(root, SIZE, split="test")
    assert data.names == ("000000_00", "000001_00")
    for read, truth in zip((data[row] for row in range(2)), made, strict=True):
        assert np.array_equal(read.mask, truth.mask > 0)
        assert np.array_equal(read.labels, truth.labels), "ATR classes, not CIHP's"
        assert np.allclose(read.keypoints, truth.keypoints, atol=1e-3)
        assert (read.category, read.caption) == (truth.category, truth.tags)
        assert close(read.person, truth.person)
        assert close(read.garment, truth.garment)
        assert close(read.garment_worn, truth.garment_worn)
        assert read.unpaired_target is None


def test_unpaired_comes_with_its_truth(root, made):
    data = VitonHD(root, SIZE, split="test", order="unpaired", captions="detailed")
    for read, truth in zip((data[row] for row in range(2)), made, strict=True):
        assert close(read.person, truth.person)
        assert close(read.garment, truth.other_garment)
        assert close(read.unpaired_target, truth.unpaired)
        assert read.caption == truth.other_caption


def test_the_check_finds_nothing(root):
    for order in ("paired", "unpaired"):
        assert check_dataset(root, split="test", order=order).findings == ()


def test_prepare_makes_the_studios_own_masks(root, made):
    paths = sorted((root / "test" / "agnostic-mask").iterdir())
    for path in paths:
        path.unlink()
    assert prepare_dataset(root, split="test").num_new == 2
    data = VitonHD(root, SIZE, split="test")
    for row, truth in enumerate(made):
        different = data[row].mask != (truth.mask > 0)
        assert different.mean() < 0.04, "equal but for the width of the arms, which depends on the crop"
