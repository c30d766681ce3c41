"""Picture files: opening, the limits that a header must keep, decoding, and naming what is no picture."""

from __future__ import annotations

import math
import threading
import warnings
from pathlib import Path
from typing import Final

from PIL import Image, UnidentifiedImageError

from idmvton.atomic import check_name
from idmvton.errors import InputError, MissingExtraError
from idmvton.types import Size

MAX_PIXELS: Final = 120_000_000
"""Largest telephones take 108 million; decoded, this is 360 MB."""
PICTURE_SUFFIXES: Final = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".webp", ".avif", ".heic", ".heif", ".jp2", ".j2k",
    ".bmp", ".tif", ".tiff", ".gif",
)  # fmt: skip
"""How the names of readable pictures end, in lower case; the one list for folders and data sets."""
MIN_SIDE = 16
MAX_ASPECT = 40  # long side / short side; beyond it a framed photo is thinner than the model can see
SAVE_AS = "save it as JPEG or PNG"

_ORIENTATION_TAG = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_KNOWN_HEADS = (  # offset, bytes (lower case), what it is, what to do
    (0, b"version https://git-lfs", "a git-lfs pointer, not the file itself", "run `git lfs pull`"),
    (0, b"<!doctype html", "an HTML page", "download the picture itself, not the page that shows it"),
    (0, b"<html", "an HTML page", "download the picture itself, not the page that shows it"),
    (0, b"%pdf", "a PDF document", SAVE_AS),
    (0, b"<svg", "an SVG drawing", SAVE_AS),
    (0, b"<?xml", "an XML document", SAVE_AS),
    (0, b"pk\x03\x04", "a zip archive", "unpack it and give the picture inside"),
    (4, b"ftypavif", "an AVIF picture that this Pillow cannot read", SAVE_AS),
    (4, b"ftyp", "a video", "export one frame as JPEG or PNG"),
)
_HEIC_HEADS: Final = (b"ftyphei", b"ftyphev", b"ftypmif1", b"ftypmsf1")  # from byte 4 on
_opening = threading.Lock()  # warning filters are process-wide: one header at a time


def list_pictures(folder: Path) -> list[Path]:
    """The pictures that lie in a folder, by name; hidden files and folders in it do not count.

    Raises:
        InputError: none.
    """
    found = sorted(
        path for path in folder.iterdir() if path.suffix.lower() in PICTURE_SUFFIXES and not path.name.startswith(".")
    )
    if not found:
        raise InputError(
            "the folder holds no pictures", got=folder, expected="files that end in " + ", ".join(PICTURE_SUFFIXES)
        )
    return found


def open_picture(path: Path, what: str) -> Image.Image:
    """Opens a file and checks the size that its header claims; nothing is decoded yet.

    Raises:
        InputError: no such file, no picture, or one of an impossible size.
        MissingExtraError: a HEIC photo, and pillow-heif is not installed.
    """
    check_name(path, f"{what} picture")
    _refuse_no_file(path, what)
    try:
        with _opening, warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = _open(path)
    except FileNotFoundError as error:
        is_url = str(path).startswith(("http:", "https:"))
        raise InputError(
            f"the {what} picture does not exist",
            got=_as_address(path) if is_url else path,
            expected="the path of a picture",
            fix="download it first" if is_url else f"check the path; relative ones start at {Path.cwd()}",
        ) from error
    except IsADirectoryError as error:
        raise InputError(
            f"the {what} picture is a folder", got=path, expected="one picture", fix="name a file in it"
        ) from error
    except Image.DecompressionBombError as error:
        raise _too_many_pixels(what, f"{path}: {error}") from error
    except (MemoryError, MissingExtraError):
        raise
    except Exception as error:
        raise _unreadable(path, what, error) from error
    try:
        if image.format in ("EPS", "WMF"):
            raise InputError(f"the {what} picture is a drawing", got=f"{path} ({image.format})", fix=SAVE_AS)
        check_dimensions(Size(image.height, image.width), what, str(path))
    except BaseException:
        image.close()
        raise
    return image


def _as_address(path: Path) -> str:
    """An address as it was written: as a path it lost a slash."""
    scheme, _, rest = str(path).partition(":")
    return f"{scheme}://{rest.lstrip('/')}"


