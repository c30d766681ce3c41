"""``idmvton bench``: what a checkpoint costs on this machine."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.status import Status

from idmvton.cli.shared import err, out, pick, print_json, reports_errors, with_options
from idmvton.engine.loading import load_pipeline
from idmvton.errors import ConfigError, InputError
from idmvton.options import ModelOptions

if TYPE_CHECKING:
    from idmvton.engine.bench import Timed
    from idmvton.types import MemoryMode


@with_options(ModelOptions)
@reports_errors
def bench(
    person: Annotated[
        Path | None,
        typer.Argument(help="The photo of a person; with it the difference of each quality from best is measured."),
    ] = None,
    garment: Annotated[Path | None, typer.Argument(help="The photo of a garment; goes with the person.")] = None,
    repeats: Annotated[int, typer.Option(min=1, max=100, help="Calls of each kind that count.")] = 2,
    batches: Annotated[str, typer.Option(help="Numbers of pictures in one call, separated by commas.")] = "1,2,4",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Also write the figures to this JSON file.", show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON, and nothing else.")] = False,
    **values: Any,
) -> None:
    """Measure on this machine: seconds by stage, pictures an hour, and memory, by memory mode and quality.

    On a GPU every memory mode is measured unless --memory names one.
    """
    if (person is None) != (garment is None):
        raise InputError("distances need a person and a garment", got="one of them", expected="both, or none")
    sizes = _sizes(batches)
    model = ModelOptions.from_mapping(pick(ModelOptions, values))
    figures: dict[str, Any] = {"model": model.model, "parts": {}}
    for mode in _modes(model):
        with err.status(f"{mode}: loading the model") as status:
            pipe = load_pipeline(dataclasses.replace(model, memory=mode))
            from idmvton.engine.bench import QUALITIES, Bench

            figures["made_with"] = pipe.made_with()
            work = Bench(pipe, repeats, partial(_show, status, mode))
            rows = [*work.qualities(), *work.batches(sizes)]
            same = [quality for quality in QUALITIES if quality not in work.differing_qualities()]
            if person is not None and garment is not None:
                status.update("preparing the photos")
                rows += _distances(work, person, garment)
        figures["parts"][mode] = [dataclasses.asdict(row) for row in rows]
        if not as_json:
            _print(mode, rows, pipe.made_with()["device"])
            if same:
                out.print(f"{' and '.join(same)} are the same as best here: this checkpoint's pictures take one step.")
        del pipe, work
    if output is not None:
        output.write_text(json.dumps(figures, indent=2))
    if as_json:
        print_json(figures)


def _show(status: Status, mode: str, what: str) -> None:
    status.update(f"{mode}: {what}")


def _sizes(text: str) -> tuple[int, ...]:
    try:
        sizes = tuple(int(part) for part in text.split(","))
    except ValueError:
        sizes = ()
    if not sizes or min(sizes) < 1 or max(sizes) > 64:
        raise ConfigError("--batches cannot be read", got=repr(text), expected='numbers from 1 to 64, such as "1,2,4"')
    return sizes


def _modes(model: ModelOptions) -> Iterator[MemoryMode]:
    from idmvton.devices import resolve_device

    if model.memory != "auto":
        yield model.memory
    elif resolve_device(model.device).type == "cuda":
        yield from ("fast", "balanced", "low")
    else:
        yield "fast"


def _distances(work: Any, person: Path, garment: Path) -> list[Timed]:
    from idmvton.engine.describer import Describer
    from idmvton.options import PrepareOptions
    from idmvton.prepare.preparer import preparer_for

    prepared = preparer_for(PrepareOptions())(person, garment)
    assert prepared.garment is not None
    caption = Describer(work.pipe)(prepared.garment, prepared.category, None).caption
    return list(work.distances(prepared, prepared.garment, caption))


def _print(mode: str, rows: list[Timed], device: str) -> None:
    from rich.table import Table

    memory = "peak MiB" if device.startswith("cuda") else "MiB"
    columns: dict[str, Callable[[Timed], str]] = {
        "s": lambda row: f"{row.seconds:.2f}",
        "first": lambda row: "" if row.first is None else f"{row.first:.2f}",
        "per hour": lambda row: f"{row.pictures_an_hour:.0f}",
        memory: lambda row: f"{row.peak_bytes / 2**20:.0f}",
        "denoising": lambda row: f"{row.stages.get('denoising', 0.0):.2f}",
    }
    if any(row.distance is not None for row in rows):
        columns["distance"] = lambda row: _or_empty(row.distance)
        columns["in mask"] = lambda row: _or_empty(row.distance_in_mask)
    table = Table("what", box=None, header_style="bold", title=f"memory mode {mode}, {device}", title_justify="left")
    table.columns[0].no_wrap = True
    for title in columns:
        table.add_column(title, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(row.name, *(column(row) for column in columns.values()))
    out.print(table)


def _or_empty(number: float | None) -> str:
    return "" if number is None else f"{number:.2f}"
