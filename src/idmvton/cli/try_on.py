"""``idmvton try-on``: one person in one garment, or folders of them."""

from __future__ import annotations

import dataclasses
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from idmvton.cli.loading import load_pipeline
from idmvton.cli.prepare import (
    DenseposeFile,
    KeypointsFile,
    LabelsFile,
    MaskFile,
    run_garment,
    run_preparation,
    tell_warnings,
)
from idmvton.cli.shared import err, out, pick, print_json, refuse_options, reports_errors, stage_bar, with_options
from idmvton.cli.try_on_folders import try_on_folders
from idmvton.errors import ConfigError, InputError
from idmvton.options import ModelOptions, PrepareOptions, TryOnOptions, describe

if TYPE_CHECKING:
    from PIL import Image

    from idmvton.pipeline import TryOnPipeline
    from idmvton.prepare import Prepared
    from idmvton.types import Category, TryOnResult

Stage = Callable[..., None]


@dataclasses.dataclass
class Inputs:
    """What the pipeline is called with.

    Attributes:
        person, garment: what the caller gave, or what preparation made of it.
        maps: mask and body map, where the caller gave both.
        prepared: the person, where preparation made it.
        category: of the garment, where it is known.
        about: what the result tells about the preparation.
    """

    person: Any
    garment: Any
    maps: dict[str, Path]
    prepared: Prepared | None = None
    category: Category | None = None
    about: dict[str, Any] = dataclasses.field(default_factory=dict)


@with_options(TryOnOptions, PrepareOptions, ModelOptions)
@reports_errors
def try_on(
    person: Annotated[
        Path,
        typer.Argument(
            help="The photo of a person, a folder that `prepare` made, or a folder of photos.", show_default=False
        ),
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="The PNG to write; of folders, the folder to write.", show_default=False),
    ],
    garment: Annotated[
        Path | None,
        typer.Argument(
            help="The photo of a garment, alone or worn, or a folder of photos; may be left out where the prepared "
            "folder has one.",
            show_default=False,
        ),
    ] = None,
    mask: MaskFile = None,
    densepose: DenseposeFile = None,
    labels: LabelsFile = None,
    keypoints: KeypointsFile = None,
    caption: Annotated[
        str | None,
        typer.Option(
            help='What the garment is, such as "short sleeve round neck t-shirts"; proposed when not given.',
            show_default=False,
        ),
    ] = None,
    num_images: Annotated[
        int, typer.Option("--num-images", min=1, max=64, help="Pictures of the pair, with seeds that count up.")
    ] = 1,
    save_intermediates: Annotated[
        Path | None,
        typer.Option(
            "--save-intermediates",
            help="Also write what the stages made: the preparation, the draft, the repainted picture.",
            show_default=False,
        ),
    ] = None,
    pairs: Annotated[
        Path | None,
        typer.Option(
            "--pairs",
            help="Of folders: a text file with a person and a garment in each line; all pairs when not given.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON, and nothing else.")] = False,
    **values: Any,
) -> None:
    """Dress the person in the garment. Maps that are not given are made; the result has the photo's own size.

    With --mask and --densepose nothing is prepared, and the garment's picture is used as it is.
    Of two folders, every person is dressed in every garment; what is done is skipped, report.json says what failed.
    """
    model = ModelOptions.from_mapping(pick(ModelOptions, values))
    options = TryOnOptions.from_mapping(pick(TryOnOptions, values))
    prepare = PrepareOptions.from_mapping(pick(PrepareOptions, values))
    maps = {"mask": mask, "densepose": densepose, "labels": labels, "keypoints": keypoints}
    if garment is not None and garment.is_dir():
        single = {"--num-images": num_images > 1, "--save-intermediates": save_intermediates is not None}
        useless = [name for name, is_set in single.items() if is_set] + [
            f"--{name}" for name, map_ in maps.items() if map_
        ]
        if useless:
            raise ConfigError("options are set that are for one pair", got=", ".join(useless), fix="leave them out")
        try_on_folders(person, garment, pairs, output, model, options, prepare, caption, as_json=as_json)
        return
    if pairs is not None:
        raise ConfigError("--pairs is for folders", got=f"the garment {garment}", expected="two folders")
    _try_on_one(
        person, garment, output, maps, model, options, prepare, caption, num_images, save_intermediates, as_json
    )


