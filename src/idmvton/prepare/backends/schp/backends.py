"""SCHP as a labels backend, and as an outline backend: what has a label is the person."""

from __future__ import annotations

import functools
import threading
from typing import Final

import numpy as np
from PIL import Image

from idmvton.prepare.backends.one_person import labels_of_person
from idmvton.prepare.backends.protocols import Labels, Outline, Photo, Pose
from idmvton.prepare.backends.schp.parser import Schp
from idmvton.weights import locate_file

NAME: Final = "schp"
ENTRIES: Final = ("schp-atr", "schp-lip")
READ_HEIGHT: Final = 512
"""Pixels: the height at which a photo is shown to the networks, as in the published system."""


class SchpReader:
    """Labels of photos; of the last photo they are kept, because two backends ask for them.

    Args:
        networks: by default the catalogue's, loaded once for all readers.

    Raises:
        MissingExtraError: onnxruntime is not installed.
        WeightsError: a file is not on this machine (the message holds the command that fetches it), or is another.
    """

    def __init__(self, networks: Schp | None = None) -> None:
        self.networks = networks or _networks()
        self._last = threading.local()

    @property
    def name(self) -> str:
        """The backend's name, and where its networks run."""
        return f"{NAME} ({self.networks.provider.removesuffix('ExecutionProvider')})"

    def person_labels(self, photo: Photo, pose: Pose) -> Labels:
        """The labels of one person, of the photo's size: those of others, who stand apart, are dropped."""
        return labels_of_person(self._labels(photo), pose)

    def _labels(self, photo: Photo) -> Labels:
        last: tuple[Photo, Labels] | None = getattr(self._last, "seen", None)
        if last is not None and (last[0] is photo or np.array_equal(last[0], photo)):
            return last[1]
        height, width = photo.shape[:2]
        size = (max(round(width * READ_HEIGHT / height), 1), READ_HEIGHT)
        small = np.asarray(Image.fromarray(photo).resize(size, Image.Resampling.BICUBIC))
        labels = self.networks(small, (height, width))
        self._last.seen = photo.copy(), labels
        return labels


class SchpLabels:
    """What a person wears, by SCHP's networks for ATR and LIP."""

    def __init__(self, reader: SchpReader | None = None) -> None:
        self.reader = reader or _reader()
        self.name = self.reader.name

    def __call__(self, photo: Photo, pose: Pose, outline: Outline) -> Labels:
        """See :class:`idmvton.prepare.backends.protocols.LabelParser`; the outline is not looked at."""
        return self.reader.person_labels(photo, pose)


class SchpOutline:
    """The person is what SCHP has a label for."""

    def __init__(self, reader: SchpReader | None = None) -> None:
        self._reader = reader or _reader()
        self.name = self._reader.name

    def __call__(self, photo: Photo, pose: Pose) -> Outline:
        """See :class:`idmvton.prepare.backends.protocols.PersonOutliner`."""
        return (self._reader.person_labels(photo, pose) > 0).astype(np.float32)


@functools.cache
def _networks() -> Schp:
    atr, lip = (locate_file(entry) for entry in ENTRIES)
    return Schp(atr, lip)


@functools.cache
def _reader() -> SchpReader:
    """The reader that both backends ask: it works once for a photo."""
    return SchpReader()
