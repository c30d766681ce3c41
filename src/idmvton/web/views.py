"""What the components of the page show of a room: plain values."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from PIL import Image

from idmvton.errors import IdmVtonError
from idmvton.images import load_image
from idmvton.web import look
from idmvton.web.masks import data_uri, layer_of, shown_size, thumbnail
from idmvton.web.page import Page
from idmvton.web.room import Room
from idmvton.web.shelf import Photo
from idmvton.web.words import say

WORDS = {"upper_body": "upper", "lower_body": "lower", "dresses": "dress"}


def painter_value(room: Room) -> dict[str, Any] | None:
    """The photo, the mask over it and the people in it; None where nobody was understood."""
    understood, texts = room.understood, room.language
    if understood is None:
        return None
    photo = understood.prepared.photo
    mask = understood.mask if room.edits is None else room.edits.apply(understood.mask)
    chosen = room.prepare.person_number
    people = [
        {"x": each.x, "y": each.y, "chosen": number == chosen, "label": say(texts, "person.number", number=number)}
        for number, each in enumerate(understood.people, 1)
    ]
    names = ("photo", "tools", "paint", "erase", "size", "undo", "reset")
    return {
        "version": f"{room.visitor[:8]}-{room.version}",
        "photo": data_uri(photo.resize(shown_size(*photo.size), Image.Resampling.LANCZOS)),
        "mask": data_uri(layer_of(mask), "png"),
        "edited": room.edits is not None,
        "people": people,
        "texts": {name: say(texts, f"mask.{name}") for name in names} | {"mask": say(texts, "mask.canvas")},
    }


def person_facts(room: Room) -> str:
    """What was found of the person, in short."""
    understood = room.understood
    if understood is None:
        return ""
    count, language = len(understood.people), room.language
    key = "found.people_one" if count == 1 else "found.people_many"
    category = say(language, f"category.{WORDS[understood.category]}")
    category = category if language == "de" else category.lower()
    told = [say(language, key, count=count), say(language, "found.changes", category=category)]
    told.append(say(language, "found.mask" if room.edits is None else "found.edited"))
    return look.facts(told)


def garment_facts(room: Room) -> str:
    """What was found of the garment, in short."""
    if room.picture is None:
        return ""
    worn = "garment.worn" if room.picture.kind == "worn" else "garment.alone"
    category = say(room.language, f"category.{WORDS[room.picture.category]}")
    return look.facts([category, say(room.language, worn)])


@functools.lru_cache(maxsize=256)
def thumbnail_of(path: Path) -> str:
    """A photo as a small picture, made once."""
    return thumbnail(load_image(path, what="photo", least_side=288))


def rack_value(page: Page, photos: list[str], on: Photo | None, room: Room, key: str) -> dict[str, Any]:
    """A rack of photos; those that were erased meanwhile are left out."""
    items = []
    for id in photos:
        try:
            photo = page.shelf.get(id)
        except IdmVtonError:
            continue
        items.append(
            {
                "id": id,
                "src": thumbnail_of(photo.path),
                "alt": photo.name,
                "chosen": on is not None and on.id == id,
                "remove": f"{say(room.language, 'result.remove')}: {photo.name}",
            }
        )
    return {"label": say(room.language, key), "items": items}


def history_value(page: Page, room: Room) -> dict[str, Any]:
    """Earlier results; those that were erased meanwhile are left out."""
    items = []
    for number, (job, recipe) in enumerate(room.results):
        try:
            page.service.view(job, room.visitor)
            source = result_thumbnail(page, job, room.visitor, 0)
        except IdmVtonError:
            continue
        caption = recipe.options.get("caption") or recipe.garment
        name = say(room.language, "result.earlier", number=len(room.results) - number, caption=caption)
        chosen = room.shown is not None and room.shown[0] == job
        items.append({"id": job, "src": source, "alt": name, "chosen": chosen})
    return {"label": say(room.language, "result.history"), "items": items}


def variations_value(page: Page, room: Room, job: str, seeds: list[int]) -> dict[str, Any]:
    """The pictures of one result."""
    items = []
    for number, seed in enumerate(seeds):
        name = say(room.language, "result.variation", number=number + 1, seed=seed)
        chosen = room.shown == (job, number)
        source = result_thumbnail(page, job, room.visitor, number)
        items.append({"id": str(number), "src": source, "alt": name, "chosen": chosen, "mark": str(number + 1)})
    return {"label": say(room.language, "result.variations"), "items": items}


@functools.lru_cache(maxsize=512)
def result_thumbnail(page: Page, job: str, visitor: str, number: int) -> str:
    """A picture of a result, small, made once.

    Raises:
        UnknownJobError: it was erased, or is another visitor's.
    """
    return thumbnail(page.results.thumbnail(page.service.view(job, visitor), number))


def forget_thumbnails() -> None:
    """Drops the small pictures that are kept in memory."""
    thumbnail_of.cache_clear()
    result_thumbnail.cache_clear()
