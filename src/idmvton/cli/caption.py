"""``idmvton caption``: describe garments in the words that the prompts use."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from idmvton.cli.shared import err, out, print_json, reports_errors
from idmvton.errors import InputError
from idmvton.types import Category

if TYPE_CHECKING:
    from PIL import Image

    from idmvton.captions.captioner import Proposal
    from idmvton.prepare.garment_words import GarmentWords


@reports_errors
def caption(
    garments: Annotated[list[Path], typer.Argument(help="Pictures of garments, or folders of them.")],
    model: Annotated[
        str,
        typer.Option(help="mini: the embedded network; else a CLIP, or a checkpoint with a matching pair of encoders."),
    ] = "mini",
    category: Annotated[
        Category | None,
        typer.Option(help="Only items of this part of the body.", show_default=False),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Also write names and captions to this .json or .txt file."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON, and nothing else.")] = False,
) -> None:
    """Propose captions for garments, with the confidence of each word."""
    from idmvton.images import load_image

    if output is not None and output.suffix not in (".json", ".txt"):
        raise InputError("captions are written as JSON or text", got=output, expected="a name in .json or .txt")
    pictures = _pictures(garments)
    with err.status("loading the encoders"):
        describe = _describer(model, category)
    proposals = {path: describe(load_image(path, what="garment")) for path in pictures}
    if output is not None:
        _write(output, {path.name: each.caption for path, each in proposals.items()})
    if as_json:
        print_json({str(path): {"caption": each.caption, **each.words} for path, each in proposals.items()})
        return
    table = Table("garment", "caption", "confidence", box=None, header_style="bold")
    for path, each in proposals.items():
        sure = ", ".join(f"{word} {confidence:.0%}" for word, confidence in each.words.values())
        table.add_row(path.name, each.caption, sure)
    out.print(table)


def _describer(model: str, category: Category | None) -> Callable[[Image.Image], Proposal | GarmentWords]:
    """What describes: the embedded network for the embedded checkpoint, else a CLIP."""
    if model == "mini":
        from idmvton.prepare.garment_words import garment_words

        return functools.partial(garment_words, category=category)
    from idmvton.captions.captioner import Captioner

    return functools.partial(Captioner.from_pretrained(model), category=category)


def _pictures(places: list[Path]) -> list[Path]:
    """The pictures named, and those in the folders named."""
    from idmvton.images.files import list_pictures

    found = []
    for place in places:
        if not place.exists():
            raise InputError("there is no such picture or folder", got=place, expected="pictures of garments")
        found += list_pictures(place) if place.is_dir() else [place]
    return found


def _write(path: Path, captions: dict[str, str]) -> None:
    """Writes name -> caption; as text, the way that DressCode's caption files have it."""
    from idmvton.atomic import whole_file

    lines = "".join(f"{name} {text}\n" for name, text in captions.items())
    with whole_file(path) as file:
        file.write((json.dumps(captions, indent=2) + "\n" if path.suffix == ".json" else lines).encode())
