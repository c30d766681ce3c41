"""``idmvton try-on``: one person, one garment, one picture."""

from __future__ import annotations

import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from idmvton.cli.prepare import (
    DenseposeFile,
    KeypointsFile,
    LabelsFile,
    MaskFile,
    run_garment,
    run_preparation,
    tell_warnings,
)
from idmvton.cli.shared import err, out, pick, print_json, refuse_options, reports_errors, with_options
from idmvton.errors import ConfigError, InputError
from idmvton.options import ModelOptions, PrepareOptions, TryOnOptions, describe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from idmvton.pipeline import TryOnPipeline
    from idmvton.prepare import Prepared
    from idmvton.types import TryOnResult


@with_options(TryOnOptions, PrepareOptions, ModelOptions)
@reports_errors
def try_on(
    person: Annotated[
        Path, typer.Argument(help="The photo of a person, or a folder that `prepare` made.", show_default=False)
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The PNG to write.", show_default=False)],
    garment: Annotated[
        Path | None,
        typer.Argument(
            help="The photo of a garment, alone or worn; may be left out where the folder has one.", show_default=False
        ),
    ] = None,
    mask: MaskFile = None,
    densepose: DenseposeFile = None,
    labels: LabelsFile = None,
    keypoints: KeypointsFile = None,
    caption: Annotated[
        str | None,
        typer.Option(help='What the garment is, such as "short sleeve round neck t-shirts".', show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON, and nothing else.")] = False,
    **values: Any,
) -> None:
    """Dress the person in the garment. Maps that are not given are made; the result has the photo's own size.

    With --mask and --densepose nothing is prepared, and the garment's picture is used as it is.
    """
    from idmvton.images import check_output_path, save_png

    model = ModelOptions.from_mapping(pick(ModelOptions, values))
    options = TryOnOptions.from_mapping(pick(TryOnOptions, values))
    check_output_path(output)
    start = time.perf_counter()
    inputs, about = _gather(
        person,
        garment,
        {"mask": mask, "densepose": densepose, "labels": labels, "keypoints": keypoints},
        PrepareOptions.from_mapping(pick(PrepareOptions, values)),
        quiet=as_json,
    )
    pipe = _load(model, quiet=as_json)
    result = _run(pipe, options, quiet=as_json, caption=caption, **inputs)
    picture = result.images[0]
    provenance = result.provenance() | about
    provenance["warnings"] = [*about.get("preparation", {}).get("warnings", ()), *result.warnings]
    save_png(picture, output, provenance)
    seconds = time.perf_counter() - start
    if as_json:
        shape = {"height": picture.height, "width": picture.width}
        print_json({"output": str(output), "picture": shape, "seconds": round(seconds, 3), **provenance})
        return
    tell_warnings(provenance["warnings"])
    out.print(
        f"Saved [bold]{escape(str(output))}[/] ({picture.height}x{picture.width} height x width, "
        f"seed {result.seed[0]}, {seconds:.1f} s)",
        soft_wrap=True,
    )


def _gather(
    person: Path, garment: Path | None, maps: dict[str, Path | None], options: PrepareOptions, *, quiet: bool
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the pipeline is called with, and what the result tells about its preparation."""
    from idmvton.prepare import Given

    if person.is_dir():
        return _from_folder(person, garment, maps, options, quiet=quiet)
    if garment is None:
        raise InputError("no garment was given", expected="idmvton try-on PERSON GARMENT -o OUT.png")
    if maps["mask"] and maps["densepose"]:
        if useless := [f"--{name}" for name in ("labels", "keypoints") if maps[name]]:
            raise ConfigError(
                "maps are given that nothing reads",
                got=", ".join(useless),
                expected="with --mask and --densepose no other map is needed",
            )
        refuse_options(options, "--mask and --densepose are given: nothing is prepared")
        return {"person": person, "garment": garment, "mask": maps["mask"], "densepose": maps["densepose"]}, {}
    prepared = run_preparation(person, garment, Given(**maps), options, quiet=quiet)
    return {"person": prepared, "garment": prepared.garment}, _about(prepared)


def _from_folder(
    folder: Path, garment: Path | None, maps: dict[str, Path | None], options: PrepareOptions, *, quiet: bool
) -> tuple[dict[str, Any], dict[str, Any]]:
    from idmvton.prepare import read_prepared
    from idmvton.prepare.category import mismatch_notes

    if given := [f"--{name}" for name, path in maps.items() if path]:
        raise ConfigError(
            "maps are given beside a prepared folder",
            got=", ".join(given),
            expected="the folder alone",
            fix=f"change mask.png in {folder}",
        )
    useless = tuple(each.name for each in describe(PrepareOptions) if not each.name.endswith("backend"))
    refuse_options(options, f"{folder} is prepared already", names=useless)
    prepared = read_prepared(folder)
    if garment is None:
        if prepared.garment is None:
            raise InputError("no garment was given", got=f"{folder}, which holds none", expected="a garment's photo")
        return {"person": prepared, "garment": prepared.garment}, _about(prepared)
    picture = run_garment(garment, prepared.category, options, quiet=quiet)
    notes = picture.warnings + mismatch_notes(prepared.category, picture.category)
    return {"person": prepared, "garment": picture.image}, _about(prepared, notes)


def _about(prepared: Prepared, notes: Sequence[str] = ()) -> dict[str, Any]:
    return {
        "preparation": {
            "category": prepared.category,
            "sources": dict(prepared.sources),
            "warnings": [*prepared.warnings, *notes],
        }
    }


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
