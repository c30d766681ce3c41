"""Many people in many garments: files in, a table, a zip out."""

from __future__ import annotations

import time
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from idmvton.atomic import make_folder
from idmvton.engine.service import Order, Service, Terms, View
from idmvton.errors import InputError
from idmvton.images.files import PICTURE_SUFFIXES
from idmvton.web.shelf import safe_name

MAX_UNPACKED: Final = 512 * 2**20  # bytes of all pictures of a zip


@dataclass(frozen=True, slots=True)
class Pair:
    """A person in a garment.

    Attributes:
        person, garment: the files.
        job: of the service.
    """

    person: Path
    garment: Path
    job: str


def pictures_of(files: Sequence[str | Path], scratch: Path) -> list[Path]:
    """The pictures among files, and those in zips.

    Args:
        files: pictures and zips.
        scratch: a folder for what is unpacked.

    Raises:
        InputError: a zip that cannot be used, or no picture at all.
    """
    found: list[Path] = []
    for path in map(Path, files):
        if path.suffix.lower() == ".zip":
            found += _unpacked(path, scratch)
        elif path.suffix.lower() in PICTURE_SUFFIXES:
            found.append(path)
    if not found:
        raise InputError("there is no picture among the files", expected="photos, or a zip of photos")
    return found


def _unpacked(path: Path, scratch: Path) -> list[Path]:
    """Pictures of a zip, written under names of our own: what a zip calls its files leads nowhere."""
    make_folder(scratch)
    found, left = [], MAX_UNPACKED
    try:
        with zipfile.ZipFile(path) as archive:
            for number, entry in enumerate(archive.infolist()):
                name = Path(entry.filename)
                if entry.is_dir() or name.suffix.lower() not in PICTURE_SUFFIXES or name.name.startswith("."):
                    continue
                with archive.open(entry) as source:
                    content = source.read(left + 1)
                left -= len(content)
                if left < 0:
                    raise InputError("the zip holds too much", expected=f"at most {MAX_UNPACKED // 2**20} MB")
                target = scratch / f"{number}-{safe_name(name.name, 'photo')}"
                target.write_bytes(content)
                found.append(target)
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        raise InputError("the zip cannot be read", got=f"{path.name}: {error}", fix="pack it again") from error
    return found


def order_all(service: Service, people: Sequence[Path], garments: Sequence[Path], visitor: str) -> list[Pair]:
    """Orders everybody in everything, garment by garment.

    Raises:
        IdmVtonError: the orders were not taken: none of them was.
    """
    pairs = [(person, garment) for garment in garments for person in people]
    orders = [Order(files={"person": person, "garment": garment}) for person, garment in pairs]
    _, jobs = service.submit_batch(orders, Terms(caller=visitor, priority=-1))
    return [Pair(person, garment, job) for (person, garment), job in zip(pairs, jobs, strict=True)]


def views_of(service: Service, pairs: Sequence[Pair], visitor: str) -> list[View]:
    """What is known of each pair."""
    return [service.view(pair.job, visitor) for pair in pairs]


def pack(service: Service, pairs: Sequence[Pair], folder: Path, visitor: str) -> Path:
    """The pictures that were made as a zip.

    Args:
        service: that made them.
        pairs: those that succeeded count.
        folder: for the zip.
        visitor: whose they are.
    """
    make_folder(folder)
    target = folder / f"try-ons-{time.strftime('%Y%m%d-%H%M%S')}.zip"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        taken: set[str] = set()
        for pair in pairs:
            if service.view(pair.job, visitor).state == "succeeded":
                name = f"{pair.person.stem}-{pair.garment.stem}.png"
                name = name if name not in taken else f"{pair.person.stem}-{pair.garment.stem}-{pair.job[:6]}.png"
                taken.add(name)
                archive.writestr(name, service.read(pair.job, "0.png"))
    return target
