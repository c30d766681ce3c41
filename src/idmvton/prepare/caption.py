"""The prompt templates, the only place that has them (paper section 3.3).

[V] is a phrase that describes the garment: sleeve length, neckline, item, such as
"short sleeve round neck t-shirts".
"""

from __future__ import annotations

DEFAULT_CAPTION = "clothes"
"""[V] where nobody described the garment."""


def tryon_prompt(caption: str) -> str:
    """TryonNet's prompt for the phrase [V]."""
    return f"model is wearing {caption}"


def garment_prompt(caption: str) -> str:
    """GarmentNet's prompt for the phrase [V]."""
    return f"a photo of {caption}"
