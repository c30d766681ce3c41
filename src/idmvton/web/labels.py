"""Texts of components in the visitor's language: which text a component shows is said once, where it is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import gradio as gr

from idmvton.options import Option
from idmvton.web.words import Language, say

Text: TypeAlias = "str | Callable[[Language], Any]"
"""A key of the texts, or what makes the value for a language."""


class Labels:
    """Collects components with texts."""

    def __init__(self) -> None:
        self._texts: list[tuple[Any, Mapping[str, Text]]] = []

    def put(self, component: Any, **texts: Text) -> Any:
        """Sets properties of a component in English, and remembers them for the other languages.

        Args:
            component: any of gradio's.
            texts: property -> its text.
        """
        self._texts.append((component, texts))
        values = self._of(texts, "en")
        for name, value in values.items():
            setattr(component, name, value)
        component.constructor_args.update(values)  # gradio makes it anew from these when a visitor's is changed
        return component

    @property
    def components(self) -> list[Any]:
        """The components, in the order of :meth:`updates`."""
        return [component for component, _ in self._texts]

    def updates(self, language: Language) -> list[Any]:
        """An update for each component."""
        return [gr.update(**self._of(texts, language)) for _, texts in self._texts]

    @staticmethod
    def _of(texts: Mapping[str, Text], language: Language) -> dict[str, Any]:
        return {name: say(language, text) if isinstance(text, str) else text(language) for name, text in texts.items()}


def option_slider(option: Option, label: str, **settings: Any) -> gr.Slider:
    """A slider with the range and the default of an option.

    Args:
        option: a number with a range.
        label: id of its element.
        settings: of the component, which go before those of the option.
    """
    assert option.minimum is not None
    assert option.maximum is not None
    return gr.Slider(**{"minimum": option.minimum, "maximum": option.maximum, "value": option.default} | settings,
                     elem_id=label)  # fmt: skip


def choices(section: str, *names: str) -> Callable[[Language], list[tuple[str, str]]]:
    """Choices whose texts are keys of one section, and whose values are the names."""
    return lambda language: [(say(language, f"{section}.{name}"), name) for name in names]
