"""People x garments: every pair a PNG, what is done skipped, what fails reported."""

from __future__ import annotations

import functools
import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

from idmvton.atomic import whole_file
from idmvton.engine.captions import Described, Describer
from idmvton.errors import InputError, PreparationError
from idmvton.images import read_provenance, save_png
from idmvton.images.files import list_pictures
from idmvton.options import PrepareOptions, TryOnOptions
from idmvton.pipeline import TryOnPipeline
from idmvton.prepare.category import expected_category
from idmvton.prepare.garment import GarmentPicture
from idmvton.prepare.preparer import PersonMaps, Preparer
from idmvton.types import Category

REPORT: Final = "report.json"
_KEPT_PEOPLE: Final = 32
"""People whose maps stay in memory from one garment to the next."""

Pair = tuple[Path, Path]
Progress = Callable[[int, int, str], None]


@dataclass(slots=True)
class PairsReport:
    """What :func:`try_on_pairs` did.

    Attributes:
        made: pictures that this call made.
        skipped: pictures that were made before from the same files, in the same way.
        failed: person, garment, class of the error, why in one line, the whole message.
        warnings: picture -> what should be known about it.
    """

    made: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failed: list[dict[str, str]] = field(default_factory=list)
    warnings: dict[str, list[str]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The report as plain values, ready for JSON."""
        return {"made": self.made, "skipped": self.skipped, "failed": self.failed, "warnings": self.warnings}


def all_pairs(people: Path, garments: Path) -> list[Pair]:
    """Every person of a folder with every garment of another.

    Raises:
        InputError: a folder without pictures.
    """
    return [(person, garment) for garment in list_pictures(garments) for person in list_pictures(people)]


def listed_pairs(file: Path, people: Path, garments: Path) -> list[Pair]:
    """The pairs that a text file names: a person's and a garment's file in each line, separated by space or comma.

    Raises:
        InputError: the file cannot be read, a line has not two names, or a file is not there.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise InputError("the list of pairs cannot be read", got=f"{file}: {error}") from error
    pairs = []
    for number, line in enumerate(lines, 1):
        words = line.replace(",", " ").split()
        if not words or words[0].startswith("#"):
            continue
        if len(words) != 2:
            raise InputError(
                "the list of pairs is damaged",
                got=f"{file}, line {number}: {line!r}",
                expected="the file names of a person and of a garment",
            )
        pair = (people / words[0], garments / words[1])
        if missing := [path for path in pair if not path.is_file()]:
            raise InputError("a file of the list is not there", got=f"{file}, line {number}: {missing[0]}")
        pairs.append(pair)
    return pairs


def names_of(pairs: Sequence[Pair]) -> dict[Pair, str]:
    """The picture of each pair: PERSON__GARMENT.png, with the files' suffixes where two names would be equal."""
    short = {pair: f"{pair[0].stem}__{pair[1].stem}.png" for pair in pairs}
    taken = Counter(short.values())
    return {pair: name if taken[name] == 1 else f"{pair[0].name}__{pair[1].name}.png" for pair, name in short.items()}


class FolderTryOn:
    """Dresses many people in many garments.

    Args:
        pipe: the pipeline.
        preparer: with its backends.
        options: of every try-on. Without a seed every picture draws its own.
        prepare: of every preparation.
        caption: the same for all garments; proposed for each where not given.
    """

    def __init__(
        self,
        pipe: TryOnPipeline,
        preparer: Preparer,
        options: TryOnOptions,
        prepare: PrepareOptions,
        caption: str | None = None,
    ) -> None:
        self.pipe, self.preparer, self.options, self.prepare, self.caption = pipe, preparer, options, prepare, caption
        self.describe = Describer(pipe)
        self._maps = functools.lru_cache(_KEPT_PEOPLE)(self._read_person)
        self._digest = functools.lru_cache(None)(_digest)

    def __call__(self, pairs: Sequence[Pair], output: Path, progress: Progress = lambda *_: None) -> PairsReport:
        """Makes the pictures that are missing; the work for a garment is done once, for all people.

        Args:
            pairs: files of people and garments.
            output: the folder for the pictures and ``report.json``; made if it is missing.
            progress: called with (pairs done, pairs in all, what comes next).

        Raises:
            InputError: the output cannot be written.
            WeightsError: a backend's weights are not on the disk.
        """
        _make_folder(output)
        report, names, done = PairsReport(), names_of(pairs), 0
        by_garment = defaultdict[Path, list[Pair]](list)
        for pair in names:
            by_garment[pair[1]].append(pair)
        for garment, mine in by_garment.items():
            missing = [pair for pair in mine if not self._is_done(output / names[pair], pair)]
            report.skipped += [names[pair] for pair in mine if pair not in missing]
            done += len(mine) - len(missing)
            progress(done, len(names), garment.name)
            ready = self._try(partial(self._read_garment, garment), missing, report) if missing else None
            for pair in missing:
                progress(done, len(names), f"{pair[0].name} in {garment.name}")
                if ready is not None:
                    self._try(partial(self._make, pair, ready, output / names[pair], report), [pair], report)
                done += 1
        progress(done, len(names), "")
        with whole_file(output / REPORT) as file:
            file.write(json.dumps(report.to_dict(), indent=2).encode())
        return report

    def _try(self, work: Callable[[], Any], pairs: Iterable[Pair], report: PairsReport) -> Any:
        """The work's result; None if it fails, which is reported for each of the pairs."""
        try:
            return work()
        except (InputError, PreparationError) as error:
            report.failed += [
                {
                    "person": person.name,
                    "garment": garment.name,
                    "error": type(error).__name__,
                    "what": error.what,
                    "message": str(error),
                }
                for person, garment in pairs
            ]
            return None

    def _read_garment(self, path: Path) -> tuple[GarmentPicture, Described]:
        picture = self.preparer.read_garment(path, category=self.prepare.category, number=self.prepare.garment_number)
        return picture, self.describe(picture.image, picture.category, self.caption)

    def _read_person(self, path: Path, category: Category | None) -> PersonMaps:
        return self.preparer.read_person(path, number=self.prepare.person_number, category=category)

    def _make(self, pair: Pair, ready: tuple[GarmentPicture, Described], path: Path, report: PairsReport) -> None:
        garment, described = ready
        maps = self._maps(pair[0], expected_category(self.prepare.category, garment.category))
        prepared = self.preparer.join(maps, garment, self.prepare)
        result = self.pipe(person=prepared, garment=garment.image, caption=described.caption, **self.options.to_dict())
        notes = [*prepared.warnings, *described.warnings, *result.warnings]
        about = {"category": prepared.category, **described.about(), "warnings": notes}
        save_png(result.images[0], path, result.provenance() | about | {"asked": self._asked(pair)})
        report.made.append(path.name)
        if notes:
            report.warnings[path.name] = notes

    def _asked(self, pair: Pair) -> dict[str, Any]:
        """What decides a picture: files, weights and options."""
        return {
            "person": self._digest(pair[0]),
            "garment": self._digest(pair[1]),
            "weights": self.pipe.weights_name,
            "caption": self.caption,
            "options": self.options.to_dict(),
            "prepare": self.prepare.to_dict(),
        }

    def _is_done(self, path: Path, pair: Pair) -> bool:
        if not path.exists():
            return False
        try:
            return read_provenance(path).get("asked") == self._asked(pair)
        except InputError:
            return False


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError("the output folder cannot be made", got=f"{folder}: {error}") from error


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        return f"unreadable: {error}"
