"""What a customization is worth: learned on one person, scored on four others in the same garment.

The studio renders garments of the split "wild" that have a print or a pattern, each worn by five people. A checkpoint
is customized on the first of them on whom it can be, from the product picture and the photo (pair) or from the photo
alone (alone). The others are dressed from photos in which they wear something else, before and while it learns, and
scored inside the mask against the exact picture. Results are kept; run it again to go on.

    python -m benchmarks.customization results --garments 4
    python -m benchmarks.customization results --garments 4 --kinds alone --layers up_attention --no-warp
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

from idmvton import TryOnPipeline
from idmvton.customize.options import CustomizeOptions
from idmvton.customize.run import Customization
from idmvton.customize.task import CustomizeTask
from idmvton.customize.views import sample_of
from idmvton.data.sample import TryOnSample
from idmvton.engine.adapters import PhotoPair, prepare_pair
from idmvton.errors import ConfigError, InputError, PreparationError
from idmvton.evaluate.pictures import psnr, ssim
from idmvton.evaluate.scoring import interval
from idmvton.options import PrepareOptions
from idmvton.prepare.preparer import Preparer
from idmvton.prepare.record import Prepared
from idmvton.studio.wearers import Wearer, Worn, draw_garment, many_in_one

SEED = 2403
PATTERNS = ("floral", "geometric", "checked", "camouflage", "striped")
PEOPLE = 5
METRICS = ("psnr", "ssim", "garment_psnr")


def patterned() -> Iterator[int]:
    """Garments with a print, and those with a pattern, in turn."""
    printed = (number for number in range(10**6) if attributes(number)["print"] and not attributes(number)["open"])
    fabrics = (
        number
        for number in range(10**6)
        if attributes(number)["fabric"] in PATTERNS
        and not attributes(number)["open"]
        and not attributes(number)["print"]
    )
    while True:
        yield next(printed)
        yield next(fabrics)


def attributes(index: int) -> dict[str, Any]:
    return draw_garment(SEED, index, "wild", "upper_body").attributes()


class Scores:
    """Dresses people with the weights of the moment and scores them.

    Args:
        people: with the truth.
        garment: as the pipeline takes it.
        caption: what it is.
    """

    def __init__(self, people: Sequence[Wearer], garment: Image.Image, caption: str) -> None:
        self.people, self.garment, self.caption = people, garment, caption
        self.rows: list[dict[str, Any]] = []

    def __call__(self, pipe: TryOnPipeline) -> list[Image.Image]:
        pipe.forget_other_weights()
        images = [
            pipe(
                Image.fromarray(each.old),
                self.garment,
                Image.fromarray(each.mask),
                Image.fromarray(each.densepose),
                self.caption,
                labels=each.labels,
                seed=0,
            ).images[0]
            for each in self.people
        ]
        scores = [score(np.asarray(image), each) for image, each in zip(images, self.people, strict=True)]
        self.rows.append({name: [each[name] for each in scores] for name in METRICS})
        return images


def score(result: np.ndarray, truth: Wearer) -> dict[str, float]:
    region = truth.mask > 0
    worn = region & (truth.new_labels == 4)  # upper clothes
    return {
        "psnr": psnr(result, truth.new, region),
        "ssim": ssim(result, truth.new, region),
        "garment_psnr": psnr(result, truth.new, worn),
    }


def learn(
    worn: Worn, pair: Prepared, others: Sequence[Wearer], choices: CustomizeOptions, folder: Path
) -> dict[str, Any]:
    """Customizes and scores; returns a line of the results."""
    pipe = TryOnPipeline.from_pretrained("mini", device="cpu")
    pipe.set_progress_bar_config(disable=True)
    assert pair.garment is not None
    sample = sample_of(pair, worn.caption, pipe.default_size, "pair")
    scores, seconds = Scores(others, pair.garment, worn.caption), [0.0]
    pictures: list[list[Image.Image]] = []
    own: list[float] = []

    def measure(task: CustomizeTask, _samples: Sequence[TryOnSample]) -> dict[str, float]:
        begin = time.process_time()
        pictures.append(scores(task.pipe))
        own.append(on_itself(task.pipe, pair, worn.caption))
        seconds[0] -= time.process_time() - begin
        return {}

    CustomizeTask.measure = measure  # type: ignore[method-assign, assignment]
    shutil.rmtree(folder, ignore_errors=True)
    begin, clock = time.process_time(), time.perf_counter()
    customization = Customization(pipe, [sample], folder, choices, photos={}, device="cpu")
    learned = None
    try:
        learned = customization.run()
    except ConfigError as error:  # the held-out view never got better: that is a result, too
        print(error)
    if learned is not None and learned.record is None:
        raise SystemExit("stopped: run it again to go on")
    seconds[0] += time.process_time() - begin
    rows = [pictures[0], pictures[-1], [Image.fromarray(each.new) for each in others]]
    sheet = np.concatenate([np.concatenate([np.asarray(each) for each in row], 1) for row in rows])
    Image.fromarray(sheet[::2, ::2]).save(folder.with_suffix(".png"))
    return {
        "caption": worn.caption,
        "print": worn.attributes["print"],
        "losses": learned.record.losses if learned and learned.record else {},
        "best": learned.record.steps if learned and learned.record else 0,
        "others": scores.rows,
        "own": own,
        "cpu_seconds": round(seconds[0], 1),
        "seconds": round(time.perf_counter() - clock, 1),
    }


def on_itself(pipe: TryOnPipeline, pair: Prepared, caption: str) -> float:
    """PSNR on the photo that was learned."""
    result = pipe(pair, pair.garment, caption=caption, seed=0).images[0]
    return psnr(np.asarray(result), np.asarray(pair.photo), pair.photo_mask)


def photographed(worn: Worn, kind: str, folder: Path) -> tuple[Prepared, list[Wearer]]:
    """The first person on whom the garment can be learned, as prepared from the photo, and the four others."""
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(worn.garment).save(folder / "garment.png")
    preparer, options = Preparer(), PrepareOptions(category="upper")
    for number, wearer in enumerate(worn.wearers):
        person = folder / f"person{number}.png"
        Image.fromarray(wearer.new).save(person)
        try:
            pair = prepare_pair(
                preparer, PhotoPair(person, folder / "garment.png" if kind == "pair" else None), options
            )
        except (PreparationError, InputError) as error:
            print(f"person {number}: {error.what}")
            continue
        return pair, [each for each in worn.wearers if each is not wearer]
    raise PreparationError("nobody of the five can be prepared")


def summarise(lines: Sequence[dict[str, Any]]) -> None:
    """A table a kind: the mean change on the others by step, with its 95 % interval over garments and people."""
    kinds = defaultdict(list)
    for line in lines:
        kinds[line["kind"], line["name"]].append(line)
    table = Table("kind, what", "garments", "step", *METRICS, "PSNR on the photo itself")
    for (kind, name), own in kinds.items():
        every = own[0]["every"]
        for place in range(min(len(each["others"]) for each in own)):
            cells = []
            for metric in METRICS:
                now = np.array([each["others"][place][metric] for each in own])
                first = np.array([each["others"][0][metric] for each in own])
                change = (now - first).mean(1)  # a garment is the unit that was drawn
                low, high = interval(change) if len(change) > 1 else (np.nan, np.nan)
                cells.append(f"{now.mean():.3f} ({change.mean():+.3f}, {low:+.3f} to {high:+.3f})")
            itself = np.mean([each["own"][place] for each in own])
            table.add_row(f"{kind}, {name}", str(len(own)), str(place * every), *cells, f"{itself:.2f}")
    Console(width=160).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("--garments", type=int, default=20)
    parser.add_argument("--kinds", nargs="+", choices=("pair", "alone"), default=["pair", "alone"])
    parser.add_argument("--name", default="default", help="of these choices, in the table")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="of the choices, as in Python")
    parser.add_argument("--only-summary", action="store_true")
    arguments = parser.parse_args()
    values = {name: json.loads(value) for name, value in (each.split("=") for each in arguments.set)}
    choices = CustomizeOptions.from_mapping({"steps": 40, "check_every": 20, "patience": 1000} | values)
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
            pair, others = photographed(worn, kind, place)
            line = key | {"every": choices.check_every, "choices": choices.to_dict()}
            line |= learn(worn, pair, others, choices, place / f"{kind}-{arguments.name}")
            lines.append(line)
            with file.open("a") as out:
                out.write(json.dumps(line) + "\n")
            change = np.mean(line["others"][-1]["psnr"]) - np.mean(line["others"][0]["psnr"])
            print(key, line["caption"], f"{change:+.2f} dB, {line['cpu_seconds']} s of CPU", flush=True)
    summarise(lines)


if __name__ == "__main__":
    main()
