"""The page as one gradio application: header, tabs, footer; starting and ending it."""

from __future__ import annotations

import os
import re
import secrets
import threading
from collections.abc import Sequence
from typing import Any, Final, Self

import gradio as gr
from starlette.middleware import Middleware

from idmvton.engine.service import Service
from idmvton.options import WebOptions
from idmvton.web import look
from idmvton.web.fitting import Fitting
from idmvton.web.guard import Guard
from idmvton.web.labels import Labels
from idmvton.web.learned import learned
from idmvton.web.learning import why_not
from idmvton.web.page import Page
from idmvton.web.results import from_stored
from idmvton.web.room import Room
from idmvton.web.tabs.customize import CustomizeTab
from idmvton.web.tabs.many import ManyTab
from idmvton.web.tabs.outfit import OutfitTab
from idmvton.web.tabs.try_on import QUIET, TryOnTab
from idmvton.web.views import forget_thumbnails
from idmvton.web.words import LANGUAGES, language_of, say

_WITH_LANGUAGE: Final = "(room, kept, tag) => [room, kept, navigator.language]"
_VISITOR: Final = re.compile(r"[0-9a-f]{32}")


def build(page: Page) -> gr.Blocks:
    """The page of a service."""
    labels, fitting = Labels(), Fitting(page)
    gr.set_static_paths([page.results.folder])  # shown from there: no copies that outlive an erase
    seconds = max(60, round(3600 * page.hours))
    with gr.Blocks(
        title="idmvton", analytics_enabled=False, fill_width=True, delete_cache=(min(seconds, 3600), seconds)
    ) as blocks:
        room = gr.State(Room(), time_to_live=seconds)
        browser = gr.BrowserState({}, storage_key="idmvton", secret=page.secret())
        language = _header(labels, page)
        with gr.Tabs(elem_id="tabs") as tabs:
            with labels.put(gr.Tab(id="try-on"), label="tab.try_on"):
                tab = TryOnTab.build(fitting, room, browser, labels)
            with labels.put(gr.Tab(id="outfit"), label="tab.outfit"):
                OutfitTab.build(fitting, room, labels)
            with labels.put(gr.Tab(id="many"), label="tab.many"):
                ManyTab.build(fitting, room, labels)
            with labels.put(gr.Tab(id="custom"), label="tab.custom"):
                lessons = CustomizeTab.build(room, labels, tabs, tab)
        erase, erased = _footer(labels, page)
        opened = [language, *labels.components, *tab.both, *tab.person.settings, *tab.result.outputs, *lessons.outputs]
        greeted = gr.State("en")  # where it changes, the page shows more than it is built with

        def show_all(room: Room) -> list[Any]:
            fitting.understand(room)
            return [room.language, *labels.updates(room.language), *tab.shows(room), *tab.person.chosen(room),
                    *tab.result.shows(fitting, room), *lessons.shows(room)]  # fmt: skip

        def enter(room: Room, kept: Any, tag: str | None) -> list[Any]:
            kept = kept if isinstance(kept, dict) else {}
            room.language = language_of(kept.get("language") or tag)
            room.visitor = visitor_of(kept.get("visitor"))
            room.results = [each for each in map(from_stored, kept.get("results", ())) if each is not None]
            earlier = page.enter(room)
            if earlier is not None:
                fitting.return_to(room, earlier)
            more = earlier is not None or room.results or learned(page, room) or why_not(page, room)
            return [{**kept, "visitor": room.visitor}, f"{room.language} and more" if more else room.language]

        def translate(room: Room, kept: Any, chosen: str) -> list[Any]:
            room.language = language_of(chosen)
            return [*show_all(room)[1:], {**(kept or {}), "language": room.language}]

        def forget(room: Room, kept: Any) -> list[Any]:
            fitting.forget(room)
            forget_thumbnails()
            kept = {name: value for name, value in (kept or {}).items() if name != "results"}
            return [*show_all(room)[1:], kept, look.notes([say(room.language, "page.erased")], "warning")]

        tag = gr.Textbox(visible=False)
        entered = blocks.load(enter, [room, browser, tag], [browser, greeted], js=_WITH_LANGUAGE, **QUIET)
        entered.then(None, js="() => { document.body.dataset.entered = true; }")
        greeted.change(show_all, [room], opened, **QUIET)
        language.input(translate, [room, browser, language], [*opened[1:], browser], **QUIET)
        erase.click(forget, [room, browser], [*opened[1:], browser, erased], **QUIET)
    return blocks


