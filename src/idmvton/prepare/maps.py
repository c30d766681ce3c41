"""Maps of a photo that are there already, and every map seen through a framing."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from idmvton.errors import InputError
from idmvton.images import ImageInput, load_image, load_mask
from idmvton.images.densepose import checked_parts
from idmvton.images.framing import BLACK, Framing
from idmvton.prepare.backends.protocols import Pose
from idmvton.prepare.mask import NECK
from idmvton.prepare.reading import read_keypoints, read_labels
from idmvton.types import Size

_SHARES: Final = 1.5  # no real skeleton lies within this many pixels of the corner
PathOrArray: TypeAlias = "str | os.PathLike[str] | NDArray[Any]"


def frame_labels(labels: NDArray[np.uint8], framing: Framing) -> NDArray[np.uint8]:
    """A label map (H, W) at the framing's size, without new values; background beyond the photo."""
    return np.asarray(framing.apply(Image.fromarray(labels), resample="labels", fill=BLACK))


def frame_keypoints(points: NDArray[np.floating], framing: Framing) -> NDArray[np.float32]:
    """Keypoints (18, 2) in working pixels; points that fall outside the picture count as missing."""
    moved = framing.to_working(points)
    limits = np.array([framing.size.width, framing.size.height])
    gone = (points == 0).all(1) | (moved < 0).any(1) | (moved > limits).any(1)
    return np.where(gone[:, None], 0, moved).astype(np.float32)


def frame_pose(pose: Pose, framing: Framing) -> Pose:
    """A pose found in the photo, in working pixels; its outline may be that of a smaller copy of the photo."""
    outline = pose.outline
    if outline is not None:
        grey = Image.fromarray((outline * np.float32(255) + np.float32(0.5)).astype(np.uint8))
        seen = framing.at(Size(grey.height, grey.width)).apply(grey, resample="photo", fill=BLACK)
        outline = np.asarray(seen).astype(np.float32) / np.float32(255)
    return pose.mapped(framing.to_working, outline)


def pose_of_keypoints(points: NDArray[np.floating], source: str, outline: NDArray[np.float32] | None = None) -> Pose:
    """A pose of keypoints that are known.

    Args:
        points: float (18, 2), pixels; (0, 0) is missing.
        source: where they come from.
        outline: float32 (H, W) from 0 to 1, the person, where it is known.

    Raises:
        InputError: no point at all.
    """
    visibility = np.any(points != 0, axis=1).astype(np.float32)
    if not visibility.any():
        raise InputError("the keypoints hold no person", got=source, expected="at least the shoulders of one person")
    return Pose(np.asarray(points, np.float32), visibility, source, outline=outline)


def corrected_pose(found: Pose, known: Pose) -> Pose:
    """A found pose with the points that are known put in their place."""
    is_known = known.visibility > 0
    box = found.box
    if box is not None:
        places = np.concatenate([np.array(box).reshape(2, 2), known.points[is_known]])
        (left, top), (right, bottom) = places.min(0).tolist(), places.max(0).tolist()
        box = left, top, right, bottom
    return dataclasses.replace(
        found,
        points=np.where(is_known[:, None], known.points, found.points),
        visibility=np.where(is_known, known.visibility, found.visibility),
        source=f"{found.source}, {known.source}",
        box=box,
    )


