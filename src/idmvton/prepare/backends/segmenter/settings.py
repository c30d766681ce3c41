"""How a segmentation network wants its picture, and what its classes are called: read from the files beside it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from PIL import Image

from idmvton.errors import WeightsError

LABELS_FILE: Final = "labels.json"
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet: what such networks start from
_SIDE: Final = 512
_LICENCE: Final = re.compile(r"^license(?:_name)?:\s*(\S+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Settings:
    """What the files beside a network say.

    Attributes:
        size: height and width of its input, pixels.
        mean, std: of R, G, B in 0 to 1.
        resample: the filter that brings a photo to that size.
        classes: names by number.
        classes_from: the file that has them.
        licence: its name, or that it is not known.
    """

    size: tuple[int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    resample: Image.Resampling
    classes: tuple[str, ...]
    classes_from: str
    licence: str


def read_settings(folder: Path, size: tuple[int, int] | None = None) -> Settings:
    """Reads ``preprocessor_config.json``, and the classes from ``labels.json`` or ``config.json``.

    Args:
        folder: where the network lies.
        size: height and width that the network itself demands.

    Raises:
        WeightsError: no classes, or a damaged file.
    """
    about = _json(folder / "preprocessor_config.json") or {}
    classes, source = _classes(folder)
    resample = about.get("resample")
    normalise = about.get("do_normalize", True)
    return Settings(
        size=size or _size(about.get("size", _SIDE)),
        mean=tuple(about.get("image_mean", _MEAN)) if normalise else (0.0,) * 3,
        std=tuple(about.get("image_std", _STD)) if normalise else (1.0,) * 3,
        resample=Image.Resampling.BILINEAR if resample is None else Image.Resampling(resample),
        classes=classes,
        classes_from=source,
        licence=_licence(folder),
    )


def _classes(folder: Path) -> tuple[tuple[str, ...], str]:
    """The names by number, and the file that has them."""
    own, config = folder / LABELS_FILE, folder / "config.json"
    names = _json(own)
    path = own if names else config
    names = names or (_json(config) or {}).get("id2label")
    if not names:
        raise WeightsError(
            "it is not said what the classes of a parser are",
            got=f"{folder} without {LABELS_FILE}, and without id2label in config.json",
            fix=f'write {LABELS_FILE} there: {{"0": "background", "1": "hat", ...}}, a number for each class',
        )
    wanted = [str(number) for number in range(len(names))]
    if not isinstance(names, dict) or sorted(names) != sorted(wanted):
        raise WeightsError(
            "the classes of a parser cannot be read",
            got=f"{path}: {str(names)[:80]}",
            expected='numbers from 0 on and names: {"0": "background", "1": "hat", ...}',
        )
    return tuple(str(names[number]) for number in wanted), str(path)


def _size(value: Any) -> tuple[int, int]:
    """As transformers writes it: one number, height and width, or the shortest edge."""
    if isinstance(value, dict):
        sides: dict[str, int] = {"shortest_edge": _SIDE} | value
        height, width = (sides.get(name, sides["shortest_edge"]) for name in ("height", "width"))
        return int(height), int(width)
    return int(value), int(value)


def _licence(folder: Path) -> str:
    card = folder / "README.md"
    found = _LICENCE.findall(card.read_text(encoding="utf-8", errors="replace")[:4000]) if card.is_file() else []
    named = [each for each in found if each != "other"]
    return named[-1] if named else "licence not known here: see its card"


def _json(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path} cannot be read", got=error, expected="a JSON file") from error
    return content if isinstance(content, dict) else None
