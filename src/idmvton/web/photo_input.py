"""The place to put a photo: dropped, chosen, pasted, or taken with the camera; the file stays as it was."""

from __future__ import annotations

from typing import Any

import gradio as gr


def photo_input(name: str, height: int = 300) -> gr.Image:
    """The picture input of gradio without its conversion: the page reads the file, and says what is wrong.

    Args:
        name: id of its element.
        height: pixels.
    """
    image = gr.Image(
        type="filepath",
        image_mode=None,
        sources=["upload", "webcam", "clipboard"],
        height=height,
        elem_id=name,
        elem_classes="drop",
        webcam_options=gr.WebcamOptions(mirror=False),
    )
    convert = image.preprocess

    def path_of(payload: Any) -> Any:
        return str(payload.path) if payload is not None and payload.path is not None else convert(payload)

    # no subclass: gradio would write a stub beside its file
    setattr(image, "preprocess", path_of)  # noqa: B010 - mypy refuses an assignment to a method
    return image
