"""Weights in 8 bits: half the memory of half precision; each is widened as it is used.

Each output channel has its own scale, so that the largest of its weights is 127. Computation is in the layer's own
dtype. The paper's networks lose little by it: a weight is off by at most 1/254 of the largest one of its channel.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MIN_WEIGHTS = 2**16
"""Smaller layers are left as they are."""


def shrink(network: nn.Module, device: torch.device | None = None) -> None:
    """Replaces the linear layers and convolutions of a network, one after the other.

    The network cannot be trained or saved afterwards.

    Args:
        network: is changed in place.
        device: where each layer, and the rest of the network, goes; None leaves it where it is.
    """
    for name, module in list(network.named_modules()):
        for child_name, child in list(module.named_children()):
            kind = {nn.Linear: EightBitLinear, nn.Conv2d: EightBitConv2d}.get(type(child))
            is_end = name == "" and child_name in ("conv_in", "conv_out")
            if kind is not None and child.weight.numel() >= MIN_WEIGHTS and not is_end:
                setattr(module, child_name, kind(child, device))
    if device is not None:
        nn.Module.to(network, device)


class _EightBit(nn.Module):
    """A layer's weight as int8 and a scale an output channel."""

    weight: Tensor
    scale: Tensor

    def __init__(self, layer: Any, device: torch.device | None = None) -> None:
        super().__init__()
        self.bias = layer.bias
        own = layer.weight.detach().to(device or layer.weight.device)
        largest = own.abs().amax(dim=tuple(range(1, own.dim())), keepdim=True).float().clamp(min=1e-12)
        scale = largest / 127
        self.register_buffer("weight", (own.float() / scale).round_().to(torch.int8))
        self.register_buffer("scale", scale.to(own.dtype))

    def widened(self) -> Tensor:
        """The weight in the layer's dtype."""
        return torch.mul(self.weight, self.scale)


class EightBitLinear(_EightBit):
    """A linear layer with such a weight."""

    def __init__(self, layer: nn.Linear, device: torch.device | None = None) -> None:
        super().__init__(layer, device)
        self.in_features, self.out_features = layer.in_features, layer.out_features

    def forward(self, input: Tensor) -> Tensor:
        """(..., in) -> (..., out)."""
        return F.linear(input, self.widened(), self.bias)


class EightBitConv2d(_EightBit):
    """A convolution with such a weight."""

    def __init__(self, layer: nn.Conv2d, device: torch.device | None = None) -> None:
        super().__init__(layer, device)
        self.in_channels, self.out_channels, self.kernel_size = layer.in_channels, layer.out_channels, layer.kernel_size
        self.settings: dict[str, Any] = {
            "stride": layer.stride,
            "padding": layer.padding,
            "dilation": layer.dilation,
            "groups": layer.groups,
        }

    def forward(self, input: Tensor) -> Tensor:
        """BCHW -> BCHW."""
        return F.conv2d(input, self.widened(), self.bias, **self.settings)
