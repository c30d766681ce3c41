"""The second tab: a top and a bottom in one go."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from idmvton.errors import IdmVtonError
from idmvton.images import load_image
from idmvton.web import look
from idmvton.web.copy_as import Recipe
from idmvton.web.fitting import Fitting, problem_of
from idmvton.web.labels import Labels
from idmvton.web.outfits import Outfit, put_on
from idmvton.web.photo_input import photo_input
from idmvton.web.room import Room
from idmvton.web.shelf import check_photo, safe_name
from idmvton.web.tabs.try_on import QUIET
from idmvton.web.words import Language, failure, say

_HEIGHT = 560


@dataclass(frozen=True, slots=True)
class OutfitTab:
    """The tab.

    Attributes:
        fitting: what happens.
        room: the visitor's.
        inputs: person, top, bottom.
        button, cancel, status, slider, png: of the result.
    """

    fitting: Fitting
    room: gr.State
    inputs: list[gr.Image]
    button: gr.Button
    cancel: gr.Button
    status: gr.HTML
    slider: gr.ImageSlider
    png: gr.DownloadButton

    @classmethod
    def build(cls, fitting: Fitting, room: gr.State, labels: Labels) -> OutfitTab:
        """Puts the components where they stand, and connects them."""
        with gr.Row(elem_classes="cards"):
            with gr.Column(elem_classes="card", min_width=300):
                labels.put(gr.HTML(), value=lambda language: look.heading(say(language, "outfit.title")))
                labels.put(gr.HTML(), value=lambda language: look.hint(say(language, "outfit.info")))
                names = (("person", "person.title", "person.drop"), ("top", "outfit.top", "garment.drop"),
                         ("bottom", "outfit.bottom", "garment.drop"))  # fmt: skip
                inputs = []
                for name, title, drop in names:
                    labels.put(gr.HTML(), value=_heading(title))
                    inputs.append(labels.put(photo_input(f"outfit-{name}", height=190), label=title, placeholder=drop))
            with gr.Column(elem_classes="card result", min_width=320):
                labels.put(gr.HTML(), value=lambda language: look.heading(say(language, "result.title")))
                with gr.Row(elem_classes="actions"):
                    button = labels.put(gr.Button(variant="primary", elem_id="outfit-run"), value="outfit.button")
                    cancel = labels.put(gr.Button(variant="stop", visible=False, elem_id="outfit-cancel",
                                                  elem_classes="stop"), value="run.cancel")  # fmt: skip
                status = labels.put(
                    gr.HTML(elem_id="outfit-status"),
                    value=lambda language: look.empty(say(language, "result.empty"), say(language, "outfit.title")),
                )
                slider = labels.put(
                    gr.ImageSlider(visible=False, interactive=False, show_label=False, type="filepath",
                                   image_mode=None, max_height=_HEIGHT, elem_id="outfit-slider",
                                   elem_classes="picture", buttons=["fullscreen"]),
                    label="result.compare",
                )  # fmt: skip
                png = labels.put(gr.DownloadButton(visible=False, variant="primary", elem_id="outfit-png"),
                                 label="result.png")  # fmt: skip
        tab = cls(fitting, room, inputs, button, cancel, status, slider, png)
        for each in inputs:
            each.input(tab._note, [room, each], None, **QUIET)
        button.click(tab._run, [room, *inputs], [button, cancel, status, slider, png], **QUIET)
        cancel.click(tab._stop, [room], None, **QUIET)
        return tab

    def _run(self, room: Room, person: str | None, top: str | None, bottom: str | None) -> Iterator[list[Any]]:
        """Follows both runs; the last answer has the picture."""
        if person is None or top is None or bottom is None:
            missing = "run.need_person" if person is None else "run.need_garment"
            yield self._says(look.notes([say(room.language, missing)]))
            return
        try:
            self._check(person, top, bottom)
            for step in put_on(self.fitting, room, Outfit(Path(person), Path(bottom), Path(top))):
                view = step.view
                if view is None:
                    html = look.progress(step.stage, step.more, step.share)
                    yield [gr.update(visible=False), gr.update(visible=True), gr.update(visible=True, value=html),
                           gr.update(visible=False), gr.update(visible=False)]  # fmt: skip
                elif view.state == "succeeded":
                    yield self._shows(room, view, Path(person), Path(top))
                elif view.state == "cancelled":
                    yield self._says(look.notes([say(room.language, "run.stopped")]))
                else:
                    yield self._says(look.notes([problem_of(room, view)[1]], "error"))
        except IdmVtonError as error:
            yield self._says(look.notes([failure(room.language, error)], "error"))

    def _check(self, *paths: str) -> None:
        """Makes sure that all are pictures, before the first run.

        Raises:
            InputError: one is none.
        """
        for path in paths:
            check_photo(Path(path), "photo", self.fitting.page.options.max_pixels)

    def _shows(self, room: Room, view: Any, person: Path, garment: Path) -> list[Any]:
        recipe = Recipe(safe_name(person.name, "person"), safe_name(f"outfit-{garment.name}", "outfit"),
                        self.fitting.page.model.model, {})  # fmt: skip
        shown = self.fitting.page.results.show(view, recipe)
        before = shown.before.with_name("outfit-before.jpg")
        load_image(person, what="person").save(before, "JPEG", quality=95)
        return [gr.update(visible=True), gr.update(visible=False), gr.update(visible=False),
                gr.update(visible=True, value=(str(before), str(shown.jpeg))),
                gr.update(visible=True, value=str(shown.png))]  # fmt: skip

    @staticmethod
    def _says(html: str) -> list[Any]:
        return [gr.update(visible=True), gr.update(visible=False), gr.update(visible=True, value=html),
                gr.update(visible=False), gr.update(visible=False)]  # fmt: skip

    def _note(self, room: Room, path: str | None) -> None:
        self.fitting.page.note_uploads(room.visitor, [path] if path else [])

    def _stop(self, room: Room) -> None:
        self.fitting.stop(room)


def _heading(key: str) -> Callable[[Language], str]:
    """A small heading in each language."""
    return lambda language: look.small_heading(say(language, key))