def _try_on_one(
    person: Path,
    garment: Path | None,
    output: Path,
    maps: dict[str, Path | None],
    model: ModelOptions,
    options: TryOnOptions,
    prepare: PrepareOptions,
    caption: str | None,
    num_images: int,
    intermediates: Path | None,
    quiet: bool,
) -> None:
    from idmvton.images import check_output_path, save_png

    files = [output] if num_images == 1 else [output.with_stem(f"{output.stem}-{n}") for n in range(1, num_images + 1)]
    for file in files:
        check_output_path(file)
    start = time.perf_counter()
    inputs = _gather(person, garment, maps, prepare, quiet=quiet)
    with stage_bar(quiet=quiet) as stage:
        stage("loading the model")
        pipe = load_pipeline(model)
        stage("describing the garment")
        described = _describe(pipe, inputs, caption)
        seeds = _seeds(options.seed, num_images)
        result = run_pipeline(
            pipe,
            dataclasses.replace(options, seed=None),
            stage,
            person=inputs.person,
            garment=inputs.garment,
            caption=described.caption,
            seed=seeds,
            **inputs.maps,
        )
        if intermediates is not None:
            stage("writing intermediates")
            _save_intermediates(intermediates, pipe, inputs, result)
    told, alike = [], _note_of_equals(result.images)
    for number, (file, picture) in enumerate(zip(files, result.images, strict=True)):
        provenance = result.provenance(number) | inputs.about | described.about()
        known = inputs.about.get("preparation", {}).get("warnings", ())
        provenance["warnings"] = [*known, *described.warnings, *result.warnings, *alike]
        save_png(picture, file, provenance)
        told.append((file, picture, provenance))
    _tell(told, time.perf_counter() - start, quiet)


def _seeds(seed: int | None, count: int) -> list[int] | None:
    if seed is None and count == 1:
        return None
    import random

    first = random.SystemRandom().getrandbits(31) if seed is None else seed
    return [(first + number) % 2**32 for number in range(count)]


def _note_of_equals(pictures: Sequence[Image.Image]) -> list[str]:
    """Says so where different seeds made the same picture, to two grey levels where they differ at all."""
    import numpy as np

    first, *others = (np.asarray(picture, np.float32) for picture in pictures)
    differences = [np.abs(other - first) for other in others]
    if not others or any(each[each > 0].mean() > 2 for each in differences if each.any()):
        return []
    return ["the seeds made nearly the same picture: these weights leave them little to decide, one picture is enough"]


def _tell(told: Sequence[tuple[Path, Image.Image, dict[str, Any]]], seconds: float, as_json: bool) -> None:
    if as_json:
        documents = [
            {
                "output": str(file),
                "picture": {"height": picture.height, "width": picture.width},
                "seconds": round(seconds, 3),
                **provenance,
            }
            for file, picture, provenance in told
        ]
        print_json(documents[0] if len(documents) == 1 else documents)
        return
    tell_warnings(told[0][2]["warnings"])
    words = told[0][2].get("caption_words")
    if words:
        sure = ", ".join(f"{word} {confidence:.0%}" for word, confidence in words.values())
        err.print(
            f"described as {told[0][2]['caption']!r} ({sure}); --caption changes it", soft_wrap=True, markup=False
        )
    for file, picture, provenance in told:
        out.print(
            f"Saved [bold]{escape(str(file))}[/] ({picture.height}x{picture.width} height x width, "
            f"seed {provenance['seed']}, {seconds:.1f} s)",
            soft_wrap=True,
        )


