"""Reading: boxes from a score map, letters from columns, with stand-ins for the two networks and with the real ones."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from tests.evaluate.conftest import drawn

from idmvton.errors import MissingExtraError, WeightsError
from idmvton.evaluate import extra, texts
from idmvton.evaluate.protocols import find_protocol
from idmvton.evaluate.shown import Shown
from idmvton.weights import locate


class Network:
    """Answers as an onnxruntime session does, and keeps what it was asked."""

    def __init__(self, answer):
        self.answer, self.asked = answer, []

    def get_inputs(self):
        return [SimpleNamespace(name="x")]

    def get_modelmeta(self):
        return SimpleNamespace(custom_metadata_map={"character": "a\nb"})

    def run(self, _, feed):
        self.asked.append(feed["x"])
        return [self.answer(feed["x"])]


def reader(monkeypatch, detect, recognise):
    networks = {texts.DETECTOR_FILE: Network(detect), texts.RECOGNISER_FILE: Network(recognise)}
    monkeypatch.setattr(texts, "_session", lambda file: networks[file.name])
    return texts.TextReader(Path("folder")), networks


def columns(*numbers):
    """Answers of the recogniser: nothing, a, b, and a space, a column each."""
    return lambda _: np.eye(4, dtype=np.float32)[list(numbers)][None]


def test_a_marked_bar_becomes_one_box_that_is_wider_than_its_core(monkeypatch):
    def detect(pixels):
        score = np.zeros((1, 1, *pixels.shape[2:]), np.float32)
        score[..., 100:120, 200:400] = 0.9
        score[..., 300:302, 200:202] = 0.9  # too small
        score[..., 500:520, 200:400] = 0.4  # marked, but not sure enough
        return score

    read, networks = reader(monkeypatch, detect, columns(1))
    (box,) = read.find(np.zeros((320, 320, 3), np.uint8))
    pixels = networks[texts.DETECTOR_FILE].asked[0]
    assert pixels.shape == (1, 3, 640, 640)
    assert (pixels == -1).all()
    grown = 1.6 * (200 * 20) / (2 * (200 + 20))  # in the detector's pixels, two of the picture's each
    corners = np.array([[200 - grown, 100 - grown], [400 + grown, 120 + grown]]) / 2
    assert np.allclose([box.min(0), box.max(0)], corners, atol=1.5)
    assert np.array_equal(box[0], box[np.argmin(box.sum(1))])


def test_columns_are_read_greedily_and_repeats_count_once(monkeypatch):
    line = np.zeros((24, 48, 3), np.uint8)
    read, networks = reader(monkeypatch, None, columns(0, 1, 1, 0, 1, 2, 3, 2))
    assert read.read_line(line) == ("aab b", 1.0)
    pixels = networks[texts.RECOGNISER_FILE].asked[0]
    assert pixels.shape == (1, 3, 48, 320)
    assert (pixels[..., :96] == -1).all()
    assert (pixels[..., 96:] == 0).all()
    empty, _ = reader(monkeypatch, None, columns(0, 0))
    assert empty.read_line(line) == ("", 0.0)


def word(text):
    picture = Image.new("RGB", (384, 512), "white")
    ImageDraw.Draw(picture).text((60, 200), text, fill="black", font=ImageFont.load_default(64))
    return np.array(picture)


def test_the_networks_read_a_drawn_word():
    read = texts.TextReader(locate("pp-ocr"))
    assert texts.characters(read(word("SUMMER"))) == "summer"
    assert read(np.full((128, 96, 3), 255, np.uint8)) == []


def test_text_that_is_lost_is_told_from_text_that_is_kept():
    measure = texts.load()

    def kept(garment, result):
        return measure(Shown("a", result, result, find_protocol("idmvton"), garment=garment))

    assert kept(word("SUMMER"), word("SUMMER")) == 1
    assert kept(word("SUMMER"), word("")) == 0
    assert kept(drawn(1), word("SUMMER")) is None


def test_characters_are_kept_in_their_order():
    assert texts.characters(["Sum mer", "20-26!"]) == "summer2026"
    assert texts.share_kept("summer", "summer") == 1
    assert texts.share_kept("summer", "a sumer b") == pytest.approx(5 / 6)
    assert texts.share_kept("summer", "") == 0


def test_what_is_not_installed_or_fetched_is_named(cache, monkeypatch):
    with pytest.raises(WeightsError, match="idmvton weights get pp-ocr"):
        texts.load()
    with pytest.raises(MissingExtraError, match=r"pip install 'idmvton\[evaluate\]'"):
        extra.require("a_package_that_is_not_there.part")
    assert extra.named("a-package-that-is-not-there") == "a-package-that-is-not-there (not installed)"
