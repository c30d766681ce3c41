"""What a perfect WarpNet would be worth, beside what :mod:`benchmarks.customization` found: on the same four others.

Where the product picture shows what the exact picture shows of the garment, three pictures are compared with that one:
the try-on before and after the customization, and the product picture through the exact flow. The last still lacks the
light of the place; with the light and shade of the exact picture, it says what the flow alone costs.

    python -m benchmarks.customization_limits results --name default
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.customization import PEOPLE, SEED
from idmvton.customize.views import is_garment
from idmvton.evaluate.pictures import psnr
from idmvton.studio.wearers import Wearer, many_in_one

LIGHT = 16  # pixels: differences that are wider are light and shade
Picture = NDArray[np.uint8]


def through_flow(product: Picture, wearer: Wearer) -> tuple[Picture, NDArray[np.bool_]]:
    """The product picture as the flow lays it, and where it shows what the person shows."""
    known = np.isfinite(wearer.flow).all(2) & is_garment(wearer.new_labels, "upper_body") & (wearer.mask > 0)
    places = np.where(known[..., None], wearer.flow, 0).astype(np.float32) - np.float32(0.5)
    laid = cv2.remap(product, places[..., 0], places[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return laid, known


def lit_as(picture: Picture, truth: Picture, where: NDArray[np.bool_]) -> Picture:
    """A picture with the light and shade of another, in a region."""
    weight = where.astype(np.float32)
    share = np.maximum(cv2.GaussianBlur(weight, (0, 0), LIGHT), 1e-3)[..., None]
    difference = (truth.astype(np.float32) - picture) * weight[..., None]
    lit = picture + cv2.GaussianBlur(difference, (0, 0), LIGHT) / share
    return np.clip(lit, 0, 255).round().astype(np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("--name", default="default")
    arguments = parser.parse_args()
    lines = [json.loads(line) for line in (arguments.results / "results.jsonl").read_text().splitlines()]
    rows = []
    for line in (each for each in lines if (each["kind"], each["name"]) == ("pair", arguments.name)):
        worn = many_in_one(SEED, line["index"], PEOPLE)
        others = [each for number, each in enumerate(worn.wearers) if number != line["person"]]
        sheet = np.asarray(Image.open(arguments.results / f"{line['index']:03d}" / f"pair-{arguments.name}.png"))
        height, width = worn.garment.shape[:2]
        for number, other in enumerate(others):
            column = sheet[:, number * width : (number + 1) * width]
            laid, known = through_flow(worn.garment, other)
            shown = [column[:height], column[height : 2 * height], laid]
            plain = [psnr(each, other.new, known) for each in shown]
            lit = [psnr(lit_as(each, other.new, known), other.new, known) for each in shown]
            rows.append([known.sum() / max(1, (other.mask > 0).sum()), *plain, *lit])
    means = np.array(rows).mean(0)
    print(f"{len(rows)} people; {means[0]:.0%} of the mask is compared; PSNR, dB\n")
    print("| | before | after | product picture through the exact flow |\n|---|---|---|---|")
    print("| as it is | " + " | ".join(f"{each:.2f}" for each in means[1:4]) + " |")
    print("| with the exact light and shade | " + " | ".join(f"{each:.2f}" for each in means[4:]) + " |")


if __name__ == "__main__":
    main()
