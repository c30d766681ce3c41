"""The first tab: a person, a garment, one button, one picture."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import gradio as gr

from idmvton.errors import IdmVtonError, MissingExtraError
from idmvton.web import look, studio
from idmvton.web.examples import GARMENTS, PEOPLE, path_of
from idmvton.web.fitting import Fitting, Role, problem_of
from idmvton.web.labels import Labels
from idmvton.web.results import as_stored
from idmvton.web.room import Room
from idmvton.web.tabs.garment_card import GarmentCard
from idmvton.web.tabs.person_card import PersonCard
from idmvton.web.tabs.result_card import ResultCard
from idmvton.web.words import failure, say

KEPT_RESULTS: Final = 24
_TO_THE_RESULT: Final = (
    "() => innerWidth < 900 && document.querySelector('.card.result').scrollIntoView({behavior: 'smooth'})"
)
QUIET: Final[dict[str, Any]] = {"show_progress": "hidden", "api_visibility": "private", "concurrency_limit": None}
"""Of every event: the page shows progress itself, and nothing of it is an API."""


@dataclass(frozen=True, slots=True)
class TryOnTab:
    """The tab.

    Attributes:
        fitting: what happens.
        room: the visitor's, on the server.
        browser: what the browser keeps.
    """

    fitting: Fitting
    room: gr.State
    browser: gr.BrowserState
    person: PersonCard
    garment: GarmentCard
    result: ResultCard

    @classmethod
    def build(cls, fitting: Fitting, room: gr.State, browser: gr.BrowserState, labels: Labels) -> TryOnTab:
        """Puts the cards where they stand, and connects them."""
        with gr.Row(elem_classes="cards"):
            with gr.Column(elem_classes="card", min_width=300):
                person = PersonCard.build(labels)
            with gr.Column(elem_classes="card", min_width=300):
                garment = GarmentCard.build(labels)
            with gr.Column(elem_classes="card result", min_width=320):
                result = ResultCard.build(labels, fitting.page.service.options.max_images)
        tab = cls(fitting, room, browser, person, garment, result)
        tab._wire_photos()
        tab._wire_settings()
        tab._wire_runs()
        return tab

    # ------------------------------------------------------------------------------------------------- wiring

    @property
    def both(self) -> list[Any]:
        """Components of both photos."""
        return [*self.person.outputs, *self.garment.outputs]

    def _wire_photos(self) -> None:
        room = self.room
        roles: tuple[tuple[Role, PersonCard | GarmentCard], ...] = (("person", self.person), ("garment", self.garment))
        for role, card in roles:
            card.upload.input(partial(self._took, role), [room, card.upload], self.both, **QUIET)
            card.change.click(partial(self._left, role), [room], self.both, **QUIET)
            card.rack.removed(_on_event(self._removed, role), [room], self.both, **QUIET)
            card.examples.picked(_on_event(self._started, role), [room], self.both, **QUIET)
            card.studio.click(partial(self._rendered, role), [room], self.both, **QUIET)
        self.person.rack.picked(_on_event(self._picked, "person"), [room], self.both, **QUIET)
        picked = self.garment.rack.picked(_on_event(self._picked, "garment"), [room], self.both, **QUIET)
        picked.then(self._again, self._run_inputs, [*self.result.outputs, *self._notes, self.browser], **QUIET)

    def _wire_settings(self) -> None:
        room, card = self.room, self.person
        card.category.input(partial(self._chose, "category"), [room, card.category], self.both, **QUIET)
        card.grow.release(partial(self._chose, "mask_grow"), [room, card.grow], self.both, **QUIET)
        card.shape.input(partial(self._chose, "mask_shape"), [room, card.shape], self.both, **QUIET)
        card.hands.input(partial(self._chose, "keep_hands"), [room, card.hands], self.both, **QUIET)
        card.painter.painted(self._painted, [room], [card.facts, card.notes], **QUIET)
        card.painter.cleared(self._cleared, [room], self.both, **QUIET)
        card.painter.chosen(self._chose_person, [room], self.both, **QUIET)
        self.garment.learned.input(self._chose_learned, [room, self.garment.learned], None, **QUIET)
        card.look_closer.expand(self._closer, [room], [card.closer], **QUIET)

    @property
    def _notes(self) -> list[Any]:
        return [self.person.notes, self.garment.notes]

    @property
    def _run_inputs(self) -> list[Any]:
        card = self.result
        return [self.room, self.browser, self.garment.caption, card.images, card.quality, card.seed]

    def _wire_runs(self) -> None:
        card, outputs = self.result, [*self.result.outputs, *self._notes, self.browser]
        card.run.click(self._run, self._run_inputs, outputs, **QUIET)
        card.run.click(None, js=_TO_THE_RESULT)
        card.cancel.click(self._stop, [self.room], None, **QUIET)
        card.view.change(lambda view: [gr.update(visible=view == "compare"), gr.update(visible=view != "compare")],
                         [card.view], [card.slider, card.difference], **QUIET)  # fmt: skip
        card.variations.picked(self._varied, [self.room], card.outputs, **QUIET)
        card.history.picked(self._went_back, [self.room], card.outputs, **QUIET)

    # ------------------------------------------------------------------------------------------------ answers

    def shows(self, room: Room) -> list[Any]:
        """Values of :attr:`both`."""
        return [*self.person.shows(self.fitting, room), *self.garment.shows(self.fitting, room)]

    def _took(self, role: Role, room: Room, path: str | None) -> list[Any]:
        if path is not None:
            self.fitting.take(room, role, path)
            Path(path).unlink(missing_ok=True)  # the shelf has its own copy
        return self.shows(room)

    def _started(self, role: Role, room: Room, event: gr.EventData) -> list[Any]:
        self.fitting.take(room, role, path_of(PEOPLE if role == "person" else GARMENTS, event.id))
        return self.shows(room)

    def _rendered(self, role: Role, room: Room) -> list[Any]:
        try:
            path, name = studio.render(role, self.fitting.page.folder / "studio")
            self.fitting.take(room, role, path, name)
            path.unlink()
        except MissingExtraError as error:
            words = say(room.language, "note.no_studio", fix=error.fix or error.what)
            room.trouble = {**room.trouble, role: (words,)}
        except IdmVtonError as error:
            room.trouble = {**room.trouble, role: (failure(room.language, error),)}
        return self.shows(room)

    def _left(self, role: Role, room: Room) -> list[Any]:
        self.fitting.leave(room, role)
        return self.shows(room)

    def _removed(self, role: Role, room: Room, event: gr.EventData) -> list[Any]:
        self.fitting.remove(room, role, event.id)
        return self.shows(room)

    def _picked(self, role: Role, room: Room, event: gr.EventData) -> list[Any]:
        self.fitting.pick(room, role, event.id)
        return self.shows(room)

    def _chose(self, option: str, room: Room, value: Any) -> list[Any]:
        self.fitting.choose(room, **{option: value})
        return self.shows(room)

    def _chose_person(self, room: Room, event: gr.EventData) -> list[Any]:
        self.fitting.choose(room, person_number=int(event.number))
        return self.shows(room)

    def _chose_learned(self, room: Room, key: str) -> None:
        room.adapter = key or None

    def _painted(self, room: Room, event: gr.EventData) -> list[Any]:
        try:
            self.fitting.paint(room, str(event.mask))
        except IdmVtonError as error:
            return [gr.skip(), look.notes([failure(room.language, error)], "error")]
        return self.person.told(self.fitting, room)

    def _cleared(self, room: Room) -> list[Any]:
        self.fitting.clear(room)
        return self.shows(room)

    def _closer(self, room: Room) -> Any:
        if room.understood is None:
            return None
        overlay = room.understood.prepared.overlay()
        return str(self.fitting.page.results.put(room.visitor, f"overlay-{room.version}", overlay))

    def _run(
        self, room: Room, kept: Any, caption: str, images: int, quality: str, seed: float | None
    ) -> Iterator[list[Any]]:
        """Follows a run; the last answer has the picture."""
        quiet = [gr.skip(), gr.skip(), gr.skip()]
        if missing := self.fitting.missing(room):
            yield [*self.result.says(self.fitting, room, missing, "warning"), *quiet]
            return
        choices = {"num_images": int(images), "quality": quality, "seed": None if seed is None else int(seed)}
        choices["caption"] = caption.strip() or None
        try:
            for step in self.fitting.run(room, choices):
                if step.view is None:
                    yield [*self.result.works(step.stage, step.more, step.share), *quiet]
                    continue
                yield self._ended(room, kept, step.view)
        except IdmVtonError as error:
            yield [*self.result.says(self.fitting, room, failure(room.language, error), "error"), *quiet]

    def _ended(self, room: Room, kept: Any, view: Any) -> list[Any]:
        quiet: list[Any] = [gr.skip(), gr.skip(), gr.skip()]
        if view.state == "succeeded":
            quiet[2] = {**(kept or {}), "results": [as_stored(*each) for each in room.results[:KEPT_RESULTS]]}
            return [*self.result.shows(self.fitting, room), *quiet]
        if view.state == "cancelled":
            return [*self.result.says(self.fitting, room, say(room.language, "run.stopped"), "warning"), *quiet]
        role, words = problem_of(room, view)
        if role is not None:
            quiet[0 if role == "person" else 1] = look.notes([words], "error")
        return [*self.result.says(self.fitting, room, words, "error"), *quiet]

    def _again(self, room: Room, kept: Any, *settings: Any) -> Iterator[list[Any]]:
        """Another garment of the rack, on a person who was dressed before: it is made at once."""
        if room.shown is not None and room.job is None and self.fitting.missing(room) is None:
            caption = room.caption or ""
            yield from self._run(room, kept, caption, *settings[1:])
        else:
            yield [gr.skip()] * (len(self.result.outputs) + 3)

    def _stop(self, room: Room) -> None:
        self.fitting.stop(room)

    def _varied(self, room: Room, event: gr.EventData) -> list[Any]:
        if room.shown is not None:
            room.shown = (room.shown[0], int(event.id))
        return self.result.shows(self.fitting, room)

    def _went_back(self, room: Room, event: gr.EventData) -> list[Any]:
        if any(job == event.id for job, _ in room.results):
            room.shown = (str(event.id), 0)
        return self.result.shows(self.fitting, room)


def _on_event(answer: Callable[[Role, Room, gr.EventData], list[Any]], role: Role) -> Callable[..., list[Any]]:
    """An answer for one of the photos; gradio sees by the type that it wants the event too."""

    def act(room: Room, event: gr.EventData) -> list[Any]:
        return answer(role, room, event)

    return act
