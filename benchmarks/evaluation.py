"""What scoring costs: every metric that needs no download beyond st-lpips and pp-ocr, on drawn pictures of 1024x768.

Each pair has a result, a truth that is also the photo, a product picture (every fourth with a word on it), a mask and
keypoints. CPU seconds are printed beside the seconds on the clock: on a machine that does other things meanwhile,
the time on idle cores is estimated from them.

    python -m benchmarks.evaluation --pairs 40 --workers 2
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from idmvton.evaluate import scoring
from idmvton.evaluate.matching import Case
from idmvton.evaluate.metrics import METRICS, Metric, with_metrics
from idmvton.evaluate.protocols import Protocol, find_protocol

HEIGHT, WIDTH = 1024, 768
NUM_TEST_PAIRS = 2032  # of VITON-HD
FACE = {0: (384, 150), 14: (360, 130), 15: (408, 130), 16: (340, 140), 17: (428, 140)}


def drawn(random: np.random.Generator) -> NDArray[np.uint8]:
    """A picture as smooth and as noisy as a photo."""
    small = random.integers(0, 256, (HEIGHT // 32, WIDTH // 32, 3), dtype=np.uint8)
    smooth = cv2.resize(small, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC).astype(np.int16)
    return (smooth + random.integers(-4, 5, smooth.shape, dtype=np.int16)).clip(0, 255).astype(np.uint8)


def draw_pair(folder: Path, number: int) -> Case:
    """The files of one pair."""
    random = np.random.default_rng(number)
    photo = drawn(random)
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[300:800, 200:560] = 255
    result = np.where(mask[..., None] > 0, drawn(random), photo)
    garment = Image.new("RGB", (WIDTH, HEIGHT), "white")
    garment.paste(Image.fromarray(drawn(random)).resize((400, 500)), (180, 250))
    if number % 4 == 0:
        ImageDraw.Draw(garment).text((230, 450), "SUMMER", fill="white", font=ImageFont.load_default(72))
    suffixes = {"photo": ".jpg", "garment": ".jpg", "keypoints": ".json"}
    kinds = ("result", "photo", "garment", "mask", "keypoints")
    paths = {kind: folder / f"{number}_{kind}{suffixes.get(kind, '.png')}" for kind in kinds}
    for kind, picture in (("result", result), ("photo", photo), ("mask", mask)):
        Image.fromarray(picture).save(paths[kind], quality=95)
    garment.save(paths["garment"], quality=95)
    points = [[*FACE.get(n, (0, 0)), float(n in FACE)] for n in range(18)]
    people = [{"pose_keypoints_2d": [value for point in points for value in point]}]
    paths["keypoints"].write_text(json.dumps({"people": people}))
    return Case(
        str(number),
        paths["result"],
        truth=paths["photo"],
        person=paths["photo"],
        garment=paths["garment"],
        mask=paths["mask"],
        keypoints=paths["keypoints"],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=40)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    protocol = find_protocol("idmvton")
    offline = [name for name in protocol.metrics if METRICS[name].needs in (None, "st-lpips", "pp-ocr")]
    protocol = with_metrics(protocol, offline)
    with tempfile.TemporaryDirectory() as folder:
        cases = [draw_pair(Path(folder), number) for number in range(arguments.pairs)]
        metrics, missing = scoring.plan(protocol, cases)
        few = cost(cases[: arguments.workers], metrics, protocol, Path(folder) / "few", arguments.workers)
        many = cost(cases[arguments.workers :], metrics, protocol, Path(folder) / "many", arguments.workers)
    counted = len(cases) - 2 * arguments.workers
    per_pair = (many[1] - few[1]) / counted  # both runs load the libraries and networks
    print(f"metrics: {', '.join(metric.name for metric in metrics)}; not computed: {[each.metric for each in missing]}")
    for name, (wall, cpu), number in (("few", few, arguments.workers), ("many", many, counted + arguments.workers)):
        print(f"{name}, {number} pairs: {wall:.1f} s on the clock, {cpu:.1f} CPU seconds in all processes")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"largest process: {peak:.0f} MiB, this one {own_peak():.0f} MiB")
    minutes = (NUM_TEST_PAIRS * per_pair + few[1]) / arguments.workers / 60
    print(f"{per_pair:.3f} CPU seconds a further pair")
    print(f"{NUM_TEST_PAIRS} pairs on {arguments.workers} idle cores, extrapolated: {minutes:.1f} minutes")


def cost(
    cases: Sequence[Case], metrics: Sequence[Metric], protocol: Protocol, work: Path, workers: int
) -> tuple[float, float]:
    """Seconds on the clock and CPU seconds of scoring in new processes."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    size = -(-len(cases) // workers)
    scoring.measure(cases, metrics, protocol, work, workers=workers, part_size=size)
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def own_peak() -> float:
    """The most memory that this process had, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
