"""The networks of the published preparation against golden numbers: ``python -m benchmarks.published_parity DIR``.

``DIR`` holds ``densepose/``, ``openpose/`` and ``schp/``, or some of them, in the format of ``tests/golden``. The
formulas of the weights are Python files there, and are run. Exit status: 0 everything agrees, 1 something is beyond its
tolerance, 2 there is nothing to check.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

Check = tuple[str, float, float]
"""What is compared, the largest difference, and the one that is allowed."""

_SHOWN: Final = 8


def _densepose(folder: Path, salt: str) -> Iterator[Check]:
    from benchmarks.parity_densepose import check_densepose

    return check_densepose(folder, salt)


def _openpose(folder: Path, salt: str) -> Iterator[Check]:
    from benchmarks.parity_openpose import check_openpose

    return check_openpose(folder, salt)


def _schp(folder: Path, salt: str) -> Iterator[Check]:
    from benchmarks.parity_schp import check_schp

    return check_schp(folder)  # its networks are files: no salt


NETWORKS: Final[dict[str, Callable[[Path, str], Iterator[Check]]]] = {
    "densepose": _densepose,
    "openpose": _openpose,
    "schp": _schp,
}


def check_folder(directory: Path, salt: str) -> tuple[int, int]:
    """Checks every network whose folder is there and prints what was found.

    Returns:
        How many comparisons were made, and how many are beyond their tolerance.
    """
    num_checks = num_failed = 0
    for name, check in NETWORKS.items():
        folder = directory / name
        if not folder.is_dir():
            print(f"{name}: not in {directory}")
            continue
        started = time.perf_counter()
        checks = list(check(folder, salt))
        failed = [each for each in checks if not each[1] <= each[2]]
        seconds = time.perf_counter() - started
        print(f"{name}: {len(checks)} comparisons, {len(failed)} beyond their tolerance, {seconds:.1f} s")
        worst = sorted(checks, key=lambda each: each[1] / each[2] if each[2] else each[1], reverse=True)
        for what, difference, allowed in failed + [each for each in worst if each not in failed][:_SHOWN]:
            mark = "FAILED" if not difference <= allowed else "ok"
            print(f"  {mark:<6}  {difference:10.3g} of {allowed:<8.3g} {what}")
        num_checks += len(checks)
        num_failed += len(failed)
    return num_checks, num_failed


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path, metavar="DIR")
    parser.add_argument("--salt", default="dev", help="which weights the numbers were made with (default: dev)")
    arguments = parser.parse_args()
    num_checks, num_failed = check_folder(arguments.directory, arguments.salt)
    if not num_checks:
        print(f"nothing to check in {arguments.directory}: expected the folders {', '.join(NETWORKS)}")
        return 2
    print(f"{num_checks} comparisons, {num_failed} beyond their tolerance")
    return 1 if num_failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
