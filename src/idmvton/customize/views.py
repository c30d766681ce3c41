"""The photos of a customization as samples: the pairs to learn, and a held-out view of each."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from idmvton.data.augment import shift_and_scale
from idmvton.data.sample import TryOnSample, frame_garment
from idmvton.errors import InputError, PreparationError
from idmvton.prepare.category import clothes_of, word_of
from idmvton.prepare.mask import ATR_LABELS
from idmvton.prepare.record import Prepared
from idmvton.training.validation import Listed
from idmvton.types import Category, Size

_LEAST_SIDE: Final = 0.5  # of the working size: smaller photos show nothing of the garment to learn
_LEAST_GARMENT: Final = 0.02  # of the picture
_CLOSER: Final = 1.3  # of the held-out view, against the photo


class Views(Listed):
    """Samples in memory."""

    def captions(self) -> list[str]:
        """Their phrases [V]."""
        return [sample.caption for sample in self.samples]


@dataclass(frozen=True, slots=True)
class HeldOut:
    """The samples of a customization.

    Attributes:
        own: one a pair of photos.
        prior: of a data set, mixed in.
        prior_share: how much of the views is theirs.
        num_draws: how often each held-out view is scored, with other noise.
    """

    own: Sequence[TryOnSample]
    prior: Sequence[TryOnSample] = ()
    prior_share: float = 0.0
    num_draws: int = 1

    def training(self) -> Views:
        """The pairs, and those of the data set, in their shares."""
        if not self.prior:
            return Views(self.own)
        wanted = len(self.prior) * (1 - self.prior_share) / self.prior_share
        return Views([*list(self.own) * max(1, round(wanted / len(self.own))), *self.prior])

    def held_out(self) -> Views:
        """Each pair seen from closer, as no view of the training is."""
        return Views([closer(each) for each in self.own for _ in range(self.num_draws)])


def sample_of(prepared: Prepared, caption: str, size: Size, name: str) -> TryOnSample:
    """A prepared person and the garment as a sample of the working size.

    Args:
        prepared: the photo of somebody who wears the garment, prepared with it.
        caption: what the garment is.
        size: height and width.
        name: of the pair, for messages.

    Raises:
        InputError: the photo is too small.
        PreparationError: the garment is not seen on the person.
    """
    shown = Size(prepared.person.height, prepared.person.width)
    given = min(shown, Size(prepared.photo.height, prepared.photo.width))  # small photos are enlarged when prepared
    if given.height < _LEAST_SIDE * size.height:
        raise InputError(
            "the photo is too small to learn a garment from",
            got=f"{name}: {given}",
            expected=f"at least {math.ceil(_LEAST_SIDE * size.height)} pixels high, best {size.height} and more",
            fix="give a larger photo",
        )
    assert prepared.garment is not None
    sample = TryOnSample(
        name=name,
        person=prepared.person,
        garment=frame_garment(prepared.garment, shown),
        mask=prepared.mask,
        densepose=prepared.densepose,
        caption=caption,
        category=prepared.category,
        labels=prepared.labels,
        keypoints=prepared.keypoints,
    ).resized(size)
    sample = dataclasses.replace(sample, garment=frame_garment(prepared.garment, size))
    share = float(worn_region(sample).mean())
    if share < _LEAST_GARMENT:
        kinds = np.unique(prepared.labels)
        seen = ", ".join(ATR_LABELS[kind] for kind in kinds if 0 < kind < len(ATR_LABELS))
        raise PreparationError(
            "the garment is not seen on the person",
            got=f"{name}: {share:.1%} of the picture is a garment of the category {word_of(prepared.category)}; "
            f"seen are {seen or 'no clothes'}",
            expected="a photo of somebody who wears the garment, large and in full",
            fix="give another photo, or say which part of the body it dresses: --category upper, lower or dress",
        )
    return sample


def worn_region(sample: TryOnSample) -> NDArray[np.bool_]:
    """Where the person of a sample wears the garment: bool (H, W); the mask where no labels are known."""
    if sample.labels is None or sample.unpaired_target is not None:
        return sample.mask
    return sample.mask & is_garment(sample.labels, sample.category)


def is_garment(labels: NDArray[np.uint8], category: Category) -> NDArray[np.bool_]:
    """Where ATR labels are clothes of a category."""
    return np.isin(labels, [ATR_LABELS.index(name) for name in clothes_of(category)])


def closer(sample: TryOnSample) -> TryOnSample:
    """The sample seen from closer, with the middle of the mask in the picture's middle."""
    rows, columns = (np.flatnonzero(sample.mask.any(axis)) for axis in (1, 0))
    height, width = sample.size
    down = 0.5 - (rows[0] + rows[-1] + 1) / 2 / height
    right = 0.5 - (columns[0] + columns[-1] + 1) / 2 / width
    return shift_and_scale(sample, float(down) * _CLOSER, float(right) * _CLOSER, _CLOSER)


def picture_row(pictures: Sequence[Image.Image], height: int = 512) -> Image.Image:
    """Pictures side by side, all of one height."""
    sized = [each.resize((round(each.width * height / each.height), height)) for each in pictures]
    row = Image.new("RGB", (sum(each.width for each in sized), height))
    place = 0
    for each in sized:
        row.paste(each, (place, 0))
        place += each.width
    return row
