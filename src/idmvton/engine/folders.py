"""People x garments: every pair a PNG, what is done skipped, what fails reported."""

from __future__ import annotations

import contextlib
import functools
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeAlias

import torch

from idmvton.atomic import make_folder
from idmvton.engine.batches import BatchSize
from idmvton.engine.describer import Described
from idmvton.engine.job import Outcome, Progress, Settings, TryOn
from idmvton.engine.pairs import OWN_GARMENT, Pair, names_of, refuse_unused
from idmvton.engine.ready import USEFUL, Ready, changed_options, joined, with_prepared
from idmvton.errors import IdmVtonError, InputError, OutputError
from idmvton.images import read_provenance, save_png
from idmvton.images.writing import refuse_loss
from idmvton.prepare.category import expected_category
from idmvton.prepare.garment import GarmentPicture
from idmvton.prepare.person_maps import PersonMaps
from idmvton.prepare.record import read_prepared
from idmvton.prepare.record_files import OVERLAY, is_prepared
from idmvton.resume import ONE_ITEM, Failure, Outcomes, claimed, digest, write_report
from idmvton.types import Category, CategoryChoice

_IN_PARTS: Final[tuple[type[Exception], ...]] = (torch.cuda.OutOfMemoryError, *ONE_ITEM)
"""After these errors a batch is dressed in parts."""
_KEPT_PEOPLE: Final = 32
"""People whose maps stay in memory from one garment to the next."""


@dataclass(frozen=True, slots=True)
class _Garment:
    """A garment and its caption, which depends on the category: made once for each."""

    picture: GarmentPicture
    described: Callable[[Category | None], Described]


Read: TypeAlias = "Callable[[CategoryChoice], _Garment | IdmVtonError]"
"""Reads the garment of a batch, or tells why it cannot be used, once for each category."""


def report_of(outcomes: Outcomes[Pair], names: Mapping[Pair, str], output: Path) -> dict[str, Any]:
    """What became of each pair, as plain values.

    Args:
        outcomes: of :class:`FolderTryOn`.
        names: those of :func:`idmvton.engine.pairs.names_of`.
        output: the folder of the pictures; what their metadata says is reported, for those that were made before too.
    """
    report = outcomes.to_dict(names.__getitem__, lambda pair: {"person": pair[0].name, "garment": pair[1].name})
    pictures = {names[pair]: noted(output / names[pair]) for pair in (*outcomes.made, *outcomes.skipped)}
    warnings = {name: told.get("warnings", []) for name, told in pictures.items()}
    report["warnings"] = {name: notes for name, notes in warnings.items() if notes}
    report["captions"] = {name: told.get("caption") for name, told in pictures.items()}
    categories = {name: told.get("preparation", {}).get("category") for name, told in pictures.items()}
    return report | {"categories": categories}


def dress_folder(
    pairs: Sequence[Pair],
    output: Path,
    settings: Settings,
    work: Callable[[Outcomes[Pair], Mapping[Pair, str]], None],
    about: Mapping[str, Any] = MappingProxyType({}),
) -> Outcomes[Pair]:
    """Lets some work dress pairs, and writes the report whatever ends it.

    Args:
        pairs: people and garments.
        output: the folder for the pictures and ``report.json``; made if it is missing.
        settings: of every pair.
        work: gets what the outcomes are added to, and the name of each pair's picture.
        about: more for the report.

    Raises:
        OutputError: the output cannot be written.
        ConfigError: options that would do nothing.
    """
    make_folder(output)
    refuse_unused([person for person, _ in pairs], changed_options(settings.prepare, USEFUL))
    outcomes, names = Outcomes[Pair](), names_of(pairs)
    try:
        work(outcomes, names)
    finally:
        write_report(output, report_of(outcomes, names, output) | dict(about))
    return outcomes


