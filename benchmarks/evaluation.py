"""What scoring costs: every metric that needs no download beyond st-lpips and pp-ocr, on drawn pictures of 1024x768.

Each pair has a result, a truth that is also the photo, a product picture with a word on every fourth one, a mask and
keypoints. CPU seconds are printed beside the seconds on the clock: on a machine that does other things at the same time,
the time on idle cores is estimated from them.

    python -m benchmarks.evaluation --pairs 40 --workers 2
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from idmvton.evaluate import scoring
from idmvton.evaluate.matching import Case
from idmvton.evaluate.metrics import METRICS, with_metrics
from idmvton.evaluate.protocols import find_protocol

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
    files = {kind: folder / f"{number}_{kind}" for kind in ("result", "photo", "garment", "mask", "keypoints")}
    paths = {
        kind: path.with_suffix({"photo": ".jpg", "garment": ".jpg"}.get(kind, ".png")) for kind, path in files.items()
    }
    for kind, picture in (("result", result), ("photo", photo), ("mask", mask)):
        Image.fromarray(picture).save(paths[kind], quality=95)
    garment.save(paths["garment"], quality=95)
    points = [[*FACE.get(n, (0, 0)), float(n in FACE)] for n in range(18)]
    keypoints = paths["keypoints"].with_suffix(".json")
    keypoints.write_text(
        json.dumps({"people": [{"pose_keypoints_2d": [value for point in points for value in point]}]})
    )
    photo_path = paths["photo"]
    return Case(
        str(number), paths["result"], photo_path, photo_path, paths["garment"], paths["mask"], keypoints=keypoints
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
        before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        scoring.measure(cases, metrics, protocol, Path(folder) / "parts", workers=arguments.workers, part_size=10)
        wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    per_pair = cpu / arguments.pairs
    print(f"metrics: {', '.join(metric.name for metric in metrics)}; not computed: {[each.metric for each in missing]}")
    print(f"{arguments.pairs} pairs: {wall:.1f} s on the clock, {cpu:.1f} CPU seconds in {arguments.workers} processes")
    print(f"largest process: {after.ru_maxrss / 1024:.0f} MiB, this one {own_peak():.0f} MiB")
    minutes = NUM_TEST_PAIRS * per_pair / arguments.workers / 60
    print(f"{NUM_TEST_PAIRS} pairs on {arguments.workers} idle cores, extrapolated: {minutes:.1f} minutes")


def own_peak() -> float:
    """The most memory that this process had, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
