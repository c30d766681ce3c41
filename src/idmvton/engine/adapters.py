"""Photos in, an adapter out: what every interface calls."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from idmvton.atomic import check_folder, whole_file
from idmvton.customize.free import check_free
from idmvton.customize.options import CustomizeOptions
from idmvton.customize.recipe import check_choices
from idmvton.customize.run import Customization, Learned
from idmvton.customize.views import picture_row, sample_of
from idmvton.data.opening import open_dataset
from idmvton.data.sample import TryOnSample
from idmvton.engine.adapter_folder import GARMENT, PICTURE
from idmvton.engine.describer import Describer
from idmvton.engine.job import Settings, TryOn
from idmvton.errors import ConfigError, InputError, NoPersonError, PreparationError, UnusablePersonError
from idmvton.images import load_image
from idmvton.options import JobOptions, ModelOptions, PrepareOptions, TryOnOptions
from idmvton.prepare.category import word_of
from idmvton.prepare.garment import WORN_SOURCE
from idmvton.prepare.preparer import Preparer, preparer_for
from idmvton.prepare.record import Prepared, read_prepared
from idmvton.prepare.record_files import is_prepared
from idmvton.resume import digest
from idmvton.training.trainer import Probe
from idmvton.tryon.pipeline import TryOnPipeline
from idmvton.types import Size

_PRIOR_SAMPLES: Final = 64


@dataclass(frozen=True, slots=True)
class PhotoPair:
    """Somebody who wears the garment, and the garment alone; without that it is cut out of the person's photo."""

    person: Path
    garment: Path | None = None


@dataclass(frozen=True, slots=True)
class AdapterRequest:
    """What is to be learned, and how.

    Attributes:
        pairs: of one garment, at least one.
        caption: what the garment is; proposed when not given.
        choices: of the training.
        prepare: of the photos.
        model: of these, ``model``, ``device``, ``variant`` and ``threads`` are used.
        height, width: working size; the checkpoint's own when not given.
    """

    pairs: Sequence[PhotoPair]
    caption: str | None = None
    choices: CustomizeOptions = CustomizeOptions()
    prepare: PrepareOptions = PrepareOptions()
    model: ModelOptions = ModelOptions()
    height: int | None = None
    width: int | None = None


@dataclass(frozen=True, slots=True)
class MadeAdapter:
    """How it ended.

    Attributes:
        learned: of the training; its record is None where it was stopped and can go on.
        caption: of the garment.
        warnings: what the caller should know.
        garment: its picture, on white; None where it was stopped.
        picture: person, garment, try-on before and after; None where it was stopped.
    """

    learned: Learned
    caption: str
    warnings: tuple[str, ...]
    garment: Path | None = None
    picture: Path | None = None


Stage = Callable[..., None]
"""Called with the stage, how much of it is done, how much there is, and what is to be said of it."""


def make_adapter(
    request: AdapterRequest,
    folder: Path,
    *,
    resume: bool = False,
    on_stage: Stage = lambda *_: None,
    on_cost: Callable[[Customization, Probe], None] = lambda *_: None,
) -> MadeAdapter:
    """Learns a garment.

    Args:
        request: from what, and how.
        folder: of the adapter; its name is the adapter's.
        resume: go on with a training that was stopped.
        on_stage: see :data:`Stage`.
        on_cost: is told what a step takes, before the first.

    Raises:
        InputError: a photo that cannot be used, or is too small.
        PreparationError: nobody, or several people, in a photo; the garment is not seen on the person.
        ConfigError: options that cannot be used, or a garment that was not learned.
        WeightsError: weights that are missing or damaged.
        OutputError: the folder holds something already, or cannot be written.
        MissingExtraError: an option needs a package that is not installed.
        NumericsError: the networks produced NaN.
    """
    check_free(folder, resume=resume)
    check_folder(folder, "the adapter's folder")
    on_stage("loading the model")
    pipe = _load(request, device="cpu", dtype="float32")
    check_choices(request.choices, drafts=pipe.warp_net is not None)
    on_stage("preparing the photos")
    preparer = preparer_for(request.prepare, request.model.model)
    lesson = _read(request, preparer, pipe)
    customization = Customization(
        pipe,
        lesson.samples,
        folder,
        request.choices,
        photos=photo_hashes(request.pairs),
        prior=_prior(request.choices, Size(*lesson.samples[0].size)),
        device=request.model.device,
        resume=resume,
        report=on_stage,
    )
    on_cost(customization, customization.cost())
    learned = customization.run()
    del customization, pipe  # what follows loads the checkpoint again
    if learned.record is None:
        return MadeAdapter(learned, lesson.caption, lesson.warnings)
    on_stage("drawing before and after")
    _write_pictures(request, preparer, lesson, folder)
    return MadeAdapter(learned, lesson.caption, lesson.warnings, folder / GARMENT, folder / PICTURE)


@dataclass(frozen=True, slots=True)
class _Lesson:
    """The photos, read: the first prepared, all of them as samples, what the garment is, and what to tell of them."""

    first: Prepared
    samples: Sequence[TryOnSample]
    caption: str
    warnings: tuple[str, ...]


def _read(request: AdapterRequest, preparer: Preparer, pipe: TryOnPipeline) -> _Lesson:
    size = pipe.working_size(request.height, request.width)
    prepared = [prepare_pair(preparer, pair, request.prepare) for pair in request.pairs]
    _check_category(prepared, request.pairs)
    doubts = () if pipe.warp_net is None else check_worth(prepared, request.choices)
    first = prepared[0]
    assert first.garment is not None
    described = Describer(pipe)(first.garment, first.category, request.caption)
    samples = [
        sample_of(each, described.caption, size, pair.person.name)
        for each, pair in zip(prepared, request.pairs, strict=True)
    ]
    notes = dict.fromkeys([*doubts, *described.warnings, *(note for each in prepared for note in each.warnings)])
    return _Lesson(first, samples, described.caption, tuple(notes))


