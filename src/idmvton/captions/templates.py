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
COLOURS: Final[dict[str, tuple[float, float, float]]] = {
    "white": (0.93, 0.93, 0.92),
    "black": (0.06, 0.06, 0.07),
    "grey": (0.52, 0.53, 0.54),
    "charcoal": (0.23, 0.24, 0.26),
    "navy": (0.10, 0.14, 0.30),
    "blue": (0.17, 0.35, 0.70),
    "light blue": (0.58, 0.74, 0.90),
    "teal": (0.09, 0.45, 0.46),
    "green": (0.16, 0.46, 0.24),
    "olive": (0.40, 0.41, 0.22),
    "mint": (0.65, 0.87, 0.76),
    "yellow": (0.95, 0.80, 0.25),
    "mustard": (0.78, 0.58, 0.16),
    "orange": (0.91, 0.47, 0.15),
    "red": (0.75, 0.11, 0.13),
    "burgundy": (0.40, 0.08, 0.15),
    "pink": (0.93, 0.62, 0.70),
    "magenta": (0.78, 0.18, 0.48),
    "lilac": (0.71, 0.62, 0.86),
    "purple": (0.37, 0.18, 0.50),
    "brown": (0.36, 0.23, 0.15),
    "tan": (0.75, 0.61, 0.44),
    "beige": (0.87, 0.81, 0.70),
}
"""Word -> sRGB from 0 to 1, in the order of the embedded networks' scores."""
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
