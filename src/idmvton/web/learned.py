"""Garments that the model has learned: which there are, which is on, what is deleted."""

from __future__ import annotations

from pathlib import Path

from idmvton.checkpoint.adapter_record import FILE
from idmvton.engine.service.views import Adapter
from idmvton.web.page import Page
from idmvton.web.room import Room


def learned(page: Page, room: Room) -> list[Adapter]:
    """What this visitor may use, the newest first; what is damaged is left out."""
    return [each for each in page.service.adapters(room.visitor) if "error" not in each.about]


def key_of(adapter: Adapter) -> str:
    """What an order calls it."""
    return adapter.id or adapter.name


def put_on(page: Page, room: Room) -> Adapter | None:
    """The one that is on; None where none is, or where it was deleted."""
    return next((each for each in learned(page, room) if key_of(each) == room.adapter), None)


def delete(page: Page, room: Room, key: str) -> None:
    """Deletes what this visitor's orders taught; what lies in the folder of the page's owner stays."""
    if any(each.id == key for each in learned(page, room)):
        page.service.erase(key, room.visitor)
    if room.adapter == key:
        room.adapter = None


def adapter_file(page: Page, room: Room, job: str, name: str | None) -> Path | None:
    """What made a result, to take away; None where nothing did, it was deleted, or lies in the folder of the owner."""
    found = next((each for each in learned(page, room) if each.name == name), None)
    if found is None or found.id is None:
        return None
    file = page.results.folder / job / f"{found.name}.safetensors"
    if not file.is_file():
        file.write_bytes(page.service.read(found.id, FILE, room.visitor))
    return file
