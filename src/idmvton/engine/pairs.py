"""Which people wear which garments: one or many of each, photos or prepared folders, all pairs or the listed ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final, TypeAlias

from idmvton.atomic import short_name
from idmvton.data.name_lists import inside, near, read_rows
from idmvton.errors import ConfigError, InputError, OutputError
from idmvton.images.files import PICTURE_SUFFIXES, list_pictures
from idmvton.prepare.record_files import is_prepared

Pair: TypeAlias = "tuple[Path, Path]"
"""A person, which is a photo or the folder that `prepare` made of one, and the photo of a garment."""

OWN_GARMENT: Final = "garment.png"
"""Of a prepared person: the garment that was prepared with it."""


def is_many(person: Path, garment: Path | None) -> bool:
    """Whether there is more than one pair: one of the two is a folder of photos or of prepared people."""
    return (garment is not None and garment.is_dir()) or (person.is_dir() and holds_people(person))


def holds_people(folder: Path) -> bool:
    """Whether a folder is no prepared person itself, and holds photos or prepared people."""
    return not is_prepared(folder) and any(map(_is_person, folder.iterdir()))


def _is_person(path: Path) -> bool:
    return is_prepared(path) or (path.suffix.lower() in PICTURE_SUFFIXES and path.is_file())


def people_of(place: Path) -> list[Path]:
    """The people: a photo, a prepared folder, or a folder of either.

    Raises:
        InputError: it does not exist, or holds nobody.
    """
    if not place.exists():
        raise InputError("the person does not exist", got=place, expected="a photo, or a folder of photos")
    if is_prepared(place) or not place.is_dir():
        return [place]
    prepared = sorted(path for path in place.iterdir() if is_prepared(path) and not path.name.startswith("."))
    has_photos = any(path.suffix.lower() in PICTURE_SUFFIXES for path in place.iterdir())
    return [*prepared, *(list_pictures(place) if has_photos or not prepared else ())]


def garments_of(place: Path) -> list[Path]:
    """The photos of garments: one, or those of a folder.

    Raises:
        InputError: it does not exist, holds no pictures, or is a prepared person.
    """
    if not place.exists():
        raise InputError("the garment does not exist", got=place, expected="a photo or a folder of photos")
    if is_prepared(place):
        raise InputError("a prepared folder is a person", got=place, expected="a garment's photo, or a folder of them")
    return list_pictures(place) if place.is_dir() else [place]


def all_pairs(people: Path, garments: Path | None) -> list[Pair]:
    """Every person with every garment.

    Args:
        people: see :func:`people_of`.
        garments: see :func:`garments_of`; None: each prepared person with the garment prepared with them.

    Raises:
        InputError: nobody, no garment, or a person without one.
    """
    everybody = people_of(people)
    if garments is not None:
        return [(person, garment) for garment in garments_of(garments) for person in everybody]
    pairs = [(person, person / OWN_GARMENT) for person in everybody]
    if without := [person for person, garment in pairs if not garment.is_file()]:
        raise InputError(
            "no garment was given",
            got=f"{without[0]}, which has none",
            expected="people who were prepared with a garment",
            fix="idmvton try-on PEOPLE GARMENTS -o OUT",
        )
    return pairs


def listed_pairs(file: Path, people: Path, garments: Path) -> list[Pair]:
    """The pairs that a text file names, a person and a garment in each line.

    :func:`idmvton.data.name_lists.read_rows` describes the file.

    Raises:
        InputError: the file cannot be read, a line has not two names, or a file is not there or outside its folder.
    """
    pairs = []
    for number, names in read_rows(file, "list of pairs"):
        where = f"{file}, line {number}"
        pair = (inside(people, names[0], where), inside(garments, names[1], where))
        for path in pair:
            if not (path.is_file() or is_prepared(path)):
                found = near(path)
                fix = f"there is {found}: correct the list" if found else None
                raise InputError("a file of the list is not there", got=f"{where}: {path}", fix=fix)
        pairs.append(pair)
    return pairs


def names_of(pairs: Sequence[Pair]) -> dict[Pair, str]:
    """The picture of each pair: PERSON__GARMENT.png, with the files' suffixes where two names would be equal.

    A name that is too long for a file is cut and gets a hash.
    """
    short = {pair: f"{_word(pair[0])}__{_word(pair[1])}" for pair in pairs}
    taken = Counter(short.values())
    whole = {pair: name if taken[name] == 1 else f"{_name(pair[0])}__{_name(pair[1])}" for pair, name in short.items()}
    return {pair: short_name(name, ".png") for pair, name in whole.items()}


def _name(path: Path) -> str:
    return f"{path.parent.name}-own" if path.name == OWN_GARMENT and is_prepared(path.parent) else path.name


def _word(path: Path) -> str:
    name = _name(path)
    return name if name != path.name or path.is_dir() else path.stem


def shortened(names: dict[Pair, str]) -> tuple[str, ...]:
    """Says which names were cut."""
    cut = [name for pair, name in names.items() if not name.startswith(f"{_word(pair[0])}__{_word(pair[1])[:1]}")]
    cut += [name for (_, garment), name in names.items() if name not in cut and _word(garment) not in name]
    return (f"{len(cut)} names are too long for files and were cut, such as {cut[0]}",) if cut else ()


def check_places(output: Path, people: Path, garments: Path | None, *, overwrite: bool) -> None:
    """Makes sure that results do not get among the photos: they would be people or garments of the next run.

    Raises:
        OutputError: the output is a folder of photos, or a prepared person.
    """
    if is_prepared(output):
        raise OutputError(
            "the output is a prepared person", got=output, expected="a folder for pictures", fix="choose another folder"
        )
    inputs = {place for place in (people, garments) if place is not None and place.is_dir()}
    if not overwrite and output.is_dir() and any(output.samefile(place) for place in inputs):
        raise OutputError(
            "the output folder holds the photos",
            got=output,
            expected="another folder: results beside the photos would be people of the next run",
            fix="choose another folder, or --overwrite",
        )


def ignored_files(*places: Path | None) -> list[str]:
    """The files in folders of photos that are no pictures by their names; hidden ones do not count."""
    folders = {place for place in places if place is not None and place.is_dir() and not is_prepared(place)}
    return sorted(
        str(path)
        for folder in folders
        for path in folder.iterdir()
        if path.is_file() and path.suffix.lower() not in PICTURE_SUFFIXES and not path.name.startswith(".")
    )


def refuse_unused(people: Sequence[Path], changed: Sequence[str]) -> None:
    """Options of the preparation do nothing where everybody is prepared.

    Args:
        people: of all pairs.
        changed: flags of the options that are set.

    Raises:
        ConfigError: nobody is left to prepare, and there are such options.
    """
    if changed and all(map(is_prepared, people)):
        raise ConfigError(
            "options are set that would do nothing",
            got=", ".join(changed),
            fix="leave them out: everybody is prepared already",
        )
