"""What a customization is worth: learned on one person, scored on four others in the same garment.

The studio renders garments of the split "wild" that have a print or a pattern, each worn by five people. A checkpoint
is customized on the first of them on whom it can be (or the first of several photos), from photo and product picture
(pair) or from the photo alone (alone). The others are dressed from photos in which they wear something else, with the
weights of each check of the held-out view, and scored inside the mask against the exact picture. Results are
kept; run it again to go on.

    python -m benchmarks.customization results --garments 20
    python -m benchmarks.customization results --garments 4 --kinds alone --name layers --set layers='"up_attention"'
    python -m benchmarks.customization results --kinds pair --photos 3 --name "three photos"
    python -m benchmarks.customization results --only-summary
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from idmvton import TryOnPipeline
from idmvton.customize.free import RUN
from idmvton.customize.options import CustomizeOptions
from idmvton.customize.run import Customization, losses_of
from idmvton.customize.views import is_garment, picture_row, sample_of
from idmvton.engine.adapters import PhotoPair, prepare_pair
from idmvton.errors import ConfigError, InputError, PreparationError
from idmvton.evaluate.pictures import psnr
from idmvton.evaluate.protocols import find_protocol
from idmvton.evaluate.scoring import interval, measure_of
from idmvton.evaluate.shown import Shown
from idmvton.options import PrepareOptions
from idmvton.prepare.preparer import Preparer
from idmvton.prepare.record import Prepared
from idmvton.studio.wearers import Wearer, Worn, draw_garment, many_in_one
from idmvton.training.metrics import FILE as METRICS_FILE

SEED = 2403
PATTERNS = ("floral", "geometric", "checked", "camouflage", "striped")
PEOPLE = 5
METRICS = ("psnr", "ssim", "st_lpips")
"""By the protocol ``idmvton-mask``. CLIP-I is missing: its weights were not available."""
COLUMNS = {"psnr": "PSNR", "garment_psnr": "PSNR on the garment", "ssim": "SSIM", "st_lpips": "ST-LPIPS"}


def patterned() -> Iterator[int]:
    """Garments with a print, and those with a pattern, in turn; open ones are left out."""
    closed = [index for index in range(1000) if not attributes(index)["open"]]
    printed = (index for index in closed if attributes(index)["print"])
    woven = (index for index in closed if attributes(index)["fabric"] in PATTERNS and not attributes(index)["print"])
    for pair in zip(printed, woven, strict=False):
        yield from pair


def attributes(index: int) -> dict[str, Any]:
    return draw_garment(SEED, index, "wild", "upper_body").attributes()


@dataclass
class Lesson:
    """What is learned from whom, and who shows how well.

    Attributes:
        worn: the garment.
        pairs: the photos that it is learned from, prepared.
        others: people with the truth.
        numbers: of the people in the photos.
    """

    worn: Worn
    pairs: list[Prepared]
    others: list[Wearer]
    numbers: list[int]

    @property
    def pair(self) -> Prepared:
        """The first photo."""
        return self.pairs[0]

    def dress(self, pipe: TryOnPipeline) -> list[Image.Image]:
        """The others, by the weights of the moment."""
        return [
            pipe(
                Image.fromarray(each.old),
                self.pair.garment,
                Image.fromarray(each.mask),
                Image.fromarray(each.densepose),
                self.worn.caption,
                labels=each.labels,
                seed=0,
            ).images[0]
            for each in self.others
        ]

    def own_psnr(self, pipe: TryOnPipeline) -> float:
        """PSNR on the photo that was learned."""
        result = pipe(self.pair, self.pair.garment, caption=self.worn.caption, seed=0).images[0]
        return psnr(np.asarray(result), np.asarray(self.pair.photo), self.pair.photo_mask)


def photographed(worn: Worn, kind: str, folder: Path, num_photos: int = 1) -> Lesson:
    """The first people on whom the garment can be learned, and all others.

    Raises:
        PreparationError: there are too few.
    """
    folder.mkdir(parents=True, exist_ok=True)
    garment = folder / "garment.png"
    Image.fromarray(worn.garment).save(garment)
    pairs: dict[int, Prepared] = {}
    for number, wearer in enumerate(worn.wearers):
        person = folder / f"person{number}.png"
        Image.fromarray(wearer.new).save(person)
        photos = PhotoPair(person, garment if kind == "pair" else None)
        try:
            pairs[number] = prepare_pair(Preparer(), photos, PrepareOptions(category="upper"))
        except (PreparationError, InputError) as error:
            print(f"person {number}: {error.what}")
        if len(pairs) == num_photos:
            others = [each for place, each in enumerate(worn.wearers) if place not in pairs]
            return Lesson(worn, list(pairs.values()), others, list(pairs))
    raise PreparationError("too few of the five can be prepared", got=len(pairs), expected=num_photos)


def score(result: Image.Image, truth: Wearer) -> dict[str, Any]:
    picture, mask = np.asarray(result), truth.mask > 0
    shown = Shown("", picture, picture, find_protocol("idmvton-mask"), truth=truth.new, mask=mask)
    garment = mask & is_garment(truth.new_labels, "upper_body")
    of_pair = {name: measure_of(name)(shown) for name in METRICS}
    return of_pair | {"garment_psnr": psnr(picture, truth.new, garment)}


def learn(lesson: Lesson, choices: CustomizeOptions, folder: Path) -> dict[str, Any]:
    """Customizes, and scores at each check.

    Returns:
        ``checks``: step -> metric -> a number for each of the others, and ``own`` of the photo itself; ``losses`` of
        the held-out view by step; ``kept``: the step whose weights an adapter has, 0 where nothing was learned.
    """
    pipe = TryOnPipeline.from_pretrained("mini", device="cpu")
    pipe.set_progress_bar_config(disable=True)
    samples = [sample_of(each, lesson.worn.caption, pipe.default_size, "pair") for each in lesson.pairs]
    shutil.rmtree(folder, ignore_errors=True)
    customization = Customization(pipe, samples, folder, choices, photos={}, device="cpu")
    checks: dict[str, dict[str, Any]] = {}
    sheets: list[list[Image.Image]] = []
    spent = [0.0]

    def at_check(now: TryOnPipeline) -> Mapping[str, float]:
        begin = time.process_time()
        sheets.append(lesson.dress(now))
        rows = [score(*each) for each in zip(sheets[-1], lesson.others, strict=True)]
        figures: dict[str, Any] = {name: [row[name] for row in rows] for name in rows[0]}
        checks[str(customization.trainer.progress.step)] = figures | {"own": lesson.own_psnr(now)}
        spent[0] += time.process_time() - begin
        return {}

    begin = time.process_time()
    try:
        record = customization.run(at_check).record
        if record is None:
            raise SystemExit("stopped; run it again to go on")
        kept, losses = record.steps, dict(record.losses)
    except ConfigError:  # nothing was learned, by the held-out view: that is a result, too
        kept, losses = 0, losses_of(folder / RUN / METRICS_FILE)
    seconds = time.process_time() - begin - spent[0]
    truths = [Image.fromarray(each.new) for each in lesson.others]
    rows = [np.asarray(picture_row(row)) for row in (sheets[0], sheets[-1], truths)]
    Image.fromarray(np.concatenate(rows)).save(folder.with_suffix(".png"))
    return {"checks": checks, "losses": losses, "kept": kept, "cpu_seconds": round(seconds, 1)}


def summarise(lines: Sequence[dict[str, Any]]) -> None:
    """Means over garments, and the mean change with its 95 % interval: a garment is the unit that was drawn."""
    tables = defaultdict(list)
    for line in lines:
        tables[line["kind"], line["name"]].append(line)
    for (kind, name), own in tables.items():
        seconds = np.mean([each["cpu_seconds"] for each in own])
        learned = sum(each["kept"] > 0 for each in own)
        print(f"\n**{kind}, {name}**: {len(own)} garments; the held-out view got better with {learned}; ", end="")
        print(f"{seconds:.0f} s of one core each\n")
        print("| weights | " + " | ".join(COLUMNS.values()) + " | better with | PSNR on the photo itself |")
        print("|---" * (len(COLUMNS) + 3) + "|")
        for step in own[0]["checks"]:
            print_row(own, f"step {step}", [step] * len(own))
        print_row(own, "as kept", [str(each["kept"]) for each in own])


def print_row(lines: Sequence[dict[str, Any]], title: str, steps: Sequence[str]) -> None:
    found = [each["checks"][step] for each, step in zip(lines, steps, strict=True)]
    first = [each["checks"]["0"] for each in lines]
    cells = []
    for name in COLUMNS:
        now, before = (np.array([np.mean(each[name]) for each in rows]) for rows in (found, first))
        change = now - before
        told = f" ({change.mean():+.3f}; {{:+.3f}} to {{:+.3f}})".format(*interval(change)) if change.any() else ""
        cells.append(f"{now.mean():.3f}{told}")
    better = sum(np.mean(now["psnr"]) > np.mean(before["psnr"]) for now, before in zip(found, first, strict=True))
    own = np.mean([each["own"] for each in found])
    print(f"| {title} | {' | '.join(cells)} | {better} of {len(lines)} | {own:.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("--garments", type=int, default=20)
    parser.add_argument("--kinds", nargs="+", choices=("pair", "alone"), default=["pair", "alone"])
    parser.add_argument("--photos", type=int, default=1, help="that it is learned from")
    parser.add_argument("--name", default="default", help="of these choices, in the table")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="of the choices, as JSON")
    parser.add_argument("--only-summary", action="store_true")
    arguments = parser.parse_args()
    values = {name: json.loads(value) for name, value in (each.split("=", 1) for each in arguments.set)}
    choices = CustomizeOptions.from_mapping(values)
    arguments.output.mkdir(parents=True, exist_ok=True)
    file = arguments.output / "results.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    indices = patterned()
    for _ in range(0 if arguments.only_summary else arguments.garments):
        index, worn = next(indices), None
        for kind in arguments.kinds:
            key = {"index": index, "kind": kind, "name": arguments.name}
            if any(key.items() <= line.items() for line in lines):
                continue
            worn = worn or many_in_one(SEED, index, PEOPLE)
            place = arguments.output / f"{index:03d}"
            try:
                lesson = photographed(worn, kind, place, arguments.photos)
            except PreparationError as error:
                print(f"{index} {kind} {arguments.name}: {error.what}", flush=True)
                continue
            line = key | {"caption": worn.caption, "print": worn.attributes["print"], "people": lesson.numbers}
            line |= {"choices": choices.to_dict()} | learn(lesson, choices, place / f"{kind}-{arguments.name}")
            lines.append(line)
            with file.open("a") as out:
                out.write(json.dumps(line) + "\n")
            told = ", ".join(f"{step}: {np.mean(each['psnr']):.2f}" for step, each in line["checks"].items())
            print(index, kind, arguments.name, f"PSNR of the others {told}; kept {line['kept']}", flush=True)
    summarise(lines)


if __name__ == "__main__":
    main()
