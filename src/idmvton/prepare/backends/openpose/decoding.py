"""From heatmaps and part affinity fields to people: peaks, limbs between them, people made of limbs.

The joints are OpenPose's 18: nose, neck, right shoulder, elbow and wrist, the same of the left, right hip, knee and
ankle, the same of the left, right and left eye, right and left ear. The steps are those of Cao et al., section 2.3 and
2.4, with the published constants.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]

NUM_JOINTS: Final = 18
LIMBS: Final = (
    (1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10), (1, 11),
    (11, 12), (12, 13), (1, 0), (0, 14), (14, 16), (0, 15), (15, 17), (2, 16), (5, 17),
)  # fmt: skip
"""The joints that each limb connects, in the order in which people are put together."""
_FIELD_OF_LIMB: Final = (12, 20, 14, 16, 22, 24, 0, 2, 4, 6, 8, 10, 28, 30, 34, 32, 36, 18, 26)  # its x; y follows
_NUM_STARTING: Final = 17  # the limbs from ear to shoulder, the last two, join people but never start one

_SIGMA: Final = 3.0
_RADIUS: Final = 12  # pixels: four sigmas
_MIN_PEAK: Final = 0.1
_NUM_SAMPLES: Final = 10  # along each limb
_MIN_ALONG: Final = 0.05  # a sample counts whose field points along the limb by more than this
_MIN_COUNT: Final = 8  # more samples than this must count
_MIN_LENGTH: Final = 0.001
_LONG: Final = 0.5  # of the picture's height: longer limbs lose score
_MIN_JOINTS: Final = 4
_MIN_SCORE: Final = 0.4  # a joint
_SCORE, _COUNT = NUM_JOINTS, NUM_JOINTS + 1  # columns behind the joints


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """Every peak, and the people made of them.

    Attributes:
        candidates: float64 (N, 3), x, y in whole pixels and the score of each peak, joint by joint.
        people: float64 (M, 20), for each person the candidate of each joint, -1 where there is none, then the total
            score and the number of joints; in the order in which they were begun.
    """

    candidates: Doubles
    people: Doubles

    def points(self, person: int) -> Doubles:
        """A person's joints: float64 (18, 2), x, y in pixels, (0, 0) where one is missing."""
        rows = self.people[person, :NUM_JOINTS].astype(int)
        return np.where(rows[:, None] >= 0, self.candidates[rows, :2], 0.0)

    def scores(self, person: int) -> Doubles:
        """The score of each of a person's joints: float64 (18,), 0 where one is missing."""
        rows = self.people[person, :NUM_JOINTS].astype(int)
        return np.where(rows >= 0, self.candidates[rows, 2], 0.0)


def decode(heatmaps: NDArray[np.floating], fields: NDArray[np.floating]) -> Decoded:
    """Finds everybody.

    Args:
        heatmaps: (H, W, 18 or more), one joint a channel.
        fields: (H, W, 38).
    """
    candidates, firsts = find_peaks(heatmaps)
    limbs = [_connected(limb, candidates, firsts, fields) for limb in range(len(LIMBS))]
    return Decoded(candidates, _assembled(limbs, candidates))


def find_peaks(heatmaps: NDArray[np.floating]) -> tuple[Doubles, NDArray[np.intp]]:
    """Peaks of the smoothed heatmaps.

    Args:
        heatmaps: (H, W, 18 or more).

    Returns:
        float64 (N, 3): x, y and the unsmoothed score, joint by joint, row by row; and (19,) the number of the first
        peak of each joint, N at the end.
    """
    raw = np.ascontiguousarray(heatmaps[..., :NUM_JOINTS].transpose(2, 0, 1), np.float64)
    steps = np.arange(-_RADIUS, _RADIUS + 1)
    kernel = np.exp(-0.5 * steps**2 / _SIGMA**2)
    kernel /= kernel.sum()
    smooth = np.stack(
        [cv2.sepFilter2D(each, cv2.CV_64F, kernel, kernel, borderType=cv2.BORDER_REFLECT) for each in raw]
    )
    around = np.pad(smooth, ((0, 0), (1, 1), (1, 1)))
    is_peak = smooth > _MIN_PEAK
    for neighbour in (around[:, 1:-1, :-2], around[:, 1:-1, 2:], around[:, :-2, 1:-1], around[:, 2:, 1:-1]):
        is_peak &= smooth >= neighbour
    joints, rows, columns = np.nonzero(is_peak)
    candidates = np.stack([columns, rows, raw[joints, rows, columns]], axis=1).astype(np.float64)
    return candidates, np.searchsorted(joints, np.arange(NUM_JOINTS + 1))


