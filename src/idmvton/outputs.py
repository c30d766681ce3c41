"""Decoded pictures -> what the caller asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from idmvton.framing import paste_back
from idmvton.images import to_numpy, to_pil
from idmvton.inputs import Pairs
from idmvton.options import OutputType, TryOnOptions


def finish(pictures: Tensor, pairs: Pairs, options: TryOnOptions, output_type: OutputType) -> list[Any]:
    """Decoded pictures -> what the caller asked for, pasted into the photos if so.

    Args:
        pictures: float (B, 3, H, W) in [0, 1].
        pairs: the photos and masks.
        options: of these, ``paste_back`` and ``feather`` are used.
        output_type: "pil", "np" or "pt".
    """
    if options.paste_back:
        people = [pairs.people[row] for row in pairs.person_rows]
        pasted = [
            paste_back(picture, each.photo, each.photo_mask, each.framing, options.feather or 0)
            for picture, each in zip(to_pil(pictures), people, strict=True)
        ]
        if output_type == "pil":
            return pasted
        arrays = [np.asarray(picture, dtype=np.float32) / 255 for picture in pasted]
    elif output_type == "pil":
        return to_pil(pictures)
    else:
        arrays = list(to_numpy(pictures))
    if output_type == "np":
        return arrays
    return [torch.from_numpy(array).permute(2, 0, 1) for array in arrays]
