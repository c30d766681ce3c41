"""The person's card: a photo, what was understood of it, the mask to correct."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from idmvton.options import PrepareOptions, describe
from idmvton.web import look, views
from idmvton.web.examples import PEOPLE, example_value
from idmvton.web.fitting import Fitting
from idmvton.web.labels import Labels, choices, option_slider
from idmvton.web.photo_input import photo_input
from idmvton.web.room import Room
from idmvton.web.words import say

_OPTIONS = {each.name: each for each in describe(PrepareOptions)}
_GROW_STEP = 2


@dataclass(frozen=True, slots=True)
class PersonCard:
    """The components of the card."""

    upload: gr.Image
    change: gr.Button
    starts: gr.Column
    examples: gr.HTML
    studio: gr.Button
    painter: gr.HTML
    facts: gr.HTML
    notes: gr.HTML
    category: gr.Radio
    tools: gr.Accordion
    grow: gr.Slider
    shape: gr.Radio
    hands: gr.Checkbox
    look_closer: gr.Accordion
    closer: gr.Image
    rack_title: gr.HTML
    rack: gr.HTML

    @classmethod
    def build(cls, labels: Labels) -> PersonCard:
        """Puts the components where they stand."""
        with gr.Row(elem_classes="card-head"):
            labels.put(gr.HTML(), value=lambda language: look.heading(say(language, "person.title")))
            change = labels.put(gr.Button(size="sm", elem_classes="quiet", visible=False, elem_id="person-change"),
                                value="person.change")  # fmt: skip
        upload = labels.put(photo_input("person-upload"), placeholder="person.drop", label="person.title")
        with gr.Column(elem_classes="starts") as starts:
            labels.put(gr.HTML(), value=lambda language: look.start(language, "person"))
            examples = labels.put(
                look.picture_strip("person-examples"),
                value=lambda language: example_value(PEOPLE, say(language, "person.examples")),
            )
            studio = labels.put(gr.Button(size="sm", elem_classes="quiet", elem_id="person-studio"),
                                value="person.studio")  # fmt: skip
        painter = look.painter()
        facts, notes = gr.HTML(), gr.HTML(elem_id="person-notes")
        category = labels.put(
            gr.Radio(value="auto", elem_id="category", elem_classes="segments"),
            label="person.category", choices=choices("category", "auto", "upper", "lower", "dress"),
        )  # fmt: skip
        with labels.put(gr.Accordion(open=False, visible=False, elem_id="mask-tools"), label="mask.title") as tools:
            grow = labels.put(
                option_slider(_OPTIONS["mask_grow"], "grow", step=_GROW_STEP),
                label="mask.grow", info="mask.grow_info",
            )  # fmt: skip
            shape = labels.put(
                gr.Radio(value=_OPTIONS["mask_shape"].default, elem_id="shape", elem_classes="segments"),
                label="mask.shape", choices=choices("mask", *_OPTIONS["mask_shape"].choices),
            )  # fmt: skip
            hands = labels.put(gr.Checkbox(_OPTIONS["keep_hands"].default, elem_id="hands"), label="mask.hands")
        with labels.put(gr.Accordion(open=False, visible=False, elem_id="closer"), label="mask.view") as look_closer:
            closer = labels.put(
                gr.Image(interactive=False, show_label=False, buttons=["fullscreen"]), label="mask.view"
            )
        rack_title = gr.HTML(visible=False)
        rack = look.picture_strip("person-rack", visible=False)
        return cls(upload, change, starts, examples, studio, painter, facts, notes, category, tools, grow, shape,
                   hands, look_closer, closer, rack_title, rack)  # fmt: skip

    @property
    def outputs(self) -> list[Any]:
        """The components that :meth:`shows` has values for."""
        return [self.upload, self.change, self.starts, self.painter, self.facts, self.notes, self.tools,
                self.look_closer, self.closer, self.rack_title, self.rack]  # fmt: skip

    @property
    def settings(self) -> list[Any]:
        """The components that :meth:`chosen` has values for."""
        return [self.category, self.grow, self.shape, self.hands]

    @staticmethod
    def chosen(room: Room) -> list[Any]:
        """What is chosen for the mask."""
        chosen = room.prepare
        values = (chosen.category, chosen.mask_grow, chosen.mask_shape, chosen.keep_hands)
        return [gr.update(value=value) for value in values]

    @staticmethod
    def told(fitting: Fitting, room: Room) -> list[Any]:
        """The facts and the notes."""
        trouble = look.notes(room.trouble["person"], "error") + look.notes(fitting.warnings(room)["person"])
        return [views.person_facts(room), trouble]

    @staticmethod
    def shows(fitting: Fitting, room: Room) -> list[Any]:
        """What the card shows of a room."""
        value = views.painter_value(room)
        is_there, language = value is not None, room.language
        rack = views.rack_value(fitting.page, room.people, room.person, room, "person.rack")
        several = len(rack["items"]) > 1 or (not is_there and bool(rack["items"]))
        return [
            gr.update(visible=not is_there, value=None),
            gr.update(visible=is_there),
            gr.update(visible=not is_there),
            gr.update(visible=is_there, value=value) if is_there else gr.update(visible=False),
            *PersonCard.told(fitting, room),
            gr.update(visible=is_there),
            gr.update(visible=is_there, open=False),
            None,
            gr.update(visible=several, value=look.small_heading(say(language, "person.rack"))),
            gr.update(visible=several, value=rack),
        ]
