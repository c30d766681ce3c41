"""A prepared photo: everything that a try-on needs of a person, and the way back to the photo."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from idmvton.errors import InputError
from idmvton.framing import Framing
from idmvton.options import PrepareOptions
from idmvton.types import Category, Size


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """One person, framed, with every map; all maps have the framed picture's size (H, W).

    Attributes:
        photo: RGB, the upright photo as it was handed in, of any size.
        framing: photo -> framed picture.
        person: RGB, the framed picture.
        mask: bool (H, W), True = repaint.
        densepose: RGB, body parts in the published colours on black.
        labels: uint8 (H, W), the classes of :data:`idmvton.prepare.mask.ATR_LABELS`, 18 for bare neck and trunk.
        keypoints: float32 (18, 2), OpenPose points x, y in pixels of the framed picture; (0, 0) is missing.
        silhouette: uint8 (H, W), how much of each pixel is the person, 255 is all.
        category: what the mask is made for.
        options: how it was prepared.
        garment: RGB, the garment on white; ``None`` where no garment was given.
        garment_mask: bool, of the garment's size, True on the garment.
        warnings: what the caller should know, in words.
        sources: map -> the backend, with its model, that made it.
        timings: seconds of each stage, in order.

    Raises:
        InputError: on construction, a map of another size.
    """

    photo: Image.Image
    framing: Framing
    person: Image.Image
    mask: NDArray[np.bool_]
    densepose: Image.Image
    labels: NDArray[np.uint8]
    keypoints: NDArray[np.float32]
    silhouette: NDArray[np.uint8]
    category: Category
    options: PrepareOptions
    garment: Image.Image | None
    garment_mask: NDArray[np.bool_] | None
    warnings: tuple[str, ...]
    sources: Mapping[str, str]
    timings: Mapping[str, float]

    def __post_init__(self) -> None:
        sizes = {
            "framing": tuple(self.framing.size),
            "person": (self.person.height, self.person.width),
            "mask": self.mask.shape,
            "densepose": (self.densepose.height, self.densepose.width),
            "labels": self.labels.shape,
            "silhouette": self.silhouette.shape,
        }
        if len(set(sizes.values())) > 1 or self.framing.photo != (self.photo.height, self.photo.width):
            raise InputError(
                "the maps of a prepared photo differ in size",
                got=", ".join(f"{name} {size}" for name, size in sizes.items()),
                expected=f"{self.framing.size} for all, and a photo of {self.framing.photo}",
            )

    @property
    def size(self) -> Size:
        """The framed picture's size, pixels."""
        return self.framing.size

    @property
    def photo_mask(self) -> NDArray[np.bool_]:
        """The mask in the photo's own pixels: bool of the photo's size."""
        return self.framing.invert_labels(self.mask)

    def overlay(self) -> Image.Image:
        """The framed picture with skeleton, parts and the mask's edge drawn on it; RGB."""
        from idmvton.prepare.overlay import draw_overlay

        return draw_overlay(self)

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Writes everything into a folder, which appears whole or not at all; see :func:`read_prepared`.

        Args:
            folder: a new one, or one that a prepared photo was saved in before.

        Raises:
            InputError: the folder holds something else, or cannot be written.
        """
        from idmvton.prepare.prepared_files import write_prepared

        write_prepared(self, folder)
