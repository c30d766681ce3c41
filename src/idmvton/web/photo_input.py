"""The place to put a photo: dropped, chosen, pasted, or taken with the camera; the file stays as it was."""

from __future__ import annotations

from abc import ABCMeta
from typing import Any, Final

import gradio as gr


def _path_of(image: gr.Image, payload: Any) -> Any:
    """The path of the file, whatever it holds: the page reads it itself, and says what is wrong."""
    if payload is not None and payload.path is not None:
        return str(payload.path)
    return gr.Image.preprocess(image, payload)


_METHODS: Final = {
    "__doc__": "gradio's picture input without its conversion.",
    "__module__": __name__,
    "preprocess": _path_of,
    "is_template": True,  # the browser draws gradio's own component
}
# a class statement would have gradio write a stub beside this file
_PhotoInput: Final[Any] = ABCMeta.__new__(type(gr.Image), "PhotoInput", (gr.Image,), _METHODS)


def photo_input(name: str, height: int = 300, *, visible: bool = True) -> gr.Image:
    """A place to put a photo.

    Args:
        name: id of its element.
        height: pixels.
        visible: whether it is seen.
    """
    image: gr.Image = _PhotoInput(
        type="filepath",
        image_mode=None,
        sources=["upload", "webcam", "clipboard"],
        height=height,
        visible=visible,
        elem_id=name,
        elem_classes="drop",
        webcam_options=gr.WebcamOptions(mirror=False),
    )
    return image
