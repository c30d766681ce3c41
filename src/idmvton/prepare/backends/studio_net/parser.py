"""``studio-net``: the embedded network for labels and body parts."""

from __future__ import annotations

import functools
import threading
from pathlib import Path
from typing import Final, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from idmvton.errors import InputError
from idmvton.images.densepose import OTHER_SIDE
from idmvton.prepare.backends.blazepose.landmarks import landmarks_of
from idmvton.prepare.backends.protocols import Labels, Parts, Photo, Pose
from idmvton.prepare.backends.studio_net import encoding, outfit, refine
from idmvton.prepare.backends.studio_net.cuffs import find_cuffs
from idmvton.prepare.backends.studio_net.network import WEIGHTS, load_network
from idmvton.prepare.backends.studio_net.repair import repair
from idmvton.prepare.backends.studio_net.sets import complete_top, divide_set
from idmvton.prepare.mask import ATR_LABELS, NECK, OTHER_LABEL

NAME: Final = "studio-net"
Floats = NDArray[np.float32]

_ZOOM: Final = 2.0  # borders are sharpened at this many times the network's size
_WINDOW: Final = 5  # of the edge-preserving filter, pixels of that size
_SMOOTHNESS: Final = 1e-3
_INSIDE: Final = 0.5
_BARE: Final = ("head", "left_leg", "right_leg", "left_arm", "right_arm")
_BODY: Final = np.isin(np.arange(NECK + 1), [*(ATR_LABELS.index(name) for name in _BARE), NECK])
"""Label -> whether it shows the body itself, so that some part must be there."""


class Maps(NamedTuple):
    """What the network says of a photo."""

    labels: Labels
    parts: Parts


class StudioNet:
    """Labels and body parts by a small network that was trained on rendered people, sharpened on the photo.

    Args:
        weights: its safetensors file.
    """

    def __init__(self, weights: Path = WEIGHTS) -> None:
        self._network = load_network(weights)
        self._last = threading.local()

    def __call__(self, photo: Photo, pose: Pose, silhouette: Floats) -> Maps:
        """Labels and parts, zero outside the outline but for hands and shoes; each thread keeps its last photo's.

        Args:
            photo: uint8 (H, W, 3).
            pose: the person's skeleton.
            silhouette: float32 (H, W) from 0 to 1, the person's outline.

        Raises:
            InputError: an array of another shape or type than stated.
        """
        told = photo, pose, silhouette
        last = getattr(self._last, "told", None)
        if last is None or any(one is not other for one, other in zip(last, told, strict=True)):
            self._last.maps = self._parse(*told)
            self._last.told = told
        found: Maps = self._last.maps
        return found

    def _parse(self, photo: Photo, pose: Pose, silhouette: Floats) -> Maps:
        _check(photo, silhouette)
        inside = silhouette > _INSIDE
        if not inside.any():
            return Maps(np.zeros(inside.shape, np.uint8), np.zeros(inside.shape, np.uint8))
        crop = encoding.person_crop(silhouette)
        picture = np.asarray(crop.cut(photo, _ZOOM), np.uint8)
        labels, parts = self.shares(crop, picture, pose, silhouette)
        sharp, classes = _sharpen(labels, picture)
        parts[0, _BODY[classes[sharp.argmax(0)]]] = 0
        found = _in_photo((sharp, classes), crop, inside), _in_photo(_present(parts), crop, inside)
        repaired = Maps(*repair(photo, *found, landmarks_of(pose)))
        divided = divide_set(photo, repaired.labels, landmarks_of(pose))
        whole = complete_top(photo, divided, landmarks_of(pose))
        return repaired._replace(labels=find_cuffs(photo, whole, landmarks_of(pose)))

    def shares(self, crop: encoding.Crop, picture: Photo, pose: Pose, silhouette: Floats) -> tuple[Floats, Floats]:
        """The network's own opinion, the mean over the picture and its mirror: left and right are treated alike.

        Args:
            crop: the window of the photo.
            picture: uint8 (H, W, 3), its pixels, enlarged.
            pose: the skeleton, on the photo.
            silhouette: float32, of the photo.

        Returns:
            probabilities of labels, float32 (19, H, W), and of parts, float32 (25, H, W).
        """
        small = cv2.resize(picture, crop.size[::-1], interpolation=cv2.INTER_AREA)
        encoded = encoding.encode_picture(small, np.asarray(crop.cut(silhouette), np.float32))
        landmarks = landmarks_of(pose)
        drawn = encoding.encode_pose(crop.points(landmarks.points), landmarks.visibility, crop.size)
        both = np.stack([encoded, encoded[..., ::-1]]), np.stack([drawn, drawn[encoding.MIRRORED_LINES, :, ::-1]])
        with torch.inference_mode():
            scores = self._network(*(torch.from_numpy(values) for values in both))
            labels, parts = (
                _mean_of_mirrors(values.softmax(1), other_side, picture.shape[:2])
                for values, other_side in zip(scores, (OTHER_LABEL, OTHER_SIDE), strict=True)
            )
        return labels, parts


