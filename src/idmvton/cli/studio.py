"""``idmvton studio``: rendered people in garments, with exact ground truth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from idmvton.cli.shared import bar, out, print_json, reports_errors
from idmvton.errors import InputError
from idmvton.types import RenderedCategory

SplitName = Literal["train", "test", "wild", "benchmark"]
CategoryName = Literal["upper", "lower", "dress", "mixed"]
CATEGORIES: dict[CategoryName, RenderedCategory] = {
    "upper": "upper_body",
    "lower": "lower_body",
    "dress": "dresses",
    "mixed": "mixed",
}
app = typer.Typer(help="Render people in garments, with exact ground truth.", no_args_is_help=True)


def parse_size(text: str) -> tuple[int, int]:
    """Reads "512x384" as (height, width).

    Raises:
        InputError: it is not two numbers with an x between them.
    """
    height, cross, width = text.lower().partition("x")
    if not (cross and height.isdecimal() and width.isdecimal()):
        raise InputError(
            "the size cannot be read",
            got=text,
            expected="HEIGHTxWIDTH, for example 512x384",
            fix="give height and width in pixels with an x between them",
        )
    return int(height), int(width)


@app.command("make")
@reports_errors
def make(
    folder: Annotated[Path, typer.Argument(help="The folder to write.", show_default=False)],
    pairs: Annotated[
        int | None,
        typer.Option("--pairs", min=1, help="How many samples: 100, or the whole benchmark, when not given."),
    ] = None,
    size: Annotated[str, typer.Option("--size", help="Height x width, both divisible by 8.")] = "512x384",
    split: Annotated[
        SplitName,
        typer.Option("--split", help="Which samples; benchmark: fixed ones, 500 of test and 250 of wild."),
    ] = "train",
    category: Annotated[CategoryName, typer.Option("--category", help="Which part of the body.")] = "mixed",
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the data set.")] = 0,
    workers: Annotated[int, typer.Option("--workers", min=0, help="Processes; 0 works in this one.")] = 2,
    flow: Annotated[
        bool,
        typer.Option("--flow", help="Also write, for each pixel of the garment, its place in the product picture."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON, and nothing else.")] = False,
) -> None:
    """Make a data set in VITON-HD's layout; run again to resume."""
    if split == "benchmark":
        if (size, category, seed, flow) != ("512x384", "mixed", 0, False):
            raise InputError(
                "the benchmark is fixed",
                got=f"--size {size}, --category {category}, --seed {seed}" + (", --flow" if flow else ""),
                fix="leave --size, --category, --seed and --flow out, or make another split",
            )
        _make_benchmark(folder, pairs, workers, as_json)
        return
    from idmvton.studio.dataset import make_dataset

    with bar("samples", quiet=as_json) as progress:
        made = make_dataset(
            folder,
            pairs=100 if pairs is None else pairs,
            size=parse_size(size),
            split=split,
            category=CATEGORIES[category],
            seed=seed,
            workers=workers,
            flow=flow,
            progress=progress,
        )
    if as_json:
        print_json({"folder": str(made.folder), "samples": made.num_samples, "new": made.num_new})
    else:
        out.print(f"{made.folder}: {made.num_samples} samples, {made.num_new} new", markup=False, soft_wrap=True)


def _make_benchmark(folder: Path, pairs: int | None, workers: int, as_json: bool) -> None:
    from dataclasses import asdict

    from idmvton.studio.benchmark import make_benchmark

    with bar("samples", quiet=as_json) as progress:
        made = make_benchmark(folder, pairs=pairs, workers=workers, progress=progress)
    if as_json:
        print_json({"folder": str(folder)} | asdict(made))
        return
    counts = ", ".join(f"{count} of {split}" for split, count in made.counts.items())
    part = "" if made.is_whole else ", a part of it"
    out.print(f"{folder}: benchmark {made.version}{part}: {counts}", markup=False, soft_wrap=True)


@app.command("show")
@reports_errors
def show(
    folder: Annotated[Path, typer.Argument(help="A folder that `studio make` wrote.", show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="PNG or JPEG to write.")] = Path("sheet.png"),
    rows: Annotated[int, typer.Option("--rows", min=1, help="How many samples.")] = 8,
) -> None:
    """Draw a contact sheet of a data set."""
    from idmvton.studio.sample_sheet import contact_sheet

    out.print(str(contact_sheet(folder, output, rows=rows)), markup=False, soft_wrap=True)
