"""The networks of the published preparation against golden numbers: ``python -m benchmarks.published_parity DIR``.

``DIR`` holds ``densepose/``, ``openpose/`` and ``schp/``, or some of them, in the format of ``tests/golden``. The
formulas of the weights are Python files there, and are run. Exit status: 0 everything agrees, 1 something is beyond its
tolerance or could not be compared, 2 there is nothing to check. ``idmvton prepare --self-test`` does the same with the
library's own numbers.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from idmvton.prepare.self_test import NETWORKS, Report, run_checks

_SHOWN: Final = 8


def show(report: Report) -> None:
    """Prints what was found of one network: everything beyond its tolerance, and the nearest to it."""
    if report.problem:
        print(f"{report.network}: {report.problem}")
        return
    num_failed = len(report.failed)
    print(
        f"{report.network}: {len(report.comparisons)} comparisons, {num_failed} beyond their tolerance, "
        f"{report.seconds:.1f} s"
    )
    for each in report.worst[: max(_SHOWN, num_failed)]:
        print(f"  {'ok' if each.agrees else 'FAILED':<6}  {each.difference:10.3g} of {each.allowed:<8.3g} {each.what}")


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path, metavar="DIR")
    parser.add_argument("--salt", default="dev", help="which weights the numbers were made with (default: dev)")
    arguments = parser.parse_args()
    reports = []
    for report in run_checks(arguments.directory, arguments.salt):
        show(report)
        reports.append(report)
    num_checks = sum(len(report.comparisons) for report in reports)
    num_failed = sum(len(report.failed) for report in reports)
    if not num_checks:
        print(f"nothing to check in {arguments.directory}: expected the folders {', '.join(NETWORKS)}")
        return 2
    print(f"{num_checks} comparisons, {num_failed} beyond their tolerance")
    is_missing = any(report.problem and (arguments.directory / report.network).is_dir() for report in reports)
    return 1 if num_failed or is_missing else 0


if __name__ == "__main__":
    raise SystemExit(main())
