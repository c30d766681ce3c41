"""The prompt templates and the words for garments, the only place that has them (paper section 3.3).

[V] is a phrase that describes the garment: sleeve length, neckline, item, such as
"short sleeve round neck t-shirts".
"""

from __future__ import annotations

from typing import Final

from idmvton.types import Category

DEFAULT_CAPTION = "clothes"
"""[V] where nobody described the garment."""

ITEMS: Final[dict[str, Category]] = {
    "t-shirt": "upper_body",
    "jersey top": "upper_body",
    "tank top": "upper_body",
    "crop top": "upper_body",
    "off-shoulder top": "upper_body",
    "shirt": "upper_body",
    "blouse": "upper_body",
    "sweater": "upper_body",
    "hoodie": "upper_body",
    "jacket": "upper_body",
    "trousers": "lower_body",
    "jeans": "lower_body",
    "shorts": "lower_body",
    "mini skirt": "lower_body",
    "midi skirt": "lower_body",
    "maxi skirt": "lower_body",
    "mini dress": "dresses",
    "midi dress": "dresses",
    "maxi dress": "dresses",
    "shirt dress": "dresses",
}
SLEEVES: Final = ("sleeveless", "short sleeve", "elbow sleeve", "long sleeve")
NECKLINES: Final = (
    "round neck",
    "scoop neck",
    "boat neck",
    "v neck",
    "square neck",
    "turtleneck",
    "off-shoulder",
    "collared",
    "hooded",
)
COLOURS: Final = (
    "white",
    "black",
    "grey",
    "charcoal",
    "navy",
    "blue",
    "light blue",
    "teal",
    "green",
    "olive",
    "mint",
    "yellow",
    "mustard",
    "orange",
    "red",
    "burgundy",
    "pink",
    "magenta",
    "lilac",
    "purple",
    "brown",
    "tan",
    "beige",
)
PATTERNS: Final = (
    "plain",
    "heather",
    "striped",
    "pinstriped",
    "checked",
    "dotted",
    "floral",
    "geometric",
    "camouflage",
    "denim",
    "knit",
    "lace",
    "satin",
)


def tryon_prompt(caption: str) -> str:
    """TryonNet's prompt for the phrase [V]."""
    return f"model is wearing {caption}"


def garment_prompt(caption: str) -> str:
    """GarmentNet's prompt for the phrase [V]."""
    return f"a photo of {caption}"


def compose_caption(item: str, *, sleeve: str = "", neckline: str = "", colour: str = "", pattern: str = "") -> str:
    """The phrase [V] from its words, each of which may be empty but the item.

    What the item already says is not said twice, and "plain" is not said at all.
    """
    pattern = "" if pattern == "plain" else pattern
    words = [colour, pattern, *(word for word in (sleeve, neckline) if word not in item)]
    return " ".join([*filter(None, words), item])
