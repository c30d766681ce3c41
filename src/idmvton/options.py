"""Everything that a user can set, declared once: default, range, unit, help.

The library's signatures, the command line and every other surface are built from (or tested against) these
classes. An option is a dataclass field made by :func:`option`; :func:`describe` reads the declarations back.
"""

from __future__ import annotations

import dataclasses
import difflib
import numbers
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, Self

from idmvton.errors import ConfigError
from idmvton.types import (
    CATEGORY_WORDS,
    BackendSet,
    CategoryChoice,
    DTypeName,
    KeepChoice,
    MaskShape,
    MemoryMode,
    Quality,
    SchedulerName,
)

_FEATHER_SHARE = 1 / 128  # of the working height: 8 pixels at the published size
NEGATIVE_PROMPT = "monochrome, lowres, bad anatomy, worst quality, low quality"


@dataclass(frozen=True, slots=True)
class Option:
    """The declaration of one option, as :func:`describe` returns it.

    Attributes:
        name: the keyword in the library.
        flag: the name on the command line, without dashes.
        type: the Python type of the value, without ``None``; of a ``tuple[..., ...]``, that of its elements.
        optional: whether ``None`` is a value too.
        default: the value when nothing is said.
        help: one sentence for a person.
        minimum, maximum: the closed range of a number.
        choices: the allowed values of a ``Literal``.
        unit: what a number counts.
        is_list: whether the value is a tuple of such values; type, range and choices are then those of each.
        aliases: other words -> the choice that they mean, in lower case with hyphens.
    """

    name: str
    flag: str
    type: type
    optional: bool
    default: Any
    help: str
    minimum: float | None
    maximum: float | None
    choices: tuple[str, ...]
    unit: str | None
    is_list: bool = False
    aliases: Mapping[str, str] = field(default_factory=dict)

    def checked(self, value: Any) -> Any:
        """The value in the declared type; numbers of numpy become Python's, lists become tuples.

        Raises:
            ConfigError: another type, or out of range.
        """
        if value is None and self.optional:
            return None
        if self.is_list:
            if not isinstance(value, list | tuple):
                raise ConfigError(f"{self.name} has the wrong type", got=repr(value), expected=self.expected())
            return tuple(self._checked_one(each) for each in value)
        return self._checked_one(value)

    def _checked_one(self, value: Any) -> Any:
        accepted = {int: numbers.Integral, float: numbers.Real}.get(self.type, self.type)
        if not isinstance(value, accepted) or (isinstance(value, bool) and self.type is not bool):
            raise ConfigError(f"{self.name} has the wrong type", got=repr(value), expected=self.expected())
        if isinstance(value, str) and (bad := _unwritable(value)):
            raise ConfigError(
                f"{self.name} is no text", got=f"{value!a}: {bad}", expected="text in UTF-8, as the terminal says it"
            )
        number: Any = self._word(value) if self.choices else self.type(value)
        low = self.minimum is not None and not number >= self.minimum  # `not >=` refuses NaN as well
        high = self.maximum is not None and not number <= self.maximum
        if low or high or (self.choices and number not in self.choices):
            raise ConfigError(f"{self.name} is out of range", got=repr(value), expected=self.expected())
        return number

    def _word(self, value: Any) -> str:
        """The choice that is meant: in any case, or by another word for it."""
        plain = "-".join(value.lower().replace("_", " ").replace("-", " ").split())
        named = {choice.lower().replace("_", "-"): choice for choice in self.choices}
        return value if value in self.choices else self.aliases.get(plain, named.get(plain, value))

    def expected(self) -> str:
        """The allowed values in words, for example ``"int from 1 to 1000 (steps)"``."""
        if self.choices:
            words = "one of " + ", ".join(self.choices)
        else:
            words = self.type.__name__
            words += f" from {self.minimum}" if self.minimum is not None else ""
            words += f" to {self.maximum}" if self.maximum is not None else ""
        words += f" ({self.unit})" if self.unit else ""
        words = f"a list, each {words}" if self.is_list else words
        return words + (", or nothing" if self.optional else "")


