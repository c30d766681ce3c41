"""OpenPose as a pose backend: everybody in a photo, and their joints in the photo's pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from idmvton.devices import resolve_device
from idmvton.prepare.backends.openpose.decoding import NUM_JOINTS, Decoded, decode
from idmvton.prepare.backends.openpose.network import load_body_net
from idmvton.prepare.backends.openpose.picture import NetworkInput, maps_of_picture, network_input, working_picture
from idmvton.prepare.backends.protocols import Photo, Pose
from idmvton.weights import locate_file

ENTRY: Final = "openpose-body"
_SMALL: Final = 0.5  # of the photo's height: people smaller than this are read once more, from nearer
_ROOM: Final = 0.25  # of the person's height, around it, for the nearer look
_MAX_NEARER: Final = 4


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """One person: joints (18, 2) in pixels, counted from the outer edge of the first one, and their scores (18,)."""

    points: NDArray[np.float64]
    scores: NDArray[np.float64]
    score: float

    @property
    def is_seen(self) -> NDArray[np.bool_]:
        return self.scores > 0

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom of the joints."""
        seen = self.points[self.is_seen]
        (left, top), (right, bottom) = seen.min(0), seen.max(0)
        return float(left), float(top), float(right), float(bottom)

    @property
    def area(self) -> float:
        left, top, right, bottom = self.box
        return (right - left) * (bottom - top)


class OpenPose:
    """Finds people and OpenPose's 18 joints. Loaded once, it is called for many photos.

    Args:
        file: ``body_pose_model.pth``; by default the catalogue's, from the cache.
        device: where the network runs; ``"auto"`` takes a GPU where there is one.

    Raises:
        WeightsError: the file is not on this machine (the message holds the command that fetches it), or is another.
    """

    name = "openpose"

    def __init__(self, file: Path | None = None, device: str = "auto") -> None:
        self._device = resolve_device(device)
        self._network = load_body_net(file or locate_file(ENTRY)).to(self._device)

    def __call__(self, photo: Photo) -> tuple[Pose, ...]:
        """Everybody in the photo, the largest first; empty where there is nobody.

        People who are small in the photo are read a second time from nearer.

        Args:
            photo: uint8 RGB (H, W, 3).
        """
        people = sorted(self._found(photo), key=lambda each: -each.area)
        for number, person in enumerate(people[:_MAX_NEARER]):
            if _height(person) < _SMALL * photo.shape[0]:
                people[number] = self._nearer(photo, person)
        return tuple(self._pose(each) for each in sorted(people, key=lambda each: -each.area))

    @torch.inference_mode()
    def maps(self, pictures: Sequence[NetworkInput]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The network's fields (B, 38, h, w) and heatmaps (B, 19, h, w) of pictures of one size."""
        batch = torch.from_numpy(np.stack([each.values for each in pictures])).to(self._device)
        fields, heatmaps = self._network(batch)
        return fields.cpu().numpy(), heatmaps.cpu().numpy()

    def decode(self, picture: NDArray[np.uint8]) -> Decoded:
        """Everybody in a working picture, in its pixels, counted from the middle of the first one.

        Args:
            picture: uint8 RGB (H, W, 3); the published system uses 512 x 384.
        """
        source = network_input(picture)
        fields, heatmaps = self.maps([source])
        size = picture.shape[:2]
        heatmaps = maps_of_picture(heatmaps[0][:NUM_JOINTS], source.size, size)
        return decode(heatmaps, maps_of_picture(fields[0], source.size, size))

    def _found(self, photo: Photo) -> list[_Found]:
        picture = working_picture(photo)
        found = self.decode(picture)
        scale = np.array([photo.shape[1] / picture.shape[1], photo.shape[0] / picture.shape[0]])
        return [
            _Found((found.points(number) + 0.5) * scale, found.scores(number), score / count)
            for number, (*_, score, count) in enumerate(found.people)
        ]

    def _nearer(self, photo: Photo, person: _Found) -> _Found:
        """The person as seen in the part of the photo around them, where they are found there."""
        left, top, right, bottom = person.box
        room = _ROOM * max(bottom - top, right - left)
        rows = slice(max(int(top - room), 0), min(int(bottom + room) + 1, photo.shape[0]))
        columns = slice(max(int(left - room), 0), min(int(right + room) + 1, photo.shape[1]))
        part = np.ascontiguousarray(photo[rows, columns])
        corner = np.array([columns.start, rows.start])
        again = [_Found(each.points + corner, each.scores, each.score) for each in self._found(part)]
        same = [(each, _distance(each, person)) for each in again if (each.is_seen & person.is_seen).any()]
        nearest, distance = min(same, key=lambda pair: pair[1], default=(person, 0.0))
        return nearest if distance < room else person

    def _pose(self, person: _Found) -> Pose:
        return Pose(
            points=np.where(person.is_seen[:, None], person.points, 0).astype(np.float32),
            visibility=person.is_seen.astype(np.float32),
            source=self.name,
            confidence=float(np.clip(person.score, 0, 1)),
        )


def _height(person: _Found) -> float:
    return person.box[3] - person.box[1]


def _distance(first: _Found, second: _Found) -> float:
    """Mean distance of the joints that both have, pixels."""
    both = first.is_seen & second.is_seen
    return float(np.linalg.norm(first.points[both] - second.points[both], axis=1).mean())
