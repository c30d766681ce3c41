"""What the mask repaints that it must not, and what it leaves of the old garment, on rendered people with exact labels.

python -m benchmarks.field_masks [--people 200] [--seed 11] [--splits test wild] [--worst 10] [--out FOLDER]

Everything is as in use: the photo goes through :class:`idmvton.prepare.Preparer` with the embedded backends, with the
product picture of another garment and the category that was asked of the studio. The photos differ in size, so that
heads are 30 to 300 pixels high. Shares are of true pixels: "repainted" of face, hands, bag, hair, glasses and shoes,
"left" of the old garment. A refusal is an error of the preparation; its reason is listed.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from idmvton.errors import IdmVtonError
from idmvton.images.densepose import HANDS
from idmvton.options import PrepareOptions
from idmvton.prepare.mask import ATR_LABELS
from idmvton.prepare.overlay import draw_overlay
from idmvton.prepare.preparer import Preparer
from idmvton.studio.sampling import Split, StudioSample, sample
from idmvton.types import Category

Mask = NDArray[np.bool_]

SIZES: Final = ((1536, 1152), (512, 384), (768, 576), (384, 288))
STAYS: Final = {
    "face": ("head",),
    "hair": ("hair",),
    "bag": ("bag",),
    "glasses": ("sunglasses",),
    "shoes": ("left_shoe", "right_shoe"),
}
OLD: Final[dict[Category, tuple[str, ...]]] = {
    "upper_body": ("upper_clothes", "dress"),
    "lower_body": ("pants", "skirt"),
    "dresses": ("dress", "upper_clothes", "skirt", "pants"),
}
FEW: Final = 20  # pixels: smaller regions say nothing


@dataclass
class Tally:
    """Shares of every person, and the sums behind them.

    Attributes:
        shares: name -> (share, index of the person) of each person who has the region.
        pixels: name -> pixels that are wrong, pixels of the region.
        refused: index -> the reason.
        heads: height of each head, pixels.
    """

    shares: dict[str, list[tuple[float, str]]] = field(default_factory=dict)
    pixels: dict[str, tuple[int, int]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    heads: list[int] = field(default_factory=list)

    def add(self, name: str, wrong: Mask, region: Mask, person: str) -> None:
        """Counts a region of one person."""
        if region.sum() <= FEW:
            return
        count = int((wrong & region).sum())
        self.shares.setdefault(name, []).append((count / int(region.sum()), person))
        before = self.pixels.get(name, (0, 0))
        self.pixels[name] = before[0] + count, before[1] + int(region.sum())

    def add_mask(self, truth: StudioSample, mask: Mask, person: str) -> None:
        """Counts everything that one mask touches and leaves."""
        for name, labels in STAYS.items():
            self.add(f"{name} repainted", mask, _where(truth.labels, labels), person)
        skin = _where(truth.labels, ("left_arm", "right_arm"))
        self.add("hands repainted", mask, np.isin(truth.iuv[..., 0], HANDS) & skin, person)
        self.add(f"old garment left, {truth.category}", ~mask, _where(truth.labels, OLD[truth.category]), person)
        rows = np.flatnonzero(_where(truth.labels, ("head",)).any(1))
        if len(rows):
            self.heads.append(int(rows[-1] - rows[0] + 1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=200)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--splits", nargs="+", choices=get_args(Split), default=["test", "wild"])
    parser.add_argument("--worst", type=int, default=5, help="how many people to name in each row")
    parser.add_argument("--out", type=Path, help="draw everybody here whose mask is wrong somewhere")
    options = parser.parse_args()
    preparer, tally = Preparer(), Tally()
    start = time.perf_counter()
    for index in range(options.people):
        split = options.splits[index % len(options.splits)]
        truth = sample(options.seed, index, split, "mixed", SIZES[index // len(options.splits) % len(SIZES)])
        _try_one(preparer, truth, f"{split}-{index}", tally, options.out)
    print(f"{options.people} people, {time.perf_counter() - start:.0f} s")
    print_tally(tally, options.people, options.worst)


def _try_one(preparer: Preparer, truth: StudioSample, name: str, tally: Tally, out: Path | None) -> None:
    try:
        made = preparer(truth.person, truth.other_garment, options=PrepareOptions(category=truth.category))
    except IdmVtonError as error:
        tally.refused[name] = " ".join(str(error).split())
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            Image.fromarray(truth.person).save(out / f"{name}-refused.png")
        return
    mask = made.photo_mask
    tally.add_mask(truth, mask, name)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        draw_overlay(truth.person, made.framing.invert_labels(made.labels), mask, truth.keypoints).save(
            out / f"{name}.png"
        )


def print_tally(tally: Tally, people: int, worst: int) -> None:
    """Prints the table: of all pixels, mean of people, how many people have over 1 %, and the worst of them."""
    if tally.heads:
        low, middle, high = np.percentile(tally.heads, [0, 50, 100])
        print(f"heads: {low:.0f} to {high:.0f} pixels high, median {middle:.0f}")
    print(f"refused: {len(tally.refused)} of {people} ({len(tally.refused) / people:.1%})")
    for reason, count in Counter(tally.refused.values()).most_common():
        print(f"  {count} x {reason} ({', '.join(name for name, why in tally.refused.items() if why == reason)})")
    print(f"{'':32} {'pixels':>8} {'people':>8} {'over 1 %':>9}  worst")
    for name in sorted(tally.shares):
        shares = sorted(tally.shares[name], reverse=True)
        wrong, region = tally.pixels[name]
        mean = np.mean([share for share, _ in shares])
        over = sum(share > 0.01 for share, _ in shares)
        named = ", ".join(f"{who} {share:.1%}" for share, who in shares[:worst])
        print(f"{name:32} {wrong / region:8.2%} {mean:8.2%} {over:4} / {len(shares):<3}  {named}")


def _where(labels: NDArray[np.uint8], names: tuple[str, ...]) -> Mask:
    return np.isin(labels, [ATR_LABELS.index(name) for name in names])


if __name__ == "__main__":
    main()
