"""The mask for a new garment: the rules for the old clothes, half a dress where asked, and room for the new one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from idmvton.options import PrepareOptions
from idmvton.prepare.dress import divide_dress
from idmvton.prepare.mask_making import PersonSeen, make_mask
from idmvton.prepare.room import room_for
from idmvton.types import Category

Mask = NDArray[np.bool_]


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
    return make_mask(person._replace(labels=labels), category, options, room), notes
