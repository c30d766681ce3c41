"""Backends that know the truth of one picture, whatever framing they are shown it in."""

from __future__ import annotations

import numpy as np

from idmvton.prepare.backends.registry import BODY_BACKENDS, LABELS_BACKENDS, OUTLINE_BACKENDS, POSE_BACKENDS, Entry
from idmvton.prepare.choice import SETS
from idmvton.prepare.maps import pose_of_keypoints
from idmvton.prepare.preparer import Preparer

EMBEDDED = SETS["embedded"]


class Truth:
    """One person's maps as four backends: ``pose``, ``outline``, ``labels`` and ``body``.

    Args:
        labels, parts: uint8 (H, W).
        keypoints: float (18, 2).
    """

    name = "truth"

    def __init__(self, labels, parts, keypoints):
        self.labels, self.parts = labels, parts
        outline = (labels > 0).astype(np.float32)
        self.known = pose_of_keypoints(np.asarray(keypoints, np.float32), self.name, outline)
        self.calls = []

    def preparer(self):
        return Preparer(self.pose, self.outline, self.label_map, self.body)

    @property
    def pose(self):
        return Backend(self.name, lambda photo: self.find(photo))

    @property
    def outline(self):
        return Backend(self.name, lambda photo, pose: (self.seen(self.labels, photo, pose) > 0).astype(np.float32))

    @property
    def label_map(self):
        return Backend(self.name, lambda *inputs: self.parse(*inputs))

    @property
    def body(self):
        return Backend(self.name, lambda *inputs: self.read_body(*inputs))

    def find(self, photo):
        self.calls.append("pose")
        return () if self.known is None else (self.known,)

    def parse(self, photo, pose, silhouette):
        self.calls.append("labels")
        return self.seen(self.labels, photo, pose)

    def read_body(self, photo, pose, silhouette):
        self.calls.append("body")
        return self.seen(self.parts, photo, pose)

    def seen(self, truth, photo, pose):
        """The truth as the photo frames it, told from where the points went."""
        places = []
        visible = self.known.visibility > 0
        for axis, length in ((1, photo.shape[0]), (0, photo.shape[1])):
            scale, start = np.polyfit(pose.points[visible, axis], self.known.points[visible, axis], 1)
            places.append(np.floor(start + scale * (np.arange(length) + 0.5)).astype(int))
        rows, columns = places
        inside = ((rows >= 0) & (rows < truth.shape[0]))[:, None] & ((columns >= 0) & (columns < truth.shape[1]))
        found = truth[np.ix_(rows.clip(0, truth.shape[0] - 1), columns.clip(0, truth.shape[1] - 1))]
        return np.where(inside, found, np.uint8(0))


class Backend:
    def __init__(self, name, function):
        self.name, self.function = name, function

    def __call__(self, *inputs):
        return self.function(*inputs)


def of_sample(sample):
    """The truth of a person of the studio."""
    return Truth(sample.labels, np.ascontiguousarray(sample.iuv[..., 0]), sample.keypoints)


def use(truth, monkeypatch):
    """Puts the truth in the place of the embedded backends, for the command line."""
    for registry, name, backend in (
        (POSE_BACKENDS, EMBEDDED["pose_backend"], truth.pose),
        (OUTLINE_BACKENDS, EMBEDDED["outline_backend"], truth.outline),
        (LABELS_BACKENDS, EMBEDDED["labels_backend"], truth.label_map),
        (BODY_BACKENDS, EMBEDDED["body_backend"], truth.body),
    ):
        entry = Entry("the truth", lambda backend=backend: backend)
        monkeypatch.setitem(registry._entries, name, entry)
        monkeypatch.setattr(registry, "_loaded", {})
