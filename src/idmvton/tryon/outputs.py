"""Decoded pictures -> what the caller asked for, and how it was made."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from idmvton.draft.detail import Laid
from idmvton.images import to_numpy, to_pil
from idmvton.options import TryOnOptions
from idmvton.tryon.compose import ParseResult, compose
from idmvton.tryon.inputs import Pairs
from idmvton.tryon.large_photos import compose_bounded
from idmvton.types import OutputType


@dataclass(frozen=True, slots=True)
class TryOnResult:
    """Pictures and how they were made.

    Attributes:
        images: one picture a pair: PIL RGB, float HWC in [0, 1] (``"np"``) or float CHW in [0, 1] (``"pt"``);
            with ``output_type="latent"`` the latents of each, float (C, h, w).
        latents: float (pairs, C, h, w), the final latents in the scale the UNet works in.
        seed: the seed of each picture; ``None`` where the caller gave generators.
        options: the options of the call, with working size and feather filled in.
        captions: the phrase [V] of each picture.
        timings: seconds of each stage, in order.
        made_with: weights, scheduler, policies, device, library versions.
        warnings_of: for each picture, what the caller should know, in words.
        repainted: float (pairs, 3, height, width) in [0, 1], the decoded pictures before anything is pasted; ``None``
            with ``output_type="latent"``.
        draft: float (pairs, 3, height, width) in [0, 1], what the networks were shown of the result, for checkpoints
            that bring a :class:`~idmvton.draft.drafter.Drafter`.
    """

    images: list[Any]
    latents: Tensor
    seed: tuple[int | None, ...]
    options: TryOnOptions
    captions: tuple[str, ...]
    timings: Mapping[str, float]
    made_with: Mapping[str, str]
    warnings_of: tuple[tuple[str, ...], ...]
    repainted: Tensor | None = None
    draft: Tensor | None = None

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the caller should know of any picture."""
        return tuple(dict.fromkeys(note for each in self.warnings_of for note in each))

    def only(self, index: int) -> TryOnResult:
        """Picture ``index`` alone; the timings stay those of the whole call."""
        row = slice(index, index + 1)
        return dataclasses.replace(
            self,
            images=self.images[row],
            latents=self.latents[row],
            seed=self.seed[row],
            captions=self.captions[row],
            warnings_of=self.warnings_of[row],
            repainted=None if self.repainted is None else self.repainted[row],
            draft=None if self.draft is None else self.draft[row],
        )

    def provenance(self, index: int = 0) -> dict[str, Any]:
        """How picture ``index`` was made, as plain values ready for JSON."""
        return {
            **self.options.to_dict(),
            "seed": self.seed[index],
            "caption": self.captions[index],
            "timings": {stage: round(seconds, 4) for stage, seconds in self.timings.items()},
            "made_with": dict(self.made_with),
            "warnings": list(self.warnings_of[index]),
        }


def finish(
    pictures: Tensor,
    pairs: Pairs,
    options: TryOnOptions,
    output_type: OutputType,
    laid: Sequence[Laid] | None = None,
    parse: ParseResult | None = None,
) -> list[Any]:
    """Decoded pictures -> what the caller asked for, pasted into the photos if so.

    Args:
        pictures: float (B, 3, H, W) in [0, 1].
        pairs: the photos and masks.
        options: of these, ``paste_back``, ``keep`` and ``feather`` are used.
        output_type: "pil", "np" or "pt".
        laid: for each pair, how the garment lies, where a draft was made.
        parse: tells the labels of a result, for ``keep`` where no draft was made.
    """
    if options.paste_back:
        pasted = [
            compose_bounded(
                functools.partial(compose, options=options, laid=laid[row] if laid else None, parse=parse),
                picture,
                each,
            )
            for row, (picture, each) in enumerate(zip(to_pil(pictures), pairs.persons, strict=True))
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
