"""People x garments: every pair a PNG, what is done skipped, what fails reported."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from idmvton.atomic import make_folder
from idmvton.engine.describer import Described
from idmvton.engine.job import Progress, Settings, TryOn
from idmvton.engine.pairs import OWN_GARMENT, Pair, names_of, refuse_unused
from idmvton.engine.ready import USEFUL, Ready, changed_options, joined, with_prepared
from idmvton.errors import IdmVtonError, InputError
from idmvton.images import read_provenance, save_png
from idmvton.images.writing import refuse_loss
from idmvton.prepare.category import expected_category
from idmvton.prepare.garment import GarmentPicture
from idmvton.prepare.person_maps import PersonMaps
from idmvton.prepare.record import read_prepared
from idmvton.prepare.record_files import OVERLAY, is_prepared
from idmvton.resume import ONE_ITEM, Outcomes, claimed, digest, write_report
from idmvton.types import Category, CategoryChoice

_KEPT_PEOPLE: Final = 32
"""People whose maps stay in memory from one garment to the next."""


@dataclass(frozen=True, slots=True)
class _Garment:
    """A garment and its caption, which depends on the category: made once for each."""

    picture: GarmentPicture
    described: Callable[[Category | None], Described]


def report_of(outcomes: Outcomes[Pair], names: Mapping[Pair, str], output: Path) -> dict[str, Any]:
    """What became of each pair, as plain values.

    Args:
        outcomes: of :class:`FolderTryOn`.
        names: those of :func:`idmvton.engine.pairs.names_of`.
        output: the folder of the pictures; what their metadata says is reported, for those that were made before too.
    """
    report = outcomes.to_dict(names.__getitem__, lambda pair: {"person": pair[0].name, "garment": pair[1].name})
    pictures = {names[pair]: _noted(output / names[pair]) for pair in (*outcomes.made, *outcomes.skipped)}
    warnings = {name: told.get("warnings", []) for name, told in pictures.items()}
    report["warnings"] = {name: notes for name, notes in warnings.items() if notes}
    report["captions"] = {name: told.get("caption") for name, told in pictures.items()}
    categories = {name: told.get("preparation", {}).get("category") for name, told in pictures.items()}
    return report | {"categories": categories}


class FolderTryOn:
    """Dresses many people in many garments: the same job for each pair, with the shared work done once.

    Args:
        job: with the pipeline and the preparer.
        settings: of every pair, which has one picture and no maps of its own. Without a seed every picture draws its
            own; without a caption one is proposed for each garment.
        overwrite: whether files in the place of a result are replaced that are none.
    """

    def __init__(self, job: TryOn, settings: Settings, *, overwrite: bool = False) -> None:
        self.job, self.settings, self.overwrite = job, settings, overwrite
        self._maps = functools.lru_cache(_KEPT_PEOPLE)(self._read_person)
        self._prepared = functools.lru_cache(_KEPT_PEOPLE)(read_prepared)
        self._digest = functools.lru_cache(None)(digest)

    def __call__(
        self,
        pairs: Sequence[Pair],
        output: Path,
        on_progress: Progress = lambda *_: None,
        about: Mapping[str, Any] = MappingProxyType({}),
    ) -> Outcomes[Pair]:
        """Makes the pictures that are missing; the work for a garment is done once, for all people.

        Another run on the same folder may go on at the same time: each pair is made by one of them.

        Args:
            pairs: people and garments.
            output: the folder for the pictures and ``report.json``; made if it is missing.
            on_progress: see :data:`idmvton.engine.job.Progress`; counts pairs.
            about: more for the report.

        Raises:
            OutputError: the output cannot be written.
            WeightsError: a backend's weights are not on the disk.
        """
        make_folder(output)
        refuse_unused([person for person, _ in pairs], changed_options(self.settings.prepare, USEFUL))
        outcomes, names = Outcomes[Pair](), names_of(pairs)
        try:
            self._work(outcomes, names, output, on_progress)
        finally:  # the report is written whatever ends the run
            write_report(output, report_of(outcomes, names, output) | dict(about))
        return outcomes

    def _work(self, outcomes: Outcomes[Pair], names: Mapping[Pair, str], output: Path, on_progress: Progress) -> None:
        done, waiting = 0, []
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
                with claimed(output / names[pair]) as is_ours:
                    if not is_ours:
                        waiting.append(pair)
                    elif self._is_done(output / names[pair], pair):
                        outcomes.skipped.append(pair)
                    else:
                        outcomes.attempt(pair, work)
                done += 1
        for pair in waiting:
            is_there = self._is_done(output / names[pair], pair)
            (outcomes.skipped if is_there else outcomes.elsewhere).append(pair)
        on_progress("", done, len(names))

    def _read_garment(self, path: Path, choice: CategoryChoice) -> _Garment | IdmVtonError:
        """The garment, or why it cannot be used, which is then so for every pair."""
        try:
            number = self.settings.prepare.garment_number
            picture = self.job.preparer.read_garment(path, category=choice, number=number)
        except ONE_ITEM as error:
            return error

        @functools.cache
        def described(category: Category | None) -> Described:
            return self.job.describe(picture.image, category, self.settings.job.caption)

        return _Garment(picture, described)

    def _read_person(self, path: Path, category: Category | None) -> PersonMaps:
        number = self.settings.prepare.person_number
        return self.job.preparer.read_person(path, number=number, category=category)

    def _make(
        self,
        read: Callable[[CategoryChoice], _Garment | IdmVtonError],
        output: Path,
        names: Mapping[Pair, str],
        pair: Pair,
    ) -> tuple[str, ...]:
        place = output / names[pair]
        if not self.overwrite:
            refuse_loss(place)
        person = self._prepared(pair[0]) if is_prepared(pair[0]) else None
        if person is not None and pair[1] == pair[0] / OWN_GARMENT:
            ready = with_prepared(person, None)
            described = self.job.describe(ready.garment, ready.category, self.settings.job.caption)
        else:
            garment = read(self.settings.prepare.category if person is None else person.category)
            if isinstance(garment, IdmVtonError):
                raise garment
            ready = self._joined(pair[0], garment) if person is None else with_prepared(person, garment.picture)
            described = garment.described(ready.category)
        outcome = self.job.dress(ready, described, self.settings)
        save_png(outcome.images[0], place, outcome.provenance[0] | {"asked": self._asked(pair)})
        return tuple(outcome.warnings)

    def _joined(self, photo: Path, garment: _Garment) -> Ready:
        """A person of a photo with a garment."""
        options = self.settings.prepare
        maps = self._maps(photo, expected_category(options.category, garment.picture.category))
        return joined(self.job.preparer, maps, garment.picture, options)

    def _asked(self, pair: Pair) -> dict[str, Any]:
        """What decides a picture: files, weights and options."""
        return {
            "person": self._digest_person(pair[0]),
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

    def _digest_person(self, person: Path) -> str:
        """Of a prepared person: of all files, so that a corrected mask makes a new picture."""
        if not is_prepared(person):
            return self._digest(person)
        files = sorted(path for path in person.iterdir() if path.is_file() and path.name != OVERLAY)
        return "+".join(self._digest(path)[:16] for path in files)


def _noted(picture: Path) -> dict[str, Any]:
    """How a picture was made, as far as it says so."""
    try:
        return read_provenance(picture)
    except InputError:
        return {}
