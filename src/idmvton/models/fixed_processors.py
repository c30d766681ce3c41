"""What both networks have besides a stock UNet: attention processors that stay, and weights laid out for GPUs."""

from __future__ import annotations

import torch
from diffusers.models.attention_processor import Attention
from torch import nn

from idmvton.errors import ConfigError
from idmvton.models import kernels


class FixedProcessors:
    """Mixin of both networks: diffusers' ways to exchange the attention processors are refused, not obeyed.

    The processors are the try-on; without them a network would run and ignore the garment.
    """

    def join_projections(self) -> None:
        """Lays the weights of queries, keys and values of each self-attention behind one another.

        One product then does what three did; see :func:`idmvton.models.kernels.join`.
        """
        for name, module in self.named_modules():  # type: ignore[attr-defined]
            if name.endswith("attn1") and isinstance(module, Attention):
                kernels.join([module.to_q, module.to_k, module.to_v])

    def lay_out_for_gpus(self) -> None:
        """Lays weights as GPUs read them quickest: channels last, and projections joined.

        Values, names and shapes stay. Not for networks that are trained: their states could not be saved.
        """
        nn.Module.to(self, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.join_projections()

    def set_attention_slice(self, slice_size: object) -> None:
        """Refused: scaled dot-product attention needs no slices.

        Raises:
            ConfigError: always.
        """
        raise ConfigError(
            "attention slicing would replace the garment attention",
            fix="leave it out: scaled dot-product attention does not hold the scores in memory",
        )

    def fuse_qkv_projections(self) -> None:
        """Refused, as :meth:`set_attention_slice`.

        Raises:
            ConfigError: always.
        """
        raise ConfigError("fused projections would replace the garment attention", fix="leave it out")
