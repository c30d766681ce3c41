"""A folder of photos: each prepared into a folder of its own, what is done skipped, what fails reported."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from idmvton.atomic import whole_file
from idmvton.errors import InputError, PreparationError
from idmvton.images.files import list_pictures
from idmvton.options import PrepareOptions
from idmvton.prepare.garment import GarmentPicture
from idmvton.prepare.preparer import Preparer
from idmvton.prepare.record import Prepared
from idmvton.prepare.record_files import check_target, is_prepared, read_summary, write_prepared

REPORT: Final = "report.json"
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Failure:
    """A photo that could not be prepared.

    Attributes:
        photo: the file.
        error: the class of the error.
        what: why, in one line.
        message: the whole message, with what to do.
    """

    photo: Path
    error: str
    what: str
    message: str


@dataclass(frozen=True, slots=True)
class Report:
    """What :func:`prepare_folder` did.

    Attributes:
        made: photos that were prepared by this call.
        skipped: photos that were prepared before, with the same options.
        failed: the others.
        warnings: photo -> what should be known about it; of those that were made.
    """

    made: tuple[Path, ...]
    skipped: tuple[Path, ...]
    failed: tuple[Failure, ...]
    warnings: dict[Path, tuple[str, ...]]

    def to_dict(self) -> dict[str, Any]:
        """The report as plain values, ready for JSON."""
        return {
            "made": [path.name for path in self.made],
            "skipped": [path.name for path in self.skipped],
            "failed": [
                {"photo": each.photo.name, "error": each.error, "what": each.what, "message": each.message}
                for each in self.failed
            ],
            "warnings": {path.name: list(notes) for path, notes in self.warnings.items()},
        }


def places_of(photos: Sequence[Path], output: Path) -> dict[Path, Path]:
    """The folder of each photo: its name without the suffix, or with it where two photos share that."""
    shared = Counter(photo.stem for photo in photos)
    return {photo: output / (photo.stem if shared[photo.stem] == 1 else photo.name) for photo in photos}


def prepare_folder(
    folder: Path,
    output: Path,
    preparer: Preparer,
    options: PrepareOptions,
    *,
    garment: Path | None = None,
    progress: Progress | None = None,
) -> Report:
    """Prepares every photo of a folder into ``output/NAME``; run again, it makes what is missing.

    A photo is done if its folder is there and was made from the same file with the same options and garment; what
    was changed in such a folder by hand stays. ``output/report.json`` says what failed and why.

    Args:
        folder: with the photos.
        output: where to.
        preparer: with its backends.
        options: the same for all.
        garment: the same for all.
        progress: called with (done, total) after each photo.

    Raises:
        InputError: no photos, or an output that cannot be written.
        PreparationError: no garment in the garment photo.
        WeightsError: a backend's weights are not on the disk.
    """
    photos = list_pictures(folder)
    made, skipped, failed = [], [], []
    warnings: dict[Path, tuple[str, ...]] = {}
    garment_key = None if garment is None else _digest(garment)
    picture = None
    for done, (photo, place) in enumerate(places_of(photos, output).items(), 1):
        about = {"photo": photo.name, "sha256": _digest(photo), "garment": garment_key}
        if _is_done(place, options, about):
            skipped.append(photo)
        else:
            check_target(place)
            if garment is not None and picture is None:
                picture = preparer.read_garment(garment, category=options.category, number=options.garment_number)
            result = _try(preparer, photo, picture, options)
            if isinstance(result, Failure):
                failed.append(result)
            else:
                write_prepared(result, place, about)
                made.append(photo)
                warnings |= {photo: result.warnings} if result.warnings else {}
        if progress is not None:
            progress(done, len(photos))
    report = Report(tuple(made), tuple(skipped), tuple(failed), warnings)
    with whole_file(output / REPORT) as file:
        file.write(json.dumps(report.to_dict(), indent=2).encode())
    return report


def _try(
    preparer: Preparer, photo: Path, garment: GarmentPicture | None, options: PrepareOptions
) -> Prepared | Failure:
    try:
        return preparer(photo, garment, options=options)
    except (InputError, PreparationError) as error:
        return Failure(photo, type(error).__name__, error.what, str(error))


def _is_done(place: Path, options: PrepareOptions, about: dict[str, Any]) -> bool:
    if not is_prepared(place):
        return False
    summary = read_summary(place)
    return summary.get("options") == options.to_dict() and summary.get("about") == about


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return "unreadable"