def _refuse_no_file(path: Path, what: str) -> None:
    """Pipes and devices may never end."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise InputError(
            f"the {what} picture is not a file",
            got=f"{path}, a pipe or device",
            expected="a picture file",
            fix="write it to a file first",
        )


def _open(path: Path) -> Image.Image:
    """Pillow's open; HEIC photos through pillow-heif."""
    try:
        return Image.open(path)
    except UnidentifiedImageError:
        with path.open("rb") as file:
            head = file.read(12)
        if not head[4:].startswith(_HEIC_HEADS):
            raise
    try:
        import pillow_heif
    except ImportError as error:
        raise MissingExtraError(
            "HEIC photos need another package",
            got=path,
            expected="pillow-heif",
            fix="pip install 'idmvton[heic]', or save the photo as JPEG or PNG",
        ) from error
    pillow_heif.register_heif_opener()
    return Image.open(path)


def reduce(image: Image.Image, side: int) -> None:
    """Has a JPEG that is not decoded yet decoded at a half, a quarter or an eighth, as long as ``side`` is kept.

    Args:
        image: just opened; other formats are left as they are.
        side: pixels that the longer side shall have at least.
    """
    if image.format in ("JPEG", "MPO"):
        scale = side / max(image.size)
        if scale <= 0.5:
            image.draft(image.mode, (math.ceil(image.width * scale), math.ceil(image.height * scale)))


def decode(image: Image.Image, what: str, path: Path | None = None) -> Image.Image:
    """Decodes the whole picture and turns it upright."""
    decode_as_stored(image, what, path)
    turn = turn_of(image)
    return image.transpose(turn) if turn is not None else image


def decode_as_stored(image: Image.Image, what: str, path: Path | None = None) -> None:
    """Decodes the whole picture; it is not turned."""
    try:
        image.load()
        if path is not None and image.format in ("JPEG", "MPO") and not _jpeg_is_complete(path):
            raise OSError("the JPEG has no end marker")
    except MemoryError:
        raise
    except Exception as error:
        raise InputError(
            f"the {what} picture is damaged or truncated",
            got=f"{path or 'a PIL picture'}: {error}",
            expected="a complete picture",
            fix="copy or download the file again, or save it anew from a picture viewer",
        ) from error


def turn_of(image: Image.Image) -> Image.Transpose | None:
    """What turns a picture upright, by its EXIF orientation; ``None`` where nothing needs to."""
    try:
        return _TURNS.get(image.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:  # damaged EXIF does not make the pixels unusable
        return None


def check_dimensions(size: Size, what: str, origin: str) -> None:
    """Raises InputError for a picture that is too small, too large or too narrow."""
    height, width = size
    if min(size) < MIN_SIDE:
        raise InputError(
            f"the {what} picture is too small",
            got=f"{size}, {origin}",
            expected=f"at least {MIN_SIDE} pixels a side",
            fix="give a real photo",
        )
    if height * width > MAX_PIXELS:
        raise _too_many_pixels(what, f"{size}, {height * width:,} pixels, {origin}")
    if max(size) > MAX_ASPECT * min(size):
        raise InputError(
            f"the {what} picture is too narrow",
            got=f"{size}, {origin}",
            expected=f"a long side of at most {MAX_ASPECT} times the short side",
            fix="crop it",
        )


def _too_many_pixels(what: str, got: str) -> InputError:
    return InputError(
        f"the {what} picture has too many pixels",
        got=got,
        expected=f"at most {MAX_PIXELS:,} pixels (for example 12000 x 9000)",
        fix="make it smaller; the model works at about one million pixels",
    )


def _unreadable(path: Path, what: str, error: Exception) -> InputError:
    if isinstance(error, PermissionError):
        return InputError(
            f"the {what} picture may not be read",
            got=path,
            expected="a readable file",
            fix=f"chmod +r {path}",
        )
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except OSError:
        head = b""
    got, fix = f"{path}, which starts with {head[:16]!r}", SAVE_AS
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    for offset, known, kind, advice in _KNOWN_HEADS:
        if start[offset:].startswith(known):
            got, fix = f"{path}, which is {kind}", advice
            break
    if not head:
        got, fix = f"{path}, which is empty", "copy or download the file again"
    if not isinstance(error, UnidentifiedImageError):
        got += f" ({error})"
    return InputError(
        f"the {what} picture cannot be read",
        got=got,
        expected="a JPEG, PNG, WebP, AVIF, HEIC, JPEG 2000, TIFF, BMP or GIF",
        fix=fix,
    )


def _jpeg_is_complete(path: Path) -> bool:
    """Whether an end marker follows the first scan: a half-filled download can decode without an error."""
    data = path.read_bytes()
    position = 2
    while data[position : position + 1] == b"\xff" and data[position + 1 : position + 2] != b"\xda":
        is_fill_byte = data[position + 1 : position + 2] == b"\xff"
        length = int.from_bytes(data[position + 2 : position + 4], "big")
        position += 1 if is_fill_byte else 2 + length
    return data.find(b"\xff\xd9", position) >= 0
