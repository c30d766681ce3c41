"""``idmvton studio``: rendered people in garments, with exact ground truth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from idmvton.cli.shared import err, out, print_json, reports_errors
from idmvton.errors import InputError
from idmvton.types import RenderedCategory

SplitName = Literal["train", "test", "wild"]
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
    folder: Annotated[Path, typer.Argument(help="Where the data set goes.", show_default=False)],
    pairs: Annotated[int, typer.Option("--pairs", min=1, help="How many samples.")] = 100,
    size: Annotated[str, typer.Option("--size", help="Height x width, both divisible by 8.")] = "512x384",
    split: Annotated[SplitName, typer.Option("--split", help="Which stream of samples.")] = "train",
    category: Annotated[CategoryName, typer.Option("--category", help="Which part of the body.")] = "mixed",
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the data set.")] = 0,
    workers: Annotated[int, typer.Option("--workers", min=0, help="Processes; 0 works in this one.")] = 2,
    flow: Annotated[
        bool, typer.Option("--flow", help="Also write where the product picture shows each pixel of the garment.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON, and nothing else.")] = False,
) -> None:
    """Make a data set in VITON-HD's layout; run again to resume."""
    from idmvton.studio.dataset import make_dataset

    columns = (TextColumn("samples"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, disable=as_json) as bar:
        task = bar.add_task("samples", total=pairs)
        made = make_dataset(
            folder,
            pairs=pairs,
            size=parse_size(size),
            split=split,
            category=CATEGORIES[category],
            seed=seed,
            workers=workers,
            flow=flow,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    if as_json:
        print_json({"folder": str(made.folder), "samples": made.num_samples, "new": made.num_new})
    else:
        out.print(f"{made.folder}: {made.num_samples} samples, {made.num_new} new", markup=False, soft_wrap=True)


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