@dataclasses.dataclass(frozen=True, slots=True)
class Given:
    """Maps of the photo that need not be found: drawn by hand, of a data set, or made before.

    Each is a file or an array of the upright photo's own size, and is framed with it.

    Attributes:
        mask: what to repaint, white = repaint.
        densepose: the body map in the published colours; a file or uint8 (H, W, 3).
        labels: ATR classes, 18 for bare neck and trunk; a file or uint8 (H, W).
        keypoints: OpenPose JSON, or float (18, 2) in pixels of the photo.
    """

    mask: PathOrArray | None = None
    densepose: ImageInput | None = None
    labels: PathOrArray | None = None
    keypoints: PathOrArray | None = None

    def read(self, photo: Size) -> GivenMaps:
        """Reads and checks what is given.

        Args:
            photo: the photo's size.

        Raises:
            InputError: a map that cannot be read or has another size.
        """
        mask = None if self.mask is None else load_mask(self.mask, threshold=128)
        parts = None if self.densepose is None else _parts(self.densepose)
        labels = None if self.labels is None else _labels(self.labels)
        points = None if self.keypoints is None else _keypoints(self.keypoints)
        _check_size("mask", None if mask is None else mask.shape, photo)
        _check_size("densepose", None if parts is None else parts.shape, photo)
        _check_size("labels", None if labels is None else labels.shape, photo)
        if points is not None and points.any() and points.max() <= _SHARES:
            raise InputError(
                "the keypoints look like shares of the photo, not pixels",
                got=f"values from 0 to {points.max():.3g}",
                expected=f"x from 0 to {photo.width}, y from 0 to {photo.height}",
                fix="multiply x by the photo's width and y by its height",
            )
        if points is not None and (points > np.array([photo.width, photo.height])).any():
            raise InputError(
                "keypoints lie outside the photo",
                got=f"{points.max(0).round()} (x, y) at most; the photo is {photo}",
                expected="pixels of the upright photo",
                fix="scale them to the photo's size",
            )
        return GivenMaps(mask, parts, labels, points, self.names())

    def names(self) -> dict[str, str]:
        """The maps that are given -> where they come from, in words."""
        values = {each.name: getattr(self, each.name) for each in dataclasses.fields(self)}
        return {
            name: f"given: {Path(value).name}" if isinstance(value, str | os.PathLike) else "given"
            for name, value in values.items()
            if value is not None
        }


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class GivenMaps:
    """:class:`Given`, read: everything of the photo's size, or of the framed picture's after :meth:`framed`.

    Attributes:
        mask: bool (H, W).
        parts: uint8 (H, W), body parts 1 to 24, 0 elsewhere.
        labels: uint8 (H, W).
        keypoints: float32 (18, 2).
        sources: the maps that are there -> where they come from.
    """

    mask: NDArray[np.bool_] | None
    parts: NDArray[np.uint8] | None
    labels: NDArray[np.uint8] | None
    keypoints: NDArray[np.float32] | None
    sources: Mapping[str, str]

    def framed(self, framing: Framing) -> GivenMaps:
        """The maps at the framing's size."""
        return GivenMaps(
            mask=None if self.mask is None else framing.apply_mask(self.mask),
            parts=None if self.parts is None else frame_labels(self.parts, framing),
            labels=None if self.labels is None else frame_labels(self.labels, framing),
            keypoints=None if self.keypoints is None else frame_keypoints(self.keypoints, framing),
            sources=self.sources,
        )


def _parts(source: ImageInput) -> NDArray[np.uint8]:
    return checked_parts(load_image(source, what="densepose", background=BLACK))


def _labels(source: PathOrArray) -> NDArray[np.uint8]:
    if isinstance(source, str | os.PathLike):
        return read_labels(Path(source), "atr")
    array = np.asarray(source)
    if array.ndim != 2 or array.dtype != np.uint8 or (array.size and int(array.max()) > NECK):
        raise InputError(
            "the label map cannot be used",
            got=f"{array.dtype} {array.shape}",
            expected=f"uint8 (height, width), classes 0 to {NECK}",
        )
    return array


def _keypoints(source: PathOrArray) -> NDArray[np.float32]:
    if isinstance(source, str | os.PathLike):
        return read_keypoints(Path(source))
    array = np.asarray(source, np.float32)
    if array.shape != (18, 2) or not np.isfinite(array).all():
        raise InputError("the keypoints cannot be used", got=f"shape {array.shape}", expected="(18, 2), finite")
    return array


def _check_size(what: str, shape: tuple[int, ...] | None, photo: Size) -> None:
    if shape is not None and tuple(shape[:2]) != tuple(photo):
        raise InputError(
            f"the {what} file and the photo differ in size",
            got=f"{what} {Size(shape[0], shape[1])}, photo {photo}",
            expected="a map of the upright photo, pixel on pixel",
            fix=f"make it from this photo, or resize it to width {photo.width}, height {photo.height} "
            "with a nearest filter",
        )
