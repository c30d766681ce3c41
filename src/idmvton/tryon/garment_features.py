"""GarmentNet's features over the steps of one call (section 3.2): computed once where they can be.

Shape legend: G distinct garments, M tokens of a layer, C channels.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from idmvton.models.attention import CrossKeysValues, KeysValues
from idmvton.models.kernels import fastest_attention
from idmvton.tryon.garment_cache import GarmentCache
from idmvton.tryon.garments import GarmentConditions
from idmvton.tryon.nested import map_tensors
from idmvton.tryon.networks import Networks
from idmvton.types import GarmentFeatures, GarmentTimestep

Tokens = Mapping[str, Tensor]
"""Layer name -> float (1, M, C), the features of one garment at one timestep."""


TIMESTEPS_TOGETHER = 2
"""One garment alone fills no GPU: there GarmentNet runs at so many timesteps in one batch."""


def together_on(device: torch.device) -> int:
    """At how many timesteps GarmentNet runs in one batch. Processors are busy with one."""
    return TIMESTEPS_TOGETHER if device.type == "cuda" else 1


class FeatureSource(Protocol):
    """What TryonNet's attention reads of the garments at each step of a call."""

    def compute_ahead(self, timesteps: Sequence[float]) -> None:
        """Runs GarmentNet for all steps now, so that it and TryonNet are never needed at the same time."""

    def at(self, timestep: float) -> Mapping[str, Tensor | KeysValues]:
        """What :class:`~idmvton.models.attention.AttentionContext` takes as ``garment``, at one step."""


def feature_source(garments: GarmentRuns, policy: GarmentTimestep, timesteps: Sequence[float] = ()) -> FeatureSource:
    """The source that a checkpoint's policy asks for, at the timesteps of a call in their order."""
    return EachStep(garments, timesteps) if policy == "each_step" else FixedTimestep(garments, float(policy))


class EachStep:
    """GarmentNet runs at the current timestep, as the published weights were trained.

    It does not see the latents that are denoised, so that it can run at several of the call's timesteps in one batch.

    Args:
        garments: of the call.
        timesteps: of the call, in their order.
    """

    def __init__(self, garments: GarmentRuns, timesteps: Sequence[float] = ()) -> None:
        self.garments, self.timesteps = garments, list(dict.fromkeys(timesteps))
        self._ahead: dict[float, list[Tokens]] = {}

    def compute_ahead(self, timesteps: Sequence[float]) -> None:
        """See :class:`FeatureSource`."""
        waiting: dict[float, list[Tokens]] = {}
        for timestep in timesteps:
            if timestep not in waiting:
                computed = self._features(self._together(timestep))
                waiting |= {each: [self._wait(tokens) for tokens in rows] for each, rows in computed.items()}
        self._ahead = waiting

    def at(self, timestep: float) -> dict[str, Tensor]:
        """Layer name -> float (G, M, C); it holds until the next call."""
        if timestep not in self._ahead:
            self._ahead = self._features(self._together(timestep))
        return self.garments.stacked(self._ahead[timestep])

    def _together(self, timestep: float) -> list[float]:
        """The timesteps that GarmentNet runs at in one batch with the given one, that one first."""
        if timestep not in self.timesteps:
            return [timestep]
        num_batches = math.ceil(len(self.timesteps) / self.garments.together)
        first = self.timesteps.index(timestep)
        return self.timesteps[first : first + math.ceil(len(self.timesteps) / num_batches)]

    def _features(self, timesteps: Sequence[float]) -> dict[float, list[Tokens]]:
        """Of each garment at each timestep: from the cache, or computed in one batch."""
        found: dict[float, list[Any]] = {each: self.garments.kept(("features", each)) for each in timesteps}
        missing = [
            row for row in range(len(self.garments.conditions)) if any(rows[row] is None for rows in found.values())
        ]
        for (timestep, rows), computed in zip(found.items(), self.garments.run(missing, timesteps), strict=True):
            for row, tokens in zip(missing, computed, strict=True):
                rows[row] = tokens
                self.garments.keep(row, ("features", timestep), tokens, self.garments.waits_on)
        return found

    def _wait(self, tokens: Tokens) -> Tokens:
        return {name: each.to(self.garments.waits_on, copy=True) for name, each in tokens.items()}


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
            waits_on = self.garments.waits_on
            self._ahead = [
                {name: each.to(waits_on, copy=True) for name, each in tokens.items()} for tokens in self._features()
            ]

    def at(self, timestep: float) -> Mapping[str, KeysValues]:
        """Layer name -> keys and values of G rows, the same at every step."""
        if self._keys_values is None:
            self._keys_values = self._kept() or self._project(self._ahead or self._features())
        return self._keys_values

    def _features(self) -> list[Tokens]:
        return self.garments.run(range(len(self.garments.conditions)), [self.timestep])[0]

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