def _unwritable(text: str) -> str:
    """What is wrong with a text that no file can hold: bytes that were no UTF-8, or a NUL."""
    if "\0" in text:
        return "it holds a NUL"
    return "it holds bytes that are no UTF-8" if any("\ud800" <= each <= "\udfff" for each in text) else ""


def option(
    default: Any,
    help: str,
    *,
    flag: str | None = None,
    minimum: float | None = None,
    maximum: float | None = None,
    unit: str | None = None,
    aliases: Mapping[str, str] = MappingProxyType({}),
) -> Any:
    """Declares one option; use as the default of a dataclass field."""
    return field(
        default=default,
        metadata={"help": help, "flag": flag, "minimum": minimum, "maximum": maximum, "unit": unit, "aliases": aliases},
    )


def describe(options: type[Any]) -> Iterator[Option]:
    """Yields the declaration of every option of a class, in order."""
    hints = typing.get_type_hints(options)
    for item in dataclasses.fields(options):
        members = typing.get_args(hints[item.name]) if _is_union(hints[item.name]) else (hints[item.name],)
        hint = next(member for member in members if member is not types.NoneType)
        is_list = typing.get_origin(hint) is tuple
        hint = typing.get_args(hint)[0] if is_list else hint
        choices = typing.get_args(hint) if typing.get_origin(hint) is Literal else ()
        yield Option(
            name=item.name,
            flag=item.metadata["flag"] or item.name.replace("_", "-"),
            type=str if choices else hint,
            optional=types.NoneType in members,
            default=item.default,
            help=item.metadata["help"],
            minimum=item.metadata["minimum"],
            maximum=item.metadata["maximum"],
            choices=choices,
            unit=item.metadata["unit"],
            is_list=is_list,
            aliases=item.metadata["aliases"],
        )


def _is_union(hint: Any) -> bool:
    return typing.get_origin(hint) in (typing.Union, types.UnionType)


class Options:
    """Base of the option classes: checked when made, strict about unknown names."""

    def __post_init__(self) -> None:
        for declared in describe(type(self)):
            object.__setattr__(self, declared.name, declared.checked(getattr(self, declared.name)))

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Self:
        """Builds the options from names and values.

        Raises:
            ConfigError: an unknown name (the nearest known one is named) or a value out of range.
        """
        known = [declared.name for declared in describe(cls)]
        for name in values:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                raise ConfigError(
                    f"unknown option {name!r}",
                    expected=f"{near[0]!r}?" if near else "one of " + ", ".join(known),
                )
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """The options as plain values, ready for JSON."""
        return {declared.name: getattr(self, declared.name) for declared in describe(type(self))}


