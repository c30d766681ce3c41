"""``idmvton try-on``: one person, one garment, one picture."""

from __future__ import annotations

import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from idmvton.cli.shared import err, out, pick, print_json, reports_errors, with_options
from idmvton.errors import ConfigError
from idmvton.options import ModelOptions, TryOnOptions

if TYPE_CHECKING:
    from idmvton.pipeline import TryOnPipeline
    from idmvton.types import TryOnResult


@with_options(TryOnOptions, ModelOptions)
@reports_errors
def try_on(
    person: Annotated[Path, typer.Argument(help="The photo of a person.", show_default=False)],
    garment: Annotated[Path, typer.Argument(help="The picture of a garment.", show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="The PNG to write.", show_default=False)],
    mask: Annotated[
        Path, typer.Option(help="What to repaint: white on black, of the photo's size.", show_default=False)
    ],
    densepose: Annotated[Path, typer.Option(help="The body map, of the photo's size.", show_default=False)],
    caption: Annotated[
        str | None,
        typer.Option(help='What the garment is, such as "short sleeve round neck t-shirts".', show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON, and nothing else.")] = False,
    **values: Any,
) -> None:
    """Dress the person in the garment."""
    from idmvton.images import check_output_path, save_png

    model = ModelOptions.from_mapping(pick(ModelOptions, values))
    options = TryOnOptions.from_mapping(pick(TryOnOptions, values))
    check_output_path(output)
    start = time.perf_counter()
    pipe = _load(model, quiet=as_json)
    result = _run(
        pipe, options, quiet=as_json, person=person, garment=garment, mask=mask, densepose=densepose, caption=caption
    )
    picture = result.images[0]
    save_png(picture, output, result.provenance())
    seconds = time.perf_counter() - start
    if as_json:
        shape = {"height": picture.height, "width": picture.width}
        print_json({"output": str(output), "picture": shape, "seconds": round(seconds, 3), **result.provenance()})
        return
    for note in result.warnings:
        err.print("[yellow]warning:[/] " + escape(note), soft_wrap=True)
    out.print(
        f"Saved [bold]{escape(str(output))}[/] ({picture.height}x{picture.width} height x width, "
        f"seed {result.seed[0]}, {seconds:.1f} s)",
        soft_wrap=True,
    )


def _load(model: ModelOptions, *, quiet: bool) -> TryOnPipeline:
    from rich.console import Console

    console = Console(stderr=True, quiet=quiet)
    with console.status("loading torch and the weights"):
        import diffusers
        import transformers

        from idmvton.devices import resolve_device, resolve_dtype
        from idmvton.pipeline import TryOnPipeline

        diffusers.utils.logging.set_verbosity_error()
        transformers.utils.logging.set_verbosity_error()
        device = resolve_device(model.device)
        pipe = TryOnPipeline.from_pretrained(
            model.model,
            torch_dtype=resolve_dtype(model.dtype, device),
            device="cpu" if model.cpu_offload else model.device,
        )
        if model.cpu_offload:
            if device.type == "cpu":
                raise ConfigError("--cpu-offload needs a GPU", got=f"device {device}", fix="leave --cpu-offload out")
            pipe.enable_model_cpu_offload(device=device)
    return pipe


def _run(pipe: TryOnPipeline, options: TryOnOptions, *, quiet: bool, **inputs: Any) -> TryOnResult:
    """Calls the pipeline under a progress bar on standard error."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from idmvton.errors import IdmVtonWarning

    columns = (TextColumn("denoising"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    pipe.set_progress_bar_config(disable=True)
    with Progress(*columns, console=err, disable=quiet, transient=True) as bar, warnings.catch_warnings():
        warnings.simplefilter("ignore", IdmVtonWarning)
        task = bar.add_task("denoising", total=options.num_inference_steps)

        def advance(_pipe: Any, _step: int, _timestep: Any, _state: dict[str, Any]) -> None:
            bar.advance(task)

        return pipe(**inputs, **options.to_dict(), callback_on_step_end=advance)