@dataclass(frozen=True)
class NetConditions:
    """What GarmentNet reads besides the timestep, R rows: a garment may have several, at different timesteps.

    Attributes:
        latents: float (R, C, h, w).
        text: float (R, T, C).
        cross: layer name -> keys and values of the prompts, R rows.
    """

    latents: Tensor
    text: Tensor
    cross: Mapping[str, CrossKeysValues]


def run_garment_net(net: Any, conditions: NetConditions, timesteps: Tensor) -> Mapping[str, Tensor]:
    """GarmentNet's features: a function of tensors alone, which a CUDA graph can hold.

    Args:
        net: GarmentNet.
        conditions: R rows.
        timesteps: float (R,).

    Returns:
        Layer name -> (R, M, C).
    """
    with fastest_attention(timesteps.device):
        tokens: Mapping[str, Tensor] = net(conditions.latents, timesteps, conditions.text, conditions.cross).tokens
    return tokens


class GarmentRuns:
    """Runs GarmentNet on the garments of a call.

    Args:
        networks: of these, GarmentNet is run here; a source also projects with TryonNet.
        conditions: of the G garments.
        cache: where features are kept for later calls.
        waits_on: where features wait until they are asked for.
        together: at how many timesteps GarmentNet runs in one batch; None chooses for the device.
    """

    def __init__(
        self,
        networks: Networks,
        conditions: Sequence[GarmentConditions],
        cache: GarmentCache,
        waits_on: torch.device,
        together: int | None = None,
    ) -> None:
        self.networks, self.conditions, self.cache, self.waits_on = networks, conditions, cache, waits_on
        self.together = together or together_on(networks.device)
        saw = [cache.saw(each.key) for each in conditions]
        self._is_worth_keeping = [networks.device.type == "cpu" or each for each in saw]
        self._repeated: dict[tuple[tuple[int, ...], int], NetConditions] = {}

    def run(self, rows: Sequence[int], timesteps: Sequence[float]) -> list[list[Tokens]]:
        """The features of some of the garments at some timesteps, computed in one batch.

        Returns:
            For each timestep, those of each garment; they hold until the next run.
        """
        if not rows:
            return [[] for _ in timesteps]
        conditions = self._conditions(rows, len(timesteps))
        of_rows = torch.tensor(timesteps, device=self.networks.device).repeat_interleave(len(rows))
        function = functools.partial(run_garment_net, self.networks.garment_net)
        tokens = self.networks.graphs.run("GarmentNet", function, conditions, of_rows)
        if len(of_rows) == 1:
            return [[tokens]]
        numbers = range(len(of_rows))
        apart: list[Tokens] = [{name: each[number, None] for name, each in tokens.items()} for number in numbers]
        return [apart[first : first + len(rows)] for first in range(0, len(apart), len(rows))]

    def _conditions(self, rows: Sequence[int], times: int) -> NetConditions:
        """Of some garments, several times over; the same object at each step."""
        key = (tuple(rows), times)
        if key not in self._repeated:
            picked = [self.conditions[row] for row in rows]
            index = torch.tensor(rows, device=self.networks.device)
            text = torch.cat([each.garment_text for each in picked]).repeat(times, 1, 1)
            latents = torch.cat([each.latents for each in picked]).repeat(times, 1, 1, 1)
            cross = {name: each.rows(index.repeat(times)) for name, each in self._text_keys_values.items()}
            self._repeated[key] = NetConditions(latents, text, cross)
        return self._repeated[key]

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
        """Puts what was computed for one garment into the cache, if later calls can use it.

        On GPUs only of garments that come again: features are large, and a first picture must not pay for a second.
        """
        if self.conditions[row].is_reusable and self._is_worth_keeping[row] and self.cache.max_bytes != 0:
            keys = [each.key for each in self.conditions]
            owned = map_tensors(entry, lambda tensor: tensor.to(device, copy=True))
            self.cache.put(keys[row], part, owned, in_use=keys, device=device)
