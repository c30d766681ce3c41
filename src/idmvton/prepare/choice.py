"""Which backends a preparation uses: one set for all signals, and whatever is chosen for one of them."""

from __future__ import annotations

import dataclasses
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Final, TypeVar

from idmvton import weights
from idmvton.errors import ConfigError, WeightsError
from idmvton.options import BackendOptions, PrepareOptions, describe
from idmvton.weights.catalogue import CATALOGUE

AUTO: Final = "auto"
SEGMENTER: Final = "segmenter"
"""The labels backend whose network the option of this name gives."""
SETS: Final[Mapping[str, Mapping[str, str]]] = {
    "embedded": {
        "pose_backend": "blazepose",
        "outline_backend": "edges",
        "labels_backend": "studio-net",
        "body_backend": "studio-net",
    },
    "published": {
        "pose_backend": "openpose",
        "outline_backend": "schp",
        "labels_backend": "schp",
        "body_backend": "densepose",
    },
}
"""Set -> option -> backend."""
FILES: Final[Mapping[str, tuple[str, ...]]] = {
    "openpose": ("openpose-body",),
    "schp": ("schp-atr", "schp-lip"),
    "densepose": ("densepose-r50",),
}
"""Published backend -> what it needs, by catalogue name."""
PUBLISHED_FILES: Final = tuple(entry for entries in FILES.values() for entry in entries)
_ALL_FILES: Final = "preparation-published"
_ONNX: Final = "onnxruntime"


Choices = TypeVar("Choices", bound=BackendOptions)


def resolve(options: Choices) -> Choices:
    """The options with every backend named.

    Raises:
        ConfigError: choices that contradict each other.
    """
    is_demo = isinstance(options, PrepareOptions) and options.as_published
    chosen = options.backend
    if chosen == AUTO:
        chosen = "published" if is_demo else "embedded"
    names = {name: value for name, value in SETS[chosen].items() if getattr(options, name) == AUTO}
    if options.segmenter is not None and "labels_backend" in names:
        names["labels_backend"] = SEGMENTER
    resolved = dataclasses.replace(options, backend=chosen, **names)
    _check_segmenter(resolved)
    if isinstance(resolved, PrepareOptions):
        _check_demo(resolved)
    return resolved


def for_model(options: PrepareOptions, model: str | Path) -> tuple[PrepareOptions, tuple[str, ...]]:
    """The options for a try-on with a model: published weights get the published backends where they are here.

    Args:
        options: as the user set them; those with a set are left alone.
        model: a catalogue name, a hub id or a folder.

    Returns:
        The options, and what the user should know.
    """
    if options.backend != AUTO or not _is_published(model):
        return options, ()
    why_not = _why_not()
    if why_not is None:
        return dataclasses.replace(options, backend="published"), ()
    return options, (
        f"{model} was trained on masks and body maps of the published preparation, but {why_not}: the embedded "
        "backends are used",
    )


def check_files(options: BackendOptions) -> None:
    """Makes sure that all files of the published set are here, if it is chosen; one message names all missing ones.

    Args:
        options: with every backend named.

    Raises:
        WeightsError: files are missing; the message holds the command that fetches them.
    """
    if options.backend != "published":
        return
    used = {getattr(options, name) for name in SETS["embedded"]}
    wanted = [entry for backend, entries in FILES.items() if backend in used for entry in entries]
    missing = [entry for entry in wanted if not weights.status(entry).present]
    if missing:
        raise WeightsError(
            "files of the published preparation are missing on this machine",
            got=f"without {', '.join(missing)}",
            fix=f"run `{CATALOGUE[_ALL_FILES].get_command}`",
        )


def _is_published(model: str | Path) -> bool:
    """Whether a model is a published checkpoint, by its name."""
    if isinstance(model, Path) or (Path(model).is_dir() and not weights.is_name(model)):
        return False
    names = {entry.name for entry in CATALOGUE.values() if entry.kind == "checkpoint" and not entry.embedded}
    repos = {CATALOGUE[name].repo.lower() for name in names}
    return model in names or model.lower() in repos


def _why_not() -> str | None:
    """What prevents the published set; ``None`` where it is here."""
    try:
        missing = [name for name in PUBLISHED_FILES if not weights.status(name).present]
    except WeightsError as error:
        return f"these cannot be read ({error.what})"
    if missing:
        return f"{', '.join(missing)} are not here (get them: {CATALOGUE[_ALL_FILES].get_command})"
    if importlib.util.find_spec(_ONNX) is None:
        return "onnxruntime is not installed (pip install 'idmvton[published]')"
    return None


def _check_segmenter(options: BackendOptions) -> None:
    is_chosen, is_given = options.labels_backend == SEGMENTER, options.segmenter is not None
    if is_chosen != is_given:
        raise ConfigError(
            "the segmenter for the labels is not clear",
            got=f"--labels {options.labels_backend}" + (f" --segmenter {options.segmenter}" if is_given else ""),
            expected=f"--segmenter PATH, alone or with --labels {SEGMENTER}",
        )


def _check_demo(options: PrepareOptions) -> None:
    if options.demo_crop and not options.as_published:
        raise ConfigError("--demo-crop does nothing alone", fix="give --as-published too, or leave it out")
    if not options.as_published:
        return
    wanted = SETS["published"]
    others = [name for name in wanted if getattr(options, name) != wanted[name] and name != "outline_backend"]
    if others:
        raise ConfigError(
            "--as-published needs the published backends",
            got=", ".join(f"--{name.removesuffix('_backend')} {getattr(options, name)}" for name in others),
            fix="leave these out, or --as-published",
        )
    ours = ("person_number", "mask_grow", "mask_shape", "keep_hands", "cover_old_garment")
    changed = [
        each.flag
        for each in describe(PrepareOptions)
        if each.name in ours and getattr(options, each.name) != each.default
    ]
    if changed:
        raise ConfigError(
            "options are set that the published demo does not have",
            got=", ".join(f"--{flag}" for flag in changed),
            fix="leave them out, or --as-published",
        )
