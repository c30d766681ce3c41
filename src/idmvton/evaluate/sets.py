"""Distances of two sets of pictures: FID (Heusel et al. 2017) and KID (Binkowski et al. 2018), by torchmetrics."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from idmvton.errors import InputError
from idmvton.evaluate.extra import require

_KID_SUBSETS: Final = 100
_KID_LARGEST_SUBSET: Final = 1000


class _Given(nn.Module):
    """Stands for a feature network where the features were computed before."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, features: Tensor) -> Tensor:
        """The features as they are."""
        return features


def fid(results: NDArray[np.float32], photos: NDArray[np.float32]) -> float:
    """The Frechet distance of two sets of features, float (N, D) and (M, D).

    Raises:
        InputError: fewer than two pictures in a set.
        MissingExtraError: torchmetrics is not installed.
    """
    _check_count(results, photos, 2)
    metric = require("torchmetrics.image.fid").FrechetInceptionDistance(feature=_Given(results.shape[1]))
    metric.set_dtype(torch.float64)
    return _fed(metric, results, photos)


def kid(results: NDArray[np.float32], photos: NDArray[np.float32], seed: int = 0) -> tuple[float, float]:
    """The kernel distance of two sets of features and its spread over 100 random subsets of at most 1,000.

    Raises:
        InputError: fewer than two pictures in a set.
        MissingExtraError: torchmetrics is not installed.
    """
    _check_count(results, photos, 2)
    size = min(_KID_LARGEST_SUBSET, len(results), len(photos))
    kind = require("torchmetrics.image.kid").KernelInceptionDistance
    metric = kind(feature=_Given(results.shape[1]), subsets=_KID_SUBSETS, subset_size=size)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        mean, deviation = _fed(metric, results, photos)
    return float(mean), float(deviation)


def _fed(metric: Any, results: NDArray[np.float32], photos: NDArray[np.float32]) -> Any:
    metric.update(torch.from_numpy(photos), real=True)
    metric.update(torch.from_numpy(results), real=False)
    return metric.compute()


def _check_count(results: NDArray[np.float32], photos: NDArray[np.float32], least: int) -> None:
    if min(len(results), len(photos)) < least:
        raise InputError("too few pictures for a distance of two sets", got=len(results), expected=f"at least {least}")
