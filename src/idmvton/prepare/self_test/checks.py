"""Which networks are checked, and whether their published files are here."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from idmvton import weights
from idmvton.errors import MissingExtraError
from idmvton.prepare.self_test.comparison import Check, Comparison
from idmvton.weights.manifest import FileState, compare

SALT: Final = "dev"
"""Which weights the numbers of the library's own golden folder were made with."""
ENTRIES: Final = {"densepose": ("densepose-r50",), "openpose": ("openpose-body",), "schp": ("schp-atr", "schp-lip")}
"""Network -> the catalogue's names of its files."""


@dataclass(frozen=True, slots=True)
class Report:
    """What the check of one network says.

    Attributes:
        network: its name.
        comparisons: every one that was made.
        seconds: how long that took.
        problem: why nothing was compared; empty where something was.
    """

    network: str
    comparisons: tuple[Comparison, ...]
    seconds: float
    problem: str = ""

    @property
    def failed(self) -> tuple[Comparison, ...]:
        """The comparisons beyond their tolerance."""
        return tuple(each for each in self.comparisons if not each.agrees)

    @property
    def worst(self) -> tuple[Comparison, ...]:
        """All comparisons, those beyond their tolerance or nearest to it first."""

        def distance(each: Comparison) -> tuple[bool, float]:
            return each.agrees, -each.difference / (each.allowed or 1.0)

        return tuple(sorted(self.comparisons, key=distance))


@dataclass(frozen=True, slots=True)
class InstalledFile:
    """One published file.

    Attributes:
        name: the catalogue's.
        state: ``"ok"``, or ``"missing"``, or what is wrong with it.
        about: one line for a person.
    """

    name: str
    state: FileState
    about: str


def _densepose(folder: Path, salt: str) -> Iterator[Check]:
    from idmvton.prepare.self_test.densepose import check_densepose

    return check_densepose(folder, salt)


def _openpose(folder: Path, salt: str) -> Iterator[Check]:
    from idmvton.prepare.self_test.openpose import check_openpose

    return check_openpose(folder, salt)


def _schp(folder: Path, salt: str) -> Iterator[Check]:
    from idmvton.prepare.self_test.schp import check_schp

    return check_schp(folder)  # its networks are files: no salt


NETWORKS: Final[dict[str, Callable[[Path, str], Iterator[Check]]]] = {
    "densepose": _densepose,
    "openpose": _openpose,
    "schp": _schp,
}
"""Name of a network, and of its golden folder -> its check."""


def run_checks(directory: Path, salt: str = SALT) -> Iterator[Report]:
    """Checks one network after the other.

    Args:
        directory: holds a folder for each network that is checked, in the golden format. Formulas of weights are
            Python files there, and are run.
        salt: which weights the numbers were made with.
    """
    for name, check in NETWORKS.items():
        started = time.perf_counter()
        comparisons: tuple[Comparison, ...] = ()
        problem = "" if (directory / name).is_dir() else f"no folder {directory / name}"
        if not problem:
            try:
                comparisons = tuple(Comparison(*each) for each in check(directory / name, salt))
            except MissingExtraError as error:
                problem = f"{error.what}: {error.fix}"
        yield Report(name, comparisons, time.perf_counter() - started, problem)


def installed(network: str) -> Iterator[InstalledFile]:
    """The published files of a network on this machine, compared with what the catalogue knows of them.

    Args:
        network: a name in :data:`NETWORKS`.
    """
    for name in ENTRIES[network]:
        entry = weights.find_entry(name)
        if not weights.status(name).present:
            yield InstalledFile(name, "missing", f"not here: `{entry.get_command}` gets it")
            continue
        path = weights.locate_file(name)
        known = entry.known[entry.files[0]]
        state, detail = compare(path, weights.FileRecord(known.size, sha256=known.sha256))
        yield InstalledFile(name, state, f"{path}, {detail or 'size and hash are the published ones'}")
