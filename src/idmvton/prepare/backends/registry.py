"""Backends by name, one registry for each signal. Each is loaded at its first use and kept for all that follow.

Another package adds backends with an entry point: a function without arguments that registers them.

    [project.entry-points."idmvton.backends"]
    mine = "my_package:register"

    def register():
        POSE_BACKENDS.register("mine", MyPose, "my own network")
"""

from __future__ import annotations

import functools
import importlib.metadata
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from idmvton.errors import ConfigError
from idmvton.prepare.backends.protocols import BodyParser, LabelParser, PersonOutliner, PoseEstimator

ENTRY_POINTS: Final = "idmvton.backends"
EMBEDDED: Final = "embedded"
"""What the backends that come with the library are also called."""
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


class EntryPoints:
    """The functions of other packages that register backends, called once, when an unknown name is asked for."""

    def __init__(self) -> None:
        self.failed: dict[str, str] = {}
        """Entry point -> why its backends are not there."""
        self._done = False
        self._lock = threading.RLock()

    def load(self) -> None:
        """Calls them. One that fails does not keep the others away: it is named where a backend is not found."""
        with self._lock:
            if self._done:
                return
            self._done = True
            for point in importlib.metadata.entry_points(group=ENTRY_POINTS):
                try:
                    point.load()()
                except Exception as error:
                    self.failed[point.name] = f"{type(error).__name__}: {error}"


class Registry(Generic[Backend]):
    """The backends of one signal.

    Args:
        kind: what they are called in messages.
        others: where more backends come from.
    """

    def __init__(self, kind: str, others: EntryPoints | None = None) -> None:
        self.kind = kind
        self._others = others or EntryPoints()
        self._entries: dict[str, Entry[Backend]] = {}
        self._aliases: dict[str, str] = {}
        self._loaded: dict[str, Backend] = {}
        self._lock = threading.RLock()

    @property
    def entries(self) -> dict[str, Entry[Backend]]:
        """Name -> backend, in the order of their registration, those of other packages too."""
        self._others.load()
        return dict(self._entries)

    def register(
        self, name: str, load: Callable[[], Backend], description: str, *, aliases: tuple[str, ...] = ()
    ) -> None:
        """Adds a backend.

        Args:
            name: how it is chosen: letters, digits, ``+``, ``-`` and ``_``.
            load: makes it; called once, at the first use.
            description: one sentence for a person.
            aliases: other names for it.

        Raises:
            ConfigError: a name that is taken, or that looks like a file's.
        """
        for each in (name, *aliases):
            if not re.fullmatch(r"[\w+-]+", each):
                raise ConfigError(
                    f"{each!r} cannot be the name of a {self.kind}", expected="letters, digits, +, - and _ alone"
                )
            if each in self._entries or each in self._aliases:
                raise ConfigError(f"there is already a {self.kind} {each!r}", fix="choose another name")
        self._entries[name] = Entry(description, load)
        self._aliases |= dict.fromkeys(aliases, name)

    def check(self, chosen: str | Backend) -> None:
        """Makes sure that a name is known; nothing is loaded.

        Raises:
            ConfigError: it is not; the message lists the known ones.
        """
        if isinstance(chosen, str):
            self._find(chosen)

    def make(self, name: str) -> Backend:
        """Another backend of a name, for the caller alone: one that several threads call must not be shared.

        Raises:
            ConfigError: an unknown name; the message lists the known ones.
        """
        return self._entries[self._find(name)].load()

    def get(self, chosen: str | Backend) -> Backend:
        """The backend of a name, loaded once; a backend itself is passed through.

        Raises:
            ConfigError: an unknown name; the message lists the known ones.
        """
        if not isinstance(chosen, str):
            return chosen
        name = self._find(chosen)
        with self._lock:
            if name not in self._loaded:
                self._loaded[name] = self._entries[name].load()
            return self._loaded[name]

    def _find(self, name: str) -> str:
        """The name under which a backend is registered."""
        if name not in self._entries and name not in self._aliases:
            self._others.load()
        name = self._aliases.get(name, name)
        if name not in self._entries:
            known = [f"{each}: {entry.description}" for each, entry in self._entries.items()]
            failed = [f"those of {point!r} could not be loaded ({why})" for point, why in self._others.failed.items()]
            raise ConfigError(
                f"unknown {self.kind}", got=repr(name), expected="; ".join(known + failed) or "none is registered"
            )
        return name


