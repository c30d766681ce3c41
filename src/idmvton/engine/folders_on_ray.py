"""People x garments on many machines: the folders of :mod:`idmvton.engine.folders`, by lanes of a Ray cluster."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from idmvton.engine.folders import FolderTryOn, dress_folder, noted
from idmvton.engine.job import Progress, Settings, TryOn
from idmvton.engine.loading import load_pipeline
from idmvton.engine.on_ray import Lanes, work_on_ray
from idmvton.engine.pairs import Pair
from idmvton.options import ModelOptions
from idmvton.prepare.preparer import preparer_for
from idmvton.resume import Outcomes

GROUP: Final = 16
"""Pairs of one garment that a lane gets at a time: few enough that lanes end together."""
Named = tuple[Pair, str]
"""A pair and the name of its picture."""


@dataclass(frozen=True)
class LoadLane:
    """Loads what a lane needs, on a machine of the cluster.

    Attributes:
        settings: of every pair.
        model: which weights.
        output: the folder for the pictures.
        overwrite, batch_size: see :class:`idmvton.engine.folders.FolderTryOn`.
    """

    settings: Settings
    model: ModelOptions
    output: Path
    overwrite: bool = False
    batch_size: int | None = None

    def __call__(self) -> Callable[[Sequence[Named]], Outcomes[Pair]]:
        """What dresses the pairs of one group and returns what became of them."""
        job = TryOn(load_pipeline(self.model), preparer_for(self.settings.prepare, self.model.model))
        folder = FolderTryOn(job, self.settings, overwrite=self.overwrite, batch_size=self.batch_size)

        def dress(group: Sequence[Named]) -> Outcomes[Pair]:
            outcomes = Outcomes[Pair]()
            folder.dress(outcomes, dict(group), self.output, lambda *_: None)
            return outcomes

        return dress


def lanes_for(model: ModelOptions, address: str) -> Lanes:
    """Lanes for a model: with its threads, and with a GPU unless it is told to do without."""
    return Lanes(address, num_cpus=model.threads or 1, may_use_gpu=model.device != "cpu")


def dress_on_ray(
    pairs: Sequence[Pair],
    load: LoadLane,
    lanes: Lanes,
    on_progress: Progress = lambda *_: None,
    about: Mapping[str, Any] = MappingProxyType({}),
) -> Outcomes[Pair]:
    """Makes the pictures that are missing, on many machines, and one report.

    Args:
        pairs: people and garments.
        load: loads what a lane needs.
        lanes: where they run.
        on_progress: see :data:`idmvton.engine.job.Progress`; counts pairs.
        about: more for the report.

    Raises:
        OutputError: the output cannot be written.
        MissingExtraError, ConfigError: Ray is not there, or has no room.
        WeightsError: weights are not on a machine.
    """
    work = partial(_work, load, lanes, on_progress)
    return dress_folder(pairs, load.output, load.settings, work, about)


def _work(
    load: LoadLane, lanes: Lanes, on_progress: Progress, outcomes: Outcomes[Pair], names: Mapping[Pair, str]
) -> None:
    """Lanes say of what a lane before them made that it was done: what was there before the run tells it apart."""
    before = {pair: _stamp(load.output / name) for pair, name in names.items()}
    on_progress("starting lanes", 0, len(names))
    done = 0
    for found in work_on_ray(groups_of(names), load, lanes):
        new = [pair for pair in found.skipped if before[pair] != _stamp(load.output / names[pair])]
        outcomes.made += [*found.made, *new]
        outcomes.skipped += [pair for pair in found.skipped if pair not in new]
        outcomes.failed += found.failed
        outcomes.elsewhere += found.elsewhere
        told = {pair: tuple(noted(load.output / names[pair]).get("warnings", ())) for pair in new}
        outcomes.warnings |= found.warnings | {pair: notes for pair, notes in told.items() if notes}
        done += len(found.made) + len(found.skipped) + len(found.failed) + len(found.elsewhere)
        on_progress("dressing", done, len(names))


def _stamp(file: Path) -> int | None:
    """Tells one writing of a file from the next."""
    return file.stat().st_mtime_ns if file.exists() else None


def groups_of(names: Mapping[Pair, str]) -> list[list[Named]]:
    """The pairs of each garment, in groups of at most :data:`GROUP`: a lane reads a garment once for a group."""
    by_garment = defaultdict[Path, list[Named]](list)
    for pair, name in names.items():
        by_garment[pair[1]].append((pair, name))
    return [mine[start : start + GROUP] for mine in by_garment.values() for start in range(0, len(mine), GROUP)]
