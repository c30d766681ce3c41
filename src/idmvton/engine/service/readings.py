"""What the server's own process has read of photos: a lane takes it instead of reading the photo again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, TypeAlias

from idmvton.options import BackendOptions, PrepareOptions, describe
from idmvton.types import Category, CategoryChoice

if TYPE_CHECKING:
    from idmvton.prepare.garment import GarmentPicture
    from idmvton.prepare.person_maps import PersonMaps

Reading: TypeAlias = "PersonMaps | GarmentPicture"
ReadingKey: TypeAlias = tuple[str, ...]
"""The photo's SHA-256 first, then how it was read: with the backends that the options name at their defaults."""
_KEPT: Final = 8  # a reading holds its photo: 36 MB for 12 megapixels


def person_key(sha256: str, number: int, category: Category | None) -> ReadingKey:
    """Of a person: which of the photo, and for what category."""
    return sha256, "person", str(number), str(category)


def garment_key(sha256: str, category: CategoryChoice, number: int | None) -> ReadingKey:
    """Of a garment: for what category, and worn by whom."""
    return sha256, "garment", category, str(number)


def has_default_backends(options: PrepareOptions) -> bool:
    """Whether photos are read as every :data:`Reading` was."""
    return all(getattr(options, each.name) == each.default for each in describe(BackendOptions)) and not (
        options.as_published or options.demo_crop
    )


class Readings:
    """The newest of what was read, in memory only; any thread may call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[ReadingKey, Reading] = OrderedDict()

    def offer(self, key: ReadingKey, reading: Reading) -> None:
        """Keeps what was read."""
        with self._lock:
            self._kept[key] = reading
            self._kept.move_to_end(key)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)

    def of(self, photos: Iterable[str]) -> dict[ReadingKey, Reading]:
        """Everything that was read of photos, by their SHA-256."""
        wanted = set(photos)
        with self._lock:
            return {key: reading for key, reading in self._kept.items() if key[0] in wanted}

    def forget(self, photos: Iterable[str] | None = None) -> None:
        """Drops what was read of photos, by their SHA-256; without those everything."""
        wanted = None if photos is None else set(photos)
        with self._lock:
            dropped = [key for key in self._kept if wanted is None or key[0] in wanted]
            for key in dropped:
                del self._kept[key]
