"""Samples that lie as files: what belongs to a sample, and the data set of a list of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from idmvton.data.flow_files import read_flow
from idmvton.data.sample import TryOnSample, frame_flow, frame_garment
from idmvton.errors import InputError
from idmvton.images.framing import BLACK, Framing, check_size
from idmvton.prepare.maps import frame_keypoints, frame_labels
from idmvton.prepare.reading import Classes, read_densepose, read_keypoints, read_labels, read_mask, read_photo
from idmvton.types import Category, MissingCaption, Size

SIZE_MULTIPLE: Final = 8
PREPARED: Final = "prepared-maps"
CATEGORY_PHRASES: Final[Mapping[Category, str]] = {
    "upper_body": "upper body clothes",
    "lower_body": "lower body clothes",
    "dresses": "dress",
}


@dataclass(frozen=True, slots=True)
class SampleFiles:
    """Where the pieces of one sample lie. A path may point to a file that does not exist (yet).

    Attributes:
        name: unique in the data set.
        person, garment, mask, densepose: pictures, always needed.
        category: the part of the body that the garment dresses.
        caption: the garment's phrase [V]; ``None``: nobody described it.
        prepared: how the names of the person's prepared maps begin, see :meth:`as_prepared`.
        labels, keypoints, garment_worn, unpaired_target, flow: read where they exist; ``None`` where the layout has
            none.
        label_classes: which classes ``labels`` holds.
        keypoints_size: the picture that keypoints are counted in; ``None``: the person photo.
        densepose_is_parts: the body map holds part numbers instead of colours.
        arm_width: of the agnostic mask, see :func:`idmvton.prepare.mask.agnostic_mask`.
    """

    name: str
    person: Path
    garment: Path
    mask: Path
    densepose: Path
    category: Category
    caption: str | None
    prepared: Path
    labels: Path | None = None
    keypoints: Path | None = None
    garment_worn: Path | None = None
    unpaired_target: Path | None = None
    flow: Path | None = None
    label_classes: Classes = "atr"
    keypoints_size: Size | None = None
    densepose_is_parts: bool = False
    arm_width: int = 60

    def as_prepared(self) -> SampleFiles:
        """The sample with the mask and body map that a try-on's preparation makes of the photo."""
        kinds = (f"{self.category}_mask", "densepose", "labels")
        mask, densepose, labels = (self.prepared.with_name(f"{self.prepared.name}_{kind}.png") for kind in kinds)
        return replace(
            self, mask=mask, densepose=densepose, densepose_is_parts=False, labels=labels, label_classes="atr"
        )


class FileDataset:
    """Samples of a list of files, each read when asked for.

    Args:
        files: the samples' files.
        size: (height, width) of everything that is read, divisible by 8.
        missing_caption: ``"error"`` refuses garments without a caption, ``"category phrase"`` describes them by
            their category; ``missing_captions`` names them.
        mask_threshold: makes grey masks binary, see :func:`idmvton.images.load_mask`; without it they are errors.

    Attributes:
        files: what was given.
        names: the samples' names, in order.
        missing_captions: names of the garment files that nobody described, each once.

    Raises:
        InputError: a size that cannot be used, no samples, two samples of one name, a missing caption.
    """

    def __init__(
        self,
        files: Sequence[SampleFiles],
        size: tuple[int, int],
        *,
        missing_caption: MissingCaption = "error",
        mask_threshold: int | None = None,
    ) -> None:
        check_size(*size, SIZE_MULTIPLE)
        self.files, self.size, self.mask_threshold = tuple(files), Size(*size), mask_threshold
        self.names = tuple(each.name for each in self.files)
        self.missing_captions = tuple(dict.fromkeys(each.garment.name for each in self.files if not each.caption))
        if not self.files:
            raise InputError("the data set has no samples", expected="at least one pair of a person and a garment")
        if twice := [name for name, count in Counter(self.names).items() if count > 1]:
            raise InputError("samples occur twice", got=", ".join(twice[:5]), fix="list each pair once")
        if missing_caption == "error" and self.missing_captions:
            raise InputError(
                f"{len(self.missing_captions)} garments have no caption",
                got=", ".join(self.missing_captions[:5]) + (" ..." if len(self.missing_captions) > 5 else ""),
                expected=f"a caption for each of {len({each.garment for each in self.files})} garments",
                fix='describe them, or pass missing_caption="category phrase" (--missing-caption "category phrase")',
            )

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> TryOnSample:
        """Reads one sample.

        Raises:
            InputError: a file that is missing or cannot be used; it is named.
        """
        return read_sample(self.files[index], self.size, self.mask_threshold)

    def as_prepared(self) -> FileDataset:
        """The samples whose prepared maps were made, with those instead of their own.

        Raises:
            InputError: none was made.
        """
        files = [each.as_prepared() for each in self.files]
        made = [each for each in files if each.mask.exists()]
        if not made:
            raise InputError(
                "the data set has no prepared maps",
                got=f"no {files[0].mask}",
                fix="make them: idmvton data prepare DIR --beside",
            )
        return FileDataset(made, self.size, missing_caption="category phrase", mask_threshold=self.mask_threshold)


