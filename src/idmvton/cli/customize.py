"""``idmvton customize`` and ``idmvton adapters``: a garment is learned from photos; what was learned is listed."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from idmvton.cli.prepare import tell_warnings
from idmvton.cli.shared import (
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_TERMINATED,
    err,
    out,
    pick,
    print_json,
    reports_errors,
    stage_bar,
    with_options,
)
from idmvton.customize.options import CustomizeOptions
from idmvton.engine.loading import check_model, set_threads
from idmvton.errors import InputError, WeightsError
from idmvton.options import ModelOptions, PrepareOptions

if TYPE_CHECKING:
    from idmvton.engine.adapters import MadeAdapter

PERSON = "The photo of somebody who wears the garment, or a folder that `prepare` made of it."
GARMENT = "The photo of the garment alone; without it the garment is cut out of the person's photo."
PAIR = "More photos of the same garment: PERSON,GARMENT or PERSON; may be repeated."


@with_options(CustomizeOptions, PrepareOptions)
@reports_errors
def customize(
    person: Annotated[Path, typer.Argument(help=PERSON, show_default=False)],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="The adapter's folder; its name is the adapter's.", show_default=False),
    ],
    garment: Annotated[Path | None, typer.Argument(help=GARMENT, show_default=False)] = None,
    pair: Annotated[list[str] | None, typer.Option("--pair", help=PAIR, show_default=False)] = None,
    caption: Annotated[
        str | None,
        typer.Option("--caption", help="What the garment is; proposed when not given.", show_default=False),
    ] = None,
    model: Annotated[
        str, typer.Option("--model", help="A checkpoint folder, or a name from `idmvton weights list`.")
    ] = "mini",
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    variant: Annotated[
        str | None,
        typer.Option("--variant", help="Part of the weight files' names, such as fp16.", show_default=False),
    ] = None,
    threads: Annotated[
        int | None, typer.Option("--threads", min=1, help="CPU threads; one per core when not given.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with one that was stopped.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON, and nothing else.")] = False,
    **values: Any,
) -> None:
    """Learn a garment from a photo of somebody who wears it, and one of the garment if there is one: an adapter.

    Ctrl-C saves the state; the same command with --resume goes on. `idmvton try-on ... --adapter OUTPUT` uses it.
    """
    choices = CustomizeOptions.from_mapping(pick(CustomizeOptions, values))
    prepare = PrepareOptions.from_mapping(pick(PrepareOptions, values))
    used = ModelOptions(model=model, device=device, variant=variant, threads=threads)
    from idmvton.customize.free import check_free

    check_free(output, resume=resume)
    pairs = _pairs(person, garment, pair or [])
    set_threads(threads)
    start = time.perf_counter()
    with stage_bar(quiet=as_json) as stage:
        stage("loading the libraries")
        check_model(used)
        from idmvton.engine.adapters import AdapterRequest, PhotoPair, make_adapter

        request = AdapterRequest([PhotoPair(*each) for each in pairs], caption, choices, prepare, used)

        def told(what: str, done: int = 0, total: int | None = None, metrics: dict[str, float] | None = None) -> None:
            stage(what + _figures(metrics or {}), done, total)

        def cost(customization: Any, probe: Any) -> None:
            if not as_json:
                _tell_cost(customization, probe)

        made = make_adapter(request, output, resume=resume, on_stage=told, on_cost=cost)
    _tell(made, output, garment or person, time.perf_counter() - start, as_json)


def _pairs(person: Path, garment: Path | None, more: list[str]) -> list[tuple[Path, Path | None]]:
    pairs: list[tuple[Path, Path | None]] = [(person, garment)]
    for text in more:
        first, comma, second = text.partition(",")
        if not first or (comma and not second):
            raise InputError("a pair cannot be read", got=repr(text), expected="PERSON,GARMENT or PERSON")
        pairs.append((Path(first), Path(second) if second else None))
    for path in (each for pair in pairs for each in pair if each is not None):
        if not path.exists():
            raise InputError("the photo does not exist", got=path, expected="a photo")
    return pairs


def _figures(metrics: dict[str, float]) -> str:
    if "loss" not in metrics:
        return ""
    return f"  loss {metrics['loss']:.3f}  {metrics['memory_mebibytes']:.0f} MiB"


def _tell_cost(customization: Any, probe: Any) -> None:
    trained = customization.num_trained / 1e6
    left = customization.trainer.options.steps - customization.trainer.progress.step
    seconds = left * probe.seconds
    time_told = f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
    line = f"{trained:.2f} million weights are trained; a step takes {probe.seconds:.1f} s"
    err.print(f"{line}, all {left} about {time_told} at most; {probe.mebibytes:.0f} MiB are in use", soft_wrap=True)


def _tell(made: MadeAdapter, output: Path, garment: Path, seconds: float, as_json: bool) -> None:
    learned = made.learned
    if as_json:
        print_json(
            {
                "output": str(output),
                "reason": learned.reason,
                "step": learned.step,
                "seconds": round(seconds, 1),
                "warnings": list(made.warnings),
                "garment": None if made.garment is None else str(made.garment),
                "picture": None if made.picture is None else str(made.picture),
                "adapter": None if learned.record is None else learned.record.to_dict(),
            }
        )
    else:
        tell_warnings(made.warnings)
    if learned.record is None:
        why = "time is over" if learned.reason == "time" else "stopped by a signal"
        err.print(
            f"{why} at step {learned.step}: the state is saved, the same command with --resume goes on", soft_wrap=True
        )
        if learned.reason != "time":
            raise typer.Exit(EXIT_INTERRUPTED if learned.reason == "interrupt" else EXIT_TERMINATED)
        return
    if as_json:
        return
    from idmvton.prepare.category import word_of

    record = learned.record
    losses = list(record.losses.values())
    early = " (it got no better after that)" if learned.reason == "settled" else ""
    err.print(
        f"{made.caption!r}: the held-out view's loss went from {losses[0]:.4g} to {min(losses):.4g} "
        f"at step {record.steps}{early}",
        markup=False,
        soft_wrap=True,
    )
    out.print(
        f"Saved [bold]{escape(str(output))}[/] ({seconds:.0f} s); use it: idmvton try-on PERSON "
        f"{escape(str(garment))} -o OUT.png --category {word_of(record.category)} --adapter {escape(str(output))}",
        soft_wrap=True,
    )


@reports_errors
def adapters(
    folder: Annotated[Path, typer.Argument(help="Where adapters lie.")] = Path(),
    delete: Annotated[
        str | None, typer.Option("--delete", metavar="NAME", help="Delete this one.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the list as JSON, and nothing else.")] = False,
) -> None:
    """List the adapters in a folder: what they know, and which weights they are for."""
    from idmvton.engine.adapter_folder import about_adapter, delete_adapter, list_adapters

    if not folder.is_dir():
        raise InputError("there is no such folder", got=folder, expected="a folder of adapters")
    if delete is not None:
        delete_adapter(delete, folder)
        if not as_json:
            out.print(f"deleted {delete}", markup=False, soft_wrap=True)
    found = list_adapters(folder)
    if as_json:
        print_json(
            {
                name: {"error": str(each)} if isinstance(each, WeightsError) else each.to_dict()
                for name, each in found.items()
            }
        )
    elif found:
        _table(found, about_adapter)
    elif delete is None:
        out.print(f"{folder.absolute()} holds no adapters; `idmvton customize` makes one", markup=False, soft_wrap=True)
    if any(isinstance(each, WeightsError) for each in found.values()):
        raise typer.Exit(EXIT_FAILED)


def _table(found: dict[str, Any], about: Any) -> None:
    from rich.table import Table

    table = Table("name", "garment", "category", "trained", "steps", "weights", box=None, header_style="bold")
    for name, each in found.items():
        if isinstance(each, WeightsError):
            table.add_row(escape(name), f"[red]{escape(each.what)}[/]")
        else:
            table.add_row(escape(name), *(escape(str(value)) for value in about(each).values()))
    out.print(table)
