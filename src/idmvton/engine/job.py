"""The job behind every interface: from a person and a garment to pictures, their provenance and warnings."""

from __future__ import annotations

import dataclasses
import random
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from PIL import Image

from idmvton.engine.describer import Described, Describer
from idmvton.engine.ready import Ready, make_ready
from idmvton.errors import IdmVtonWarning
from idmvton.images import ImageInput, to_pil
from idmvton.options import JobOptions, PrepareOptions, TryOnOptions
from idmvton.prepare.maps import Given
from idmvton.prepare.preparer import Preparer
from idmvton.prepare.record import Prepared
from idmvton.tryon.compose import ParseResult
from idmvton.tryon.outputs import TryOnResult
from idmvton.tryon.pipeline import TryOnPipeline
from idmvton.tryon.quality import with_preset

Progress: TypeAlias = Callable[[str, int, int | None], None]
"""Called with the stage, how much of it is done, and how much there is in all; None where that is not known."""

_DIFFERENT = 2  # grey levels, on average where pictures differ at all: less is nearly the same picture


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that decides the pictures of a pair beside its photos.

    Attributes:
        job: what is asked for.
        try_on: options of the pipeline. Without a seed one is drawn.
        prepare: options of the preparation.
        given: maps of the person's photo that need not be found.
    """

    job: JobOptions = JobOptions()
    try_on: TryOnOptions = TryOnOptions()
    prepare: PrepareOptions = PrepareOptions()
    given: Given = Given()


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What a job made.

    Attributes:
        images: RGB, one a seed, of the photo's size (of the working size without ``paste_back``).
        provenance: how each picture was made, as plain values ready for JSON.
        warnings: what the caller should know, in words: of the preparation, the caption, the try-on and the pictures.
        described: the caption, and how sure its words are.
        prepared: the person as preparation made it; None where the caller gave the maps.
        result: what the pipeline returned.
        timings: seconds of each stage, in order; ``prepared`` has those of the preparation.
    """

    images: list[Image.Image]
    provenance: tuple[dict[str, Any], ...]
    warnings: tuple[str, ...]
    described: Described
    prepared: Prepared | None
    result: TryOnResult
    timings: Mapping[str, float]

    @property
    def draft(self) -> Image.Image | None:
        """What the networks were shown of the result, at working size, for checkpoints that draft."""
        return None if self.result.draft is None else to_pil(self.result.draft[:1])[0]

    @property
    def repainted(self) -> list[Image.Image]:
        """The decoded pictures before anything is pasted, at working size."""
        return [] if self.result.repainted is None else to_pil(self.result.repainted)


