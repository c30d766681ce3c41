"""The files of a prepared photo: a folder that can be looked at, changed and read back."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from idmvton.atomic import whole_folder
from idmvton.errors import InputError, OutputError
from idmvton.images import load_image, load_mask
from idmvton.images.densepose import checked_parts
from idmvton.images.framing import BLACK, WHITE
from idmvton.prepare.reading import naming, read_json
from idmvton.resume import digest
from idmvton.types import Size

SUMMARY: Final = "prepared.json"
MASK: Final = "mask.png"
OVERLAY: Final = "overlay.png"
KEYPOINTS: Final = "keypoints.json"
HAND_MADE: Final = (
    MASK, "densepose.png", "labels.png", "silhouette.png", KEYPOINTS, "garment.png", "garment_mask.png", "person.png"
)  # fmt: skip
"""Files of a prepared photo that people may change."""
FORMAT: Final = 1
_READ_FROM: Final = 128  # a changed mask may have soft edges: from this value on it is repainted


def is_prepared(folder: str | os.PathLike[str]) -> bool:
    """Whether a folder holds a prepared photo, by its ``prepared.json``."""
    return (Path(folder) / SUMMARY).is_file()


def write_folder(
    folder: Path,
    pictures: Mapping[str, Image.Image],
    keypoints: NDArray[np.floating],
    summary: Mapping[str, Any],
    kept: Sequence[str] = (),
) -> None:
    """Writes a prepared photo; the folder appears whole or not at all, and replaces one that was prepared before.

    ``prepared.json`` gets the SHA-256 of each file as it was made, to tell later which were changed by hand.

    Args:
        folder: where to.
        pictures: name -> picture, each a PNG.
        keypoints: float (18, 2), for ``keypoints.json``.
        summary: plain values, for ``prepared.json``.
        kept: files of the older folder that stay as they are.

    Raises:
        OutputError: the folder holds something else, or cannot be written.
    """
    check_target(folder)
    with whole_folder(folder, "the prepared photo") as new:
        for name, picture in pictures.items():
            picture.save(new / f"{name}.png", compress_level=3)
        (new / KEYPOINTS).write_text(openpose_json(keypoints), encoding="utf-8")
        told = {"format": FORMAT} | dict(summary) | {"files": {each.name: digest(each) for each in new.iterdir()}}
        (new / SUMMARY).write_text(json.dumps(told, indent=2), encoding="utf-8")
        for name in kept:
            shutil.copy2(folder / name, new / name)


def changed_by_hand(folder: Path) -> tuple[str, ...]:
    """The files of a prepared photo that are no longer as they were made.

    Of folders that do not tell how they were made, ``mask.png`` counts as changed.

    Args:
        folder: of a prepared photo; another one has none.

    Raises:
        InputError: the summary is damaged.
    """
    if not is_prepared(folder):
        return ()
    made = read_summary(folder).get("files")
    if not isinstance(made, dict):
        return (MASK,) if (folder / MASK).is_file() else ()
    return tuple(name for name in HAND_MADE if name in made and _is_other(folder / name, made[name]))


def _is_other(path: Path, made: str) -> bool:
    return path.is_file() and digest(path) != made


def check_target(folder: Path) -> None:
    """Makes sure that a prepared photo may be written to ``folder``.

    Raises:
        OutputError: it is a file, or a folder that holds something else.
    """
    is_other = folder.is_dir() and not is_prepared(folder) and any(folder.iterdir())
    if is_other or (folder.exists() and not folder.is_dir()):
        raise OutputError(
            "the output folder holds something else",
            got=folder,
            expected="a new folder, an empty one, or one that a photo was prepared into before",
            fix="choose another folder",
        )


def openpose_json(keypoints: NDArray[np.floating]) -> str:
    """Keypoints of one person in OpenPose's form: x, y, confidence of each of the 18 points."""
    seen = np.any(keypoints != 0, axis=1, keepdims=True)
    flat = np.concatenate([keypoints, seen], axis=1).astype(np.float64).ravel().tolist()
    return json.dumps({"version": 1.3, "people": [{"pose_keypoints_2d": flat}]})


def read_summary(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """What ``prepared.json`` says.

    Raises:
        InputError: there is none, or it is damaged or of another format.
    """
    path = Path(folder) / SUMMARY
    if not path.is_file():
        raise InputError(
            "the folder holds no prepared photo",
            got=folder,
            expected=f"a folder with {SUMMARY}",
            fix="make one: idmvton prepare PERSON -o DIR",
        )
    summary = read_json(path, "summary of a prepared photo")
    if not isinstance(summary, dict) or summary.get("format") != FORMAT:
        raise InputError(
            "the prepared photo has an unknown format", got=path, expected=f"format {FORMAT}", fix="prepare it again"
        )
    return summary


def current_options(values: Any) -> dict[str, Any]:
    """The options that a summary holds, by their names of today; older folders have one parser for labels and body."""
    values = dict(values) if isinstance(values, Mapping) else {}
    parser = values.pop("parser_backend", None)
    if parser is not None:
        values |= {"labels_backend": parser, "body_backend": parser}
    if values.get("outline_backend") == "blazepose+edges":
        values["outline_backend"] = "edges"
    return values


def read_parts(path: Path) -> NDArray[np.uint8]:
    """A body map in the published colours, as part numbers: uint8 (H, W).

    Raises:
        InputError: missing, damaged, or in other colours.
    """
    with naming(path):
        return checked_parts(read_picture(path, "densepose", BLACK))


def read_picture(path: Path, what: str, background: tuple[int, int, int] = WHITE) -> Image.Image:
    """One of the pictures, RGB.

    Raises:
        InputError: missing or damaged.
    """
    with naming(path):
        return load_image(path, what=what, background=background)


def read_own_mask(path: Path, size: Size | None = None) -> NDArray[np.bool_]:
    """A mask that may have been changed by hand: bool (H, W), True = repaint.

    Raises:
        InputError: missing, damaged, or of another size.
    """
    with naming(path):
        return load_mask(path, size=size, threshold=_READ_FROM, what=path.name)
