"""What a garment is, in words: the category for the mask, and the phrase [V] for the prompts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image

from idmvton.captions.templates import ITEMS, compose_caption
from idmvton.errors import PreparationError
from idmvton.images import load_image
from idmvton.prepare.category import category_of_outline
from idmvton.prepare.cutout import cut_out
from idmvton.prepare.garment_colour import colour_of
from idmvton.types import Category

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from idmvton.images import ImageInput

SURE: Final = 0.5
"""From this confidence on a category is accepted."""
_AGAINST: Final = 0.9  # from here on the network counts more than the outline: it knows rendered garments alone
LEAST: Final[Mapping[str, float]] = {"sleeve": 0.6, "neckline": 0.8, "colour": 0.6, "pattern": 0.8}
"""Attribute -> the least probability of a word in the caption; of a colour, the share of the garment that has it."""
_NOT_SAID: Final = frozenset({"geometric"})  # the prints of shops look like it to the network


@dataclass(frozen=True, slots=True)
class GarmentWords:
    """A garment in words.

    Attributes:
        caption: the phrase [V].
        category: the part of the body that it dresses; ``confidence``: how sure that is, 0 to 1.
        words: attribute (item, sleeve, neckline, colour, pattern) -> the best word and its probability; attributes that
            the item does not have are left out.
    """

    caption: str
    category: Category
    confidence: float
    words: Mapping[str, tuple[str, float]]


def garment_category(picture: ImageInput) -> tuple[Category, float]:
    """What a picture of a garment shows.

    Args:
        picture: the garment alone before a plain background, upright, of any size.

    Returns:
        The category, and how sure that is, from 0 to 1; below :data:`SURE` a person should be asked.

    Raises:
        InputError: a picture that cannot be used.
        PreparationError: nothing stands before the background.
        WeightsError: the embedded network is damaged.
    """
    found = garment_words(load_image(picture, what="garment"))
    return found.category, found.confidence


def garment_words(
    garment: Image.Image, mask: NDArray[np.bool_] | None = None, category: Category | None = None
) -> GarmentWords:
    """Describes a garment.

    Args:
        garment: RGB, before a plain background.
        mask: bool (H, W), where it is; found when not given.
        category: only items of this part of the body are considered.

    Raises:
        PreparationError: nothing stands before the background.
        WeightsError: the embedded network is damaged.
    """
    from idmvton.prepare.attribute_net import WORDS, read_attributes

    pixels = np.asarray(garment)
    inside = cut_out(pixels)[0] if mask is None else mask
    if not inside.any():
        raise PreparationError(
            "there is no garment in the picture",
            got="nothing that differs from the background",
            expected="one garment before a plain background",
            fix="give another picture, or --category and --caption",
        )
    shares = read_attributes(pixels, inside)
    of_category: dict[Category, float] = dict.fromkeys(dict.fromkeys(ITEMS.values()), 0.0)
    for item, share in zip(WORDS["item"], shares["item"], strict=True):
        of_category[ITEMS[item]] += float(share)
    best = category or _settled(of_category, category_of_outline(inside))
    share_of = dict(zip(WORDS["item"], (float(each) for each in shares["item"]), strict=True))
    item = max((each for each, part in ITEMS.items() if part == best), key=lambda each: share_of[each])
    words = {"item": (item, share_of[item])}
    for name in ("pattern",) if best == "lower_body" else ("sleeve", "neckline", "pattern"):
        number = int(shares[name].argmax())
        words[name] = (WORDS[name][number], float(shares[name][number]))
    words["colour"] = colour_of(pixels, inside)
    said = {
        name: word
        for name, (word, sure) in words.items()
        if name != "item" and sure >= LEAST[name] and word not in _NOT_SAID
    }
    return GarmentWords(compose_caption(item, **said), best, of_category[best], words)


def _settled(of_category: Mapping[Category, float], by_outline: Category) -> Category:
    """The category of network and outline: long tops of shops look like the studio's short dresses."""
    best = max(of_category, key=lambda name: of_category[name])
    return best if of_category[best] >= _AGAINST else by_outline
