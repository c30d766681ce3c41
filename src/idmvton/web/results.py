"""Results as the page shows them: before and after, what changed, files to take away, and what made them."""

from __future__ import annotations

import dataclasses
import io
import json
import re
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from idmvton.atomic import make_folder
from idmvton.engine.service import Service, View
from idmvton.images import load_image
from idmvton.web.copy_as import MASK, Recipe

_ID: Final = re.compile(r"[0-9a-f]{32}")
_STRONG: Final = 96  # grey levels: a change of this much is drawn at full strength
_QUALITY: Final = 95


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture of a result, as files.

    Attributes:
        png: with provenance; the result itself.
        jpeg: the same, smaller.
        before: the person's photo, upright, of the same size.
        difference: what changed, in colour over the grey photo.
        mask: what the visitor painted, if anything.
        seed: of the picture.
        width, height: pixels.
    """

    png: Path
    jpeg: Path
    before: Path
    difference: Path
    mask: Path | None
    seed: int
    width: int
    height: int


class Results:
    """Makes files of finished jobs.

    Args:
        service: that made them.
        folder: for the files; made if it is missing.
    """

    def __init__(self, service: Service, folder: Path) -> None:
        self.service, self.folder = service, folder
        make_folder(folder)

    def show(self, view: View, recipe: Recipe, number: int = 0) -> Shown:
        """The files of one picture of a finished job.

        Raises:
            InputError: files of it were erased.
        """
        place = self.folder / view.id
        make_folder(place)
        seed = int(view.provenance[number]["seed"])
        stem = f"{Path(recipe.person).stem}-{Path(recipe.garment).stem}-{seed}"
        png, jpeg = place / f"{stem}.png", place / f"{stem}.jpg"
        before, difference = place / "before.jpg", place / f"difference-{number}.png"
        if not png.is_file():
            png.write_bytes(self.service.read(view.id, f"{number}.png"))
        after = load_image(png, what="result")
        if not difference.is_file():
            photo = self._photo(view.id, place)
            after.save(jpeg, "JPEG", quality=_QUALITY, subsampling=0)
            photo.save(before, "JPEG", quality=_QUALITY, subsampling=0)
            what_changed(photo, after).save(difference, "PNG", compress_level=3)
        mask = place / MASK if recipe.has_mask else None
        if mask is not None and not mask.is_file():
            mask.write_bytes(self.service.store.read(self.service.store.job_key(view.id, "mask")))
        return Shown(png, jpeg, before, difference, mask, seed, after.width, after.height)

    def _photo(self, job: str, place: Path) -> Image.Image:
        file = place / "photo"
        file.write_bytes(self.service.store.read(self.service.store.job_key(job, "person")))
        return load_image(file, what="person")

    def put(self, visitor: str, name: str, picture: Image.Image) -> Path:
        """Writes a picture that the page shows to a visitor; it is erased with the others.

        Args:
            visitor: whose it is.
            name: of the file, without its end; another picture has another name.
            picture: of any mode that PNG knows.
        """
        place = self.folder / visitor
        make_folder(place)
        picture.save(place / f"{name}.png", "PNG", compress_level=3)
        return place / f"{name}.png"

    def thumbnail(self, view: View, number: int = 0) -> Image.Image:
        """A picture of a finished job, to be made small."""
        return Image.open(io.BytesIO(self.service.read(view.id, f"{number}.png")))

    def erase(self, owner: str) -> None:
        """Erases the files of a job or a visitor; what is not there is erased already."""
        if _ID.fullmatch(owner):
            shutil.rmtree(self.folder / owner, ignore_errors=True)

    def erase_old(self, hours: float) -> None:
        """Erases files of results that are older than that."""
        limit = time.time() - 3600 * hours
        for each in self.folder.iterdir():
            if each.stat().st_mtime < limit:
                self.erase(each.name)


def what_changed(before: Image.Image, after: Image.Image) -> Image.Image:
    """How much each pixel changed, from none (the grey photo) to much (strong colour); RGB.

    Args:
        before, after: RGB of one size.
    """
    old, new = (np.asarray(each, np.float32) for each in (before, after))
    strength = np.clip(np.abs(new - old).max(2, keepdims=True) / _STRONG, 0, 1) ** np.float32(0.6)
    grey = (old @ np.array([0.299, 0.587, 0.114], np.float32))[..., None] * 0.5 + 110
    colour = np.array([224, 49, 111], np.float32)
    return Image.fromarray(np.clip(grey + strength * (colour - grey), 0, 255).astype(np.uint8).repeat(1, 2))


def as_stored(job: str, recipe: Recipe) -> dict[str, Any]:
    """What the browser keeps of a result: its id and settings."""
    return {"id": job, **dataclasses.asdict(recipe)}


def from_stored(entry: Mapping[str, Any]) -> tuple[str, Recipe] | None:
    """What the browser kept; None where it is nothing that this page wrote."""
    try:
        json.dumps(entry)
        recipe = Recipe(
            str(entry["person"]),
            str(entry["garment"]),
            str(entry["model"]),
            dict(entry["options"]),
            bool(entry["has_mask"]),
            None if entry.get("adapter") is None else str(entry["adapter"]),
        )
        job = str(entry["id"])
    except (KeyError, TypeError, ValueError):
        return None
    return (job, recipe) if _ID.fullmatch(job) else None