def _connected(
    limb: int, candidates: Doubles, firsts: NDArray[np.intp], fields: NDArray[np.floating]
) -> list[tuple[int, int, float]]:
    """The connections of one limb: candidate, candidate, score; each candidate is used once."""
    start, end = LIMBS[limb]
    starts, ends = (np.arange(firsts[joint], firsts[joint + 1]) for joint in (start, end))
    if not len(starts) or not len(ends):
        return []
    channel = _FIELD_OF_LIMB[limb]
    scores, is_kept = _limb_scores(candidates[starts, :2], candidates[ends, :2], fields[..., channel : channel + 2])
    rows, columns = np.nonzero(is_kept)
    chosen: list[tuple[int, int, float]] = []
    used: set[int] = set()
    for pair in np.argsort(-scores[rows, columns], kind="stable"):
        first, second = int(starts[rows[pair]]), int(ends[columns[pair]])
        if first not in used and second not in used:
            used |= {first, second}
            chosen.append((first, second, float(scores[rows[pair], columns[pair]])))
    return chosen


def _limb_scores(starts: Doubles, ends: Doubles, field: NDArray[np.floating]) -> tuple[Doubles, NDArray[np.bool_]]:
    """How well the field points from each start (A, 2) to each end (B, 2): scores (A, B), and which are limbs."""
    ways = ends[None] - starts[:, None]
    lengths = np.maximum(np.hypot(ways[..., 0], ways[..., 1]), _MIN_LENGTH)
    steps = np.arange(_NUM_SAMPLES)[:, None]
    samples = starts[:, None, None] + steps * (ways / (_NUM_SAMPLES - 1))[:, :, None]
    samples[:, :, -1] = ends[None]
    columns, rows = np.moveaxis(np.rint(samples).astype(int), -1, 0)
    along = (field[rows, columns].astype(np.float64) * (ways / lengths[..., None])[:, :, None]).sum(-1)
    scores = along.mean(-1) + np.minimum(_LONG * field.shape[0] / lengths - 1, 0)
    return scores, ((along > _MIN_ALONG).sum(-1) > _MIN_COUNT) & (scores > 0)


def _assembled(limbs: list[list[tuple[int, int, float]]], candidates: Doubles) -> Doubles:
    """People (M, 20) made of limbs; those with few or weak joints are dropped."""
    people: list[Doubles] = []
    for number, ((start, end), connections) in enumerate(zip(LIMBS, limbs, strict=True)):
        for first, second, score in connections:
            owners = [each for each in people if each[start] == first or each[end] == second]
            if not owners:
                if number < _NUM_STARTING:
                    person = np.full(_COUNT + 1, -1.0)
                    person[[start, end]] = first, second
                    person[[_SCORE, _COUNT]] = candidates[[first, second], 2].sum() + score, 2
                    people.append(person)
                continue
            if len(owners) > 1 and not _share_a_joint(owners[0], owners[1]):
                _merge(owners[0], owners[1], score)
                people = [each for each in people if each is not owners[1]]
            elif len(owners) > 1 or owners[0][end] != second:
                owners[0][end] = second
                owners[0][_COUNT] += 1
                owners[0][_SCORE] += candidates[second, 2] + score
    found = np.array(people, np.float64).reshape(-1, _COUNT + 1)
    return found[(found[:, _COUNT] >= _MIN_JOINTS) & (found[:, _SCORE] / found[:, _COUNT] >= _MIN_SCORE)]


def _share_a_joint(first: Doubles, second: Doubles) -> bool:
    return bool(np.any((first[:NUM_JOINTS] >= 0) & (second[:NUM_JOINTS] >= 0)))


def _merge(first: Doubles, second: Doubles, score: float) -> None:
    """Puts the joints of a person into another, who has none of them."""
    first[:NUM_JOINTS] = np.maximum(first[:NUM_JOINTS], second[:NUM_JOINTS])
    first[NUM_JOINTS:] += second[NUM_JOINTS:]
    first[_SCORE] += score


def published_points(found: Decoded) -> Doubles:
    """The first person's joints as the published demo reads them: float64 (18, 2), pixels.

    The demo moves the list of all peaks into place joint by joint, and drops at most one foreign peak for each. Where
    a joint has two foreign peaks before it, it and the joints behind it get wrong peaks.

    Args:
        found: with at least one person.
    """
    points = [tuple(point) for point in found.candidates[:, :2]]
    ids = found.people[0, :NUM_JOINTS].astype(int)
    for joint in range(NUM_JOINTS):
        if ids[joint] < 0:
            points.insert(joint, (0.0, 0.0))
            shift = 1
        elif ids[joint] != joint:
            del points[joint]
            shift = -1
        else:
            continue
        ids[joint:] += np.where(ids[joint:] >= 0, shift, 0)
    return np.array(points[:NUM_JOINTS], np.float64)
