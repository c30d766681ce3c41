"""Draws the overlays of a folder of photos on one sheet, to judge preparation by looking.

    python tools/prepare_sheet.py PHOTOS -o sheet.png [--category upper] [--columns 6]

Photos that cannot be prepared are shown with the reason. The sheet of other people's photos is not for the repository.
"""

from __future__ import annotations

import argparse
import textwrap
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from idmvton.errors import InputError, PreparationError
from idmvton.images import load_image
from idmvton.images.files import list_pictures
from idmvton.options import PrepareOptions
from idmvton.prepare.preparer import Preparer, preparer_for

TILE = (480, 720)  # height, width: overlay and body map side by side
LINE = 16


def main() -> None:
    """Runs the command line."""
    arguments = _arguments()
    options = PrepareOptions(category=arguments.category)
    preparer = preparer_for(options)
    tiles, failed = [], 0
    for photo in list_pictures(arguments.folder):
        start = time.perf_counter()
        picture, lines, is_good = _prepare(preparer, photo, options)
        failed += not is_good
        print(f"{photo.name}: {time.perf_counter() - start:.2f} s: {'; '.join(lines)}", flush=True)
        tiles.append(_tile(picture, [photo.name, *lines], is_good))
    rows = -(-len(tiles) // arguments.columns)
    sheet = Image.new("RGB", (arguments.columns * TILE[1], rows * (TILE[0] + 4 * LINE)), (255, 255, 255))
    for number, tile in enumerate(tiles):
        row, column = divmod(number, arguments.columns)
        sheet.paste(tile, (column * TILE[1], row * (TILE[0] + 4 * LINE)))
    sheet.save(arguments.output)
    print(f"{arguments.output}: {len(tiles)} photos, {failed} failed")


def _prepare(preparer: Preparer, photo: Path, options: PrepareOptions) -> tuple[Image.Image, list[str], bool]:
    try:
        prepared = preparer(photo, options=options)
    except (InputError, PreparationError) as error:
        try:
            picture = load_image(photo)
        except InputError:
            picture = Image.new("RGB", (300, 400), (128, 128, 128))
        return picture, [f"{type(error).__name__}: {error.what}", str(error.got or "")], False
    overlay, body = prepared.overlay(), prepared.densepose
    both = np.concatenate([np.asarray(overlay), np.asarray(body)], 1)
    return Image.fromarray(both), [prepared.category, *prepared.warnings], True


def _tile(picture: Image.Image, lines: list[str], is_good: bool) -> Image.Image:
    tile = Image.new("RGB", (TILE[1], TILE[0] + 4 * LINE), (255, 255, 255))
    shown = picture.copy()
    shown.thumbnail((TILE[1], TILE[0]), Image.Resampling.LANCZOS)
    tile.paste(shown, ((TILE[1] - shown.width) // 2, 4 * LINE))
    draw, font = ImageDraw.Draw(tile), ImageFont.load_default(12)
    text = [part for line in lines for part in textwrap.wrap(line, 66)]
    for number, line in enumerate(text[:4]):
        draw.text((4, number * LINE), line, fill=(0, 0, 0) if is_good else (190, 0, 0), font=font)
    return tile


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="with the photos")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the PNG to write")
    parser.add_argument("--category", default="auto", help="auto, upper, lower or dress")
    parser.add_argument("--columns", type=int, default=6, help="tiles in a row")
    return parser.parse_args()


if __name__ == "__main__":
    main()
