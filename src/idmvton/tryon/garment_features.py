"""GarmentNet's features over the steps of one call (section 3.2): computed once where they can be.

Shape legend: G distinct garments, M tokens of a layer, C channels.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from idmvton.models.attention import CrossKeysValues, KeysValues
from idmvton.tryon.garment_cache import GarmentCache
from idmvton.tryon.garments import GarmentConditions
from idmvton.tryon.networks import Networks
from idmvton.types import GarmentFeatures, GarmentTimestep

Tokens = Mapping[str, Tensor]
"""Layer name -> float (1, M, C), the features of one garment at one timestep."""


class FeatureSource(Protocol):
    """What TryonNet's attention reads of the garments at each step of a call."""

    def compute_ahead(self, timesteps: Sequence[float]) -> None:
        """Runs GarmentNet for all steps now, so that it and TryonNet are never needed at the same time."""

    def at(self, timestep: float) -> Mapping[str, Tensor | KeysValues]:
        """What :class:`~idmvton.models.attention.AttentionContext` takes as ``garment``, at one step."""


def feature_source(garments: GarmentRuns, policy: GarmentTimestep) -> FeatureSource:
    """The source that a checkpoint's policy asks for."""
    return EachStep(garments) if policy == "each_step" else FixedTimestep(garments, float(policy))


class EachStep:
    """GarmentNet runs at the current timestep, as the published weights were trained."""

    def __init__(self, garments: GarmentRuns) -> None:
        self.garments = garments
        self._ahead: dict[float, list[Tokens]] = {}

    def compute_ahead(self, timesteps: Sequence[float]) -> None:
        """See :class:`FeatureSource`."""
        self._ahead = {timestep: self._features(timestep) for timestep in timesteps}

    def at(self, timestep: float) -> dict[str, Tensor]:
        """Layer name -> float (G, M, C)."""
        return self.garments.stacked(self._ahead.get(timestep) or self._features(timestep))

    def _features(self, timestep: float) -> list[Tokens]:
        """Of each garment: from the cache, or computed in one batch."""
        part = ("features", timestep)
        found: list[Tokens | None] = self.garments.kept(part)
        missing = [row for row, tokens in enumerate(found) if tokens is None]
        for row, tokens in zip(missing, self.garments.run(missing, timestep), strict=True):
            found[row] = tokens
            self.garments.keep(row, part, tokens, self.garments.waits_on)
        return [tokens for tokens in found if tokens is not None]


class FixedTimestep:
    """GarmentNet always sees one timestep: its features, and their keys and values, serve all steps.

    Args:
        garments: of the call.
        timestep: the one that GarmentNet is fed.
    """

    def __init__(self, garments: GarmentRuns, timestep: float) -> None:
        self.garments, self.timestep = garments, timestep
        self._part = ("keys and values", timestep)
        self._ahead: list[Tokens] = []
        self._keys_values: Mapping[str, KeysValues] | None = None

    def compute_ahead(self, timesteps: Sequence[float]) -> None:
        """See :class:`FeatureSource`; which steps they are does not matter."""
        self._keys_values = self._kept()
        if self._keys_values is None:
            self._ahead = self._features()

    def at(self, timestep: float) -> Mapping[str, KeysValues]:
        """Layer name -> keys and values of G rows, the same at every step."""
        if self._keys_values is None:
            self._keys_values = self._kept() or self._project(self._ahead or self._features())
        return self._keys_values

    def _features(self) -> list[Tokens]:
        return self.garments.run(range(len(self.garments.conditions)), self.timestep)

    def _kept(self) -> Mapping[str, KeysValues] | None:
        """What the cache has, if it has all of it."""
        rows = self.garments.kept(self._part)
        found: list[Mapping[str, KeysValues]] = [row for row in rows if row is not None]
        if len(found) < len(rows):
            return None
        if len(found) == 1:
            return found[0]
        return {name: KeysValues(*map(torch.cat, zip(*(row[name] for row in found), strict=True))) for name in found[0]}

    def _project(self, features: Sequence[Tokens]) -> dict[str, KeysValues]:
        networks = self.garments.networks
        projected = networks.tryon_net.project_garment(GarmentFeatures(self.garments.stacked(features)))
        for row in range(len(self.garments.conditions)):
            keys_values = {name: each.row(row) for name, each in projected.items()}
            self.garments.keep(row, self._part, keys_values, networks.device)
        return projected


class GarmentRuns:
    """Runs GarmentNet on the garments of a call.

    Args:
        networks: of these, GarmentNet is run here; a source also projects with TryonNet.
        conditions: of the G garments.
        cache: where features are kept for later calls.
        waits_on: where features wait until they are asked for.
    """

    def __init__(
        self,
        networks: Networks,
        conditions: Sequence[GarmentConditions],
        cache: GarmentCache,
        waits_on: torch.device,
    ) -> None:
        self.networks, self.conditions, self.cache, self.waits_on = networks, conditions, cache, waits_on

    def run(self, rows: Sequence[int], timestep: float) -> list[Tokens]:
        """The features of some of the garments, computed in one batch."""
        if not rows:
            return []
        picked = [self.conditions[row] for row in rows]
        latents = torch.cat([each.latents for each in picked])
        text = torch.cat([each.garment_text for each in picked])
        cross = self._text_keys_values
        if len(rows) < len(self.conditions):
            index = torch.tensor(rows, device=latents.device)
            cross = {name: each.rows(index) for name, each in cross.items()}
        tokens = self.networks.garment_net(latents, torch.tensor(timestep, device=latents.device), text, cross).tokens
        if len(rows) == 1:
            return [{name: each.to(self.waits_on) for name, each in tokens.items()}]
        return [
            {name: each[row, None].clone().to(self.waits_on) for name, each in tokens.items()}
            for row in range(len(rows))
        ]

    @functools.cached_property
    def _text_keys_values(self) -> Mapping[str, CrossKeysValues]:
        """Of all garments; they do not depend on the step."""
        return self.networks.garment_net.project_text(torch.cat([each.garment_text for each in self.conditions]))

    def stacked(self, features: Sequence[Tokens]) -> dict[str, Tensor]:
        """One row a garment: layer name -> float (G, M, C), on the device of the computation."""
        first, *others = features
        return {
            name: (torch.cat([each[name] for each in features]) if others else first[name]).to(self.networks.device)
            for name in first
        }

    def kept(self, part: tuple[str, float]) -> list[Any]:
        """What the cache has of each garment, or None."""
        return [self.cache.get(each.key, part) if each.is_reusable else None for each in self.conditions]

    def keep(
        self, row: int, part: tuple[str, float], entry: Mapping[str, Tensor | KeysValues], device: torch.device
    ) -> None:
        """Puts what was computed for one garment into the cache, if later calls can use it."""
        if self.conditions[row].is_reusable:
            keys = [each.key for each in self.conditions]
            self.cache.put(keys[row], part, entry, in_use=keys, device=device)
