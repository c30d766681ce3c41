"""Segmentation networks as labels backends: known ones by name, any other by its path."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from idmvton.errors import WeightsError
from idmvton.prepare.backends.one_person import labels_of_person
from idmvton.prepare.backends.protocols import Labels, Outline, Photo, Pose
from idmvton.prepare.backends.segmenter.segmenter import Segmenter
from idmvton.types import Size


@dataclass(frozen=True, slots=True)
class KnownParser:
    """A published parser whose classes have names that are known here.

    Attributes:
        repo: on the Hugging Face hub.
        licence: under which its weights are.
    """

    repo: str
    licence: str


KNOWN_PARSERS: Final = {
    "segformer-clothes": KnownParser(
        "mattmdjaga/segformer_b2_clothes",
        "MIT by its card; trained from NVIDIA's SegFormer, whose weights are for non-commercial use",
    ),
    "fashn-human-parser": KnownParser(
        "fashn-ai/fashn-human-parser", "NVIDIA Source Code License for SegFormer, non-commercial"
    ),
}


class SegmenterLabels:
    """What a person wears, by a segmentation network. Its licence is told with its name.

    Args:
        path: see :class:`idmvton.prepare.backends.segmenter.segmenter.Segmenter`.
        name: what it is called; by default the name of the file or folder.
        licence: by default what the card beside it says.

    Raises:
        MissingExtraError: an ONNX file, and onnxruntime is not installed.
        WeightsError: files that are missing or damaged, or classes that are not known.
    """

    def __init__(self, path: Path, name: str | None = None, licence: str | None = None) -> None:
        self._segmenter = Segmenter(path)
        self.name = f"{name or path.name} ({licence or self._segmenter.settings.licence})"

    @classmethod
    def known(cls, name: str) -> SegmenterLabels:
        """A parser of :data:`KNOWN_PARSERS`, from the cache of huggingface_hub.

        Raises:
            WeightsError: it is not on this machine; the message holds the command that fetches it, and the licence.
        """
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import LocalEntryNotFoundError

        parser = KNOWN_PARSERS[name]
        try:
            folder = snapshot_download(parser.repo, local_files_only=True)
        except LocalEntryNotFoundError as error:
            raise WeightsError(
                f"the parser {name!r} is not on this machine",
                got=f"no {parser.repo} in the cache of huggingface_hub",
                fix=f"run `hf download {parser.repo}` (licence: {parser.licence})",
            ) from error
        return cls(Path(folder), name, parser.licence)

    def __call__(self, photo: Photo, pose: Pose, outline: Outline) -> Labels:
        """See :class:`idmvton.prepare.backends.protocols.LabelParser`; the outline is not looked at."""
        return labels_of_person(self._segmenter(photo, pose.keypoints(Size(*photo.shape[:2]))), pose)
