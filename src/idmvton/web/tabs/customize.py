"""The fourth tab: the model learns one garment; what it has learned is listed, tried on and deleted."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from idmvton.engine.adapter_folder import PICTURE
from idmvton.engine.service import View
from idmvton.engine.service.views import Adapter
from idmvton.errors import IdmVtonError
from idmvton.types import CategoryChoice
from idmvton.web import look
from idmvton.web.fitting import Fitting, problem_of
from idmvton.web.labels import Labels, choices
from idmvton.web.learned import delete, key_of, learned
from idmvton.web.learning import Lesson, learn, plain_name, stop
from idmvton.web.masks import thumbnail
from idmvton.web.photo_input import photo_input
from idmvton.web.room import Room
from idmvton.web.shelf import check_photo
from idmvton.web.tabs.try_on import QUIET, TryOnTab
from idmvton.web.words import Language, failure, say

_NAME = 60  # characters
_WORDS = {"use": "custom.use", "remove": "custom.delete", "sure": "custom.sure", "picture": "custom.picture"}
_SIDE = 900  # pixels of the picture of what was learned


@dataclass(frozen=True, slots=True)
class CustomizeTab:
    """The tab.

    Attributes:
        fitting: what happens.
        first: the tab where what was learned is tried on.
        inputs: person, garment, name, category.
        button, cancel, status: how far it is.
        shelf, empty: what was learned; that there is nothing yet.
    """

    fitting: Fitting
    first: TryOnTab
    inputs: list[Any]
    button: gr.Button
    cancel: gr.Button
    status: gr.HTML
    shelf: gr.HTML
    empty: gr.HTML

    @classmethod
    def build(cls, room: gr.State, labels: Labels, tabs: gr.Tabs, first: TryOnTab) -> CustomizeTab:
        """Puts the components where they stand, and connects them.

        Args:
            room: the visitor's.
            labels: of the page.
            tabs: all of them.
            first: where what was learned is tried on.
        """
        with gr.Row(elem_classes="cards"):
            with gr.Column(elem_classes="card", min_width=300):
                inputs = _inputs(labels)
                with gr.Row(elem_classes="actions"):
                    button = labels.put(gr.Button(variant="primary", elem_id="custom-run"), value="custom.button")
                    cancel = labels.put(gr.Button(variant="stop", visible=False, elem_id="custom-cancel",
                                                  elem_classes="stop"), value="run.cancel")  # fmt: skip
                status = gr.HTML(elem_id="custom-status")
            with gr.Column(elem_classes="card result", min_width=320):
                labels.put(gr.HTML(), value=_text(look.heading, "custom.list"))
                labels.put(gr.HTML(), value=_text(look.hint, "custom.stays"))
                empty, shelf = gr.HTML(elem_id="custom-empty"), look.learned_list("learned")
        tab = cls(first.fitting, first, inputs, button, cancel, status, shelf, empty)
        for each in inputs[:2]:
            each.input(tab._note, [room, each], None, **QUIET)
        button.click(tab._run, [room, *inputs], tab._run_outputs, **QUIET)
        cancel.click(lambda room: stop(tab.fitting, room), [room], None, **QUIET)
        shelf.used(tab._use, [room], [tabs, *first.both], **QUIET)
        shelf.removed(tab._delete, [room], [*tab.outputs, *first.both], **QUIET)
        return tab

    @property
    def outputs(self) -> list[Any]:
        """The components that :meth:`shows` has values for."""
        return [self.shelf, self.empty]

    def shows(self, room: Room) -> list[Any]:
        """What was learned."""
        found = learned(self.fitting.page, room)
        texts = {name: say(room.language, key) for name, key in _WORDS.items()}
        value = {
            "label": say(room.language, "custom.list"),
            "items": [self._item(room, each) for each in found],
            "texts": texts,
        }
        nothing = look.hint(say(room.language, "custom.none"))
        return [gr.update(visible=bool(found), value=value), gr.update(visible=not found, value=nothing)]

    def _item(self, room: Room, adapter: Adapter) -> dict[str, Any]:
        source = None
        if adapter.id is not None:
            content = self.fitting.page.service.read(adapter.id, PICTURE, room.visitor)
            source = thumbnail(Image.open(io.BytesIO(content)), _SIDE)
        facts = say(room.language, "custom.facts", caption=adapter.about["caption"], steps=adapter.about["steps"])
        is_own = adapter.id is not None
        return {"id": key_of(adapter), "name": adapter.name, "facts": facts, "src": source, "removable": is_own}

    # ------------------------------------------------------------------------------------------------ learning

    @property
    def _run_outputs(self) -> list[Any]:
        return [self.button, self.cancel, self.status, *self.outputs, *self.first.both]

    def _run(
        self, room: Room, person: str | None, garment: str | None, name: str, category: CategoryChoice
    ) -> Iterator[list[Any]]:
        """Follows the training; the last answer has the list with what was learned."""
        if person is None or not name.strip():
            key = "custom.need_person" if person is None else "custom.need_name"
            yield self._says(look.notes([say(room.language, key)]))
            return
        lesson = Lesson(Path(person), Path(garment) if garment else None, plain_name(name), category)
        try:
            for path in (lesson.person, lesson.garment):
                if path is not None:
                    check_photo(path, "photo", self.fitting.page.options.max_pixels)
            for step in learn(self.fitting, room, lesson):
                if step.view is not None:
                    yield self._ended(room, lesson, step.view)
                    continue
                html = look.progress(step.stage, step.more, step.share)
                yield self._says(html, is_over=False)
        except IdmVtonError as error:
            yield self._says(look.notes([failure(room.language, error)], "error"))

    def _ended(self, room: Room, lesson: Lesson, view: View) -> list[Any]:
        if view.state == "cancelled":
            return self._says(look.notes([say(room.language, "run.stopped")]))
        if view.state != "succeeded":
            return self._says(look.notes([problem_of(room, view)[1]], "error"))
        self.fitting.take(room, "garment", lesson.garment or lesson.person)  # what it will be tried on with
        done = look.notes([say(room.language, "custom.done", name=lesson.name)], "good")
        told = [gr.update(visible=True), gr.update(visible=False), done]
        return [*told, *self.shows(room), *self.first.shows(room)]

    def _says(self, html: str, *, is_over: bool = True) -> list[Any]:
        told = [gr.update(visible=is_over), gr.update(visible=not is_over), html]
        return told + [gr.skip()] * (len(self._run_outputs) - len(told))

    def _note(self, room: Room, path: str | None) -> None:
        self.fitting.page.note_uploads(room.visitor, [path] if path else [])

    # ------------------------------------------------------------------------------------- what was learned

    def _use(self, room: Room, event: gr.EventData) -> list[Any]:
        room.adapter = str(event.id)
        return [gr.Tabs(selected="try-on"), *self.first.shows(room)]

    def _delete(self, room: Room, event: gr.EventData) -> list[Any]:
        delete(self.fitting.page, room, str(event.id))
        return [*self.shows(room), *self.first.shows(room)]


def _inputs(labels: Labels) -> list[Any]:
    """Person, garment, name, category."""
    labels.put(gr.HTML(), value=_text(look.heading, "custom.title"))
    labels.put(gr.HTML(), value=_text(look.hint, "custom.info"))
    photos = []
    places = (("person", "custom.person", "person.drop"), ("garment", "custom.garment", "garment.drop"))
    for name, title, drop in places:
        labels.put(gr.HTML(), value=_text(look.small_heading, title))
        photos.append(labels.put(photo_input(f"custom-{name}", height=190), label=title, placeholder=drop))
    name = labels.put(gr.Textbox(max_length=_NAME, elem_id="custom-name"), label="custom.name", info="custom.name_info")
    category = labels.put(
        gr.Radio(value="auto", elem_id="custom-category", elem_classes="segments"),
        label="custom.category", choices=choices("category", "auto", "upper", "lower", "dress"),
    )  # fmt: skip
    return [*photos, name, category]


def _text(draw: Callable[[str], str], key: str) -> Callable[[Language], str]:
    """A text, drawn, in each language."""
    return lambda language: draw(say(language, key))
