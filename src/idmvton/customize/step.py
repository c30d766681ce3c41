"""What a customization wraps for training: TryonNet and WarpNet, of which a state holds the trained weights alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from idmvton.draft.warp import lay_garments
from idmvton.draft.warp_net import Warp, WarpNet
from idmvton.models.tryon_net import TryonNet
from idmvton.training.tryon_task import TryOnStep


class CustomizeStep(TryOnStep):
    """One forward pass of what is trained; weights are named as adapters name them.

    Args:
        unet: TryonNet, its trained weights requiring gradients.
        warp_net: likewise, where the checkpoint has one.
    """

    def __init__(self, unet: TryonNet, warp_net: WarpNet | None) -> None:
        super().__init__(unet)
        self.warp_net = warp_net

    def forward(self, *arguments: Any, pair: tuple[Tensor, Tensor, Tensor, Tensor] | None = None) -> Any:
        """The prediction, or how a garment lies.

        Args:
            arguments: of :class:`idmvton.training.tryon_task.TryOnStep`.
            pair: picture, mask, body map and garment, of :func:`idmvton.draft.warp.lay_garments`, instead of these.
        """
        if pair is None:
            return super().forward(*arguments)
        assert self.warp_net is not None
        laid: Warp = lay_garments(self.warp_net, *pair)
        return laid

    def trained(self) -> dict[str, nn.Parameter]:
        """The weights that are trained, by name."""
        return {name: each for name, each in self.named_parameters() if each.requires_grad}

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]
        """The trained weights alone: the others are the checkpoint's."""
        return {name: each.detach() for name, each in self.trained().items()}

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """The inverse of :meth:`state_dict`.

        Raises:
            RuntimeError: other weights.
        """
        own = self.trained()
        if own.keys() != state_dict.keys():
            raise RuntimeError(f"Missing key(s) in the state: {sorted(own.keys() ^ state_dict.keys())[:3]}")
        loaded = super().load_state_dict(state_dict, strict=False, assign=assign)
        loaded.missing_keys.clear()  # the checkpoint's own, which no state holds
        return loaded
