"""The word for a garment's colour: the main one, in whatever light."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from idmvton.captions.templates import COLOURS
from idmvton.prepare.garment_colour import colour_of
from idmvton.prepare.garment_words import garment_words


def shirt(colour, accent=None, size=(192, 256)):
    """A lit garment on white, a fifth of it striped in the accent."""
    picture = Image.new("RGB", size, (255, 255, 255))
    shape = Image.new("L", size, 0)
    ImageDraw.Draw(shape).rectangle((40, 40, 150, 220), fill=255)
    pixels, mask = np.array(picture), np.asarray(shape) > 0
    light = np.linspace(1.0, 0.9, size[0])[None, :, None]
    cloth = np.broadcast_to(np.array(COLOURS[colour]) * 255, pixels.shape)
    if accent:
        striped = (np.arange(size[1]) % 20 < 4)[:, None, None]
        cloth = np.where(striped, np.array(COLOURS[accent]) * 255, cloth)
    return np.where(mask[..., None], cloth * light, pixels).astype(np.uint8), mask


@pytest.mark.parametrize("word", list(COLOURS))
def test_each_colour_has_its_word(word):
    assert colour_of(*shirt(word)) == (word, 1.0)


def test_stripes_do_not_hide_the_main_colour():
    word, share = colour_of(*shirt("teal", "white"))
    assert word == "teal"
    assert 0.7 < share < 0.9


def test_a_garment_of_many_colours_is_not_given_one():
    pixels, mask = shirt("teal")
    for row, word in enumerate(list(COLOURS)[:9]):
        pixels[40 + 20 * row : 60 + 20 * row, 40:151] = np.array(COLOURS[word]) * 255
    words = garment_words(Image.fromarray(pixels), mask)
    assert words.words["colour"][1] < 0.5
    assert words.words["colour"][0] not in words.caption


def test_a_few_pixels_of_a_large_picture_are_enough():
    pixels, mask = np.full((2000, 1500, 3), 255, np.uint8), np.zeros((2000, 1500), bool)
    mask[1000, 700] = True
    assert colour_of(pixels, mask)[0] == "white"
