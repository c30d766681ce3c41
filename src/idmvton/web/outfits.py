"""A top and a bottom on one person: the bottom first, then the top on that picture."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from idmvton.engine.service import Order, Terms, View
from idmvton.prepare.category import CATEGORY_NAMES
from idmvton.web import learned
from idmvton.web.fitting import Fitting, Step
from idmvton.web.room import Room
from idmvton.web.words import say

PARTS: Final = ("lower", "upper")
"""In the order in which they are put on: the top falls over the waistband, and its mask is that of the first result."""


@dataclass(frozen=True, slots=True)
class Outfit:
    """What is put on.

    Attributes:
        person: the photo.
        lower, upper: the garments' photos.
    """

    person: Path
    lower: Path
    upper: Path


def put_on(fitting: Fitting, room: Room, outfit: Outfit, seed: int | None = None) -> Iterator[Step]:
    """Makes both pictures, one after the other; a learned garment that is on is used for the part that it is.

    Args:
        fitting: of the page.
        room: of the visitor.
        outfit: what is put on.
        seed: of both pictures; drawn where none is given.

    Yields:
        How far it is; the last one has the finished job, or the one that failed.

    Raises:
        IdmVtonError: an order was not taken.
    """
    person: Path | bytes = outfit.person
    view: View | None = None
    known = learned.put_on(fitting.page, room)
    for number, part in enumerate(PARTS, 1):
        garment = outfit.lower if part == "lower" else outfit.upper
        options = {"category": part} | ({} if seed is None else {"seed": seed})
        helps = known is not None and known.about["category"] == CATEGORY_NAMES[part]
        adapter = learned.key_of(known) if known is not None and helps else None
        order = Order(files={"person": person, "garment": garment}, options=options, adapter=adapter)
        room.job = fitting.page.service.submit(order, Terms(caller=room.visitor))
        try:
            for step in fitting.follow(room, room.job):
                view = step.view
                if view is None:
                    words = say(room.language, "outfit.step", number=number, stage=step.stage)
                    if known is not None and helps:
                        words += f" · {known.name}"
                    share = None if step.share is None else (number - 1 + step.share) / len(PARTS)
                    yield dataclasses.replace(step, stage=words, share=share)
        finally:
            room.job = None
        if view is None or view.state != "succeeded":
            break
        person = fitting.page.service.read(view.id, "0.png")
    yield Step("", view=view)
