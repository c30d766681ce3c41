"""What the stages of a try-on made, as files to look at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from idmvton.errors import InputError
from idmvton.images import from_vae_tensor, save_png, to_pil
from idmvton.inputs import gather_pairs
from idmvton.models.latents import decode_latents
from idmvton.outputs import TryOnResult
from idmvton.pipeline import TryOnPipeline
from idmvton.prepare import Prepared
from idmvton.types import Size


@torch.no_grad()
def save_intermediates(
    folder: Path,
    pipe: TryOnPipeline,
    result: TryOnResult,
    prepared: Prepared | None,
    garment: Any,
    mask: Any = None,
    densepose: Any = None,
) -> None:
    """Writes ``prepared/`` (where there was a preparation), ``draft.png`` and ``repainted-N.png``.

    Args:
        folder: made if it is missing.
        pipe: that made the result.
        result: of one pair.
        prepared: the person as preparation made it, or None if ``person``, ``mask`` and ``densepose`` were given.
        garment: what the pipeline was called with.
        mask, densepose: likewise.

    Raises:
        InputError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError("the folder cannot be made", got=f"{folder}: {error}") from error
    if prepared is not None:
        prepared.save(folder / "prepared")
        if pipe.warp_net is not None:
            options = result.options
            size = Size(*(side or 0 for side in (options.height, options.width)))
            pairs = gather_pairs(prepared, garment, mask, densepose, None, 0, size, options)
            draft = pipe.make_drafts(pipe.warp_net, pairs).whole
            save_png(to_pil(from_vae_tensor(draft))[0], folder / "draft.png", {"stage": "draft"})
    pictures = to_pil(from_vae_tensor(decode_latents(pipe.vae, result.latents)))
    for number, picture in enumerate(pictures, 1):
        save_png(picture, folder / f"repainted-{number}.png", result.provenance(number - 1))