class TryOn:
    """Dresses people in garments, from photos to pictures.

    Args:
        pipe: the pipeline.
        preparer: with its backends.
    """

    def __init__(self, pipe: TryOnPipeline, preparer: Preparer) -> None:
        self.pipe, self.preparer = pipe, preparer
        self.describe = Describer(pipe)

    def __call__(
        self,
        person: ImageInput | Prepared | Ready,
        garment: ImageInput | None = None,
        settings: Settings | None = None,
        on_progress: Progress = lambda *_: None,
    ) -> Outcome:
        """Dresses one person in one garment.

        Args:
            person: the photo of a person, a prepared person, the folder of one, or a pair that
                :func:`idmvton.engine.ready.make_ready` made.
            garment: the photo of a garment, alone or worn; may be left out where it was prepared with the person.
            settings: everything else.
            on_progress: see :data:`Progress`.

        Raises:
            InputError: a picture, map or caption that cannot be used.
            ConfigError: options that cannot be used, or would do nothing.
            PreparationError: nobody usable in the photo, no garment in the garment's photo, nothing to repaint.
            WeightsError: weights that are missing or damaged.
            NumericsError: the networks produced NaN.
        """
        settings, ready = settings or Settings(), person
        if not isinstance(ready, Ready):
            on_progress("preparing", 0, None)
            ready = make_ready(self.preparer, ready, garment, settings.given, settings.prepare)
        on_progress("describing the garment", 0, None)
        start = time.perf_counter()
        described = self.describe(ready.garment, ready.category, settings.job.caption)
        seconds = time.perf_counter() - start
        outcome = self.dress(ready, described, settings, on_progress)
        return dataclasses.replace(outcome, timings={"describing": seconds, **outcome.timings})

    def dress(
        self, ready: Ready, described: Described, settings: Settings, on_progress: Progress = lambda *_: None
    ) -> Outcome:
        """The second half of a job, for a pair that is prepared and described.

        Args:
            ready: person and garment.
            described: what the garment is.
            settings: of these, ``job.num_images`` and ``try_on`` are used.
            on_progress: see :data:`Progress`.

        Raises:
            As :meth:`__call__`, without those of the preparation.
        """
        seeds = _seeds(settings.try_on.seed, settings.job.num_images)
        result = self._run([ready], [described.caption], settings.try_on, seeds, on_progress)
        return _outcome(result, ready, described)

    def dress_together(self, pairs: Sequence[tuple[Ready, Described]], settings: Settings) -> list[Outcome]:
        """The same for several prepared people at once, one picture each: what each would be alone.

        Args:
            pairs: people and garments, and what the garments are.
            settings: of these, ``try_on`` is used. Without a seed one is drawn for each.

        Raises:
            As :meth:`dress`; of which pair an error speaks is not told.
        """
        seed = settings.try_on.seed
        seeds = [_drawn() if seed is None else seed for _ in pairs]
        readies, described = zip(*pairs, strict=True)
        result = self._run(readies, [each.caption for each in described], settings.try_on, seeds, lambda *_: None)
        return [_outcome(result.only(row), *pair) for row, pair in enumerate(pairs)]

    def _run(
        self,
        readies: Sequence[Ready],
        captions: Sequence[str],
        options: TryOnOptions,
        seeds: Sequence[int] | None,
        on_progress: Progress,
    ) -> TryOnResult:
        """Calls the pipeline and reports its progress; its warnings come with the result."""
        steps = with_preset(options, self.pipe.config.num_inference_steps).num_inference_steps or 0

        def advance(_pipe: TryOnPipeline, step: int, _timestep: Any, _state: dict[str, Any]) -> None:
            on_progress("denoising" if step + 1 < steps else "decoding and pasting back", step + 1, steps)

        on_progress("encoding", 0, steps)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", IdmVtonWarning)
            return self.pipe(
                [each.person for each in readies],
                [each.garment for each in readies],
                _given([each.mask for each in readies]),
                _given([each.densepose for each in readies]),
                **options.to_dict() | {"caption": captions, "seed": seeds},
                callback_on_step_end=advance,
                parse_result=self._parser_of(readies),
            )

    def _parser_of(self, readies: Sequence[Ready]) -> ParseResult | None:
        """The function that labels a result, for checkpoints without a WarpNet that shows where the new garment is."""
        people = {id(each.prepared.photo): each.prepared for each in readies if each.prepared is not None}
        if not people or self.pipe.drafter is not None:
            return None
        return lambda picture, person: self.preparer.read_result(picture, people[id(person.photo)])


def _outcome(result: TryOnResult, ready: Ready, described: Described) -> Outcome:
    notes = (*ready.notes, *described.warnings, *result.warnings, *note_of_equals(result.images))
    about = ready.about() | described.about() | {"warnings": list(notes)}
    return Outcome(
        images=result.images,
        provenance=tuple(result.provenance(number) | about for number in range(len(result.images))),
        warnings=notes,
        described=described,
        prepared=ready.prepared,
        result=result,
        timings=result.timings,
    )


def _given(maps: Sequence[ImageInput | None]) -> list[ImageInput] | None:
    """Maps of people who are not prepared; prepared ones bring theirs."""
    return [each for each in maps if each is not None] or None


def _drawn() -> int:
    return random.SystemRandom().getrandbits(31)


def _seeds(seed: int | None, count: int) -> list[int] | None:
    """Of several pictures: seeds that count up from the first, which is drawn where none is given."""
    if seed is None and count == 1:
        return None
    first = _drawn() if seed is None else seed
    return [(first + number) % 2**32 for number in range(count)]


def note_of_equals(pictures: Sequence[Image.Image]) -> tuple[str, ...]:
    """Says so where different seeds made the same picture, to two grey levels where they differ at all."""
    first, *others = (np.asarray(picture, np.float32) for picture in pictures)
    differences = [np.abs(other - first) for other in others]
    if not others or any(each[each > 0].mean() > _DIFFERENT for each in differences if each.any()):
        return ()
    return ("the seeds made nearly the same picture: with these weights the seed changes little, one is enough",)
