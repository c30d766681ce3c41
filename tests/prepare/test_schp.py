"""SCHP: golden numbers, the hole rules, other sizes, files that are something else."""

import sys
import warnings

import numpy as np
import pytest
from PIL import Image

from golden_data import GOLDEN
from idmvton.errors import MissingExtraError, WeightsError
from idmvton.prepare.backends import onnx
from idmvton.prepare.backends.onnx import OnnxNetwork, ProviderWarning
from idmvton.prepare.backends.schp.parser import ATR_FILE, LIP_FILE, Schp
from idmvton.prepare.backends.schp.rules import close_holes, merge_labels
from idmvton.prepare.backends.schp.square import Square
from idmvton.prepare.self_test.schp import check_schp

FOLDER = GOLDEN / "schp"
UPPER, FACE, LEFT_ARM, BAG, NECK = 4, 11, 14, 16, 18


@pytest.fixture(scope="module")
def parser():
    return Schp(FOLDER / ATR_FILE, FOLDER / LIP_FILE)


def picture(name):
    return np.asarray(Image.open(FOLDER / "pictures" / f"{name}.png").convert("RGB"))


def test_everything_agrees_with_the_published_code():
    checks = list(check_schp(FOLDER))
    assert len(checks) > 100
    assert [each for each in checks if each[1] > each[2]] == []


def shirt(hole):
    """A shirt of 100 x 100 pixels around a hole of another label."""
    labels = np.zeros((140, 140), np.uint8)
    labels[20:120, 20:120] = UPPER
    labels[hole] = BAG
    return labels


def test_small_holes_are_closed_and_large_ones_stay():
    small, large = np.s_[40:60, 40:60], np.s_[40:100, 40:100]
    assert (close_holes(shirt(small))[small] == UPPER).all()
    assert (close_holes(shirt(large))[large] == BAG).all()
    assert (close_holes(shirt(large), large_hole=4000)[large] == UPPER).all()


def test_what_reaches_the_outside_is_no_hole():
    labels = shirt(np.s_[20:60, 40:60])
    assert np.array_equal(close_holes(labels), labels)


def test_a_hand_on_a_bag_stays_a_hand():
    labels = shirt(np.s_[30:110, 30:110])
    hand = np.s_[60:70, 60:70]
    labels[hand] = LEFT_ARM
    assert np.array_equal(close_holes(labels), labels)
    assert (close_holes(labels, as_published=True)[hand] == UPPER).all()


def test_faces_that_lip_denies_are_necks():
    atr, lip = np.full((4, 4), FACE, np.uint8), np.full((4, 4), 13, np.uint8)
    lip[2:] = 0
    labels = merge_labels(atr, lip)
    assert (labels[:2] == FACE).all()
    assert (labels[2:] == NECK).all()


def test_labels_at_another_size_agree_with_those_at_the_picture_s(parser):
    pixels = picture("portrait")
    own, large = parser(pixels), parser(pixels, (1024, 768))
    assert large.shape == (1024, 768)
    middles = large[1::2, 1::2]  # of four pixels that cover one, the lower right
    assert (middles == own).mean() > 0.97


def test_the_square_and_back_is_the_identity():
    square = Square(300, 200, 473)
    there, back = (np.vstack([each, [0, 0, 1]]) for each in (square.to_network, square.to_picture()))
    assert np.allclose(there @ back, np.eye(3))
    corner = square.to_picture((600, 400)) @ [*(square.to_network @ [0, 0, 1]), 1]
    assert np.allclose(corner, [0.5, 0.5])  # the middle of the first pixel, in pixels half as large


def test_swapped_files_are_named():
    with pytest.raises(WeightsError, match="is not SCHP's network for ATR") as caught:
        Schp(FOLDER / LIP_FILE, FOLDER / ATR_FILE)
    assert "idmvton weights get schp-atr" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"placeholder, 31 bytes of text...", "is a placeholder"),
        (b"<html>" + b" " * 300, "web page"),
        (b"\x08\x07" + b"nothing" * 100, "cannot be loaded"),
    ],
)
def test_what_is_no_network_is_named(tmp_path, content, message):
    path = tmp_path / ATR_FILE
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=message):
        OnnxNetwork(path)


def test_a_missing_file_and_a_missing_package(tmp_path, monkeypatch):
    with pytest.raises(WeightsError, match="there is no file"):
        OnnxNetwork(tmp_path / ATR_FILE)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtraError, match=r"idmvton\[published\]"):
        OnnxNetwork(FOLDER / ATR_FILE)


def test_falling_back_to_the_cpu_is_told(monkeypatch):
    runtime = onnx.import_onnxruntime()
    with warnings.catch_warnings():
        warnings.simplefilter("error", ProviderWarning)
        OnnxNetwork(FOLDER / ATR_FILE)  # nothing quicker is there: nothing is told
    monkeypatch.setattr(runtime, "get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"])
    with pytest.warns(ProviderWarning, match="CUDAExecutionProvider was refused"):
        assert OnnxNetwork(FOLDER / ATR_FILE).provider == "CPUExecutionProvider"


def test_a_gpu_that_this_onnxruntime_does_not_know_is_told(monkeypatch):
    monkeypatch.setattr(onnx, "_has_nvidia_gpu", lambda: True)
    with pytest.warns(ProviderWarning, match="install onnxruntime-gpu"):
        OnnxNetwork(FOLDER / ATR_FILE)
