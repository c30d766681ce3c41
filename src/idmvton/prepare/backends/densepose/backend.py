"""DensePose as a body backend: the parts of the person whose skeleton is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from idmvton.errors import NoPersonError
from idmvton.prepare.backends.densepose.boxes import intersection_over_union
from idmvton.prepare.backends.densepose.reader import MIN_SCORE, BodyReading, DensePoseReader, People
from idmvton.prepare.backends.protocols import Box, Outline, Parts, Photo, Pose
from idmvton.types import Size


class DensePoseBody:
    """Tells the 24 body parts as the published system does. Loaded once, it is called for many photos.

    Args:
        file: ``model_final_162be9.pkl``; by default the catalogue's, from the cache.
        device: where the network runs; ``"auto"`` takes a GPU where there is one.

    Attributes:
        reader: what it reads photos with.

    Raises:
        WeightsError: the file is not on this machine (the message holds the command that fetches it), or is another.
    """

    name = "densepose"

    def __init__(self, file: Path | None = None, device: str = "auto") -> None:
        self.reader = DensePoseReader(file, device)

    def __call__(self, photo: Photo, pose: Pose, outline: Outline) -> Parts:
        """The body map of one person, of the photo's size.

        Raises:
            NoPersonError: DensePose sees nobody, or nobody where the skeleton is.
        """
        return self.read(photo, pose).parts

    def read(self, photo: Photo, pose: Pose) -> BodyReading:
        """Parts, and places on their surfaces, of the person whose box overlaps most with the skeleton's.

        Raises:
            NoPersonError: DensePose sees nobody, or nobody where the skeleton is.
        """
        box = pose.visible_box(Size(*photo.shape[:2]))
        return self.reader.read(photo, lambda people: _person_at(people, box))

    def demo_parts(self, picture: Photo) -> Parts | None:
        """The parts that the published demo draws: of the least sure of its people, whoever that is.

        Args:
            picture: uint8 RGB (H, W, 3); the demo uses 512 x 384.

        Returns:
            The body map, empty where that person's box is not a pixel wide or high; ``None`` where nobody is found.
        """
        try:
            found = self.reader.read(picture, lambda people: len(people) - 1)
        except NoPersonError:
            return None
        left, top, right, bottom = found.box
        if right - left < 1 or bottom - top < 1:
            return np.zeros_like(found.parts)
        return found.parts


def _person_at(people: People, box: Box) -> int:
    """Which of the people is in a box.

    Raises:
        NoPersonError: nobody is.
    """
    overlaps = intersection_over_union(torch.from_numpy(people.boxes), torch.tensor([box]))[:, 0]
    best = int(overlaps.argmax())
    if overlaps[best] <= 0:
        raise NoPersonError(
            "DensePose does not see the chosen person",
            got=f"{len(people)} people with a score above {MIN_SCORE:g}, all elsewhere in the photo",
            fix="choose another person or another body backend",
        )
    return best