class FolderTryOn:
    """Dresses many people in many garments: the same job for each pair, with the shared work done once.

    Args:
        job: with the pipeline and the preparer.
        settings: of every pair, which has one picture and no maps of its own. Without a seed every picture draws its
            own; without a caption one is proposed for each garment.
        overwrite: whether files in the place of a result are replaced that are none.
        batch_size: people who are dressed in one garment at a time; None: as many as fit, see
            :class:`idmvton.engine.batches.BatchSize`.
    """

    def __init__(
        self, job: TryOn, settings: Settings, *, overwrite: bool = False, batch_size: int | None = None
    ) -> None:
        self.job, self.settings, self.overwrite = job, settings, overwrite
        self.batch = BatchSize.on(job.pipe.networks.device, batch_size)
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
        work = partial(self.dress, output=output, on_progress=on_progress)
        return dress_folder(pairs, output, self.settings, work, about)

    def dress(self, outcomes: Outcomes[Pair], names: Mapping[Pair, str], output: Path, on_progress: Progress) -> None:
        """Makes what is missing of some pairs, without a report.

        Args:
            outcomes: gets what became of each pair.
            names: those of :func:`idmvton.engine.pairs.names_of`.
            output: the folder for the pictures, which is there.
            on_progress: counts pairs.
        """
        done = 0
        places = {pair: output / name for pair, name in names.items()}
        waiting: list[Pair] = []
        by_garment = defaultdict[Path, list[Pair]](list)
        for pair in names:
            by_garment[pair[1]].append(pair)
        for garment, mine in by_garment.items():
            missing = [pair for pair in mine if not self._is_done(places[pair], pair)]
            outcomes.skipped += [pair for pair in mine if pair not in missing]
            done += len(mine) - len(missing)
            on_progress(garment.name, done, len(names))
            read = functools.cache(partial(self._read_garment, garment))
            while missing:
                batch, missing = missing[: self.batch.number], missing[self.batch.number :]
                on_progress(f"{', '.join(person.name for person, _ in batch)} in {garment.name}", done, len(names))
                waiting += self._work_on({pair: places[pair] for pair in batch}, read, outcomes)
                done += len(batch)
        for pair in waiting:
            (outcomes.skipped if self._is_done(places[pair], pair) else outcomes.elsewhere).append(pair)
        on_progress("", done, len(names))

    def _work_on(self, places: Mapping[Pair, Path], read: Read, outcomes: Outcomes[Pair]) -> list[Pair]:
        """Works on a batch of one garment's pairs, and returns those that another run works on."""
        elsewhere, ready = [], {}
        with contextlib.ExitStack() as claims:
            for pair, place in places.items():
                if not claims.enter_context(claimed(place)):
                    elsewhere.append(pair)
                elif self._is_done(place, pair):
                    outcomes.skipped.append(pair)
                else:
                    try:
                        ready[pair] = self._ready(pair, place, read)
                    except OutputError:
                        raise
                    except ONE_ITEM as error:
                        outcomes.add(pair, Failure.of(pair, error))
            self._make(ready, places, outcomes)
        return elsewhere

    def _make(
        self, ready: Mapping[Pair, tuple[Ready, Described]], places: Mapping[Pair, Path], outcomes: Outcomes[Pair]
    ) -> None:
        """Dresses pairs together, or in parts where they do not fit into memory or one of them cannot be dressed."""
        pairs = list(ready)
        if not pairs:
            return
        try:
            with self.batch.watching(len(pairs)):
                made = self.job.dress_together([ready[pair] for pair in pairs], self.settings)
        except _IN_PARTS as error:
            if len(pairs) == 1 and isinstance(error, IdmVtonError):
                outcomes.add(pairs[0], Failure.of(pairs[0], error))
                return
            if len(pairs) == 1:
                raise
            if not isinstance(error, IdmVtonError):
                self.batch.shrink()
                self.job.pipe.graphs.clear()
                torch.cuda.empty_cache()
        else:
            for pair, outcome in zip(pairs, made, strict=True):
                outcomes.attempt(pair, partial(self._save, outcome, places[pair]))
            return
        half = len(pairs) // 2
        for part in (pairs[:half], pairs[half:]):
            self._make({pair: ready[pair] for pair in part}, places, outcomes)

    def _save(self, outcome: Outcome, place: Path, pair: Pair) -> tuple[str, ...]:
        save_png(outcome.images[0], place, outcome.provenance[0] | {"asked": self._asked(pair)})
        return outcome.warnings

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

    def _ready(self, pair: Pair, place: Path, read: Read) -> tuple[Ready, Described]:
        """A pair as the pipeline takes it, and what its garment is."""
        if not self.overwrite:
            refuse_loss(place)
        person = self._prepared(pair[0]) if is_prepared(pair[0]) else None
        if person is not None and pair[1] == pair[0] / OWN_GARMENT:
            ready = with_prepared(person, None)
            return ready, self.job.describe(ready.garment, ready.category, self.settings.job.caption)
        garment = read(self.settings.prepare.category if person is None else person.category)
        if isinstance(garment, IdmVtonError):
            raise garment
        ready = self._joined(pair[0], garment) if person is None else with_prepared(person, garment.picture)
        return ready, garment.described(ready.category)

    def _joined(self, photo: Path, garment: _Garment) -> Ready:
        """A person of a photo with a garment."""
        options = self.settings.prepare
        maps = self._maps(photo, expected_category(options.category, garment.picture.category))
        return joined(self.job.preparer, maps, garment.picture, options)

    def _asked(self, pair: Pair) -> dict[str, Any]:
        """What decides a picture: files, weights and options."""
        adapter, loras = self.job.pipe.adapter, self.job.pipe.loras.about
        changes = ({} if adapter is None else {"adapter": str(adapter)}) | ({"lora": loras} if loras else {})
        return changes | {
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


def noted(picture: Path) -> dict[str, Any]:
    """How a picture was made, as far as it says so."""
    try:
        return read_provenance(picture)
    except InputError:
        return {}