def _header(labels: Labels, page: Page) -> gr.Dropdown:
    with gr.Row(elem_id="header"):
        labels.put(
            gr.HTML(),
            value=lambda language: (
                f'<div class="brand"><h1>idmvton <span>{look.escape(say(language, "page.title"))}</span></h1>'
                f"<p>{look.escape(say(language, 'page.tagline'))}</p></div>"
            ),
        )
        language = labels.put(
            gr.Dropdown([(name, code) for code, name in LANGUAGES.items()], value="en", container=False,
                        filterable=False, elem_id="language", min_width=120, scale=0),
            label="page.language",
        )  # fmt: skip
        labels.put(
            gr.HTML(elem_id="theme"),
            value=lambda language: (
                f'<button type="button" onclick="idmvtonTheme()" aria-label="{say(language, "page.theme")}" '
                f'title="{say(language, "page.theme")}">◐</button>'
            ),
        )
    return language


def _footer(labels: Labels, page: Page) -> tuple[gr.Button, gr.HTML]:
    hours = f"{page.hours:g}"
    erased = gr.HTML(elem_id="erased")
    with gr.Row(elem_id="footer"):
        labels.put(
            gr.HTML(),
            value=lambda language: (
                f"<p>{look.escape(say(language, 'page.private', hours=hours))}</p>"
                f"<p>{look.escape(say(language, 'page.model', model=page.model.model, licence=page.licence()))}</p>"
            ),
        )
        erase = labels.put(gr.Button(size="sm", elem_id="erase", elem_classes="quiet", scale=0, min_width=200),
                           value="page.erase")  # fmt: skip
    return erase, erased


def visitor_of(kept: object) -> str:
    """Who this browser is: what it kept, or a new name that nobody can guess."""
    return kept if isinstance(kept, str) and _VISITOR.fullmatch(kept) else secrets.token_hex(16)


class Running:
    """The page while it is open; a context manager.

    Args:
        service: makes the pictures; it is started by whoever made it.
        options: where, and its limits.
        people: names and passwords; None: everybody who reaches the address.
    """

    def __init__(self, service: Service, options: WebOptions, people: Sequence[tuple[str, str]] | None = None) -> None:
        self.page, self.people = Page.of(service, options), people
        self._over = threading.Event()
        # gradio copies what it shows; these copies lie with everything else of the page
        os.environ["GRADIO_TEMP_DIR"] = str(self.page.folder / "shown")
        self.blocks = build(self.page)
        self.url = ""

    def __enter__(self) -> Self:
        keeper = threading.Thread(target=self.page.erase_until, args=(self._over,), name="page-keeper", daemon=True)
        keeper.start()
        options = self.page.options
        self.blocks.queue(default_concurrency_limit=None, api_open=False)
        _, self.url, _ = self.blocks.launch(
            server_name=options.host,
            server_port=options.port,
            auth=list(self.people) if self.people else None,
            share=options.share == "on",
            prevent_thread_lock=True,
            quiet=True,
            show_error=False,
            footer_links=[],
            run_history=False,
            enable_monitoring=False,
            ssr_mode=False,
            max_file_size=int(options.max_body * 2**20),
            theme=look.theme(),
            css=look.asset("page.css"),
            head=f"<script>{look.asset('page.js')}</script>",
            app_kwargs={"middleware": [Middleware(Guard)], "docs_url": None, "redoc_url": None, "openapi_url": None},
        )
        threading.Thread(target=self.page.reader.load, name="page-reader", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.blocks.close(verbose=False)
