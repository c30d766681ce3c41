"""The worst samples of a check as one picture."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image, ImageDraw

from idmvton.atomic import whole_file
from idmvton.data.check import CheckReport, Finding
from idmvton.data.file_dataset import SampleFiles
from idmvton.errors import InputError
from idmvton.images import check_output_path
from idmvton.images.framing import BLACK, WHITE, Framing
from idmvton.prepare.reading import read_densepose, read_photo
from idmvton.types import Size

_TILE: Final = Size(192, 144)
_TEXT_HEIGHT: Final = 44
_GROUND: Final = (225, 225, 225)
_TITLE_LENGTH, _DETAIL_LENGTH = 60, 95


def draw_sheet(report: CheckReport, output: Path | str, *, rows: int = 12) -> Path:
    """Draws the samples with the most findings: person, garment, mask, body map, and what is wrong.

    Args:
        report: with findings about samples.
        output: PNG to write.
        rows: how many samples at most.

    Raises:
        InputError: no findings about samples, or a file that cannot be written.
    """
    check_output_path(output)
    worst = report.worst(rows)
    if not worst:
        raise InputError("there is nothing wrong to draw", got=f"{len(report.files)} good samples")
    strips = [_strip(files, findings) for files, findings in worst]
    sheet = Image.fromarray(np.concatenate([np.asarray(strip) for strip in strips]))
    with whole_file(Path(output)) as file:
        sheet.save(file, "PNG")
    return Path(output)


def _strip(files: SampleFiles, findings: list[Finding]) -> Image.Image:
    tiles = [_tile(path) for path in (files.person, files.garment, files.mask)]
    tiles.append(_tile(files.densepose, is_parts=files.densepose_is_parts))
    strip = Image.new("RGB", (_TILE.width * len(tiles), _TILE.height + _TEXT_HEIGHT), WHITE)
    for column, tile in enumerate(tiles):
        strip.paste(tile, (column * _TILE.width, _TEXT_HEIGHT))
    draw = ImageDraw.Draw(strip)
    problems = ", ".join(dict.fromkeys(finding.problem for finding in findings))
    lines = (f"{files.name}: {problems}"[:_TITLE_LENGTH], findings[0].detail.replace("\n", " ")[:_DETAIL_LENGTH])
    for number, line in enumerate(lines):
        draw.text((6, 6 + 18 * number), line, fill=BLACK)
    return strip


def _tile(path: Path, *, is_parts: bool = False) -> Image.Image:
    """A picture as it lies there, grey where there is none."""
    try:
        picture = read_densepose(path, is_parts=True) if is_parts else read_photo(path, "picture")
    except InputError:
        return Image.new("RGB", (_TILE.width, _TILE.height), _GROUND)
    framing = Framing.fit(Size(picture.height, picture.width), _TILE)
    return framing.apply(picture, resample="photo", fill=_GROUND)
