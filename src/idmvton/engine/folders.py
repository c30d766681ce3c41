"""People x garments: every pair a PNG, what is done skipped, what fails reported."""

from __future__ import annotations

import functools
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from idmvton.engine.describer import Described
from idmvton.engine.job import Progress, Settings, TryOn
from idmvton.engine.ready import Ready
from idmvton.errors import IdmVtonError, InputError, OutputError
from idmvton.images import read_provenance, save_png
from idmvton.images.files import list_pictures
from idmvton.prepare.category import expected_category
from idmvton.prepare.garment import GarmentPicture
from idmvton.prepare.person_maps import PersonMaps
from idmvton.resume import ONE_ITEM, Outcomes, digest, write_report
from idmvton.types import Category

_KEPT_PEOPLE: Final = 32
"""People whose maps stay in memory from one garment to the next."""

Pair = tuple[Path, Path]


@dataclass(frozen=True, slots=True)
class _Garment:
    """A garment and its caption, which depends on the category: made once for each."""

    picture: GarmentPicture
    described: Callable[[Category], Described]


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


def report_of(outcomes: Outcomes[Pair], names: Mapping[Pair, str]) -> dict[str, Any]:
    """What became of each pair, as plain values; ``names`` are those of :func:`names_of`."""
    return outcomes.to_dict(names.__getitem__, lambda pair: {"person": pair[0].name, "garment": pair[1].name})


class FolderTryOn:
    """Dresses many people in many garments: the same job for each pair, with the shared work done once.

    Args:
        job: with the pipeline and the preparer.
        settings: of every pair, which has one picture and no maps of its own. Without a seed every picture draws its
            own; without a caption one is proposed for each garment.
    """

    def __init__(self, job: TryOn, settings: Settings) -> None:
        self.job, self.settings = job, settings
        self._maps = functools.lru_cache(_KEPT_PEOPLE)(self._read_person)
        self._digest = functools.lru_cache(None)(digest)

    def __call__(self, pairs: Sequence[Pair], output: Path, on_progress: Progress = lambda *_: None) -> Outcomes[Pair]:
        """Makes the pictures that are missing; the work for a garment is done once, for all people.

        Args:
            pairs: files of people and garments.
            output: the folder for the pictures and ``report.json``; made if it is missing.
            on_progress: see :data:`idmvton.engine.job.Progress`; counts pairs.

        Raises:
            OutputError: the output cannot be written.
            WeightsError: a backend's weights are not on the disk.
        """
        _make_folder(output)
        outcomes, names, done = Outcomes[Pair](), names_of(pairs), 0
        by_garment = defaultdict[Path, list[Pair]](list)
        for pair in names:
            by_garment[pair[1]].append(pair)
        for garment, mine in by_garment.items():
            missing = [pair for pair in mine if not self._is_done(output / names[pair], pair)]
            outcomes.skipped += [pair for pair in mine if pair not in missing]
            done += len(mine) - len(missing)
            on_progress(garment.name, done, len(names))
            work = partial(self._make, functools.cache(partial(self._read_garment, garment)), output, names)
            for pair in missing:
                on_progress(f"{pair[0].name} in {garment.name}", done, len(names))
                outcomes.attempt(pair, work)
                done += 1
        on_progress("", done, len(names))
        write_report(output, report_of(outcomes, names))
        return outcomes

    def _read_garment(self, path: Path) -> _Garment | IdmVtonError:
        """The garment, or why it cannot be used, which is then so for every pair."""
        try:
            options = self.settings.prepare
            picture = self.job.preparer.read_garment(path, category=options.category, number=options.garment_number)
        except ONE_ITEM as error:
            return error

        @functools.cache
        def described(category: Category) -> Described:
            return self.job.describe(picture.image, category, self.settings.job.caption)

        return _Garment(picture, described)

    def _read_person(self, path: Path, category: Category | None) -> PersonMaps:
        number = self.settings.prepare.person_number
        return self.job.preparer.read_person(path, number=number, category=category)

    def _make(
        self, read: Callable[[], _Garment | IdmVtonError], output: Path, names: Mapping[Pair, str], pair: Pair
    ) -> tuple[str, ...]:
        garment = read()
        if isinstance(garment, IdmVtonError):
            raise garment
        options = self.settings.prepare
        maps = self._maps(pair[0], expected_category(options.category, garment.picture.category))
        prepared = self.job.preparer.join(maps, garment.picture, options)
        ready = Ready(prepared, prepared.garment or garment.picture.image, prepared.category, prepared.warnings)
        outcome = self.job.dress(ready, garment.described(prepared.category), self.settings)
        save_png(outcome.images[0], output / names[pair], outcome.provenance[0] | {"asked": self._asked(pair)})
        return tuple(outcome.warnings)

    def _asked(self, pair: Pair) -> dict[str, Any]:
        """What decides a picture: files, weights and options."""
        return {
            "person": self._digest(pair[0]),
            "garment": self._digest(pair[1]),
            "weights": self.job.pipe.weights_name,
            "caption": self.settings.job.caption,
            "options": self.settings.try_on.to_dict(),
            "prepare": self.settings.prepare.to_dict(),
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
        raise OutputError("the output folder cannot be made", got=f"{folder}: {error}") from error
