"""Backends by name. Each is loaded at its first use and kept for all that follow."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from idmvton.errors import ConfigError
from idmvton.prepare.backends.protocols import PersonParser, PersonSegmenter, PoseEstimator

Backend = TypeVar("Backend")


@dataclass(frozen=True, slots=True)
class Entry(Generic[Backend]):
    """A backend that can be loaded.

    Attributes:
        description: one sentence for a person.
        load: makes the backend; called once.
    """

    description: str
    load: Callable[[], Backend]


class Registry(Generic[Backend]):
    """The backends of one kind.

    Args:
        kind: what they are called in messages.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, Entry[Backend]] = {}
        self._loaded: dict[str, Backend] = {}
        self._lock = threading.Lock()

    @property
    def entries(self) -> dict[str, Entry[Backend]]:
        """Name -> backend, in the order of their registration."""
        return dict(self._entries)

    def register(self, name: str, load: Callable[[], Backend], description: str) -> None:
        """Adds a backend.

        Args:
            name: how it is chosen.
            load: makes it; called once, at the first use.
            description: one sentence for a person.

        Raises:
            ConfigError: the name is taken.
        """
        if name in self._entries:
            raise ConfigError(f"there is already a {self.kind} {name!r}", fix="choose another name")
        self._entries[name] = Entry(description, load)

    def check(self, chosen: str | Backend) -> None:
        """Makes sure that a name is known; nothing is loaded.

        Raises:
            ConfigError: it is not; the message lists the known ones.
        """
        if isinstance(chosen, str) and chosen not in self._entries:
            known = "; ".join(f"{name}: {entry.description}" for name, entry in self._entries.items())
            raise ConfigError(f"unknown {self.kind}", got=repr(chosen), expected=known or "none is registered")

    def make(self, name: str) -> Backend:
        """Another backend of a name, for the caller alone: one that several threads call must not be shared.

        Raises:
            ConfigError: an unknown name; the message lists the known ones.
        """
        self.check(name)
        return self._entries[name].load()

    def get(self, chosen: str | Backend) -> Backend:
        """The backend of a name, loaded once; a backend itself is passed through.

        Raises:
            ConfigError: an unknown name; the message lists the known ones.
        """
        self.check(chosen)
        if not isinstance(chosen, str):
            return chosen
        with self._lock:
            if chosen not in self._loaded:
                self._loaded[chosen] = self._entries[chosen].load()
            return self._loaded[chosen]


def _blazepose() -> PoseEstimator:
    from idmvton.prepare.backends.blazepose import BlazePose

    return BlazePose()


def _edges() -> PersonSegmenter:
    from idmvton.prepare.backends.edges import EdgeSegmenter

    return EdgeSegmenter()


def _studio_net() -> PersonParser:
    from idmvton.prepare.backends.studio_net.parser import StudioNet

    return StudioNet()


POSE_BACKENDS: Registry[PoseEstimator] = Registry("pose backend")
POSE_BACKENDS.register("blazepose", _blazepose, "BlazePose's networks on LiteRT")
OUTLINE_BACKENDS: Registry[PersonSegmenter] = Registry("outline backend")
OUTLINE_BACKENDS.register("blazepose+edges", _edges, "BlazePose's rough outline, moved to the photo's edges")
PARSER_BACKENDS: Registry[PersonParser] = Registry("parser backend")
PARSER_BACKENDS.register("studio-net", _studio_net, "a small network, trained on rendered people")
