"""A prepared photo as a folder that can be looked at, changed and read back."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from idmvton.errors import ConfigError, InputError
from idmvton.images import load_image, load_mask
from idmvton.images.framing import BLACK, Framing
from idmvton.options import PrepareOptions
from idmvton.prepare.category import CATEGORY_NAMES
from idmvton.prepare.mask_making import feather
from idmvton.prepare.reading import naming, read_classes, read_json, read_keypoints, read_labels
from idmvton.prepare.record import Prepared
from idmvton.types import Size

SUMMARY: Final = "prepared.json"
FORMAT: Final = 1
_READ_FROM: Final = 128  # a changed mask may have soft edges: from this value on it is repainted


def is_prepared(folder: str | os.PathLike[str]) -> bool:
    """Whether a folder holds a prepared photo, by its ``prepared.json``."""
    return (Path(folder) / SUMMARY).is_file()


def write_prepared(prepared: Prepared, folder: str | os.PathLike[str], about: Mapping[str, Any] | None = None) -> None:
    """Writes a prepared photo; the folder appears whole or not at all, and replaces one that was prepared before.

    The files: ``photo.png`` (as handed in), ``person.png`` (framed), ``mask.png``, ``densepose.png``,
    ``labels.png`` (class numbers with a palette), ``silhouette.png``, ``keypoints.json`` (OpenPose), ``overlay.png``,
    ``prepared.json``, and ``garment.png`` and ``garment_mask.png`` where there is a garment.

    Args:
        prepared: what is written.
        folder: where to.
        about: plain values that are stored under ``"about"`` in ``prepared.json``.

    Raises:
        InputError: the folder holds something else, or cannot be written.
    """
    folder = Path(folder)
    check_target(folder)
    work = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.part")
    try:
        work.mkdir(parents=True)
        _write_files(prepared, work)
        summary = json.dumps(_summary(prepared) | {"about": dict(about or {})}, indent=2)
        (work / SUMMARY).write_text(summary, encoding="utf-8")
        _replace(folder, work)
    except OSError as error:
        raise InputError(
            "the prepared photo cannot be written",
            got=f"{folder}: {error.strerror or error}",
            expected="a folder that takes new files",
            fix="free space or choose another folder",
        ) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


def check_target(folder: Path) -> None:
    """Makes sure that a prepared photo may be written to ``folder``.

    Raises:
        InputError: it is a file, or a folder that holds something else.
    """
    is_other = folder.is_dir() and not is_prepared(folder) and any(folder.iterdir())
    if is_other or (folder.exists() and not folder.is_dir()):
        raise InputError(
            "the output folder holds something else",
            got=folder,
            expected="a new folder, an empty one, or one that a photo was prepared into before",
            fix="choose another folder",
        )


def _replace(folder: Path, work: Path) -> None:
    old = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.old")
    if folder.exists():
        folder.replace(old)
    try:
        work.replace(folder)
    except OSError:
        if old.exists():
            old.replace(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _write_files(prepared: Prepared, folder: Path) -> None:
    pictures = {
        "photo": prepared.photo,
        "person": prepared.person,
        "mask": Image.fromarray(feather(prepared.mask, prepared.options.mask_feather)),
        "densepose": prepared.densepose,
        "labels": _with_palette(prepared.labels),
        "silhouette": Image.fromarray(prepared.silhouette),
        "overlay": prepared.overlay(),
    }
    if prepared.garment is not None:
        pictures["garment"] = prepared.garment
    if prepared.garment_mask is not None:
        pictures["garment_mask"] = Image.fromarray(np.where(prepared.garment_mask, np.uint8(255), np.uint8(0)))
    for name, picture in pictures.items():
        picture.save(folder / f"{name}.png", compress_level=3)
    (folder / "keypoints.json").write_text(openpose_json(prepared.keypoints), encoding="utf-8")


def _with_palette(labels: NDArray[np.uint8]) -> Image.Image:
    from idmvton.prepare.overlay import LABEL_COLOURS

    picture = Image.fromarray(labels).convert("P")
    picture.putpalette(LABEL_COLOURS.tobytes())
    return picture


def openpose_json(keypoints: NDArray[np.floating]) -> str:
    """Keypoints of one person in OpenPose's form: x, y, confidence of each of the 18 points."""
    seen = np.any(keypoints != 0, axis=1, keepdims=True)
    flat = np.concatenate([keypoints, seen], axis=1).astype(np.float64).ravel().tolist()
    return json.dumps({"version": 1.3, "people": [{"pose_keypoints_2d": flat}]})


def _summary(prepared: Prepared) -> dict[str, Any]:
    framing = prepared.framing
    return {
        "format": FORMAT,
        "category": prepared.category,
        "framing": {"photo": list(framing.photo), "box": list(framing.box), "size": list(framing.size)},
        "options": prepared.options.to_dict(),
        "warnings": list(prepared.warnings),
        "sources": dict(prepared.sources),
        "timings": {stage: round(seconds, 4) for stage, seconds in prepared.timings.items()},
    }


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


def read_prepared(folder: str | os.PathLike[str]) -> Prepared:
    """Reads what :meth:`idmvton.prepare.Prepared.save` wrote; files that were changed by hand are used as they are.

    Args:
        folder: with all files; ``garment.png`` and ``garment_mask.png`` may be missing.

    Raises:
        InputError: a file that is missing, damaged or of another size than its neighbours.
    """
    folder = Path(folder)
    summary = read_summary(folder)
    try:
        left, top, right, bottom = map(int, summary["framing"]["box"])
        photo, size = (Size(*map(int, summary["framing"][name])) for name in ("photo", "size"))
        framing = Framing(photo, (left, top, right, bottom), size)
        options = PrepareOptions.from_mapping(summary["options"])
        category = CATEGORY_NAMES[summary["category"]]
        warnings = tuple(map(str, summary["warnings"]))
        sources = {str(name): str(source) for name, source in summary["sources"].items()}
        timings = {str(stage): float(seconds) for stage, seconds in summary["timings"].items()}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, InputError | ConfigError):
            raise
        raise InputError(
            "the summary of a prepared photo is damaged",
            got=f"{folder / SUMMARY}: {type(error).__name__} {error}",
            fix="prepare it again",
        ) from error
    return Prepared(
        photo=_picture(folder / "photo.png", "photo"),
        framing=framing,
        person=_picture(folder / "person.png", "person"),
        mask=_mask(folder / "mask.png", framing.size),
        densepose=_picture(folder / "densepose.png", "densepose", BLACK),
        labels=read_labels(folder / "labels.png", "atr"),
        keypoints=read_keypoints(folder / "keypoints.json"),
        silhouette=read_classes(folder / "silhouette.png", "silhouette", 255),
        category=category,
        options=options,
        garment=_picture(folder / "garment.png", "garment") if (folder / "garment.png").exists() else None,
        garment_mask=_mask(folder / "garment_mask.png", None) if (folder / "garment_mask.png").exists() else None,
        warnings=warnings,
        sources=sources,
        timings=timings,
    )


def _picture(path: Path, what: str, background: tuple[int, int, int] = (255, 255, 255)) -> Image.Image:
    with naming(path):
        return load_image(path, what=what, background=background)


def _mask(path: Path, size: Size | None) -> NDArray[np.bool_]:
    with naming(path):
        return load_mask(path, size=size, threshold=_READ_FROM, what=path.name)
