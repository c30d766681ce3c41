"""The place to put a photo: dropped, chosen, pasted, or taken with the camera; the file stays as it was."""

from __future__ import annotations

from typing import Any

import gradio as gr


class PhotoInput(gr.Image):
    """gradio's picture input, without its conversion: the page itself reads the file, and says what is wrong with it.

    Args:
        name: id of its element.
        options: of gradio's component.
    """

    is_template = True  # the browser draws gradio's own component

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__(
            type="filepath",
            image_mode=None,
            sources=["upload", "webcam", "clipboard"],
            height=options.pop("height", 300),
            elem_id=name,
            elem_classes="drop",
            webcam_options=gr.WebcamOptions(mirror=False),
            **options,
        )

    def preprocess(self, payload: Any) -> Any:
        """The path of the file, whatever it holds."""
        if payload is not None and payload.path is not None:
            return str(payload.path)
        return super().preprocess(payload)
