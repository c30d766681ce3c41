"""What each pixel of a person shows: labels of clothes and skin, and body parts.

The embedded backend ``studio-net`` is one small network. ``inputs`` says what it reads (training and use share it),
``network`` is the network, ``refine`` sharpens what it says along the edges of the photo, ``studio_net`` puts them
together. ``scores`` compares maps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from idmvton.errors import ConfigError
from idmvton.prepare.signals import PersonParser


def _studio_net(**options: Any) -> PersonParser:
    from idmvton.prepare.parsing.studio_net import StudioNet  # loads torch

    return StudioNet(**options)


PERSON_PARSERS: Final[dict[str, Callable[..., PersonParser]]] = {"studio-net": _studio_net}
"""Backends by name."""


def load_person_parser(name: str = "studio-net", **options: Any) -> PersonParser:
    """Loads a backend.

    Args:
        name: one of :data:`PERSON_PARSERS`.
        **options: what that backend takes.

    Raises:
        ConfigError: no such backend.
    """
    if name not in PERSON_PARSERS:
        raise ConfigError("there is no such person parser", got=repr(name), expected=", ".join(PERSON_PARSERS))
    return PERSON_PARSERS[name](**options)
