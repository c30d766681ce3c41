"""Visitors' photos on the disk: by id, as they were handed in, erased after some hours."""

from __future__ import annotations

import json
import re
import secrets
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from idmvton.atomic import make_folder
from idmvton.errors import InputError
from idmvton.images import load_image
from idmvton.images.files import open_picture

_ID: Final = re.compile(r"[A-Za-z0-9_-]{22}")
_ABOUT: Final = "about.json"
_NAME: Final = 60  # characters of a file's name that are kept


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo on the shelf.

    Attributes:
        id: nobody can guess it; who knows it may use the photo.
        path: the file, unchanged.
        name: of the visitor's file.
    """

    id: str
    path: Path
    name: str


class Shelf:
    """Keeps photos for some hours.

    Args:
        folder: where; made if it is missing.
        hours: after which a photo is erased.
        max_pixels: of a photo, in megapixels.
    """

    def __init__(self, folder: Path, hours: float, max_pixels: float) -> None:
        self.folder, self.hours, self.max_pixels = folder, hours, max_pixels
        make_folder(folder)

    def add(self, path: str | Path, what: str, name: str | None = None, owner: str = "") -> Photo:
        """Takes a copy of a photo.

        Args:
            path: the file.
            what: ``"person"`` or ``"garment"``, for messages.
            name: of the visitor's file, where ``path`` has another.
            owner: the visitor.

        Raises:
            InputError: no picture, or one that cannot be used.
        """
        path = Path(path)
        check_photo(path, what, self.max_pixels)
        photo = Photo(secrets.token_urlsafe(16), path, safe_name(name or path.name, what))
        place = self.folder / photo.id
        place.mkdir()
        shutil.copyfile(path, place / photo.name)
        (place / _ABOUT).write_text(json.dumps({"name": photo.name, "owner": owner}))
        return Photo(photo.id, place / photo.name, photo.name)

    def get(self, id: str) -> Photo:
        """A photo by its id.

        Raises:
            InputError: none has it: it never had, or the photo was erased.
        """
        place = self.folder / id if _ID.fullmatch(id) else None
        if place is None or not (place / _ABOUT).is_file():
            raise InputError("the photo was erased", fix="choose it again")
        name = json.loads((place / _ABOUT).read_text())["name"]
        return Photo(id, place / name, name)

    def erase(self, id: str) -> None:
        """Erases a photo; one that is not there is erased already."""
        if _ID.fullmatch(id):
            shutil.rmtree(self.folder / id, ignore_errors=True)

    def erase_all(self, owner: str) -> None:
        """Erases every photo of a visitor, those too that were handed in before the page was loaded again."""
        for about in self.folder.glob(f"*/{_ABOUT}"):
            if json.loads(about.read_text())["owner"] == owner:
                self.erase(about.parent.name)

    def erase_old(self) -> int:
        """Erases what is older than allowed; returns how many photos that were."""
        limit = time.time() - 3600 * self.hours
        old = [each for each in self.folder.iterdir() if _ID.fullmatch(each.name) and each.stat().st_mtime < limit]
        for each in old:
            shutil.rmtree(each, ignore_errors=True)
        return len(old)


def check_photo(path: Path, what: str, max_pixels: float) -> None:
    """Makes sure that a file is a whole picture of an allowed size; the size is read before anything is decoded.

    Raises:
        InputError: it is not.
    """
    with open_picture(path, what) as opened:
        size = opened.width * opened.height / 1e6
    if size > max_pixels:
        got, expected = f"{size:.0f} megapixels", f"at most {max_pixels:g}"
        raise InputError(f"the {what} picture has too many pixels", got=got, expected=expected, fix="make it smaller")
    load_image(path, what=what)


def safe_name(name: str, otherwise: str) -> str:
    """A visitor's file name without what has a meaning in paths and shells; its end stays."""
    stem, dot, suffix = Path(name).name.rpartition(".")
    if not dot:
        stem, suffix = suffix, ""
    plain = re.sub(r"[^\w-]+", "_", stem).strip("_-")[:_NAME] or otherwise
    end = re.sub(r"[^A-Za-z0-9]", "", suffix)[:5]
    return f"{plain}.{end}" if end else plain
