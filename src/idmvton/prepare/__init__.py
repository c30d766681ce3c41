"""From photos to what the pipeline reads: parsing, pose, body map, mask, caption.

    from idmvton import prepare

    prepared = prepare("person.jpg", "garment.jpg")
    prepared.save("prepared/anna")

Names are loaded on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False  # not from typing, as in the package above

if TYPE_CHECKING:
    from idmvton.prepare.garment_words import garment_category
    from idmvton.prepare.maps import Given
    from idmvton.prepare.preparer import Preparer, prepare
    from idmvton.prepare.record import Prepared, read_prepared

_HOME = {
    "Given": "maps",
    "Prepared": "record",
    "Preparer": "preparer",
    "garment_category": "garment_words",
    "prepare": "preparer",
    "read_prepared": "record",
}
__all__ = ["Given", "Prepared", "Preparer", "garment_category", "prepare", "read_prepared"]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
