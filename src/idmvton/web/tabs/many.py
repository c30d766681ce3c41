"""The third tab: many people in many garments."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr

from idmvton.errors import IdmVtonError
from idmvton.web import look
from idmvton.web.fitting import Fitting, problem_of
from idmvton.web.labels import Labels
from idmvton.web.many import Pair, order_all, pack, pictures_of, views_of
from idmvton.web.room import Room
from idmvton.web.shelf import check_photo
from idmvton.web.tabs.try_on import QUIET
from idmvton.web.words import Language, failure, said_all, say

_PAUSE = 1.0  # seconds between two looks at the jobs
_TYPES = ["image", ".zip"]


@dataclass(frozen=True, slots=True)
class ManyTab:
    """The tab.

    Attributes:
        fitting: what happens.
        room: the visitor's.
        people, garments: the files.
        button, cancel, status, table, archive: what happens with them.
    """

    fitting: Fitting
    room: gr.State
    people: gr.File
    garments: gr.File
    button: gr.Button
    cancel: gr.Button
    status: gr.HTML
    table: gr.HTML
    archive: gr.DownloadButton

    @classmethod
    def build(cls, fitting: Fitting, room: gr.State, labels: Labels) -> ManyTab:
        """Puts the components where they stand, and connects them."""
        with gr.Column(elem_classes="card"):
            labels.put(gr.HTML(), value=lambda language: look.heading(say(language, "many.title")))
            labels.put(
                gr.HTML(),
                value=lambda language: look.hint(say(language, "many.info", pairs=fitting.page.options.max_batch)),
            )
            with gr.Row(elem_classes="cards"):
                people, garments = (_files(labels, name) for name in ("people", "garments"))
            with gr.Row(elem_classes="actions"):
                button = labels.put(gr.Button(variant="primary", elem_id="many-run"), value="many.button")
                cancel = labels.put(gr.Button(variant="stop", visible=False, elem_id="many-cancel",
                                              elem_classes="stop"), value="run.cancel")  # fmt: skip
                archive = labels.put(gr.DownloadButton(visible=False, elem_id="many-zip"), label="many.zip")
            status = gr.HTML(elem_id="many-status")
            table = gr.HTML(elem_id="many-table")
        tab = cls(fitting, room, people, garments, button, cancel, status, table, archive)
        for each in (people, garments):
            each.upload(tab._note, [room, each], None, **QUIET)
        button.click(tab._run, [room, people, garments], [button, cancel, archive, status, table], **QUIET)
        cancel.click(tab._stop, [room], None, **QUIET)
        return tab

    def _run(self, room: Room, people: list[str] | None, garments: list[str] | None) -> Iterator[list[Any]]:
        """Follows all pairs; the last answer has the zip."""
        language = room.language
        if not people or not garments:
            yield self._says(look.notes([say(language, "many.none")]))
            return
        page = self.fitting.page
        scratch = page.results.folder / room.visitor / "many"
        try:
            found = [pictures_of(files, scratch / name) for name, files in (("people", people), ("garments", garments))]
            count = len(found[0]) * len(found[1])
            if count > (most := page.options.max_batch):
                yield self._says(look.notes([say(language, "many.too_many", count=count, most=most)], "error"))
                return
            for path in (*found[0], *found[1]):
                check_photo(path, "photo", page.options.max_pixels)
            room.many = order_all(page.service, found[0], found[1], room.visitor)
            yield from self._follow(room, room.many)
            target = pack(page.service, room.many, page.results.folder / room.many[0].job, room.visitor)
            yield [gr.update(visible=True), gr.update(visible=False), gr.update(visible=True, value=str(target)),
                   gr.skip(), gr.skip()]  # fmt: skip
        except IdmVtonError as error:
            yield self._says(look.notes([failure(language, error)], "error"))
        finally:
            room.many = []

    def _follow(self, room: Room, pairs: list[Pair]) -> Iterator[list[Any]]:
        service = self.fitting.page.service
        while True:
            views = views_of(service, pairs, room.visitor)
            done = sum(view.is_finished for view in views)
            words = say(room.language, "many.progress", done=done, total=len(views))
            rows = [_row(room, pair, view) for pair, view in zip(pairs, views, strict=True)]
            bar = look.small_progress(words, done / len(views))
            is_over = done == len(views)
            yield [gr.update(visible=is_over), gr.update(visible=not is_over), gr.update(visible=False), bar,
                   look.table(_headers(room.language), rows)]  # fmt: skip
            if is_over:
                return
            service.wait(next(view.id for view in views if not view.is_finished), _PAUSE, room.visitor)

    @staticmethod
    def _says(html: str) -> list[Any]:
        return [gr.update(visible=True), gr.update(visible=False), gr.update(visible=False), html, gr.skip()]

    def _note(self, room: Room, paths: list[str] | None) -> None:
        self.fitting.page.note_uploads(room.visitor, paths or [])

    def _stop(self, room: Room) -> None:
        for pair in room.many:
            self.fitting.page.service.cancel(pair.job, room.visitor)


def _files(labels: Labels, name: str) -> Any:
    """A place for files, under its title."""
    with gr.Column(min_width=260):
        labels.put(gr.HTML(), value=lambda language: look.small_heading(say(language, f"many.{name}")))
        place = gr.File(file_count="multiple", file_types=_TYPES, height=160, elem_id=f"many-{name}",
                        elem_classes="drop")  # fmt: skip
        return labels.put(place, label=f"many.{name}")


def _headers(language: Language) -> list[str]:
    return [say(language, f"many.{name}") for name in ("person", "garment", "state", "note")]


def _row(room: Room, pair: Pair, view: Any) -> list[str]:
    note = "; ".join(said_all(room.language, view.warnings))
    if view.state == "failed":
        note = problem_of(room, view)[1]
    return [pair.person.name, pair.garment.name, say(room.language, f"many.{view.state}"), note]
