"""A garment is learned, without a browser: ordered, followed, stopped."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from idmvton.engine.service import Order, Terms, View
from idmvton.options import PrepareOptions
from idmvton.types import CategoryChoice
from idmvton.web.copy_as import changed
from idmvton.web.fitting import FOLLOWED, Fitting, Step
from idmvton.web.page import Page
from idmvton.web.room import Room
from idmvton.web.words import say

_SMALL: Final = 500_000_000  # parameters of a model that any device can train
_LEAST: Final = 24 << 30  # bytes of a GPU that trains the others: docs/customization.md


@dataclass(frozen=True, slots=True)
class Lesson:
    """What is to be learned.

    Attributes:
        person: the photo of somebody who wears the garment.
        garment: a photo of it alone, if there is one.
        name: for what is learned.
        category: what it is.
    """

    person: Path
    garment: Path | None
    name: str
    category: CategoryChoice = "auto"


def plain_name(name: str) -> str:
    """A name without spaces."""
    return re.sub(r"\s+", "-", name.strip())


def learn(fitting: Fitting, room: Room, lesson: Lesson) -> Iterator[Step]:
    """Orders the training and follows it to its end.

    Raises:
        IdmVtonError: the order was not taken.
    """
    service, pace = fitting.page.service, _Pace()
    files = {"person": lesson.person} | ({} if lesson.garment is None else {"garment": lesson.garment})
    options = changed(PrepareOptions(category=lesson.category).to_dict())
    order = Order("adapter", files, adapter=lesson.name, options=options)
    room.lesson = service.submit(order, Terms(caller=room.visitor))
    try:
        for view in service.events(room.lesson, room.visitor, FOLLOWED):
            yield _step(room, view, pace) if view.state == "running" else fitting.step(room, view)
    finally:
        room.lesson = None


def stop(fitting: Fitting, room: Room) -> None:
    """Ends what is being learned."""
    if room.lesson is not None:
        fitting.page.service.cancel(room.lesson, room.visitor)


def why_not(page: Page, room: Room) -> str | None:
    """Why this device cannot train the model, in words; None where it can, or where the model is not loaded yet."""
    about = next((each.about for each in page.service.lane_states() if each.about), None)
    if about is None or about.get("parameters", 0) < _SMALL or (about.get("device_memory") or 0) >= _LEAST:
        return None
    return say(room.language, "custom.cannot", model=page.model.model, least=_LEAST >> 30, device=about["device"])


class _Pace:
    """Tells from the steps that are done how long the others take."""

    def __init__(self) -> None:
        self.began: tuple[float, int] | None = None

    def left(self, view: View) -> float | None:
        """Seconds until the last step; None before the second."""
        now = time.monotonic()
        if self.began is None:
            self.began = now, view.done
        began, first = self.began
        if view.total is None or view.done <= first:
            return None
        return (now - began) / (view.done - first) * (view.total - view.done)


def _step(room: Room, view: View, pace: _Pace) -> Step:
    stage, language = view.stage or "", room.language
    if stage == "training":
        left = pace.left(view)
        more = "" if left is None else say(language, "run.left", seconds=max(1, round(left)))
        share = view.done / view.total if view.total else None
        return Step(say(language, "custom.training", done=view.done, total=view.total or "?"), more, share)
    for start, key in (("loading", "run.loading"), ("preparing", "stage.preparing"), ("drawing", "custom.drawing")):
        if stage.startswith(start):
            return Step(say(language, key))
    return Step(say(language, "custom.measuring"))
