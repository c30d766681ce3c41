"""What every visitor of the page shares: the service, the reader of photos, what lies on the disk, and its end."""

from __future__ import annotations

import contextlib
import logging
import secrets
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from idmvton.atomic import make_folder, whole_file
from idmvton.engine.service import Service
from idmvton.errors import InputError
from idmvton.options import ModelOptions, WebOptions
from idmvton.resume import digest
from idmvton.web.results import Results
from idmvton.web.room import Room
from idmvton.web.shelf import Shelf
from idmvton.web.understand import Reader
from idmvton.weights.catalogue import CATALOGUE

log: Final = logging.getLogger("idmvton.web")
_HOUSEKEEPING: Final = 60.0  # seconds
_ROOMS: Final = 32


@dataclass(frozen=True, slots=True)
class Page:
    """What the tabs work with.

    Attributes:
        service: makes the pictures.
        reader: reads photos for what is shown before a run.
        shelf: the visitors' photos.
        results: files of finished jobs.
        folder: for everything of the page.
        options: where the page is open, and its limits.
        uploads: visitor -> files as they came from the browser.
        rooms: visitor -> what is chosen, for when the page is loaded again; the newest visitors'.
    """

    service: Service
    reader: Reader
    shelf: Shelf
    results: Results
    folder: Path
    options: WebOptions
    uploads: dict[str, list[str]] = field(default_factory=dict, compare=False)
    rooms: dict[str, Room] = field(default_factory=dict, compare=False)

    @classmethod
    def of(cls, service: Service, options: WebOptions) -> Page:
        """The page of a service; its files lie in the service's state folder."""
        folder = Path(service.options.state).absolute() / "page"
        make_folder(folder)
        shelf = Shelf(folder / "photos", service.options.retention, options.max_pixels)
        reader = Reader(service.model.model, service.desk.readings.offer)
        return cls(service, reader, shelf, Results(service, folder / "results"), folder, options)

    def note_uploads(self, visitor: str, paths: Sequence[str]) -> None:
        """Remembers files as they came from the browser, so that they can be erased."""
        self.uploads.setdefault(visitor, []).extend(paths)

    def enter(self, room: Room) -> Room | None:
        """Remembers a visitor's room; returns the one of before, where the page was loaded again."""
        earlier = self.rooms.pop(room.visitor, None)
        self.rooms[room.visitor] = room
        while len(self.rooms) > _ROOMS:
            del self.rooms[next(iter(self.rooms))]
        return None if earlier is room else earlier

    @property
    def model(self) -> ModelOptions:
        """Which weights make the pictures."""
        return self.service.model

    @property
    def hours(self) -> float:
        """After which photos and results are erased."""
        return self.service.options.retention

    def licence(self) -> str:
        """Of the model, as the catalogue has it; a folder's is not known."""
        entry = CATALOGUE.get(self.model.model)
        return entry.licence if entry else "?"

    def secret(self) -> str:
        """What the browser's notes are locked with: the same after a restart."""
        file = self.folder / "secret"
        if not file.is_file():
            with whole_file(file, "the page's secret") as opened:
                opened.write(secrets.token_hex(16).encode())
        return file.read_text(encoding="ascii").strip()

    def erase_photo(self, id: str) -> None:
        """Erases a photo, and what was read of it for lanes."""
        with contextlib.suppress(InputError):  # it was erased meanwhile
            self.service.desk.readings.forget([digest(self.shelf.get(id).path)])
        self.shelf.erase(id)

    def forget_readings(self) -> None:
        """Drops what was read of photos, of all visitors; it is read again when it is needed."""
        self.reader.forget()
        self.service.desk.readings.forget()

    def erase_until(self, over: threading.Event) -> None:
        """Erases photos and results whose hours are over, until the page closes."""
        while not over.wait(_HOUSEKEEPING):
            try:
                if self.shelf.erase_old():
                    self.forget_readings()
                    self.rooms.clear()
                self.results.erase_old(self.hours)
            except OSError:
                log.exception("old photos could not be erased; tried again in a minute")
