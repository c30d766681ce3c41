"""Customization as a task of the training loop (paper, section 3.3): chosen layers learn one garment."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import diffusers
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from idmvton.checkpoint.adapter import Adapter, base_values, write_adapter
from idmvton.checkpoint.adapter_record import FILE, AdapterRecord
from idmvton.customize.layers import add_low_rank, chosen_weights, train_only
from idmvton.customize.options import CustomizeOptions, Layers
from idmvton.customize.step import CustomizeStep
from idmvton.customize.views import worn_region
from idmvton.customize.warp_loss import warp_losses
from idmvton.data.sample import TryOnSample
from idmvton.draft.warp import lay_garments
from idmvton.images import bytes_to_vae_tensor
from idmvton.models.changed_weights import Difference, LowRank
from idmvton.training.batches import Batch
from idmvton.training.mini.mini_tryon_task import MiniTryOnTask
from idmvton.training.recipe import Recipe
from idmvton.training.sources import Captioned
from idmvton.training.task import Loss
from idmvton.training.tryon_task import TryOnTask
from idmvton.tryon.pipeline import TryOnPipeline
from idmvton.types import VERSION

AtChecks = Callable[[TryOnPipeline], Mapping[str, float]]
"""Called with the weights of the moment whenever the held-out view is scored; gives figures to note beside its loss."""

_DOWN: Final = re.compile(r"(.+)\.lora_A\.default\.weight")
_TOLD_BY_THE_PHOTO: Final = ("colours", "outline")  # the slopes' part starts at 0 and can only grow
_WARP_WEIGHTS: Final = {"colours": 1.0, "outline": 0.5, "slopes": 0.5}


class CustomizeTask(TryOnTask):
    """The paper's training with most of TryonNet frozen.

    Args:
        recipe: see :func:`idmvton.customize.recipe.recipe_of`.
        dataset: the views.
        pipe: the checkpoint, float32; its networks are trained in place.
        choices: what is trained.
        about: how the adapter is made, without steps and losses.

    Attributes:
        at_checks: see :data:`AtChecks`; nothing is measured by itself.

    Raises:
        ConfigError: layers that the checkpoint does not have.
        MissingExtraError: low-rank matrices without peft.
    """

    def __init__(
        self,
        recipe: Recipe,
        dataset: Captioned,
        pipe: TryOnPipeline,
        choices: CustomizeOptions,
        about: AdapterRecord,
    ) -> None:
        self.given, self.choices, self.about = pipe, choices, about
        self.originals: dict[str, Tensor] = {}
        self.at_checks: AtChecks = lambda _: {}
        super().__init__(recipe, dataset)
        self.first_timestep = max(self.first_timestep, choices.min_timestep)
        self.end_timestep = max(self.first_timestep, choices.max_timestep) + 1
        self.step = CustomizeStep(self.unet, self.pipe.warp_net)
        self.model: nn.Module = self.step

    # ------------------------------------------------------------------------------------------ setting up

    @property
    def layers(self) -> Layers:
        """What of TryonNet is trained."""
        return self.choices.layers or "up_attention"

    def _components(self, recipe: Recipe, dataset: Captioned) -> dict[str, Any]:
        return dict(self.given.components)

    def _policies(self) -> dict[str, Any]:
        return {name: self.given.config[name] for name in super()._policies()}

    def _unfreeze_what_learns(self) -> None:
        """The chosen layers; the rest of TryonNet computes in the training's precision."""
        names = chosen_weights(self.unet, self.layers)
        if self.choices.lora and names:
            kept = {name: self.unet.get_parameter(name).detach().clone() for name in names}
            names = add_low_rank(self.unet, names, self.choices.lora)
            self.originals |= {f"unet.{name}": kept[name] for name in names}
        else:
            train_only(self.unet, names)
            self.originals |= {f"unet.{name}": self.unet.get_parameter(name).detach().clone() for name in names}
        self.unet.train()
        if self.training.precision == "bfloat16":
            for each in self.unet.parameters():
                if not each.requires_grad:
                    each.data = each.data.to(torch.bfloat16)
        if self.training.gradient_checkpointing:
            self.unet.enable_gradient_checkpointing()

    # ------------------------------------------------------------------------------------------ the loss

    def content(self, sample: TryOnSample, rng: np.random.Generator) -> Batch:
        """As for the published task, and where the garment is worn."""
        worn = torch.from_numpy(worn_region(sample).astype(np.float32))[None]
        return {"worn": worn} | super().content(sample, rng)

    def _where(self, rows: Batch) -> Tensor:
        worn = adaptive_avg_pool2d(rows["worn"], rows["latents"].shape[-2:])
        return 1 + (self.choices.garment_weight - 1) * worn

    def pictures(self, samples: Any) -> None:
        """None: they are drawn once, at the end."""

    def measure(self, samples: Any) -> dict[str, float]:
        """What the caller measures, with the weights of the moment."""
        return dict(self.at_checks(self.pipe))

    # ------------------------------------------------------------------------------------------ the adapter

    def differences(self) -> dict[str, Difference]:
        """What the training changed, by weight, on the CPU."""
        low_rank, trained = {}, {name: each.detach().cpu() for name, each in self.step.trained().items()}
        for name, down in trained.items():
            if matched := _DOWN.fullmatch(name):
                up = trained[f"{matched[1]}.lora_B.default.weight"]
                low_rank[f"{matched[1]}.weight"] = LowRank(down, up)  # alpha is the rank: nothing to scale by
        whole: dict[str, Difference] = {
            name: each.float() - self.originals[name] for name, each in trained.items() if ".lora_" not in name
        }
        return whole | low_rank

    def export(self, folder: Path, model: Any) -> None:
        """Writes the adapter; its losses are told later."""
        differences = self.differences()
        values = base_values({name: self.originals[name] for name in differences})
        if self.training.precision == "bfloat16":
            differences = {
                name: each if isinstance(each, LowRank) else each.to(torch.bfloat16)
                for name, each in differences.items()
            }
        write_adapter(Adapter(self.about, differences, values), folder / FILE)