@dataclass(frozen=True, slots=True)
class TryOnOptions(Options):
    """What a caller of a try-on can set; the defaults are those of the published system."""

    num_inference_steps: int | None = option(
        None,
        "Denoising steps; the checkpoint's own number (30 for the published) when not given.",
        flag="steps",
        minimum=1,
        maximum=1000,
    )
    guidance_scale: float | None = option(
        None,
        "Classifier-free guidance, 1 turns it off; the checkpoint's own (2.0 for the published) when not given.",
        flag="guidance",
        minimum=1.0,
        maximum=30.0,
    )
    quality: Quality = option(
        "best",
        "best: as published; balanced and fast: fewer steps and less in each, an approximation that the result names.",
    )
    image_prompt_scale: float = option(
        1.0, "Weight of the garment's image prompt (IP-Adapter).", minimum=0.0, maximum=5.0
    )
    scheduler: SchedulerName | None = option(None, "Sampler; the checkpoint's own when not given.")
    seed: int | None = option(
        None, "Seed of every random draw; drawn and reported when not given.", minimum=0, maximum=2**32 - 1
    )
    negative_prompt: str = option(NEGATIVE_PROMPT, "What the picture should not look like.")
    height: int | None = option(
        None, "Working height; the checkpoint's own when not given.", minimum=8, maximum=8192, unit="pixels"
    )
    width: int | None = option(
        None,
        "Working width; 3/4 of the checkpoint's height when not given.",
        minimum=8,
        maximum=8192,
        unit="pixels",
    )
    paste_back: bool = option(True, "Put the repainted region into the untouched photo, at the photo's own size.")
    keep: KeepChoice = option(
        "auto",
        "Which pixels of the photo stay when pasting back; auto: all that need not change, if labels are known and "
        "nobody drew the mask; mask: those outside the mask.",
    )
    feather: int | None = option(
        None,
        "Width of the soft edge around the mask when pasting back; 1/128 of the working height when not given.",
        minimum=0,
        maximum=256,
        unit="pixels at working size",
    )
    mask_threshold: int | None = option(
        None,
        "Make a grey mask binary: values from this on are repainted.",
        minimum=1,
        maximum=255,
        unit="8-bit value",
    )
    garment_timestep: int | None = option(
        None,
        "Feed GarmentNet this one timestep instead of the checkpoint's policy: the garment is then computed "
        "once for all steps. With the published weights this is an approximation.",
        minimum=0,
        maximum=999,
    )

    @property
    def is_guided(self) -> bool:
        """Whether classifier-free guidance is on."""
        return (self.guidance_scale or 1.0) > 1.0

    def at(self, height: int, width: int, num_inference_steps: int, guidance_scale: float) -> Self:
        """With the working size, in pixels, what follows from it, and the checkpoint's steps and guidance filled in."""
        defaults = {
            "feather": round(height * _FEATHER_SHARE),
            "num_inference_steps": num_inference_steps,
            "guidance_scale": guidance_scale,
        }
        missing: dict[str, Any] = {name: value for name, value in defaults.items() if getattr(self, name) is None}
        return dataclasses.replace(self, height=height, width=width, **missing)


@dataclass(frozen=True, slots=True)
class BackendOptions(Options):
    """Which networks read a photo."""

    backend: BackendSet = option(
        "auto",
        "embedded: networks that come with the library; published: OpenPose, SCHP and DensePose; auto: published "
        "if the model is a published one and their files are on this machine, else embedded.",
    )
    pose_backend: str = option("auto", "The backend that finds people and their joints.", flag="pose")
    outline_backend: str = option("auto", "The backend that outlines the person.", flag="outline")
    labels_backend: str = option("auto", "The backend that labels clothes and skin.", flag="labels")
    body_backend: str = option("auto", "The backend that labels the parts of the body.", flag="body")
    segmenter: str | None = option(
        None, "A segmentation network for the labels: an .onnx file, or a folder as transformers saves it."
    )


@dataclass(frozen=True, slots=True)
class PrepareOptions(BackendOptions):
    """How a photo is prepared for a try-on."""

    category: CategoryChoice = option(
        "auto",
        "What is exchanged; auto: by the garment's picture, and upper where the photo shows no legs.",
        aliases=CATEGORY_WORDS,
    )
    person_number: int = option(
        1, "Which person of the photo, counted from the largest.", flag="person", minimum=1, maximum=99
    )
    garment_number: int | None = option(
        None,
        "Which garment of the garment photo, where it shows several, counted from the left; the first of the largest "
        "when not given.",
        minimum=1,
        maximum=99,
    )
    mask_grow: int = option(
        0, "Grow the mask by this, or shrink it if negative.", minimum=-256, maximum=256, unit="pixels of person.png"
    )
    mask_feather: int = option(
        0,
        "Width of the soft edge of mask.png, centred on the outline; a try-on repaints values from 128 on.",
        minimum=0,
        maximum=256,
        unit="pixels of person.png",
    )
    mask_shape: MaskShape = option(
        "outline", "outline: follows body and clothes; box: the rectangle around that, for garments of another cut."
    )
    keep_hands: bool = option(True, "Leave the hands out of the mask.")
    cover_old_garment: bool = option(
        True, "Also cover what the parser left out beside the old garment: hems of long shirts, wide sleeves."
    )
    arm_width: int | None = option(
        None,
        "Width of the arm strokes in the mask; 45 for people seen to the feet, else 60, when not given.",
        minimum=1,
        maximum=256,
        unit="pixels of a picture 512 high",
    )
    as_published: bool = option(
        False, "Make mask and body map as the published demo does, its faults included, at 1024x768."
    )
    demo_crop: bool = option(
        False, "With --as-published: use the largest 3:4 part in the photo's middle, as the demo's crop option does."
    )


