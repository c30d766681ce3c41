"""The result's card: the button, how far it is, before and after, what changed, files, the same picture elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from idmvton.engine.service import View
from idmvton.errors import IdmVtonError
from idmvton.options import JobOptions, TryOnOptions, describe
from idmvton.web import look, views
from idmvton.web.copy_as import Recipe, as_command, as_curl, as_python
from idmvton.web.fitting import Fitting
from idmvton.web.labels import Labels, choices, option_slider
from idmvton.web.learned import adapter_file
from idmvton.web.room import Room
from idmvton.web.words import failure, said_all, say

_OPTIONS = {each.name: each for kind in (JobOptions, TryOnOptions) for each in describe(kind)}
_HEIGHT = 640


@dataclass(frozen=True, slots=True)
class ResultCard:
    """The components of the card."""

    run: gr.Button
    cancel: gr.Button
    images: gr.Slider
    quality: gr.Radio
    seed: gr.Number
    status: gr.HTML
    view: gr.Radio
    slider: gr.ImageSlider
    difference: gr.Image
    variations: gr.HTML
    facts: gr.HTML
    downloads: gr.Row
    png: gr.DownloadButton
    jpeg: gr.DownloadButton
    copy: gr.Accordion
    command: gr.Code
    python: gr.Code
    curl: gr.Code
    mask: gr.DownloadButton
    adapter: gr.DownloadButton
    history_title: gr.HTML
    history: gr.HTML

    @classmethod
    def build(cls, labels: Labels, max_images: int) -> ResultCard:
        """Puts the components where they stand.

        Args:
            labels: of the page.
            max_images: most variations of one order.
        """
        with gr.Row(elem_classes="card-head"):
            labels.put(gr.HTML(), value=lambda language: look.heading(say(language, "result.title")))
        with gr.Row(elem_classes="actions"):
            run = labels.put(gr.Button(variant="primary", size="lg", elem_id="run"), value="run.button")
            cancel = labels.put(gr.Button(variant="stop", size="lg", elem_id="cancel", visible=False),
                                value="run.cancel")  # fmt: skip
        status = labels.put(
            gr.HTML(elem_id="status"),
            value=lambda language: look.empty(say(language, "result.empty"), say(language, "result.empty_more")),
        )
        view = labels.put(
            gr.Radio(value="compare", visible=False, show_label=False, container=False, elem_id="view",
                     elem_classes="segments"),
            label="result.title", choices=choices("result", "compare", "difference"),
        )  # fmt: skip
        slider = labels.put(
            gr.ImageSlider(visible=False, interactive=False, show_label=False, type="filepath", image_mode=None,
                           max_height=_HEIGHT, elem_id="slider", elem_classes="picture", buttons=["fullscreen"]),
            label="result.compare",
        )  # fmt: skip
        difference = labels.put(
            gr.Image(visible=False, interactive=False, show_label=False, type="filepath", height=_HEIGHT,
                     elem_id="difference", elem_classes="picture", buttons=["fullscreen"]),
            label="result.difference", alt_text="result.difference",
        )  # fmt: skip
        variations = look.picture_strip("variations", visible=False)
        facts = gr.HTML()
        files = _build_files(labels) | _build_copies(labels)
        options = _build_options(labels, max_images)
        history_title = gr.HTML(visible=False)
        history = look.picture_strip("history", visible=False)
        return cls(run=run, cancel=cancel, status=status, view=view, slider=slider, difference=difference,
                   variations=variations, facts=facts, history_title=history_title, history=history,
                   **files, **options)  # fmt: skip

    @property
    def outputs(self) -> list[Any]:
        """The components that change when something is made: those of :meth:`shows` and :meth:`works`."""
        return [self.run, self.cancel, self.status, self.view, self.slider, self.difference, self.variations,
                self.facts, self.downloads, self.png, self.jpeg, self.copy, self.command, self.python, self.curl,
                self.mask, self.adapter, self.history_title, self.history]  # fmt: skip

    def works(self, stage: str, more: str, share: float | None) -> list[Any]:
        """While something is made."""
        hidden = [gr.update(visible=False)] * (len(self.outputs) - 3)
        hidden[-2:] = [gr.skip(), gr.skip()]
        html = look.progress(stage, more, share)
        return [gr.update(visible=False), gr.update(visible=True), gr.update(visible=True, value=html), *hidden]

    def says(self, fitting: Fitting, room: Room, words: str, kind: str) -> list[Any]:
        """Something in the place of a result: why there is none."""
        html = look.notes([words], kind)
        if room.shown is not None:
            shown = self.shows(fitting, room)
            shown[2] = gr.update(visible=True, value=html)
            return shown
        return self._nothing(fitting, room, html)

    def _nothing(self, fitting: Fitting, room: Room, html: str = "") -> list[Any]:
        more = look.empty(say(room.language, "result.empty"), say(room.language, "result.empty_more"))
        hidden = [gr.update(visible=False)] * (len(self.outputs) - 5)
        return [gr.update(visible=True), gr.update(visible=False), gr.update(visible=True, value=html + more), *hidden,
                *self._history(fitting, room)]  # fmt: skip

    def shows(self, fitting: Fitting, room: Room) -> list[Any]:
        """The picture that is chosen, or that there is none yet."""
        recipe = next((each for job, each in room.results if room.shown and job == room.shown[0]), None)
        if room.shown is None or recipe is None:
            return self._nothing(fitting, room)
        job, number = room.shown
        try:
            view = fitting.page.service.view(job, room.visitor)
            return self._picture(fitting, room, view, recipe, number)
        except IdmVtonError as error:
            room.shown = None
            return self._nothing(fitting, room, look.notes([failure(room.language, error)], "error"))

    def _picture(self, fitting: Fitting, room: Room, view: View, recipe: Recipe, number: int) -> list[Any]:
        shown = fitting.page.results.show(view, recipe, number)
        alone = recipe.one(shown.seed)
        seeds = [int(each["seed"]) for each in view.provenance]
        seconds = round((view.ended or 0) - (view.started or 0), 1)
        told = say(room.language, "result.facts", width=shown.width, height=shown.height, seed=shown.seed,
                   seconds=seconds)  # fmt: skip
        about = say(room.language, "page.model", model=recipe.model, licence=fitting.page.licence())
        equal = tuple(each for each in view.warnings if "seeds made" in each)
        several = len(seeds) > 1
        strip = views.variations_value(fitting.page, room, view.id, seeds) if several else None
        return [
            gr.update(visible=True),
            gr.update(visible=False),
            gr.update(visible=bool(equal), value=look.notes(said_all(room.language, equal))),
            gr.update(visible=True, value="compare"),
            gr.update(visible=True, value=(str(shown.before), str(shown.jpeg))),
            gr.update(visible=False, value=str(shown.difference)),
            gr.update(visible=several, value=strip) if several else gr.update(visible=False),
            gr.update(visible=True, value=look.facts([told, about])),
            gr.update(visible=True),
            gr.update(visible=True, value=str(shown.png)),
            gr.update(visible=True, value=str(shown.jpeg)),
            gr.update(visible=True),
            gr.update(visible=True, value=as_command(alone)),
            gr.update(visible=True, value=as_python(alone)),
            gr.update(visible=True, value=as_curl(alone)),
            _download(shown.mask),
            _download(adapter_file(fitting.page, room, view.id, recipe.adapter)),
            *self._history(fitting, room),
        ]

    @staticmethod
    def _history(fitting: Fitting, room: Room) -> list[Any]:
        value = views.history_value(fitting.page, room)
        is_there = len(value["items"]) > 1 or (room.shown is None and bool(value["items"]))
        title = look.small_heading(say(room.language, "result.history"))
        return [gr.update(visible=is_there, value=title), gr.update(visible=is_there, value=value)]


def _build_files(labels: Labels) -> dict[str, Any]:
    """The buttons that download the picture."""
    with gr.Row(visible=False, elem_classes="actions") as downloads:
        png = labels.put(gr.DownloadButton(elem_id="png", variant="primary"), label="result.png")
        jpeg = labels.put(gr.DownloadButton(elem_id="jpeg"), label="result.jpeg")
    return {"downloads": downloads, "png": png, "jpeg": jpeg}


def _build_copies(labels: Labels) -> dict[str, Any]:
    """How the same picture is made elsewhere, and the files for that."""
    with labels.put(gr.Accordion(open=False, visible=False, elem_id="copy"), label="result.copy") as copy:
        labels.put(gr.HTML(), value=lambda language: look.hint(say(language, "result.copy_files")))
        mask = labels.put(gr.DownloadButton(visible=False, size="sm", elem_id="mask-file"), label="result.copy_mask")
        adapter = labels.put(
            gr.DownloadButton(visible=False, size="sm", elem_id="adapter-file"), label="result.copy_adapter"
        )
        command = labels.put(_code("shell", "as-command"), label="result.cli")
        python = _code("python", "as-python", label="Python")
        curl = _code("shell", "as-curl", label="curl")
    return {"copy": copy, "mask": mask, "adapter": adapter, "command": command, "python": python, "curl": curl}


def _build_options(labels: Labels, max_images: int) -> dict[str, Any]:
    """The options of the next run."""
    with labels.put(gr.Accordion(open=False, elem_id="options"), label="run.options"):
        images = labels.put(
            option_slider(_OPTIONS["num_images"], "images", maximum=max_images, step=1),
            label="run.images", info="run.images_info",
        )  # fmt: skip
        quality = labels.put(
            gr.Radio(value=_OPTIONS["quality"].default, elem_id="quality", elem_classes="segments"),
            label="run.quality", choices=choices("run", *_OPTIONS["quality"].choices),
        )  # fmt: skip
        declared = _OPTIONS["seed"]
        seed = labels.put(
            gr.Number(None, minimum=declared.minimum, maximum=declared.maximum, precision=0, elem_id="seed"),
            label="run.seed", info="run.seed_info",
        )  # fmt: skip
    return {"images": images, "quality": quality, "seed": seed}


def _download(file: Path | None) -> Any:
    return gr.update(visible=file is not None, value=None if file is None else str(file))


def _code(language: Any, name: str, **options: Any) -> gr.Code:
    return gr.Code(
        language=language, interactive=False, elem_id=name, lines=1, wrap_lines=True, show_line_numbers=False, **options
    )