class MiniCustomizeTask(CustomizeTask, MiniTryOnTask):
    """The same for checkpoints that draft; WarpNet learns how the garment lies, too.

    Args:
        recipe, dataset, pipe, choices, about: see :class:`CustomizeTask`.
    """

    def __init__(
        self,
        recipe: Recipe,
        dataset: Captioned,
        pipe: TryOnPipeline,
        choices: CustomizeOptions,
        about: AdapterRecord,
    ) -> None:
        self.trains_warp = choices.warp is not False
        super().__init__(recipe, dataset, pipe, choices, about)
        if self.trains_warp:
            self._warp_before = copy.deepcopy(self.warp_net)
            self.warp_net.requires_grad_(True)
            self.originals |= {
                f"warp_net.{name}": each.detach().clone() for name, each in self.warp_net.named_parameters()
            }
            self.frozen = (*self.frozen, self._warp_before)

    @property
    def layers(self) -> Layers:
        """What of TryonNet is trained."""
        return self.choices.layers or "none"

    def loss(self, model: nn.Module, batch: Batch) -> Loss:
        """The error of the prediction, and of how the garment lies."""
        parts: dict[str, Tensor] = {}
        total = batch["worn"].new_zeros(len(batch["worn"]))
        timesteps = None
        if self.layers != "none":
            told = super().loss(model, batch)
            total, timesteps = total + told.per_sample, told.timesteps
            parts["tryon"] = told.per_sample.mean()
        if self.trains_warp:
            pictures = {name: bytes_to_vae_tensor(batch[name]) for name in ("target", "person", "garment", "densepose")}
            pair = pictures["person"], batch["mask"], pictures["densepose"], pictures["garment"]
            with torch.no_grad():
                before = lay_garments(self._warp_before, *pair)
            found = warp_losses(
                model(pair=pair), before, pictures["garment"], pictures["target"], batch["worn"], batch["mask"]
            )
            scored = found if model.training else {name: found[name] for name in _TOLD_BY_THE_PHOTO}
            total = total + sum(_WARP_WEIGHTS[name] * error for name, error in scored.items())
            parts |= {name: error.mean() for name, error in found.items()}
        return Loss(total, timesteps, parts)

    def encode(self, batch: Batch) -> Batch:
        """What the loss needs; nothing where WarpNet learns alone."""
        return super().encode(batch) if self.layers != "none" else {}


def library_versions() -> dict[str, str]:
    """For the record."""
    return {"idmvton": VERSION, "torch": torch.__version__, "diffusers": diffusers.__version__}
