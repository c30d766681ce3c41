"""Recipes: TOML files -> typed options, section by section; unknown names are errors. Loads no torch."""

from __future__ import annotations

import difflib
import json
import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from idmvton.data.augment_options import AugmentOptions
from idmvton.errors import ConfigError
from idmvton.options import Options, describe
from idmvton.training import sections
from idmvton.training.mini import stage_sections as mini

Section = TypeVar("Section", bound=Options)

_COMMON: Final[dict[str, type[Options]]] = {
    "train": sections.TrainOptions,
    "optimizer": sections.OptimizerOptions,
    "data": sections.DataOptions,
    "augment": AugmentOptions,
    "validation": sections.ValidationOptions,
    "log": sections.LogOptions,
}
_OF_TASK: Final[dict[str, dict[str, type[Options]]]] = {"tryon": sections.TRYON_SECTIONS, **mini.SECTIONS}


@dataclass(frozen=True)
class Recipe:
    """A training, completely described.

    Attributes:
        name: of the file.
        task: which task.
        sections: section name -> its options; every section that the task has is there.
    """

    name: str
    task: sections.TaskName
    sections: Mapping[str, Options]

    def section(self, kind: type[Section]) -> Section:
        """The section of a kind."""
        return next(each for each in self.sections.values() if isinstance(each, kind))

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values, ready for JSON."""
        return {"task": self.task} | {name: section.to_dict() for name, section in self.sections.items()}


def make_recipe(values: Mapping[str, Any], name: str = "recipe") -> Recipe:
    """Options from the values of a TOML file.

    Raises:
        ConfigError: an unknown section or name (the nearest known one is named), or a value out of range.
    """
    top = {key: value for key, value in values.items() if not isinstance(value, Mapping)}
    task = top.get("task", sections.RunOptions().task)
    known = _COMMON | _OF_TASK.get(str(task), {})
    for key in top:
        homes = [f"{section}.{key}" for section, kind in known.items() if key in {each.name for each in describe(kind)}]
        if homes and key not in {each.name for each in describe(sections.RunOptions)}:
            raise ConfigError(
                f"{key} is not at the top of a recipe",
                got=repr(top[key]),
                expected=" or ".join(homes),
                fix=f"--set {homes[0]}={top[key]}",
            )
    run = _section("the top of the recipe", sections.RunOptions, top)
    for key in values:
        if key not in known and key not in top:
            raise ConfigError(f"unknown section [{key}]", got=f"task {run.task!r}", expected=_nearest(key, list(known)))
    options = {key: _section(f"[{key}]", kind, values.get(key, {})) for key, kind in known.items()}
    return Recipe(name, run.task, options)


def load_recipe(name: str | os.PathLike[str], changes: Sequence[str] = ()) -> Recipe:
    """Reads a recipe.

    Args:
        name: a TOML file, or the name of a recipe that is part of this project, such as ``tiny_cpu``.
        changes: ``section.name=value``, the values as in TOML; text needs no quotes.

    Raises:
        ConfigError: no such recipe, not TOML, an unknown name, or a value out of range.
    """
    path = find_recipe(name)
    try:
        values: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError("the recipe cannot be read", got=f"{path}: {error}", expected="a TOML file") from error
    for change in changes:
        _apply(values, change)
    return make_recipe(values, path.stem)


def find_recipe(name: str | os.PathLike[str]) -> Path:
    """The file of a recipe.

    Raises:
        ConfigError: neither a file nor the name of a recipe of this project.
    """
    given = Path(name)
    if given.is_file():
        return given
    found = {path.stem: path for path in sorted(recipe_folder().rglob("*.toml"))}
    if given.name in found and given == Path(given.name):
        return found[given.name]
    raise ConfigError(
        "there is no such recipe", got=repr(str(name)), expected=f"a TOML file, or one of {', '.join(found)}"
    )


def recipe_folder() -> Path:
    """Where the recipes of this project lie, in the package or the checkout; those of mini a folder deeper."""
    packaged = Path(__file__).parent / "recipes"
    return packaged if packaged.is_dir() else Path(__file__).parents[3] / "recipes"


def _section(where: str, kind: type[Section], values: Any) -> Section:
    if not isinstance(values, Mapping):
        raise ConfigError(f"{where} is not a section", got=repr(values), expected="names and values")
    try:
        return kind.from_mapping(values)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error.what}", got=error.got, expected=error.expected, fix=error.fix) from error


def _apply(values: dict[str, Any], change: str) -> None:
    """Puts one ``section.name=value`` into the values."""
    key, equals, text = change.partition("=")
    if not equals or not key.strip():
        raise ConfigError("a change cannot be read", got=repr(change), expected="section.name=value")
    *path, last = key.strip().split(".")
    for name in path:
        values = values.setdefault(name, {})
        if not isinstance(values, dict):
            raise ConfigError("a change names no section", got=repr(change), expected="section.name=value")
    try:
        values[last] = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        values[last] = tomllib.loads(f"value = {json.dumps(text.strip())}")["value"]


def _nearest(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"[{near[0]}]?" if near else "one of " + ", ".join(known)
