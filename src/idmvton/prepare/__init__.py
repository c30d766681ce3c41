"""From photos to what the pipeline reads: parsing, pose, body map, mask, caption.

    from idmvton import prepare

    prepared = prepare("person.jpg", "garment.jpg")
    prepared.save("prepared/anna")

The package itself can be called: it is :func:`idmvton.prepare.preparer.prepare`. Names are loaded on first use, so
that importing it costs nothing.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from idmvton.prepare.maps import Given
    from idmvton.prepare.preparer import Preparer, prepare
    from idmvton.prepare.record import Prepared
    from idmvton.prepare.record_files import read_prepared

_HOME = {
    "Given": "maps",
    "Prepared": "record",
    "Preparer": "preparer",
    "prepare": "preparer",
    "read_prepared": "record_files",
}
__all__ = ["Given", "Prepared", "Preparer", "prepare", "read_prepared"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


class _Callable(ModuleType):
    """Lets ``from idmvton import prepare`` be the function although the package has the same name."""

    def __call__(self, *args: Any, **kwargs: Any) -> Prepared:
        return import_module(f"{__name__}.preparer").prepare(*args, **kwargs)


sys.modules[__name__].__class__ = _Callable
