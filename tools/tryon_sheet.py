"""A contact sheet of what `idmvton try-on PEOPLE GARMENTS -o OUT` made: a row a person, a column a garment.

    python tools/tryon_sheet.py PEOPLE GARMENTS OUT -o sheet.jpg

Pairs that failed stay white.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image, ImageOps

from idmvton.engine.pairs import all_pairs, names_of

_TILE = (168, 224)
_WHITE = (255, 255, 255)


def tile(path: Path) -> Image.Image:
    """The picture, letterboxed on white; white where there is none."""
    if not path.exists():
        return Image.new("RGB", _TILE, _WHITE)
    with Image.open(path) as picture:
        return ImageOps.pad(ImageOps.exif_transpose(picture).convert("RGB"), _TILE, color=_WHITE)


def main() -> None:
    """Reads the arguments and draws."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("people", type=Path)
    parser.add_argument("garments", type=Path)
    parser.add_argument("made", type=Path)
    parser.add_argument("--output", "-o", type=Path, required=True)
    arguments = parser.parse_args()
    names = names_of(all_pairs(arguments.people, arguments.garments))
    people, garments = (list(dict.fromkeys(each)) for each in zip(*names, strict=True))
    width, height = _TILE
    sheet = Image.new("RGB", (width * (len(garments) + 1), height * (len(people) + 1)), _WHITE)
    for column, garment in enumerate(garments, 1):
        sheet.paste(tile(garment), (column * width, 0))
    for row, person in enumerate(people, 1):
        sheet.paste(tile(person), (0, row * height))
        for column, garment in enumerate(garments, 1):
            sheet.paste(tile(arguments.made / names[person, garment]), (column * width, row * height))
    sheet.save(arguments.output)


if __name__ == "__main__":
    main()
