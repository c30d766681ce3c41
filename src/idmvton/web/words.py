"""The page's texts in its four languages, and the library's sentences in the page's words."""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Mapping
from importlib.resources import files
from typing import Final, Literal, get_args

from idmvton.errors import IdmVtonError

Language = Literal["en", "ko", "de", "zh"]
LANGUAGES: Final[Mapping[Language, str]] = {"en": "English", "ko": "한국어", "de": "Deutsch", "zh": "中文"}

_SENTENCES: Final = (
    (r"there are \d+ people in the photo", None),  # the page shows them and lets choose
    (r"no person was found in the photo, which is very dark", "no_person_dark"),
    (r"no person was found", "no_person"),
    (r"there is no person \d", "not_so_many"),
    (r"shoulders were not found", "no_person"),
    (r"shows only the face", "face_only"),
    (r"too little of the upper body", "little_body"),
    (r"^the legs are not in the photo: the dress", "dress_cut_off"),
    (r"^the legs are not in the photo", "no_legs"),
    (r"the person is too small", "too_small"),
    (r"the person is small", "small"),
    (r"the photo is too dark", "too_dark"),
    (r"the photo is dark: colours", "dark"),
    (r"seen from behind", "back"),
    (r"the person sits", "sits"),
    (r"shows only \d+ ?% of the trunk", "cut_off"),
    (r"not certain that the pose is right", "unsure_pose"),
    (r"there is nothing to repaint", "nothing"),
    (r"there is no garment in|no garment was found", "no_garment"),
    (r"picture (cannot be read|is damaged|has too many|is too small|is too narrow)", "unreadable"),
    (r"looks like .*, but not surely", "unsure_category"),
    (r"does not stand upright", "turned"),
    (r"could not be removed: the whole photo", "whole_photo"),
    (r"background is not plain", "check_cut_out"),
    (r"a person wears the garment", "worn"),
    (r"of the wearer's clothes", "worn_other"),
    (r"the garment photo shows \d+ garments", "several_garments"),
    (r"looks like a dress, but the photo ends", "dress_as_top"),
    (r"the garment looks like", "mismatch"),
    (r"garment was darkened", "darkened"),
    (r"garment was made grey", "greyed"),
    (r"the person wears a dress", "wears_dress"),
    (r"transparent in places", "transparent"),
    (r"(no room|queue is full)", "queue_full"),
    (r"the photo was erased", "photo_gone"),
    (r"seeds made nearly the same", "equal_seeds"),
)
"""Sentence of the library -> key of the page's note; None where the page shows it in another way."""


@functools.cache
def texts() -> Mapping[str, Mapping[str, str]]:
    """Key, such as ``"run.button"`` -> language -> text."""
    sections = tomllib.loads(files(__package__).joinpath("texts.toml").read_text(encoding="utf-8"))
    return {f"{section}.{name}": text for section, lines in sections.items() for name, text in lines.items()}


def language_of(tag: str | None) -> Language:
    """The page's language for what a browser asks for, such as ``"de-AT"``; English where it has none."""
    short = (tag or "").split("-")[0].lower()
    return next((each for each in get_args(Language) if each == short), "en")


def say(language: Language, key: str, **values: object) -> str:
    """A text of the page, filled in."""
    return texts()[key][language].format(**values) if values else texts()[key][language]


def said(language: Language, sentence: str) -> str | None:
    """What the library says, as the page says it; None where the page shows it in another way."""
    for pattern, key in _SENTENCES:
        if re.search(pattern, sentence):
            return say(language, f"note.{key}") if key else None
    return sentence[:1].upper() + sentence[1:]


def said_all(language: Language, sentences: tuple[str, ...]) -> list[str]:
    """The same of several, each once."""
    found = (said(language, each) for each in sentences)
    return list(dict.fromkeys(each for each in found if each))


def failure(language: Language, error: IdmVtonError) -> str:
    """What an error says, with what to do."""
    known = said(language, error.what)
    plain = error.what[:1].upper() + error.what[1:]
    if known != plain:
        return known or ""
    told = [say(language, "note.failed", what=error.what)]
    told += [f"({error.got})"] if error.got else []
    told += [error.fix] if error.fix else []
    return " ".join(told)
