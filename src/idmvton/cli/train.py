"""``idmvton train``: a recipe in, a checkpoint out."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from idmvton.cli.shared import EXIT_INTERRUPTED, EXIT_TERMINATED, err, out, reports_errors


@reports_errors
def train(
    recipe: Annotated[
        str, typer.Argument(help="A TOML file, or the name of a recipe such as tiny_cpu.", show_default=False)
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The run's folder; runs/NAME when not given.", show_default=False),
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="A value of the recipe: section.name=value; may be repeated.", show_default=False),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue from the newest saved state.")] = False,
    show: Annotated[bool, typer.Option("--show", help="Print the complete recipe as JSON and exit.")] = False,
) -> None:
    """Train by a recipe. SIGTERM and Ctrl-C save the state first; run again with --resume to continue."""
    from idmvton.cli.shared import print_json
    from idmvton.training.recipe import load_recipe
    from idmvton.training.run_folder import check_resumable

    loaded = load_recipe(recipe, changes or [])
    if show:
        print_json(loaded.to_dict())
        return
    folder = output or Path("runs") / loaded.name
    if resume:
        check_resumable(folder)
    outcome = _run(loaded, folder, resume)
    if not _reports():
        return
    if outcome.checkpoint is not None:
        out.print(f"Trained {outcome.step} steps: {escape(str(outcome.checkpoint))}", soft_wrap=True)
        return
    why = "time is over" if outcome.reason == "time" else "stopped by a signal"
    err.print(f"{why} at step {outcome.step}: the state is saved, --resume continues", soft_wrap=True)
    if outcome.reason != "time":
        raise typer.Exit(EXIT_INTERRUPTED if outcome.reason == "interrupt" else EXIT_TERMINATED)


def _run(recipe: Any, folder: Path, resume: bool) -> Any:
    """Trains under a progress bar on standard error."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    quiet = not _reports()
    with Console(stderr=True, quiet=quiet).status("loading torch and the networks"):
        import diffusers
        import transformers

        from idmvton.training.trainer import Trainer

        diffusers.utils.logging.set_verbosity_error()
        transformers.utils.logging.set_verbosity_error()
        bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[figures]}"),
            console=err,
            disable=quiet,
        )
        trainer = Trainer(recipe, folder, resume=resume, report=_reporter(bar))
    with bar:
        try:
            return trainer.run()
        except KeyboardInterrupt:  # before the first step or after the last; steps end whole
            err.print("interrupted: what was made is kept, --resume continues from the newest state")
            raise typer.Exit(EXIT_INTERRUPTED) from None


def _reports() -> bool:
    """Whether this process is the one of several that prints."""
    return os.environ.get("RANK", "0") == "0"


def _reporter(bar: Any) -> Callable[[str, int, int, dict[str, float]], None]:
    """Shows each stage on a line of its own, with the loss."""
    lines: dict[str, Any] = {}

    def report(stage: str, done: int, total: int, metrics: dict[str, float]) -> None:
        if stage not in lines:
            lines[stage] = bar.add_task(stage, total=total, figures="")
        figures = (
            f"loss {metrics['loss']:.4f}  {metrics['samples_per_second']:.1f} samples/s" if "loss" in metrics else ""
        )
        bar.update(lines[stage], completed=done, figures=figures)

    return report