def _blazepose() -> PoseEstimator:
    from idmvton.prepare.backends.blazepose import BlazePose

    return BlazePose()


def _edges() -> PersonOutliner:
    from idmvton.prepare.backends.edges import EdgeSegmenter

    return EdgeSegmenter()


@functools.cache  # it holds nothing of a photo: threads may share it
def _openpose() -> PoseEstimator:
    from idmvton.prepare.backends.openpose.estimator import OpenPose

    return OpenPose()


def _schp_labels() -> LabelParser:
    from idmvton.prepare.backends.schp.backends import SchpLabels

    return SchpLabels()


def _schp_outline() -> PersonOutliner:
    from idmvton.prepare.backends.schp.backends import SchpOutline

    return SchpOutline()


def _known_parser(name: str) -> LabelParser:
    from idmvton.prepare.backends.segmenter.backend import SegmenterLabels

    return SegmenterLabels.known(name)


def _studio_labels() -> LabelParser:
    from idmvton.prepare.backends.studio_net.parser import StudioLabels

    return StudioLabels()


def _studio_body() -> BodyParser:
    from idmvton.prepare.backends.studio_net.parser import StudioBody

    return StudioBody()


@functools.cache  # likewise
def _densepose() -> BodyParser:
    from idmvton.prepare.backends.densepose.backend import DensePoseBody

    return DensePoseBody()


_OTHERS: Final = EntryPoints()
POSE_BACKENDS: Final[Registry[PoseEstimator]] = Registry("pose backend", _OTHERS)
OUTLINE_BACKENDS: Final[Registry[PersonOutliner]] = Registry("outline backend", _OTHERS)
LABELS_BACKENDS: Final[Registry[LabelParser]] = Registry("labels backend", _OTHERS)
BODY_BACKENDS: Final[Registry[BodyParser]] = Registry("body backend", _OTHERS)

POSE_BACKENDS.register("blazepose", _blazepose, "BlazePose's networks on LiteRT", aliases=(EMBEDDED,))
OUTLINE_BACKENDS.register(
    "edges", _edges, "the pose's rough outline, moved to the photo's edges", aliases=(EMBEDDED, "blazepose+edges")
)
_STUDIO_NET: Final = "a small network, trained on rendered people"
LABELS_BACKENDS.register("studio-net", _studio_labels, _STUDIO_NET, aliases=(EMBEDDED,))
BODY_BACKENDS.register("studio-net", _studio_body, _STUDIO_NET, aliases=(EMBEDDED,))

POSE_BACKENDS.register("openpose", _openpose, "OpenPose's body network; needs `idmvton weights get openpose-body`")
_SCHP: Final = "SCHP's networks on onnxruntime; needs `idmvton weights get preparation-published`"
LABELS_BACKENDS.register("schp", _schp_labels, _SCHP)
OUTLINE_BACKENDS.register("schp", _schp_outline, f"what SCHP has a label for: {_SCHP}")
LABELS_BACKENDS.register(
    "segformer-clothes", lambda: _known_parser("segformer-clothes"), "SegFormer B2 trained on ATR, fetched by you"
)
LABELS_BACKENDS.register(
    "fashn-human-parser", lambda: _known_parser("fashn-human-parser"), "FASHN's SegFormer B4, fetched by you"
)
BODY_BACKENDS.register("densepose", _densepose, "DensePose R50-FPN, as the published weights were trained with")