def _gather(
    person: Path, garment: Path | None, maps: dict[str, Path | None], options: PrepareOptions, *, quiet: bool
) -> Inputs:
    """What the pipeline is called with, and what the result tells about its preparation."""
    from idmvton.prepare import Given

    if person.is_dir():
        return _from_folder(person, garment, maps, options, quiet=quiet)
    if garment is None:
        raise InputError("no garment was given", expected="idmvton try-on PERSON GARMENT -o OUT.png")
    mask, densepose = maps["mask"], maps["densepose"]
    if mask and densepose:
        if useless := [f"--{name}" for name in ("labels", "keypoints") if maps[name]]:
            raise ConfigError(
                "maps are given that nothing reads",
                got=", ".join(useless),
                expected="with --mask and --densepose no other map is needed",
            )
        refuse_options(options, "--mask and --densepose are given: nothing is prepared")
        return Inputs(person, garment, {"mask": mask, "densepose": densepose})
    prepared = run_preparation(person, garment, Given(**maps), options, quiet=quiet)
    return Inputs(prepared, prepared.garment, {}, prepared, prepared.category, _about(prepared))


def _from_folder(
    folder: Path, garment: Path | None, maps: dict[str, Path | None], options: PrepareOptions, *, quiet: bool
) -> Inputs:
    from idmvton.prepare import read_prepared
    from idmvton.prepare.category import mismatch_notes

    if given := [f"--{name}" for name, path in maps.items() if path]:
        raise ConfigError(
            "maps are given beside a prepared folder",
            got=", ".join(given),
            expected="the folder alone",
            fix=f"change mask.png in {folder}",
        )
    useless = tuple(
        each.name
        for each in describe(PrepareOptions)
        if not each.name.endswith("backend") and each.name != "garment_number"
    )
    refuse_options(options, f"{folder} is prepared already", names=useless)
    prepared = read_prepared(folder)
    if garment is None:
        if prepared.garment is None:
            raise InputError("no garment was given", got=f"{folder}, which holds none", expected="a garment's photo")
        return Inputs(prepared, prepared.garment, {}, prepared, prepared.category, _about(prepared))
    picture = run_garment(garment, prepared.category, options, quiet=quiet)
    notes = picture.warnings + mismatch_notes(prepared.category, picture.category)
    return Inputs(prepared, picture.image, {}, prepared, picture.category, _about(prepared, notes))


def _about(prepared: Prepared, notes: Sequence[str] = ()) -> dict[str, Any]:
    return {
        "preparation": {
            "category": prepared.category,
            "sources": dict(prepared.sources),
            "warnings": [*prepared.warnings, *notes],
        }
    }


def _describe(pipe: TryOnPipeline, inputs: Inputs, caption: str | None) -> Any:
    from idmvton.engine.captions import Describer
    from idmvton.images import load_image

    return Describer(pipe)(load_image(inputs.garment, what="garment"), inputs.category, caption)


def run_pipeline(pipe: TryOnPipeline, options: TryOnOptions, stage: Stage, **inputs: Any) -> TryOnResult:
    """Calls the pipeline and tells how far it is."""
    from idmvton.errors import IdmVtonWarning

    steps = options.num_inference_steps or pipe.config.num_inference_steps
    pipe.set_progress_bar_config(disable=True)

    def advance(_pipe: Any, step: int, _timestep: Any, _state: dict[str, Any]) -> None:
        stage("denoising" if step + 1 < steps else "decoding and pasting back", step + 1, steps)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", IdmVtonWarning)
        stage("encoding", 0, steps)
        return pipe(**options.to_dict() | inputs, callback_on_step_end=advance)


def _save_intermediates(folder: Path, pipe: TryOnPipeline, inputs: Inputs, result: TryOnResult) -> None:
    from idmvton.engine.intermediates import save_intermediates

    save_intermediates(folder, pipe, result, inputs.prepared, inputs.garment, **inputs.maps)
