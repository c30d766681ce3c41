"""A result as a command, as Python and as a request, each of which makes the same picture."""

from __future__ import annotations

import dataclasses
import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from idmvton.options import JobOptions, ModelOptions, Option, PrepareOptions, TryOnOptions, describe

MASK = "mask.png"


@dataclass(frozen=True, slots=True)
class Recipe:
    """What made a picture.

    Attributes:
        person, garment: names of the visitor's files.
        model: name of the model.
        options: those that differ from their defaults, and the seed; see :func:`changed`.
        has_mask: whether the visitor corrected the mask.
        adapter: name of the adapter, if one was on.
    """

    person: str
    garment: str
    model: str
    options: Mapping[str, Any]
    has_mask: bool = False
    adapter: str | None = None

    def one(self, seed: int) -> Recipe:
        """That of one picture of several."""
        options = {name: value for name, value in self.options.items() if name != "num_images"}
        return dataclasses.replace(self, options=options | {"seed": seed})


def changed(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that are not at their defaults."""
    known = {each.name: each for kind in (JobOptions, TryOnOptions, PrepareOptions) for each in describe(kind)}
    return {name: value for name, value in options.items() if value != known[name].default}


def as_command(recipe: Recipe) -> str:
    """A line for a shell, run in the folder of the files."""
    words = ["idmvton", "try-on", recipe.person, recipe.garment, "-o", "out.png"]
    if recipe.model != ModelOptions().model:
        words += ["--model", recipe.model]
    if recipe.has_mask:
        words += ["--mask", MASK]
    if recipe.adapter is not None:
        words += ["--adapter", recipe.adapter]
    for each in (one for kind in (JobOptions, TryOnOptions, PrepareOptions) for one in describe(kind)):
        if each.name in recipe.options:
            words += _flag(each, recipe.options[each.name])
    return shlex.join(words)


def _flag(option: Option, value: Any) -> list[str]:
    if option.type is bool:
        return [f"--{option.flag}" if value else f"--no-{option.flag}"]
    return [f"--{option.flag}", str(value)]


def as_python(recipe: Recipe) -> str:
    """A script, run in the folder of the files."""
    prepare: dict[str, Any] = {}
    call: dict[str, Any] = {}
    for name, value in recipe.options.items():
        (prepare if name in {each.name for each in describe(PrepareOptions)} else call)[name] = value
    if recipe.has_mask:
        prepare["mask"] = MASK
    adapter = [] if recipe.adapter is None else [f"pipe.load_adapter({recipe.adapter!r})"]
    lines = [
        "from idmvton import TryOnPipeline, prepare",
        "",
        f"pipe = TryOnPipeline.from_pretrained({recipe.model!r})",
        *adapter,
        f"prepared = prepare({_arguments(recipe.person, recipe.garment, **prepare)})",
        f"result = pipe(person=prepared, garment=prepared.garment, {_keywords(call)})",
        'result.images[0].save("out.png")',
    ]
    return "\n".join(lines) + "\n"


def as_curl(recipe: Recipe, address: str = "http://127.0.0.1:8000") -> str:
    """A request to ``idmvton serve``, run in the folder of the files."""
    lines = [
        f"curl -H 'Accept: image/png' -o out.png {address}/v1/try-ons",
        f"-F {shlex.quote('person=@' + recipe.person)}",
        f"-F {shlex.quote('garment=@' + recipe.garment)}",
    ]
    if recipe.has_mask:
        lines.append(f"-F mask=@{MASK}")
    if recipe.adapter is not None:
        lines.append(f"-F {shlex.quote('adapter=' + recipe.adapter)}")
    lines.append("-F " + shlex.quote("options=" + json.dumps(dict(recipe.options), ensure_ascii=False)))
    return " \\\n  ".join(lines) + "\n"


def _arguments(*places: str, **keywords: Any) -> str:
    plain = ", ".join(map(repr, places))
    return f"{plain}, {_keywords(keywords)}" if keywords else plain


def _keywords(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in values.items())