def read_sample(files: SampleFiles, size: Size, mask_threshold: int | None = None) -> TryOnSample:
    """Reads the files of one sample at ``size``.

    Raises:
        InputError: a file that is missing or cannot be used; it is named.
    """
    photo = read_photo(files.person, "person")
    view = PersonView(files.person, Size(photo.height, photo.width), size)
    labels, keypoints = _existing(files.labels), _existing(files.keypoints)
    worn, target, flow = map(_existing, (files.garment_worn, files.unpaired_target, files.flow))
    return TryOnSample(
        name=files.name,
        person=view.photo(photo, files.person),
        garment=frame_garment(read_photo(files.garment, "garment"), size),
        mask=view.mask(read_mask(files.mask, mask_threshold), files.mask),
        densepose=view.densepose(read_densepose(files.densepose, is_parts=files.densepose_is_parts), files.densepose),
        caption=files.caption or CATEGORY_PHRASES[files.category],
        category=files.category,
        labels=view.labels(read_labels(labels, files.label_classes), labels) if labels else None,
        keypoints=view.keypoints(read_keypoints(keypoints), files.keypoints_size) if keypoints else None,
        garment_worn=frame_garment(read_photo(worn, "worn garment"), size) if worn else None,
        unpaired_target=view.photo(read_photo(target, "unpaired target"), target) if target else None,
        flow=view.flow(read_flow(flow), flow) if flow else None,
    )


@dataclass(frozen=True, slots=True)
class PersonView:
    """One person photo at a working size; maps of the photo's aspect come out pixel on pixel, whatever their own size.

    Attributes:
        path: the photo.
        photo_size, size: of the photo and of the result, pixels.
    """

    path: Path
    photo_size: Size
    size: Size

    def photo(self, picture: Image.Image, path: Path) -> Image.Image:
        """The photo, or another one of the same view."""
        return self._framing((picture.height, picture.width), path).apply(picture, resample="photo", fill="edge")

    def densepose(self, picture: Image.Image, path: Path) -> Image.Image:
        """The body map."""
        return self._framing((picture.height, picture.width), path).apply(picture, resample="labels", fill=BLACK)

    def mask(self, mask: NDArray[np.bool_], path: Path) -> NDArray[np.bool_]:
        """The mask."""
        return self._framing(mask.shape, path).apply_mask(mask)

    def labels(self, labels: NDArray[np.uint8], path: Path) -> NDArray[np.uint8]:
        """The label map."""
        return frame_labels(labels, self._framing(labels.shape, path))

    def flow(self, flow: NDArray[np.float32], path: Path) -> NDArray[np.float32]:
        """The flow into the product picture."""
        return frame_flow(flow, self._framing(flow.shape, path))

    def keypoints(self, points: NDArray[np.float32], counted_in: Size | None) -> NDArray[np.float32]:
        """The keypoints, given in pixels of a picture of the size ``counted_in`` (default: the photo)."""
        return frame_keypoints(points, Framing.fit(counted_in or self.photo_size, self.size))

    def _framing(self, shape: tuple[int, ...], path: Path) -> Framing:
        found = Size(shape[0], shape[1])
        if not same_aspect(found, self.photo_size):
            raise InputError(
                "a map does not have the aspect of its photo",
                got=f"{path} {found}, {self.path} {self.photo_size}",
                expected="maps drawn on the upright photo, of its size or scaled as a whole",
            )
        return Framing.fit(found, self.size)


def same_aspect(found: Size, photo: Size) -> bool:
    """Whether a map shows the whole photo, to a pixel of the smaller of both."""
    slack = max(*found, *photo)
    return abs(found.height * photo.width - found.width * photo.height) <= slack


def _existing(path: Path | None) -> Path | None:
    return path if path is not None and path.exists() else None
