"""Pictures to begin with: rendered people and garments that come with the page."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from idmvton.images import load_image
from idmvton.web.masks import thumbnail

PEOPLE: Final[Mapping[str, str]] = {
    "person-1": "A woman in a blue top",
    "person-2": "A man in an orange sweater and shorts",
    "person-3": "A woman in a sweater and striped trousers",
    "person-4": "A woman in a sleeveless top and jeans",
}
GARMENTS: Final[Mapping[str, str]] = {
    "shirt": "A checked shirt",
    "hoodie": "A striped hoodie",
    "top": "A dotted top",
    "trousers": "Navy trousers",
    "dress": "A dress with shapes",
    "shirt-dress": "A yellow shirt dress",
}


def path_of(kind: Mapping[str, str], name: str) -> Path:
    """The file of an example.

    Raises:
        KeyError: there is no such example.
    """
    if name not in kind:
        raise KeyError(name)
    return Path(str(files(__package__).joinpath("assets", "examples", f"{name}.jpg")))


@functools.cache
def _thumbnail(path: Path) -> str:
    return thumbnail(load_image(path, what="example"))


def example_value(kind: Mapping[str, str], label: str) -> dict[str, Any]:
    """A row of examples."""
    items = [{"id": name, "src": _thumbnail(path_of(kind, name)), "alt": alt} for name, alt in kind.items()]
    return {"label": label, "items": items}
