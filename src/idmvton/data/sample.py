"""One try-on sample at one size, and what every data set of them offers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from idmvton.errors import InputError
from idmvton.images.framing import BLACK, WHITE, Framing
from idmvton.prepare.maps import frame_keypoints, frame_labels
from idmvton.types import Category, Size


@dataclass(frozen=True, slots=True, eq=False)
class TryOnSample:
    """A person, a garment and their maps, all of one size (H, W).

    The person and every map of the person show the same geometry, pixel on pixel.

    Attributes:
        name: unique in its data set; it names the pair, not the person alone.
        person: RGB, the photo.
        garment: RGB, the product picture, letterboxed on white.
        mask: bool (H, W), True = repaint.
        densepose: RGB, body parts in the colours of :mod:`idmvton.images.densepose` on black.
        caption: what the garment is, the phrase [V] (paper section 3.3).
        category: the part of the body that the garment dresses.
        labels: uint8 (H, W), the classes of :data:`idmvton.prepare.mask.ATR_LABELS`, 18 for bare neck and trunk.
        keypoints: float32 (18, 2), x and y in OpenPose order, pixels counted from the outer edge of the first
            one; (0, 0) is a missing point.
        garment_worn: RGB, the garment on somebody else, letterboxed on white.
        unpaired_target: RGB, the person wearing ``garment``, where ``person`` shows another garment and the truth
            is known.
        flow: float32 (H, W, 2), x and y in pixels of ``garment``, counted from the outer edge of the first one: where
            it shows the spot of fabric that a pixel of the person in that garment shows. NaN where the garment is not
            seen, infinite where the product picture does not show that spot. Only rendered people have it.

    Raises:
        InputError: on construction, pieces of different sizes.
    """

    name: str
    person: Image.Image
    garment: Image.Image
    mask: NDArray[np.bool_]
    densepose: Image.Image
    caption: str
    category: Category
    labels: NDArray[np.uint8] | None = None
    keypoints: NDArray[np.float32] | None = None
    garment_worn: Image.Image | None = None
    unpaired_target: Image.Image | None = None
    flow: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        pictures = {
            name: getattr(self, name)
            for name in ("person", "garment", "densepose", "garment_worn", "unpaired_target")
            if getattr(self, name) is not None
        }
        shapes = {name: (picture.height, picture.width) for name, picture in pictures.items()}
        shapes["mask"] = self.mask.shape
        shapes |= {"labels": self.labels.shape} if self.labels is not None else {}
        shapes |= {"flow": self.flow.shape[:2]} if self.flow is not None else {}
        if len(set(shapes.values())) > 1:
            raise InputError(
                f"the pieces of sample {self.name} differ in size",
                got=", ".join(f"{name} {shape}" for name, shape in shapes.items()),
                expected="one (height, width) for all",
            )

    @property
    def size(self) -> Size:
        """The size that all pieces have, pixels."""
        return Size(self.person.height, self.person.width)

    def reframed(self, framing: Framing) -> TryOnSample:
        """The person, seen through ``framing``, with every map; the garment keeps its place.

        Beyond the photo its border pixels repeat, so that no foreign colour enters what is kept; maps are empty
        there. If the framing changes the size, the garment is letterboxed to it.

        Raises:
            InputError: the framing is not made for pictures of this size.
        """
        target, worn = self.unpaired_target, self.garment_worn
        return replace(
            self,
            person=framing.apply(self.person, resample="photo", fill="edge"),
            garment=frame_garment(self.garment, framing.size),
            mask=framing.apply_mask(self.mask),
            densepose=framing.apply(self.densepose, resample="labels", fill=BLACK),
            labels=None if self.labels is None else frame_labels(self.labels, framing),
            keypoints=None if self.keypoints is None else frame_keypoints(self.keypoints, framing),
            garment_worn=None if worn is None else frame_garment(worn, framing.size),
            unpaired_target=None if target is None else framing.apply(target, resample="photo", fill="edge"),
            flow=None if self.flow is None else frame_flow(self.flow, framing),
        )

    def resized(self, size: Size) -> TryOnSample:
        """Everything at another size, padded where the aspect differs."""
        return self if size == self.size else self.reframed(Framing.fit(self.size, size))


def frame_garment(picture: Image.Image, size: Size) -> Image.Image:
    """A whole garment picture, centred on white, at ``size``."""
    framing = Framing.fit(Size(picture.height, picture.width), size)
    return framing.apply(picture, resample="photo", fill=WHITE)


def frame_flow(flow: NDArray[np.float32], framing: Framing) -> NDArray[np.float32]:
    """A flow (H, W, 2) at the framing's size, into a product picture that is letterboxed to that size."""
    axes = (framing.rows, framing.columns)
    rows, columns = (np.floor(axis.start + (np.arange(axis.size) + 0.5) * axis.scale).astype(int) for axis in axes)
    height, width = flow.shape[:2]
    seen = flow[rows.clip(0, height - 1)[:, None], columns.clip(0, width - 1)]
    outside = ((rows < 0) | (rows >= height))[:, None] | (columns < 0) | (columns >= width)
    product = Framing.fit(Size(height, width), framing.size)
    moved = np.stack(
        [(seen[..., n] - axis.start) / axis.scale for n, axis in enumerate((product.columns, product.rows))], 2
    )
    return np.where(outside[..., None], np.float32(np.nan), moved).astype(np.float32)


class TryOnDataset(Protocol):
    """What training, evaluation and the tools read: samples by number."""

    @property
    def names(self) -> Sequence[str]:
        """The samples' names, in order."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> TryOnSample: ...