@dataclass(frozen=True, slots=True)
class JobOptions(Options):
    """What is asked for of one person and one garment."""

    caption: str | None = option(
        None, 'What the garment is, such as "short sleeve round neck t-shirts"; proposed when not given.'
    )
    num_images: int = option(1, "Number of pictures of the pair; each has the next seed.", minimum=1, maximum=64)


@dataclass(frozen=True, slots=True)
class ModelOptions(Options):
    """Which weights are loaded, and where to."""

    model: str = option(
        "mini", "A checkpoint folder, or a name from `idmvton weights list`; mini comes with the library."
    )
    device: str = option("auto", "auto, cpu, cuda, cuda:N or mps.")
    dtype: DTypeName = option("auto", "Precision of the networks; auto: float32 on CPU, half precision on GPUs.")
    memory: MemoryMode = option(
        "auto",
        "What lies on a GPU. fast: everything; balanced: both UNets, in 8 bits (8 GB); low: one network at a time, in "
        "8 bits (5 GB); auto: the fastest that fits into what is free.",
    )
    cpu_offload: bool = option(False, "Keep each network on the CPU until it is needed (less GPU memory).")
    variant: str | None = option(
        None, "Part of the weight files' names, such as fp16; the only one there is when not given."
    )
    threads: int | None = option(
        None, "CPU threads of the networks; one per core when not given.", minimum=1, maximum=1024
    )


@dataclass(frozen=True, slots=True)
class ServiceOptions(Options):
    """How the service works: lanes, queue, what it keeps, and its limits."""

    state: str = option("idmvton-state", "Folder of the journal, and of the pictures unless --store says otherwise.")
    database: str | None = option(
        None, "postgresql://...: the journal of several servers that share one queue; SQLite in --state when not given."
    )
    store: str | None = option(
        None, "Where pictures are: a folder, or a URL such as s3://bucket/place; a folder in --state when not given."
    )
    lanes: int = option(1, "Processes, each with the model loaded once; a GPU has one.", minimum=1, maximum=64)
    warm_up: bool = option(True, "Make a picture before the first order, which would else be slow.")
    adapters: str | None = option(None, "Folder of adapters that orders may name.")
    queue: int = option(1000, "Jobs that may wait.", minimum=1, maximum=1_000_000)
    queue_of_caller: int = option(500, "Jobs of one caller that may wait.", minimum=1, maximum=1_000_000)
    run_length: int = option(
        8, "Jobs in a row that a lane may prefer because they share a garment or person.", minimum=1, maximum=1000
    )
    retention: float = option(
        24.0, "A finished job and its pictures are deleted after this.", minimum=0.0, maximum=87600.0, unit="hours"
    )
    job_timeout: float = option(
        600.0, "A job that runs for longer is given up.", minimum=1.0, maximum=86400.0, unit="seconds"
    )
    lane_memory: float | None = option(
        None,
        "A lane that takes more is replaced; an equal share of 90 % of the machine when not given.",
        minimum=0.1,
        maximum=4096.0,
        unit="GiB",
    )
    max_images: int = option(8, "Pictures of one order.", minimum=1, maximum=64)
    max_steps: int = option(100, "Denoising steps of one order.", minimum=1, maximum=1000)
    max_side: int = option(1536, "Working height and width of one order.", minimum=8, maximum=8192, unit="pixels")
