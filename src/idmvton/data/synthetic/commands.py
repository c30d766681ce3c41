"""`idmvton studio`: the studio's commands, to be mounted by the command line."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from idmvton.errors import ConfigError, InputError

if TYPE_CHECKING:
    from idmvton.data.synthetic.sampling import CategoryChoice


class SplitName(StrEnum):
    """Which stream of samples."""

    TRAIN = "train"
    TEST = "test"
    WILD = "wild"


class CategoryName(StrEnum):
    """Which part of the body."""

    UPPER = "upper"
    LOWER = "lower"
    DRESS = "dress"
    MIXED = "mixed"


_CATEGORIES: dict[str, CategoryChoice] = {
    "upper": "upper_body",
    "lower": "lower_body",
    "dress": "dresses",
    "mixed": "mixed",
}
studio_app = typer.Typer(no_args_is_help=True, help="Render people in garments, with exact ground truth.")


def register(app: typer.Typer) -> None:
    """Mounts `studio make` and `studio show` on a typer application."""
    app.add_typer(studio_app, name="studio")


def parse_size(text: str) -> tuple[int, int]:
    """Reads "512x384" as (height, width).

    Raises:
        InputError: it is not two numbers with an x between them.
    """
    height, cross, width = text.lower().partition("x")
    if not (cross and height.isdecimal() and width.isdecimal()):
        raise InputError("the size cannot be read", got=text, expected="HEIGHTxWIDTH, for example 512x384")
    return int(height), int(width)


@studio_app.command()
def make(
    folder: Annotated[Path, typer.Argument(help="Where the data set goes.")],
    pairs: Annotated[int, typer.Option(help="How many samples.", min=1)] = 100,
    size: Annotated[str, typer.Option(help="Height x width, both divisible by 8.")] = "512x384",
    split: Annotated[SplitName, typer.Option(help="Which stream of samples.")] = SplitName.TRAIN,
    category: Annotated[CategoryName, typer.Option(help="Which part of the body.")] = CategoryName.MIXED,
    seed: Annotated[int, typer.Option(help="Seed of the data set.", min=0)] = 0,
    workers: Annotated[int, typer.Option(help="Processes.", min=0)] = 2,
) -> None:
    """Make a data set in VITON-HD's layout; run again to resume."""
    from idmvton.data.synthetic.dataset import make_dataset

    console = Console(stderr=True)
    columns = (TextColumn("samples"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    try:
        with Progress(*columns, console=console) as bar:
            task = bar.add_task("samples", total=pairs)
            made = make_dataset(
                folder,
                pairs=pairs,
                size=parse_size(size),
                split=split.value,
                category=_CATEGORIES[category.value],
                seed=seed,
                workers=workers,
                progress=lambda done, total: bar.update(task, completed=done, total=total),
            )
    except (InputError, ConfigError) as error:
        console.print(str(error), style="red", markup=False)
        raise typer.Exit(1) from error
    typer.echo(f"{made.folder}: {made.num_samples} samples, {made.num_new} new")


@studio_app.command()
def show(
    folder: Annotated[Path, typer.Argument(help="A folder that `studio make` wrote.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="PNG or JPEG to write.")] = Path("sheet.png"),
    rows: Annotated[int, typer.Option(help="How many samples.", min=1)] = 8,
) -> None:
    """Draw a contact sheet of a data set."""
    from idmvton.data.synthetic.dataset import contact_sheet

    try:
        typer.echo(contact_sheet(folder, output, rows=rows))
    except InputError as error:
        Console(stderr=True).print(str(error), style="red", markup=False)
        raise typer.Exit(1) from error
