"""``idmvton try-on``: one person in one garment, or folders of them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from idmvton.cli.prepare import DenseposeFile, KeypointsFile, LabelsFile, MaskFile, Overwrite, tell_warnings
from idmvton.cli.shared import err, out, pick, print_json, reports_errors, stage_bar, with_options
from idmvton.cli.try_on_folders import try_on_folders
from idmvton.engine.loading import check_model, import_beside
from idmvton.errors import ConfigError
from idmvton.options import FolderOptions, JobOptions, ModelOptions, PrepareOptions, TryOnOptions

if TYPE_CHECKING:
    from idmvton.engine.job import Outcome

PERSON = "The photo of a person, a folder that `prepare` made, or a folder of such."
OUTPUT = "The PNG to write; of folders, the folder to write."
GARMENT = (
    "The photo of a garment, alone or worn, or a folder of photos; may be left out where the prepared folder has one."
)
INTERMEDIATES = "Also write results of the stages: the preparation, the draft, the repainted picture."
RAY = (
    "Of folders: work on the machines of a Ray cluster, which all see the files: HOST:PORT of its head, auto for the "
    "one that this machine belongs to, local for a Ray of this machine. A lane has --threads processors (1), or a GPU."
)
PAIRS = "Of folders: a text file with a person and a garment in each line; all pairs when not given."


@with_options(JobOptions, TryOnOptions, PrepareOptions, FolderOptions, ModelOptions)
@reports_errors
def try_on(
    person: Annotated[Path, typer.Argument(help=PERSON, show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help=OUTPUT, show_default=False)],
    garment: Annotated[Path | None, typer.Argument(help=GARMENT, show_default=False)] = None,
    mask: MaskFile = None,
    densepose: DenseposeFile = None,
    labels: LabelsFile = None,
    keypoints: KeypointsFile = None,
    save_intermediates: Annotated[
        Path | None, typer.Option("--save-intermediates", help=INTERMEDIATES, show_default=False)
    ] = None,
    pairs: Annotated[Path | None, typer.Option("--pairs", help=PAIRS, show_default=False)] = None,
    ray: Annotated[str | None, typer.Option("--ray", help=RAY, show_default=False)] = None,
    overwrite: Overwrite = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON, and nothing else.")] = False,
    **values: Any,
) -> None:
    """Dress a person in a garment. Mask and body map are made if not given; the result has the photo's size.

    With --mask and --densepose nothing is prepared, and the garment's picture is used as it is.
    Of a folder of people, of garments, or of both, everybody is dressed in everything; what is done is skipped,
    report.json says what failed.
    """
    from idmvton.engine.pairs import is_many

    job = JobOptions.from_mapping(pick(JobOptions, values))
    options = TryOnOptions.from_mapping(pick(TryOnOptions, values))
    prepare = PrepareOptions.from_mapping(pick(PrepareOptions, values))
    model = ModelOptions.from_mapping(pick(ModelOptions, values))
    folders = FolderOptions.from_mapping(pick(FolderOptions, values))
    maps = {"mask": mask, "densepose": densepose, "labels": labels, "keypoints": keypoints}
    if is_many(person, garment) or pairs is not None:
        single = {"num-images": job.num_images > 1, "save-intermediates": save_intermediates} | maps
        if useless := [f"--{name}" for name, is_set in single.items() if is_set]:
            raise ConfigError("options are set that are for one pair", got=", ".join(useless), fix="leave them out")
        places = (person, garment, pairs, output)
        try_on_folders(places, (job, options, prepare), model, folders, ray=ray, overwrite=overwrite, as_json=as_json)
        return
    many = {"batch-size": folders.batch_size, "ray": ray}
    if useless := [f"--{name}" for name, value in many.items() if value is not None]:
        raise ConfigError("options are set that are for folders", got=", ".join(useless), fix="leave them out")
    start = time.perf_counter()
    files = _files(output, job.num_images)
    _check_outputs(files, [person, garment, *maps.values()], save_intermediates, overwrite=overwrite)
    with stage_bar(quiet=as_json) as stage:
        stage("preparing")
        load = check_model(model, options)
        import_beside()
        from idmvton.engine.ready import make_ready
        from idmvton.prepare import Given
        from idmvton.prepare.preparer import preparer_for

        preparer, given = preparer_for(prepare, model.model), Given(**maps)
        ready = make_ready(preparer, person, garment, given, prepare)
        stage("loading the model")
        pipe = load()
        from idmvton.engine.intermediates import save_intermediates as write_intermediates
        from idmvton.engine.job import Settings, TryOn
        from idmvton.images import save_png

        outcome = TryOn(pipe, preparer)(ready, settings=Settings(job, options, prepare, given), on_progress=stage)
        if save_intermediates is not None:
            stage("writing intermediates")
            write_intermediates(save_intermediates, outcome)
    for file, picture, provenance in zip(files, outcome.images, outcome.provenance, strict=True):
        save_png(picture, file, provenance)
    _tell(outcome, files, time.perf_counter() - start, as_json)


def _files(output: Path, num_images: int) -> list[Path]:
    if num_images == 1:
        return [output]
    return [output.with_stem(f"{output.stem}-{number}") for number in range(1, num_images + 1)]


def _check_outputs(
    files: list[Path], inputs: list[Path | None], intermediates: Path | None, *, overwrite: bool
) -> None:
    """Makes sure that everything can be written, and that nothing is lost by it."""
    from idmvton.engine.intermediates import check_intermediates
    from idmvton.images import check_output_path

    for file in files:
        check_output_path(file, [path for path in inputs if path is not None], overwrite=overwrite)
    if intermediates is not None:
        check_intermediates(intermediates, overwrite=overwrite)


def _tell(outcome: Outcome, files: list[Path], seconds: float, as_json: bool) -> None:
    told = list(zip(files, outcome.images, outcome.provenance, strict=True))
    if as_json:
        documents = []
        for file, picture, provenance in told:
            size = {"height": picture.height, "width": picture.width}
            documents.append({"output": str(file), "picture": size, "seconds": round(seconds, 3), **provenance})
        print_json(documents[0] if len(documents) == 1 else documents)
        return
    tell_warnings(outcome.warnings)
    if words := outcome.described.words:
        sure = ", ".join(f"{word} {confidence:.0%}" for word, confidence in words.values())
        line = f"described as {outcome.described.caption!r} ({sure}); --caption changes it"
        err.print(line, soft_wrap=True, markup=False)
    for file, picture, provenance in told:
        shown = f"{picture.height}x{picture.width} height x width"
        line = f"Saved [bold]{escape(str(file))}[/] ({shown}, seed {provenance['seed']}, {seconds:.1f} s)"
        out.print(line, soft_wrap=True)
