"""The flow from a rendered person to the product picture, in files and through reading, framing and augmentation."""

import cv2
import numpy as np
import pytest
from PIL import Image

from idmvton.atomic import whole_file
from idmvton.data import augment, flow_files, open_dataset
from idmvton.errors import InputError
from idmvton.studio import make_dataset
from idmvton.types import Size

SIZE = (128, 96)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    target = tmp_path_factory.mktemp("renders")
    make_dataset(target, pairs=3, size=SIZE, split="train", seed=5, workers=1, flow=True)
    return target


def fetched(sample):
    """What the flow fetches from the product picture, nearest pixels, and where it is known."""
    known = np.isfinite(sample.flow).all(2)
    x, y = (
        np.nan_to_num(sample.flow[..., n], posinf=0, neginf=0).astype(int).clip(0, limit - 1)
        for n, limit in enumerate(sample.garment.size)
    )
    return np.asarray(sample.garment)[y, x], known


def colour_error(sample, picture):
    """Median difference of what light hardly changes: red - green and green - blue of what is fetched and worn."""
    colours, known = fetched(sample)
    worn = np.asarray(picture)
    assert known.sum() > 50
    axes = np.array([[1, 0], [-1, 1], [0, -1]])
    return np.median(np.abs((colours[known].astype(int) - worn[known]) @ axes))


@pytest.mark.parametrize("order", ["paired", "unpaired"])
@pytest.mark.parametrize("size", [SIZE, (256, 192)])
def test_a_read_flow_points_to_the_same_colours(folder, order, size):
    for sample in open_dataset(folder, size, order=order):
        picture = sample.person if order == "paired" else sample.unpaired_target
        assert colour_error(sample, picture) < 25


def test_flips_and_shifts_keep_the_flow_true(folder):
    for sample in open_dataset(folder, SIZE):
        for changed in (augment.flip(sample), augment.shift_and_scale(sample, 0.05, -0.08, 1.15)):
            assert colour_error(changed, changed.person) < 25
        away = augment.shift_and_scale(sample, 0.0, 0.2, 1.0)
        assert np.isnan(away.flow[:, :10]).all()


def test_files_keep_a_64th_of_a_pixel(tmp_path):
    flow = np.random.default_rng(0).uniform(0, 500, (6, 5, 2)).astype(np.float32)
    flow[2:4, 1], flow[5, 2:4] = np.nan, np.inf
    with whole_file(tmp_path / "flow.png") as file:
        Image.fromarray(np.zeros((1, 1), np.uint8)).save(file, "PNG")
    with pytest.raises(InputError, match="not the file of a flow"):
        flow_files.read_flow(tmp_path / "flow.png")
    cv2.imwrite(str(tmp_path / "flow.png"), flow_files.pack_flow(flow)[..., ::-1])
    read = flow_files.read_flow(tmp_path / "flow.png")
    known = np.isfinite(flow)
    assert np.array_equal(read[~known], flow[~known], equal_nan=True)
    assert np.abs(read[known] - flow[known]).max() <= 0.5 / 64 + 1e-4
    with pytest.raises(InputError, match="cannot be read"):
        flow_files.read_flow(tmp_path / "nothing.png")


def test_size_is_checked(folder):
    sample = open_dataset(folder, SIZE)[0]
    assert sample.flow.shape == (*Size(*SIZE), 2)
