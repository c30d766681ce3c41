"""How good a checkpoint's try-ons are on rendered people, against two baselines and with parts of it switched off.

Everything is scored inside the exact mask: paired (the person's own garment again) and unpaired, against the exact
picture of the same person in the other garment. With `--maps prepared` the methods are shown the masks and body
maps that `idmvton data prepare --beside` made of the photos, as in a try-on, instead of the exact ones.

    idmvton studio make renders --pairs 200 --split test
    idmvton studio make renders --pairs 100 --split wild
    python -m benchmarks.mini_quality renders --model mini --samples test=200 wild=100
"""

from __future__ import annotations

import argparse
import contextlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from idmvton import TryOnPipeline
from idmvton.data import TryOnSample
from idmvton.data.viton_hd import VitonHD
from idmvton.draft.drafter import Drafter
from idmvton.evaluate.baselines import colour_fill, thin_plate_warp
from idmvton.evaluate.making import without_garment_features
from idmvton.evaluate.pictures import scores_inside
from idmvton.images import from_vae_tensor, mask_to_tensor, to_pil, to_vae_tensor

Bytes = NDArray[np.uint8]
Method = Callable[[Sequence[TryOnSample]], list[Bytes]]
SCORES = ("SSIM", "PSNR", "colour")
BATCH = 4


@dataclass
class TryOn:
    """A way to call the pipeline."""

    pipe: TryOnPipeline
    has_features: bool
    naive: Mapping[str, str]
    options: dict[str, Any]

    def __call__(self, samples: Sequence[TryOnSample]) -> list[Bytes]:
        """The pictures of one batch, with seeds 0, 1, ..."""
        self.pipe.garment_cache.clear()
        self.pipe.feature_cache.clear()
        with contextlib.nullcontext() if self.has_features else without_garment_features(self.pipe):
            result = self.pipe(
                person=[each.person for each in samples],
                garment=[each.garment for each in samples],
                mask=[each.mask for each in samples],
                densepose=[each.densepose for each in samples],
                labels=[each.labels for each in samples],
                caption=[self.naive[_person(each)] if self.naive else each.caption for each in samples],
                seed=list(range(len(samples))),
                **self.options,
            )
        return [np.asarray(picture) for picture in result.images]


def _person(sample: TryOnSample) -> str:
    """Of an unpaired sample, whose name is that of the pair, the person's part."""
    return sample.name.split("__")[0]


def methods(pipe: TryOnPipeline, naive: dict[str, str], steps: int) -> dict[str, Method]:
    """Everything that is compared, by name; ``steps`` is how many the model takes unless it says otherwise."""

    def ours(features: bool = True, naive: Mapping[str, str] = MappingProxyType({}), **options: Any) -> TryOn:
        return TryOn(pipe, features, naive, {"num_inference_steps": steps} | options)

    found: dict[str, Method] = {
        "colour fill": lambda samples: [
            colour_fill(np.asarray(each.person), np.asarray(each.garment), each.mask) for each in samples
        ],
        "thin-plate warp": lambda samples: [_bent(each) for each in samples],
        "model": ours(),
        "without GarmentNet's features": ours(features=False),
        "without the image prompt": ours(image_prompt_scale=0.0),
        "naive captions": ours(naive=naive),
        "everything in the mask": ours(keep="mask"),
    }
    if pipe.warp_net is not None:
        found["the draft alone"] = lambda samples: _drafts(pipe, samples)
    own = pipe.config.guidance_scale
    found |= {f"guidance {scale}": ours(guidance_scale=scale) for scale in (1.0, 1.5, 2.0, 3.0) if scale != own}
    found |= {f"{count} steps": ours(num_inference_steps=count) for count in (1, 4, 10, 20, 30) if count != steps}
    return found


@torch.no_grad()
def _drafts(pipe: TryOnPipeline, samples: Sequence[TryOnSample]) -> list[Bytes]:
    assert pipe.warp_net is not None
    person, densepose, garment = (
        to_vae_tensor([getattr(each, kind) for each in samples]) for kind in ("person", "densepose", "garment")
    )
    mask = mask_to_tensor([each.mask for each in samples])
    drafts = Drafter(pipe.warp_net)(person, mask, densepose, garment).whole
    return [np.asarray(picture) for picture in to_pil(from_vae_tensor(drafts))]


def _bent(sample: TryOnSample) -> Bytes:
    assert sample.keypoints is not None
    person, garment = np.asarray(sample.person), np.asarray(sample.garment)
    return thin_plate_warp(person, garment, sample.mask, sample.keypoints, sample.category)


def naive_captions(folder: Path, split: str, order: str) -> dict[str, str]:
    """Person -> the item that the sample is about, alone, from the studio's records."""
    word = "naive_caption" if order == "paired" else "other_naive_caption"
    records = {path.stem: json.loads(path.read_text()) for path in (folder / split / "meta").glob("*.json")}
    return {name: record[word] for name, record in records.items()}


def measure(
    folder: Path,
    split: str,
    order: Any,
    count: int,
    pipe: TryOnPipeline,
    steps: int,
    wanted: Sequence[str],
    maps: str,
) -> dict[str, dict[str, float]]:
    """Mean scores of each method on the first ``count`` samples."""
    dataset = VitonHD(folder, pipe.default_size, split=split, order=order, captions="detailed")
    shown = dataset if maps == "given" else dataset.as_prepared()
    compared = methods(pipe, naive_captions(folder, split, order), steps)
    table: dict[str, list[dict[str, float]]] = {name: [] for name in compared if not wanted or name in wanted}
    count = min(count, len(shown))
    batches = [range(first, min(first + BATCH, count)) for first in range(0, count, BATCH)]
    for numbers in track(batches, f"{split}, {order}", console=Console(stderr=True)):
        samples = [shown[number] for number in numbers]
        exact = samples if shown is dataset else [dataset[dataset.names.index(each.name)] for each in samples]
        for name, rows in table.items():
            for sample, picture in zip(exact, compared[name](samples), strict=True):
                truth = sample.person if order == "paired" else sample.unpaired_target
                assert truth is not None
                rows.append(scores_inside(picture, np.asarray(truth), sample.mask))
    return {name: {key: float(np.mean([row[key] for row in rows])) for key in SCORES} for name, rows in table.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="a folder that `idmvton studio make` made")
    parser.add_argument("--model", default="mini")
    parser.add_argument("--samples", nargs="+", default=["test=200", "wild=100"], metavar="SPLIT=COUNT")
    parser.add_argument("--steps", type=int, help="of the model; its own number by default")
    parser.add_argument("--methods", nargs="*", default=[], help="only these; all by default")
    parser.add_argument("--maps", choices=("given", "prepared"), default="given", help="what the methods are shown")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    arguments = parser.parse_args()
    pipe = TryOnPipeline.from_pretrained(arguments.model, device="cpu")
    pipe.set_progress_bar_config(disable=True)
    steps = arguments.steps or pipe.config.num_inference_steps
    results = {}
    for split, count in (each.split("=") for each in arguments.samples):
        for order in ("paired", "unpaired"):
            wanted = arguments.methods
            found = measure(arguments.folder, split, order, int(count), pipe, steps, wanted, arguments.maps)
            title = f"{split}, {order}, {count} samples, {arguments.maps} maps"
            results[title] = found
            table = Table("method", *SCORES, title=title)
            for name, row in found.items():
                table.add_row(name, f"{row['SSIM']:.3f}", f"{row['PSNR']:.2f}", f"{row['colour']:.2f}")
            Console().print(table)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
