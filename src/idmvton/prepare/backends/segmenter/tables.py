"""What the classes of other people's parsers are in ours: ATR's, and bare neck and trunk.

Some parsers do not tell left from right; such a class becomes a pair, which the joints divide.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from idmvton.errors import WeightsError
from idmvton.prepare.mask import ATR_LABELS

NAMES: Final = (*ATR_LABELS, "neck")
"""Our classes by number."""
PAIRS: Final[Mapping[str, tuple[str, str]]] = {
    "shoes": ("left_shoe", "right_shoe"),
    "legs": ("left_leg", "right_leg"),
    "arms": ("left_arm", "right_arm"),
}
"""What a class of both sides may be; left and right are the person's own."""

_SAME: Final[Mapping[str, str]] = {
    "face": "head",
    "glasses": "sunglasses",
    "top": "upper_clothes",
    "upper": "upper_clothes",
    "coat": "upper_clothes",
    "jacket": "upper_clothes",
    "jumpsuit": "dress",
    "jumpsuits": "dress",
    "trousers": "pants",
    "shorts": "pants",
    "feet": "shoes",
    "hands": "arms",
    "torso": "neck",
    "torso_skin": "neck",
    "skin_around_neck_region": "neck",
    # kept whatever is exchanged, as a bag is; ATR has no class for them
    "glove": "bag",
    "gloves": "bag",
    "jewelry": "bag",
    # socks belong to what is below the trousers
    "sock": "shoes",
    "socks": "shoes",
}


def table_of(classes: Sequence[str], where: str) -> tuple[str, ...]:
    """Our class, or pair, for each class of a parser.

    Args:
        classes: their names by number; spelling does not matter (``Upper-clothes``, ``upper clothes``).
        where: the file that has them, for the message.

    Returns:
        For each a name of :data:`NAMES` or :data:`PAIRS`.

    Raises:
        WeightsError: a name that is not known.
    """
    plain = [re.sub(r"[\s-]+", "_", name.strip().lower()) for name in classes]
    table = tuple(_SAME.get(name, name) for name in plain)
    unknown = [name for name, ours in zip(classes, table, strict=True) if ours not in NAMES and ours not in PAIRS]
    if unknown:
        raise WeightsError(
            "the parser has classes that are not known here",
            got=f"{where}: {', '.join(unknown[:5])}",
            expected="each one of " + ", ".join((*NAMES, *PAIRS)),
            fix='write labels.json beside the network: {"0": "background", "1": "hat", ...}, a number for each class',
        )
    return table
