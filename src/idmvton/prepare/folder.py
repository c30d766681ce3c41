"""A folder of photos: each prepared into a folder of its own, what is done skipped, what fails reported."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from idmvton.atomic import short_name
from idmvton.errors import ConfigError
from idmvton.images.files import list_pictures
from idmvton.options import PrepareOptions
from idmvton.prepare.choice import resolve
from idmvton.prepare.preparer import Preparer
from idmvton.prepare.record_files import check_target, current_options, is_prepared, read_summary
from idmvton.resume import Outcomes, Progress, digest, work_through, write_report


def places_of(photos: Sequence[Path], output: Path) -> dict[Path, Path]:
    """The folder of each photo: its name without the suffix, or with it where two photos share that."""
    shared = Counter(photo.stem for photo in photos)
    return {photo: output / short_name(photo.stem if shared[photo.stem] == 1 else photo.name) for photo in photos}


def prepare_folder(
    folder: Path,
    output: Path,
    preparer: Preparer,
    options: PrepareOptions,
    *,
    garment: Path | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Outcomes[Path]:
    """Prepares every photo of a folder into ``output/NAME``; run again, it makes what is missing.

    A photo is done if its folder is there and was made from the same file with the same options and garment; what
    was changed in a folder by hand stays. ``output/report.json`` says what failed and why.

    Args:
        folder: with the photos.
        output: where to.
        preparer: with its backends.
        options: the same for all.
        garment: the same for all.
        overwrite: make everything anew, also what was changed by hand.
        progress: called with (done, total) after each photo.

    Raises:
        InputError: no photos, or an output that cannot be written.
        PreparationError: no garment in the garment photo.
        WeightsError: a backend's weights are not on the disk.
    """
    places = places_of(list_pictures(folder), output)
    garment_key = None if garment is None else digest(garment)
    about = {photo: {"photo": photo.name, "sha256": digest(photo), "garment": garment_key} for photo in places}
    ignored = [path.name for path in folder.iterdir() if path.is_file() and path not in places]
    missing = [photo for photo, place in places.items() if overwrite or not _is_made(place, options, about[photo])]
    for photo in missing:
        check_target(places[photo])
    picture = None
    if garment is not None and missing:
        picture = preparer.read_garment(garment, category=options.category, number=options.garment_number)

    def make(photo: Path) -> tuple[str, ...]:
        prepared = preparer(photo, picture, options=options)
        return prepared.save(places[photo], about[photo], overwrite=overwrite).warnings

    anew = set(missing) if overwrite else set()

    def is_done(photo: Path) -> bool:
        return photo not in anew and _is_made(places[photo], options, about[photo])

    outcomes = work_through(places, is_done, make, progress, place=places.__getitem__)
    write_report(output, report_of(outcomes) | {"ignored": ignored})
    return outcomes


def report_of(outcomes: Outcomes[Path]) -> dict[str, Any]:
    """What became of each photo, as plain values."""
    return outcomes.to_dict(lambda photo: photo.name, lambda photo: {"photo": photo.name})


def _is_made(place: Path, options: PrepareOptions, about: Mapping[str, Any]) -> bool:
    if not is_prepared(place):
        return False
    summary = read_summary(place)
    try:
        then = resolve(PrepareOptions.from_mapping(current_options(summary.get("options"))))
    except ConfigError:  # of another version of this library
        return False
    return summary.get("about") == about and then == resolve(options)
