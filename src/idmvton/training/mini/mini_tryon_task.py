"""The try-on of mini: TryonNet starts from a draft and may need one step only.

WarpNet, frozen here, lays the product picture on the person. TryonNet sees the draft's surroundings in more channels;
GarmentNet sees the garment as it lies.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from idmvton.data.sample import TryOnSample
from idmvton.draft.drafter import draft_results
from idmvton.draft.warp import lay_garments
from idmvton.draft.warp_net import Warp, WarpNet
from idmvton.models.latents import encode_latents
from idmvton.training.batches import Batch
from idmvton.training.diffusion import Diffusion
from idmvton.training.mini.draft_start import start_with_draft
from idmvton.training.mini.known_flow import known_flow, to_places
from idmvton.training.mini.stage_sections import MiniTryOnOptions
from idmvton.training.recipe import Recipe
from idmvton.training.sources import Captioned
from idmvton.training.tryon_task import DRAFT, TryOnTask


class MiniTryOnTask(TryOnTask):
    """See the module; built from the sections of a recipe.

    Args:
        recipe: with the sections of the try-on, and ``mini_tryon``.
        dataset: the training samples, for the captions that new tokenizers learn from.

    Raises:
        WeightsError: parts that are missing or do not fit.
        ConfigError: options that do not fit the parts.
    """

    def __init__(self, recipe: Recipe, dataset: Captioned) -> None:
        self.own = recipe.section(MiniTryOnOptions)
        self.first_timestep = self.own.min_timestep
        super().__init__(recipe, dataset)
        self.content_settings += [self.own.exact_flow]

    # ------------------------------------------------------------------------------------------ setting up

    def _components(self, recipe: Recipe, dataset: Captioned) -> dict[str, Any]:
        return start_with_draft(recipe, dataset)

    def _policies(self) -> dict[str, Any]:
        return super()._policies() | {"match_colours": self.own.match_colours}

    def _make_diffusion(self) -> Diffusion:
        return Diffusion(self.pipe.scheduler, self.options.min_snr_gamma, self.own.error)

    @property
    def warp_net(self) -> WarpNet:
        """The network that lays garments."""
        assert self.pipe.warp_net is not None
        return self.pipe.warp_net

    def _encoders(self) -> tuple[nn.Module, ...]:
        return (*super()._encoders(), self.warp_net)

    def _in_full_precision(self) -> tuple[nn.Module, ...]:
        return (*super()._in_full_precision(), self.warp_net)

    # ------------------------------------------------------------------------------------------ the draft

    def content(self, sample: TryOnSample, rng: np.random.Generator) -> Batch:
        """As for the published task, and how the garment lies, if that is asked for.

        Raises:
            InputError: the sample has no flow.
        """
        flow: Batch = {}
        if self.own.exact_flow:
            flow["flow"] = to_places(known_flow(sample), sample.garment.size)
        return flow | super().content(sample, rng)

    def _shown_garment(self, pictures: Mapping[str, Tensor], batch: Batch) -> tuple[Tensor, Batch]:
        """The garment as it lies, exactly where the truth is known, and the latents of the rest of the draft."""
        person = pictures["person"], batch["mask"], pictures["densepose"], pictures["garment"]
        warp = lay_garments(self.warp_net, *person)
        exact = batch.get("flow", torch.full_like(warp.flow, torch.nan))
        flow = torch.where(exact.isnan(), warp.flow, exact)
        draft = draft_results(*person, Warp(flow, warp.outline))
        return draft.garment, {DRAFT: encode_latents(self.pipe.vae, draft.person)}
