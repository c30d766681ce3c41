"""The page's texts: complete in four languages, and the library's sentences in them."""

import re
import string
from pathlib import Path

import pytest

import idmvton.web
from idmvton.web.words import _SENTENCES, LANGUAGES, language_of, said, texts

SOURCES = [path.read_text() for path in Path(idmvton.web.__file__).parent.rglob("*.py")]
PREPARE = "\n".join(path.read_text() for path in (Path(idmvton.web.__file__).parents[1] / "prepare").rglob("*.py"))


def fields(text):
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("key", sorted(texts()))
def test_a_text_is_there_in_every_language(key):
    text = texts()[key]
    assert text.keys() == LANGUAGES.keys()
    assert all(value.strip() for value in text.values())
    assert len({frozenset(fields(value)) for value in text.values()}) == 1


def test_every_text_is_used_and_every_used_text_is_there():
    sources = "\n".join(SOURCES)
    used = set(re.findall(r"""["']([a-z]+\.[a-z_]+)["']""", sources)) & set(texts())
    sections = {key.split(".")[0] for key in texts()}
    missing = {
        key for key in re.findall(r'(?:say\([a-z.]+, |[a-z]+=)"([a-z]+\.[a-z_]+)"', sources)
        if key.split(".")[0] in sections and key not in texts()
    }  # fmt: skip
    assert not missing
    named = {f"note.{key}" for _, key in _SENTENCES if key}
    by_parts = {"category", "stage", "many", "mask", "run", "result", "person", "garment", "note"}  # names put together
    assert not {key for key in texts() if key not in used | named and key.split(".")[0] not in by_parts}


def test_notes_are_all_reachable():
    named = {key for _, key in _SENTENCES if key}
    own = set(re.findall(r'"note\.([a-z_]+)"', "\n".join(SOURCES)))
    assert {key.split(".")[1] for key in texts() if key.startswith("note.")} == named | own


@pytest.mark.parametrize(
    ("tag", "language"), [("de-AT", "de"), ("ko", "ko"), ("zh-Hant-TW", "zh"), ("fr", "en"), (None, "en"), ("", "en")]
)
def test_a_browser_gets_its_language(tag, language):
    assert language_of(tag) == language


@pytest.mark.parametrize(
    ("sentence", "word"),
    [
        ("no person was found in the photo, which is very dark", "dunkel"),
        ("the legs are not in the photo", "Oberteil"),
        ("the person is seen from behind: garments are put on as from the front, so this will look wrong", "von vorn"),
        ("the garment looks like upper, but not surely: --category says what it is", "Was gewechselt wird"),
    ],
)
def test_what_the_library_says_is_said_in_the_pages_words(sentence, word):
    assert word in said("de", sentence)
    assert "--" not in said("en", sentence)


def test_several_people_are_shown_and_not_written():
    assert said("en", "there are 3 people in the photo: the largest was taken; choose another: --person N") is None


def test_an_unknown_sentence_stays_as_it_is():
    assert said("ko", "something new") == "Something new"
