"""How the page looks: theme, styles, and the components that are drawn by the page itself."""

from __future__ import annotations

import html
from collections.abc import Sequence
from importlib.resources import files
from typing import Any, Final

import gradio as gr

from idmvton.web.words import Language, say

FONTS: Final = (
    "ui-sans-serif", "system-ui", "Segoe UI", "Roboto", "Helvetica Neue", "Arial",
    "Apple SD Gothic Neo", "Noto Sans CJK KR", "Malgun Gothic", "PingFang SC", "Microsoft YaHei", "sans-serif",
)  # fmt: skip
MONOSPACE: Final = ("ui-monospace", "SFMono-Regular", "Consolas", "DejaVu Sans Mono", "monospace")


def asset(name: str) -> str:
    """A file of this package as text."""
    return files(__package__).joinpath("assets", name).read_text(encoding="utf-8")


def theme() -> gr.themes.Base:
    """Fonts of the system only: nothing is fetched."""
    return gr.themes.Base(
        primary_hue=gr.themes.colors.teal,
        neutral_hue=gr.themes.colors.stone,
        font=FONTS,
        font_mono=MONOSPACE,
        radius_size=gr.themes.sizes.radius_lg,
    )


def painter() -> gr.HTML:
    """The person's photo with the mask over it; events ``painted``, ``cleared`` and ``chosen``."""
    return _drawn("painter", visible=False, elem_id="painter")


def picture_strip(name: str, **options: Any) -> gr.HTML:
    """A row of small pictures; events ``picked`` and ``removed``.

    Args:
        name: id of its element.
        options: of the component.
    """
    return _drawn("strip", elem_id=name, **{"value": {"label": "", "items": []}} | options)


def learned_list(name: str) -> gr.HTML:
    """What was learned, with a picture each; events ``used`` and ``removed``.

    Args:
        name: id of its element.
    """
    return _drawn("learned", value={"label": "", "items": []}, visible=False, elem_id=name)


def _drawn(name: str, **options: Any) -> gr.HTML:
    return gr.HTML(
        html_template=asset(f"{name}.html"), js_on_load=asset(f"{name}.js"), apply_default_css=False, **options
    )


def escape(text: str) -> str:
    """A text inside HTML."""
    return html.escape(text, quote=True)


def notes(sentences: Sequence[str], kind: str = "warning") -> str:
    """Sentences beside a picture; ``kind`` is ``"good"``, ``"warning"`` or ``"error"``."""
    role = "alert" if kind == "error" else "status"
    return "".join(f'<p class="note {kind}" role="{role}">{escape(each)}</p>' for each in sentences)


def facts(sentences: Sequence[str]) -> str:
    """Short facts in a row."""
    return '<p class="facts">' + "".join(f"<span>{escape(each)}</span>" for each in sentences) + "</p>"


def heading(text: str) -> str:
    """The title of a card."""
    return f"<h2>{escape(text)}</h2>"


def empty(title: str, more: str) -> str:
    """What stands where nothing is yet."""
    return (
        '<div class="empty"><svg viewBox="0 0 120 150" aria-hidden="true">'
        '<path d="M60 26c0-9 12-8 12-16 0-6-5-9-12-9-6 0-11 4-11 10"/>'
        '<path d="M60 26 14 58c-6 4-3 12 4 12h84c7 0 10-8 4-12L60 26z"/>'
        '<path d="M30 70v62c0 6 4 10 10 10h40c6 0 10-4 10-10V70" class="faint"/></svg>'
        f"<strong>{escape(title)}</strong><span>{escape(more)}</span></div>"
    )


def progress(stage: str, more: str, share: float | None) -> str:
    """How far a job is; ``share`` from 0 to 1, None where that is not known."""
    width = "" if share is None else f' style="width:{100 * share:.0f}%"'
    value = "" if share is None else f' aria-valuenow="{100 * share:.0f}"'
    kind = "bar moving" if share is None else "bar"
    return (
        f'<div class="progress" role="status"><strong>{escape(stage)}</strong><span>{escape(more)}</span>'
        f'<div class="{kind}" role="progressbar" aria-label="{escape(stage)}" aria-valuemin="0" aria-valuemax="100"'
        f"{value}><i{width}></i></div></div>"
    )


def code(title: str, text: str, take: str) -> str:
    """A text to copy, under its title.

    Args:
        title: what it is.
        text: as it is copied.
        take: on the button that copies it.
    """
    name = escape(f"{take}: {title}")
    return (
        f'<figure class="code"><figcaption><span>{escape(title)}</span><button type="button" aria-label="{name}" '
        f'onclick="idmvtonCopy(this)">{escape(take)}</button></figcaption>'
        f'<pre tabindex="0" aria-label="{escape(title)}">{escape(text)}</pre></figure>'
    )


def small_heading(words: str) -> str:
    """The title of a part of a card."""
    return f"<h3>{escape(words)}</h3>"


def start(language: Language, section: str) -> str:
    """What a photo should show, and that there are examples."""
    hint, examples = say(language, f"{section}.hint"), say(language, f"{section}.examples")
    return f'<p class="hint">{escape(hint)}</p><h3>{escape(examples)}</h3>'


def hint(words: str) -> str:
    """A sentence that helps."""
    return f'<p class="hint">{escape(words)}</p>'


def small_progress(words: str, share: float) -> str:
    """How many of several are done."""
    value = f"{100 * share:.0f}"
    return (
        f'<div class="small-progress" role="status"><span>{escape(words)}</span><div class="bar" role="progressbar" '
        f'aria-label="{escape(words)}" aria-valuemin="0" aria-valuemax="100" aria-valuenow="{value}">'
        f'<i style="width:{value}%"></i></div></div>'
    )


def table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Rows of texts under headers."""
    head = "".join(f'<th scope="col">{escape(each)}</th>' for each in headers)
    body = "".join("<tr>" + "".join(f"<td>{escape(each)}</td>" for each in row) + "</tr>" for row in rows)
    return f'<div class="table"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
