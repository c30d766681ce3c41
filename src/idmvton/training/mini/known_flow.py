"""The flow of rendered people: where the product picture shows each pixel of the garment that they wear."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from idmvton.data.sample import TryOnSample
from idmvton.errors import InputError


def known_flow(sample: TryOnSample) -> NDArray[np.float32]:
    """The sample's flow: float (H, W, 2) in pixels; see :attr:`idmvton.data.sample.TryOnSample.flow`.

    Raises:
        InputError: the sample has none.
    """
    if sample.flow is None:
        raise InputError(
            "the sample has no flow",
            got=sample.name,
            expected="people rendered with it",
            fix="idmvton studio make ... --flow, or data.studio_flow = true",
        )
    return sample.flow


def to_places(flow_HW2: NDArray[np.float32], size: tuple[int, int]) -> Tensor:
    """Pixels of a picture -> places from -1 (left, top) to 1 (right, bottom); NaN where it is not finite.

    Args:
        flow_HW2: in pixels.
        size: (width, height) of the picture that the flow points into.

    Returns:
        float (2, H, W).
    """
    flow = np.where(np.isfinite(flow_HW2).all(2, keepdims=True), flow_HW2, np.float32(np.nan))
    return torch.from_numpy(flow).permute(2, 0, 1) / torch.tensor(size)[:, None, None] * 2 - 1