def prepare_pair(preparer: Preparer, pair: PhotoPair, options: PrepareOptions) -> Prepared:
    """A person who wears the garment, with the garment on white.

    Raises:
        InputError: a photo that cannot be used.
        PreparationError: nobody, or several people, in the photo; no garment, or none that is worn.
    """
    if is_prepared(pair.person):
        prepared = read_prepared(pair.person)
        if pair.garment is None:
            if prepared.garment is None:
                raise InputError("no garment was given", got=f"{pair.person}, which has none", expected="a photo of it")
            return prepared
        garment = preparer.read_garment(pair.garment, category=prepared.category, number=options.garment_number)
        sources = {**prepared.sources, "garment": garment.source}
        return dataclasses.replace(prepared, garment=garment.image, garment_mask=garment.mask, sources=sources)
    people = preparer.pose(np.asarray(load_image(pair.person, what="person")))
    if len(people) > 1:
        raise UnusablePersonError(
            f"there are {len(people)} people in the photo",
            got=pair.person,
            expected="one person, who wears the garment",
            fix="crop the photo to that person",
        )
    if not people:
        raise NoPersonError(
            "nobody is seen in the photo",
            got=pair.person,
            expected="one person, who wears the garment",
            fix="give a photo of somebody who wears it; a picture of the garment alone goes after that",
        )
    picture = preparer.read_garment(
        pair.person if pair.garment is None else pair.garment,
        category=options.category,
        number=options.garment_number,
    )
    if pair.garment is None and picture.kind != "worn":
        raise PreparationError(
            "nobody is seen wearing the garment",
            got=f"{pair.person}, which looks like a picture of a garment alone",
            expected="a photo of somebody who wears it",
            fix="give a photo with face or arms in view; a picture of the garment alone goes after it",
        )
    return preparer(pair.person, picture, options=options)


def photo_hashes(pairs: Sequence[PhotoPair]) -> dict[str, str]:
    """Name -> SHA-256 of the photos; of prepared people, of their photo."""
    files: dict[str, Path] = {}
    for pair in pairs:
        files[pair.person.name] = pair.person / "photo.png" if pair.person.is_dir() else pair.person
        if pair.garment is not None:
            files[pair.garment.name] = pair.garment
    return {name: digest(file) for name, file in files.items()}


def _check_category(prepared: Sequence[Prepared], pairs: Sequence[PhotoPair]) -> None:
    words = [word_of(each.category) for each in prepared]
    if len(set(words)) > 1:
        told = ", ".join(f"{pair.person.name}: {word}" for pair, word in zip(pairs, words, strict=True))
        raise ConfigError(
            "the pairs are not of one garment",
            got=told,
            expected="the same garment in all pairs",
            fix="give --category, or only pairs of one garment",
        )


def check_worth(prepared: Sequence[Prepared], choices: CustomizeOptions) -> tuple[str, ...]:
    """Makes sure that a WarpNet would not learn the one pose of a garment that it lays well already.

    Args:
        prepared: the photos, with what the garment was taken from.
        choices: of the user; who says --warp or --no-warp gets it.

    Returns:
        What the caller should know where it is trained all the same.

    Raises:
        ConfigError: there is one photo, and a product picture.
    """
    has_product = all(each.sources.get("garment") not in (None, WORN_SOURCE) for each in prepared)
    if not has_product or len(prepared) > 1 or choices.warp is False:
        return ()
    doubt = "from a product picture and one photo this model learns nothing that helps other people"
    if choices.warp is None:
        raise ConfigError(
            doubt,
            got="it was trained on product pictures: what it would learn is how the garment lies in this one pose",
            expected="several photos of people who wear it, or one photo and no product picture",
            fix="try the product picture on as it is, without an adapter; or add --pair OTHER.jpg,GARMENT.jpg for each "
            "further photo; or, to do it all the same, add --warp",
        )
    return (doubt,)


def _prior(choices: CustomizeOptions, size: Size) -> Sequence[TryOnSample]:
    if choices.prior is None:
        return ()
    dataset = open_dataset(Path(choices.prior), size, missing_caption="category phrase")
    return [dataset[index] for index in range(min(len(dataset), _PRIOR_SAMPLES))]


def _load(request: AdapterRequest, *, device: str, dtype: str | None = None) -> TryOnPipeline:
    model = request.model
    pipe = TryOnPipeline.from_pretrained(model.model, dtype=dtype, device=device, variant=model.variant)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def _write_pictures(request: AdapterRequest, preparer: Preparer, lesson: _Lesson, folder: Path) -> None:
    """The garment; and in one picture person, garment, and the garment put on the same person before and after."""
    person, pipe = lesson.first, _load(request, device=request.model.device)
    options = TryOnOptions(seed=request.choices.seed, height=request.height, width=request.width)
    settings = Settings(JobOptions(caption=lesson.caption), options)
    job = TryOn(pipe, preparer)
    before = job(person, settings=settings).images[0]
    pipe.load_adapter(folder)
    after = job(person, settings=settings).images[0]
    assert person.garment is not None
    row = picture_row([person.photo, person.garment, before, after])
    for name, picture in ((GARMENT, person.garment), (PICTURE, row)):
        with whole_file(folder / name, "the picture") as file:
            picture.save(file, "PNG")
