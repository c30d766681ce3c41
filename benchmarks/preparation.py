"""How right and how fast the preparation of photos is, stage by stage, on rendered people whose truth is known.

python -m benchmarks.preparation [--people 60] [--split test] [--model auto]

Errors of points are shares of the torso's length. Times are medians for one photo of 1024x768, warm. Each stage is one
function that returns rows of the table.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import statistics
import time
from collections.abc import Callable
from typing import Literal, NamedTuple, get_args

import cv2
import numpy as np

from benchmarks.parsing import parsing_rows
from idmvton.prepare.backends.blazepose import BlazePose
from idmvton.prepare.backends.blazepose.estimator import Model
from idmvton.prepare.backends.edges import EdgeSegmenter
from idmvton.prepare.backends.protocols import Photo, Pose
from idmvton.prepare.frame import frame_person
from idmvton.prepare.person_check import check_person
from idmvton.studio.sampling import Split, StudioSample, sample
from idmvton.types import Size

SIZE = (512, 384)
TIMED_SIZE = (1024, 768)
REPEATS = 9


class Row(NamedTuple):
    """One line of the table."""

    stage: str
    measure: str
    value: str


class Person(NamedTuple):
    """A rendered person and the pose found for them."""

    truth: StudioSample
    pose: Pose


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=60)
    parser.add_argument("--split", choices=get_args(Split), default="test")
    parser.add_argument("--model", choices=get_args(Model), default="auto")
    options = parser.parse_args()
    samples = [sample(7, index, options.split, "mixed", SIZE) for index in range(options.people)]
    print(f"{platform.machine()}, {os.cpu_count()} cores; {len(samples)} people of the split {options.split!r}")
    before = _peak_memory()
    estimator = BlazePose(model=options.model)
    rows, people = pose_rows(estimator, samples)
    rows += outline_rows(people)
    rows += framing_rows(people)
    rows += [Row(*line) for line in parsing_rows(people)]
    rows.append(Row("all of these", "memory, MB", f"{_peak_memory() - before:.0f}"))
    print_table(rows)


def pose_rows(estimator: BlazePose, samples: list[StudioSample]) -> tuple[list[Row], list[Person]]:
    """Stage pose: who is found, and how far the points are from the truth."""
    found = [(each, estimator(each.person)) for each in samples]
    people = [Person(each, poses[0]) for each, poses in found if poses]
    apart = [_errors(person) for person in people]
    every = np.concatenate(apart)
    stage = f"pose ({estimator.source})"
    rows = [
        Row(stage, "found exactly one person", f"{sum(len(poses) == 1 for _, poses in found)} of {len(found)}"),
        Row(stage, "error of points: median", f"{np.median(every):.1%}"),
        Row(stage, "error of points: 90 of 100", f"{np.percentile(every, 90):.1%}"),
        Row(stage, "worst person's median", f"{max(np.median(each) for each in apart):.1%}"),
        Row(stage, "ms", _milliseconds(lambda photo, pose: estimator(photo), people[0])),
    ]
    return rows, people


def outline_rows(people: list[Person]) -> list[Row]:
    """Stage outline: overlap (IoU) with the truth, for the network's rough outline and the refined one."""
    segmenter = EdgeSegmenter()
    overlaps: dict[Literal["rough", "refined"], list[float]] = {"rough": [], "refined": []}
    for person in people:
        outline = person.pose.outline
        assert outline is not None
        overlaps["rough"].append(_overlap(outline, person.truth))
        overlaps["refined"].append(_overlap(segmenter(person.truth.person, person.pose), person.truth))
    stage = f"outline ({segmenter.name})"
    rows = [Row(stage, f"mean overlap, {name}", f"{statistics.fmean(values):.3f}") for name, values in overlaps.items()]
    return [*rows, Row(stage, "ms", _milliseconds(segmenter, people[0]))]


def framing_rows(people: list[Person]) -> list[Row]:
    """Stage framing and checks: their time, and how many people get a warning."""
    warned = sum(bool(check_person(each.truth.person, [each.pose])[1]) for each in people)
    size = Size(*TIMED_SIZE)
    return [
        Row("checks", "people with a warning", f"{warned} of {len(people)}"),
        Row("checks", "ms", _milliseconds(lambda photo, pose: check_person(photo, [pose]), people[0])),
        Row("framing", "ms", _milliseconds(lambda photo, pose: frame_person(size, pose), people[0])),
    ]


def _errors(person: Person) -> np.ndarray:
    points = person.pose.keypoints(Size(*SIZE))
    both = points.any(1) & person.truth.keypoints.any(1)
    return np.hypot(*(points - person.truth.keypoints)[both].T) / person.pose.torso


def _overlap(outline: np.ndarray, truth: StudioSample) -> float:
    found, right = outline > 0.5, truth.labels > 0
    return float((found & right).sum() / (found | right).sum())


def _milliseconds(stage: Callable[[Photo, Pose], object], person: Person) -> str:
    """The median time of a stage on that person's photo, enlarged."""
    photo = cv2.resize(person.truth.person, TIMED_SIZE[::-1], interpolation=cv2.INTER_CUBIC)
    scale = TIMED_SIZE[0] / SIZE[0]
    outline = person.pose.outline
    assert outline is not None
    larger = cv2.resize(outline, TIMED_SIZE[::-1])
    pose = person.pose.mapped(lambda points: points * np.float32(scale), larger)
    stage(photo, pose)
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        stage(photo, pose)
        times.append(time.perf_counter() - start)
    return f"{statistics.median(times) * 1000:.0f}"


def _peak_memory() -> float:
    """The most memory that this process has had, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def print_table(rows: list[Row]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    for row in rows:
        print(f"{row.stage:<{widths[0]}}  {row.measure:<{widths[1]}}  {row.value}")


if __name__ == "__main__":
    main()
