"""How good a checkpoint's try-ons are on rendered people, against baselines and with parts of it switched off.

Everything is scored inside the exact mask (protocol idmvton-mask): paired (the person's own garment again) and
unpaired, against the exact picture of the same person in the other garment. With `--maps prepared` the methods are
shown the masks and body maps that `idmvton data prepare --beside` made of the photos, as in a try-on. Pictures and
scores are kept in the output folder; run it again to go on. `idmvton evaluate run garment --data renders` gives the
same figures with intervals.

    idmvton studio make renders --pairs 200 --split test
    idmvton studio make renders --pairs 100 --split wild
    python -m benchmarks.mini_quality renders --model mini --samples test=200 wild=100
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from idmvton import TryOnPipeline
from idmvton.evaluate.choice import DataChoice
from idmvton.evaluate.evaluation import evaluate
from idmvton.evaluate.making import Variant, make_pictures
from idmvton.evaluate.matching import match_dataset
from idmvton.evaluate.protocols import find_protocol

PROTOCOL = find_protocol("idmvton-mask")


def methods(pipe: TryOnPipeline, steps: int | None) -> dict[str, Variant]:
    """Everything that is compared, by name; ``steps`` is how many the model takes unless it says otherwise."""

    def ours(features: bool = True, naive: bool = False, **options: Any) -> Variant:
        taken = {} if steps is None else {"num_inference_steps": steps}
        return Variant("model", "naive" if naive else "tags", features, taken | options)

    found = {
        "colour fill": Variant("colour fill"),
        "thin-plate warp": Variant("thin-plate warp"),
        "model": ours(),
        "without GarmentNet's features": ours(features=False),
        "without the image prompt": ours(image_prompt_scale=0.0),
        "naive captions": ours(naive=True),
        "everything in the mask": ours(keep="mask"),
    }
    if pipe.drafter is not None:
        found["the draft alone"] = Variant("draft")
    found |= {f"guidance {scale}": ours(guidance_scale=scale) for scale in (1.5, 2.0, 3.0)}
    return found | {f"{count} steps": ours(num_inference_steps=count) for count in (4, 10, 20, 30)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="a folder that `idmvton studio make` made")
    parser.add_argument("--model", default="mini")
    parser.add_argument("--samples", nargs="+", default=["test=200", "wild=100"], metavar="SPLIT=COUNT")
    parser.add_argument("--steps", type=int, help="of the model; its own number by default")
    parser.add_argument("--methods", nargs="*", default=[], help="only these; all by default")
    parser.add_argument("--maps", choices=("given", "prepared"), default="given", help="what the methods are shown")
    parser.add_argument("--output", type=Path, default=Path("mini_quality"), help="for pictures and scores")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    arguments = parser.parse_args()
    pipe = TryOnPipeline.from_pretrained(arguments.model, device="cpu")
    pipe.set_progress_bar_config(disable=True)
    compared = {
        name: variant
        for name, variant in methods(pipe, arguments.steps).items()
        if not arguments.methods or name in arguments.methods
    }
    results: dict[str, dict[str, dict[str, float]]] = {}
    for split, count in (each.split("=") for each in arguments.samples):
        for order in ("paired", "unpaired"):
            data = DataChoice(arguments.folder, split, order, int(count), arguments.maps)
            title = f"{split}, {order}, {count} samples, {arguments.maps} maps"
            table, results[title] = Table("method", *PROTOCOL.metrics, title=title), {}
            for name, variant in compared.items():
                place = arguments.output / f"{title}, {name}"
                make_pictures(pipe, data, place / "pictures", variant)
                report = evaluate(match_dataset(place / "pictures", data), PROTOCOL, place)
                results[title][name] = {metric: figure.value for metric, figure in report.figures.items()}
                table.add_row(name, *(f"{value:.3f}" for value in results[title][name].values()))
            Console().print(table)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
