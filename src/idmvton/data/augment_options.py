"""How much samples are varied. Importing this loads neither torch nor OpenCV."""

from __future__ import annotations

from dataclasses import dataclass

from idmvton.options import Options, option


@dataclass(frozen=True, slots=True)
class AugmentOptions(Options):
    """How much samples are varied; 0 turns a change off."""

    flip: float = option(0.5, "How often a sample is mirrored.", minimum=0.0, maximum=1.0)
    affine: float = option(0.5, "How often the person is shifted and scaled.", minimum=0.0, maximum=1.0)
    shift: float = option(0.2, "Largest shift, as a share of the side.", minimum=0.0, maximum=0.4)
    scale: float = option(0.2, "Largest change of scale.", minimum=0.0, maximum=0.5)
    colour: float = option(0.5, "How often colours are changed.", minimum=0.0, maximum=1.0)
    brightness: float = option(0.1, "Largest change of brightness.", minimum=0.0, maximum=0.5)
    contrast: float = option(0.1, "Largest change of contrast.", minimum=0.0, maximum=0.5)
    saturation: float = option(0.1, "Largest change of saturation.", minimum=0.0, maximum=0.5)
    hue: float = option(10.0, "Largest turn of the hue.", minimum=0.0, maximum=180.0, unit="degrees")
