"""The mask for a new garment: the rules for the old clothes, half a dress where asked, and room for the new one."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from idmvton.options import PrepareOptions
from idmvton.prepare.dress import divide_dress
from idmvton.prepare.mask import REFERENCE_HEIGHT, where
from idmvton.prepare.mask_making import PersonSeen, grow, make_mask
from idmvton.prepare.room import room_for
from idmvton.types import Category

Mask = NDArray[np.bool_]

_FEW: Final = 0.001  # of the picture: less is no bag
_NEAR: Final = 4  # pixels of a picture 512 high


def mask_for(
    person: PersonSeen, garment: Mask | None, category: Category, options: PrepareOptions
) -> tuple[Mask, tuple[str, ...]]:
    """The mask, bool (H, W), True = repaint, and what to say about it.

    Args:
        person: what is seen of the person.
        garment: bool, the outline in the new garment's picture, where there is one.
        category: what is exchanged.
        options: those of the mask; without ``cover_old_garment`` the plain rules hold.

    Raises:
        InputError: maps that cannot be used.
    """
    if not options.cover_old_garment:
        return make_mask(person, category, options), ()
    labels, notes = divide_dress(person.labels, person.keypoints, category)
    height, width = labels.shape
    room = None if garment is None else room_for(garment, category, person.keypoints, (height, width))
    mask = make_mask(person._replace(labels=labels), category, options, room)
    return mask, (*notes, *_about_bags(labels, mask))


def _about_bags(labels: NDArray[np.uint8], mask: Mask) -> tuple[str, ...]:
    """A warning where a bag touches the mask: parsers often see only a part of one."""
    bag = where(labels, ("bag",))
    if bag.mean() < _FEW or not (grow(bag, round(_NEAR * len(labels) / REFERENCE_HEIGHT)) & mask).any():
        return ()
    return ("a bag lies at the mask's edge, and a part of it may be repainted: look at overlay.png, correct mask.png",)