@functools.cache
def _embedded() -> StudioNet:
    """The network that both backends ask: it works once for a photo."""
    return StudioNet()


class StudioLabels:
    """What a person wears, by :class:`StudioNet`."""

    name = NAME

    def __init__(self, network: StudioNet | None = None) -> None:
        self._network = network or _embedded()

    def __call__(self, photo: Photo, pose: Pose, outline: Floats) -> Labels:
        """See :class:`idmvton.prepare.backends.protocols.LabelParser`.

        Raises:
            InputError: an array of another shape or type than stated.
        """
        return self._network(photo, pose, outline).labels


class StudioBody:
    """The parts of a person's body, by :class:`StudioNet`."""

    name = NAME

    def __init__(self, network: StudioNet | None = None) -> None:
        self._network = network or _embedded()

    def __call__(self, photo: Photo, pose: Pose, outline: Floats) -> Parts:
        """See :class:`idmvton.prepare.backends.protocols.BodyParser`.

        Raises:
            InputError: an array of another shape or type than stated.
        """
        return self._network(photo, pose, outline).parts


def _mean_of_mirrors(shares_BCHW: Tensor, other_side: NDArray[np.uint8], size: tuple[int, int]) -> Floats:
    """The mean of a picture's shares and those of its mirror turned back, enlarged."""
    plain, turned = shares_BCHW[:1], shares_BCHW[1:, torch.from_numpy(other_side).long()].flip(3)
    return F.interpolate((plain + turned) / 2, size, mode="bilinear")[0].numpy().copy()


def _check(photo: Photo, silhouette: Floats) -> None:
    if photo.ndim != 3 or photo.shape[2] != 3 or photo.dtype != np.uint8:
        raise InputError(
            "the photo cannot be parsed", got=f"{photo.dtype} {photo.shape}", expected="uint8 (height, width, 3), RGB"
        )
    if silhouette.shape != photo.shape[:2] or silhouette.dtype != np.float32:
        raise InputError(
            "the person's outline does not fit the photo",
            got=f"{silhouette.dtype} {silhouette.shape}",
            expected=f"float32 {photo.shape[:2]}, from 0 to 1",
        )


def _sharpen(shares: Floats, picture: Photo) -> tuple[Floats, NDArray[np.intp]]:
    kept, classes = _present(outfit.settle_outfit(picture, shares))
    kept = refine.colour_evidence(picture, kept, refine.MATERIALS[classes])
    return refine.guided_filter(picture, kept, _WINDOW, _SMOOTHNESS), classes


def _present(shares: Floats) -> tuple[Floats, NDArray[np.intp]]:
    classes = refine.present_classes(shares)
    return shares[classes], classes


def _in_photo(
    found: tuple[Floats, NDArray[np.intp]], crop: encoding.Crop, inside: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    """The best class of each photo pixel inside the outline."""
    shares, classes = found
    height, width = inside.shape
    left, top = max(round(crop.left), 0), max(round(crop.top), 0)
    right = min(round(crop.left + crop.scale * crop.size[1]), width)
    bottom = min(round(crop.top + crop.scale * crop.size[0]), height)
    step = shares.shape[1] / (crop.size[0] * crop.scale)
    shift_x, shift_y = ((0.5 + near - edge) * step - 0.5 for near, edge in ((left, crop.left), (top, crop.top)))
    matrix = np.array([[step, 0, shift_x], [0, step, shift_y]])
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    best = np.full((bottom - top, right - left), -np.inf, np.float32)
    result = np.zeros(inside.shape, np.uint8)
    window = result[top:bottom, left:right]
    for plane, number in zip(shares, classes, strict=True):
        value = cv2.warpAffine(plane, matrix, best.shape[::-1], flags=how, borderMode=cv2.BORDER_REPLICATE)
        better = value > best
        best[better], window[better] = value[better], number
    result[~inside] = 0
    return result
