"""The garment's card: a photo, the garment cut out of it, its caption, and the rack."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from idmvton.web import look, views
from idmvton.web.examples import GARMENTS, example_value
from idmvton.web.fitting import Fitting
from idmvton.web.labels import Labels
from idmvton.web.learned import key_of, learned
from idmvton.web.photo_input import photo_input
from idmvton.web.room import Room
from idmvton.web.words import say

_NONE = ""  # what is chosen where no adapter is
_CAPTION = 300  # characters; text encoders read about 77 tokens


@dataclass(frozen=True, slots=True)
class GarmentCard:
    """The components of the card."""

    upload: gr.Image
    change: gr.Button
    starts: gr.Column
    examples: gr.HTML
    studio: gr.Button
    picture: gr.Image
    facts: gr.HTML
    notes: gr.HTML
    caption: gr.Textbox
    learned: gr.Dropdown
    rack_title: gr.HTML
    rack: gr.HTML

    @classmethod
    def build(cls, labels: Labels) -> GarmentCard:
        """Puts the components where they stand."""
        with gr.Row(elem_classes="card-head"):
            labels.put(gr.HTML(), value=lambda language: look.heading(say(language, "garment.title")))
            change = labels.put(gr.Button(size="sm", elem_classes="quiet", visible=False, elem_id="garment-change"),
                                value="garment.change")  # fmt: skip
        upload = labels.put(photo_input("garment-upload"), placeholder="garment.drop", label="garment.title")
        with gr.Column(elem_classes="starts") as starts:
            labels.put(gr.HTML(), value=lambda language: look.start(language, "garment"))
            examples = labels.put(
                look.picture_strip("garment-examples"),
                value=lambda language: example_value(GARMENTS, say(language, "garment.examples")),
            )
            studio = labels.put(gr.Button(size="sm", elem_classes="quiet", elem_id="garment-studio"),
                                value="garment.studio")  # fmt: skip
        picture = labels.put(
            gr.Image(interactive=False, visible=False, show_label=False, elem_id="garment-picture",
                     elem_classes="picture", buttons=["fullscreen"], format="png"),
            label="garment.title", alt_text="garment.title",
        )  # fmt: skip
        facts, notes = gr.HTML(), gr.HTML(elem_id="garment-notes")
        caption = labels.put(
            gr.Textbox(visible=False, max_length=_CAPTION, elem_id="caption"),
            label="garment.caption", info="garment.caption_info", placeholder="garment.caption_later",
        )  # fmt: skip
        learned = labels.put(
            gr.Dropdown([], visible=False, filterable=False, elem_id="adapter"),
            label="custom.choose", info="custom.choose_info",
        )  # fmt: skip
        rack_title = gr.HTML(visible=False)
        rack = look.picture_strip("garment-rack", visible=False)
        return cls(upload, change, starts, examples, studio, picture, facts, notes, caption, learned, rack_title, rack)

    @property
    def outputs(self) -> list[Any]:
        """The components that :meth:`shows` has values for."""
        return [self.upload, self.change, self.starts, self.picture, self.facts, self.notes, self.caption,
                self.learned, self.rack_title, self.rack]  # fmt: skip

    @staticmethod
    def shows(fitting: Fitting, room: Room) -> list[Any]:
        """What the card shows of a room."""
        picture = room.picture
        is_there = picture is not None
        rack = views.rack_value(fitting.page, room.garments, room.garment, room, "garment.rack")
        several = len(rack["items"]) > 1 or (not is_there and bool(rack["items"]))
        trouble = look.notes(room.trouble["garment"], "error") + look.notes(fitting.warnings(room)["garment"])
        return [
            gr.update(visible=not is_there, value=None),
            gr.update(visible=is_there),
            gr.update(visible=not is_there),
            gr.update(visible=is_there, value=_file_of(fitting, room)),
            views.garment_facts(room),
            trouble,
            gr.update(visible=is_there, value=room.caption or ""),
            _choices(fitting, room),
            gr.update(visible=several, value=look.small_heading(say(room.language, "garment.rack"))),
            gr.update(visible=several, value=rack),
        ]


def _choices(fitting: Fitting, room: Room) -> Any:
    """What the model has learned, to choose from."""
    found = learned(fitting.page, room)
    known = [(each.name, key_of(each)) for each in found]
    value = next((key for _, key in known if key == room.adapter), _NONE)
    names = [(say(room.language, "custom.without"), _NONE), *known]
    return gr.update(visible=bool(found) and room.picture is not None, choices=names, value=value)


def _file_of(fitting: Fitting, room: Room) -> str | None:
    """The garment that was cut out, as a file."""
    if room.picture is None or room.garment is None:
        return None
    return str(fitting.page.results.put(room.visitor, f"garment-{room.version}", room.picture.image))
