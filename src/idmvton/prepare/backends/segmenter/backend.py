"""Segmentation networks as labels backends: known ones by name, any other by its path."""

from __future__ import annotations

from pathlib import Path

from idmvton.prepare.backends.one_person import labels_of_person
from idmvton.prepare.backends.protocols import Labels, Outline, Photo, Pose
from idmvton.prepare.backends.segmenter.segmenter import Segmenter
from idmvton.types import Size
from idmvton.weights import locate


class SegmenterLabels:
    """What a person wears, by a segmentation network. Its licence is told with its name.

    Args:
        path: see :class:`idmvton.prepare.backends.segmenter.segmenter.Segmenter`.
        name: what it is called; by default the name of the file or folder.

    Raises:
        MissingExtraError: an ONNX file, and onnxruntime is not installed.
        WeightsError: files that are missing or damaged, or classes that are not known.
    """

    def __init__(self, path: Path, name: str | None = None) -> None:
        self._segmenter = Segmenter(path)
        self.name = f"{name or path.name} ({self._segmenter.settings.licence})"

    @classmethod
    def of_catalogue(cls, name: str) -> SegmenterLabels:
        """A network of the catalogue.

        Raises:
            WeightsError: it is not on this machine; the message holds the command that fetches it.
        """
        return cls(locate(name), name)

    def __call__(self, photo: Photo, pose: Pose, outline: Outline) -> Labels:
        """See :class:`idmvton.prepare.backends.protocols.LabelParser`; the outline is not looked at."""
        return labels_of_person(self._segmenter(photo, pose.keypoints(Size(*photo.shape[:2]))), pose)
