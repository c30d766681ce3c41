"""Results as PNG files that carry how they were made."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image, PngImagePlugin

from idmvton.atomic import check_name, whole_file
from idmvton.errors import InputError
from idmvton.images.files import open_picture

PROVENANCE_KEY = "idmvton"


def check_output_path(
    path: str | os.PathLike[str], inputs: Sequence[str | os.PathLike[str]] = (), *, overwrite: bool = False
) -> None:
    """Makes sure, before the expensive work, that a PNG can be written to ``path``; leaves nothing behind.

    Args:
        path: where to.
        inputs: files that are read.
        overwrite: whether a file may be lost that is not a result of this library.

    Raises:
        InputError: not a ``.png`` name, a folder, in a folder that is missing or cannot be written, or in the place
            of one of the inputs, a link, or a file that this library did not write.
    """
    path = Path(path)
    check_name(path, "output")
    if path.is_dir():
        raise InputError("the output path is a folder", got=path, expected="a file name", fix="add result.png")
    if path.suffix.lower() != ".png":
        raise InputError(
            "results are written as PNG only",
            got=path,
            expected="a name that ends in .png",
            fix=_png_names(path),
        )
    if not path.parent.is_dir():
        missing = not path.parent.exists()
        raise InputError(
            "the output folder " + ("does not exist" if missing else "is not a folder"),
            got=path.parent,
            expected="an existing folder",
            fix=f"mkdir -p '{path.parent}'" if missing else "choose another folder",
        )
    if not overwrite:
        refuse_loss(path, inputs)
    temporary = _temporary_name(path)
    try:
        temporary.open("xb").close()
        temporary.unlink()
    except OSError as error:
        raise _cannot_write(path, error) from error


def _png_names(path: Path) -> str:
    names = f"write to {path.with_suffix('.png') if path.name else 'result.png'}"
    return (
        names if path.suffix else f"{names}, or make the folder: mkdir -p '{path}', and write to {path / 'result.png'}"
    )


def refuse_loss(path: Path, inputs: Sequence[str | os.PathLike[str]] = ()) -> None:
    """Makes sure that a result does not replace one of the inputs, a link, or a file that is no result.

    Raises:
        InputError: it would.
    """
    if path.is_symlink():
        kind = f"a link to {path.resolve()}"
    elif not path.exists():
        return
    elif any(Path(each).exists() and path.samefile(each) for each in inputs):
        kind = "a photo or map that is read"
    elif not is_result(path):
        kind = "a file that is no result of idmvton"
    else:
        return
    raise InputError(
        "the output would replace something else",
        got=f"{path}, {kind}",
        expected="a new name, or that of an older result",
        fix="choose another name, or --overwrite",
    )


def is_result(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a picture that says how this library made it."""
    try:
        return bool(read_provenance(path))
    except InputError:
        return False


def save_png(image: Image.Image, path: str | os.PathLike[str], provenance: Mapping[str, Any]) -> None:
    """Writes a lossless PNG that carries how it was made; the file appears complete or not at all.

    Args:
        image: PIL picture.
        path: where to; an existing file is replaced.
        provenance: plain values, stored as JSON under the PNG text key ``idmvton``; a value that JSON does
            not know is stored as its text.

    Raises:
        InputError: the file cannot be written.
    """
    path = Path(path)
    text = PngImagePlugin.PngInfo()
    text.add_itxt(PROVENANCE_KEY, json.dumps(dict(provenance), default=str))
    with whole_file(path, "the result", make_parents=False) as file:
        image.save(file, "PNG", pnginfo=text)


def read_provenance(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Reads back what :func:`save_png` stored.

    Raises:
        InputError: not a picture, or one without provenance.
    """
    with open_picture(Path(path), "result") as image:
        text = image.info.get(PROVENANCE_KEY)
    try:
        found = json.loads(text) if isinstance(text, str) else None
    except json.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise InputError(
            "the picture does not say how it was made",
            got=path,
            expected=f"a PNG written by this library (text key {PROVENANCE_KEY!r})",
            fix="use the original file: editors and messengers remove such notes",
        )
    return found


def _temporary_name(path: Path) -> Path:
    return path.parent / f".{PROVENANCE_KEY}-{secrets.token_hex(6)}.tmp"


def _cannot_write(path: Path, error: OSError) -> InputError:
    return InputError(
        "the result cannot be written",
        got=f"{path}: {error.strerror or error}",
        expected="a folder that takes new files",
        fix="choose another folder, or free space",
    )
