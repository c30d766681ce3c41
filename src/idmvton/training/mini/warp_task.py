"""WarpNet learns where each pixel of a person finds its fabric in the product picture, from rendered people.

The studio knows the flow exactly. The loss is its error and that of its slopes where it is known, the difference of
what the true and the predicted flow fetch from the product picture, and the cross-entropy of the garment's outline.

Shape legend: B samples, H and W pixels of WarpNet's own size.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from idmvton.checkpoint.parts import WARP_NET, load_part
from idmvton.data.sample import TryOnDataset, TryOnSample
from idmvton.draft.drafter import Drafter
from idmvton.draft.warp import garment_windows, person_planes, stand_out, windows_around
from idmvton.draft.warp_net import Warp, WarpNet, sample_at
from idmvton.images import from_vae_tensor, mask_to_tensor, to_pil, to_vae_tensor
from idmvton.training.batches import Batch
from idmvton.training.export import save_parts, whole_folder
from idmvton.training.masks import vary_mask
from idmvton.training.mini.known_flow import known_flow, to_places
from idmvton.training.mini.stage_sections import WarpOptions
from idmvton.training.picture_rows import greyed, sheet
from idmvton.training.recipe import Recipe
from idmvton.training.sections import MaskOptions
from idmvton.training.task import Loss
from idmvton.types import Size

_SLOPE_DISTANCES: Final = (2, 8)  # pixels


class WarpTask:
    """See the module; built from the sections of a recipe.

    Args:
        recipe: with the sections of this task.
        dataset: not used: nothing is measured on it beforehand.

    Raises:
        WeightsError: a WarpNet that is missing or does not fit.
    """

    frozen: Sequence[nn.Module] = ()
    encoders: Sequence[nn.Module] = ()
    num_timesteps = 1

    def __init__(self, recipe: Recipe, dataset: TryOnDataset) -> None:
        self.options, self.masks = recipe.section(WarpOptions), recipe.section(MaskOptions)
        self.content_settings = [self.options.to_dict(), self.masks.to_dict()]
        options = self.options
        self.net: WarpNet = (
            WarpNet(options.height, options.width, options.channels, options.num_layers)
            if options.init is None
            else load_part(Path(options.init), WARP_NET)
        )
        self.net.requires_grad_(True).train()
        self.size = Size(self.net.config.height, self.net.config.width)
        self.model: nn.Module = self.net

    # ------------------------------------------------------------------------------------------ in workers

    def content(self, sample: TryOnSample, rng: np.random.Generator) -> Batch:
        """Both windows, and the truth: flow in [-1, 1], where it is known, where the garment is seen.

        Raises:
            InputError: the sample has no flow.
        """
        mask = mask_to_tensor([vary_mask(sample.mask, rng, self.masks)])
        garment, flow = move_garment(sample.garment, known_flow(sample), rng, self.options)
        target = to_places(flow, garment.size)[None]
        known, seen = ~target.isnan().any(1, keepdim=True), torch.from_numpy(~np.isnan(flow).any(2))[None, None]
        person, densepose, product = to_vae_tensor([sample.person, sample.densepose, garment]).split(1)
        product = stand_out(product)
        people, products = windows_around(mask > 0.5), garment_windows(product)
        target = people.values(torch.where(known, target, 0.0), self.size)
        return {
            "person": person_planes(people, person, mask, densepose, self.size)[0],
            "garment": products.colours(product, self.size)[0],
            "flow": products.inside(target)[0],
            "known": people.values(known, self.size)[0],
            "seen": people.values(seen, self.size)[0],
        }

    def draw(self, rng: np.random.Generator) -> Batch:
        """Nothing is drawn besides the variations."""
        return {}

    # ------------------------------------------------------------------------------------------ the loss

    def encode(self, batch: Batch) -> Batch:
        """Everything as it is: nothing is frozen here."""
        return {name: batch[name] for name in ("person", "garment", "flow", "known", "seen")}

    def loss(self, model: nn.Module, batch: Batch) -> Loss:
        """Errors of flow, its slopes, fetched colours and outline."""
        warp: Warp = model(batch["person"], batch["garment"])
        known, mask = batch["known"], batch["person"][:, -4:-3]
        share = known.mean(dim=(1, 2, 3)).clamp(min=1e-3)
        error = F.smooth_l1_loss(warp.flow.float(), batch["flow"], reduction="none", beta=0.02)
        flow = (error * known).mean(dim=(1, 2, 3)) / share
        fetched = (sample_at(batch["garment"], warp.flow) - sample_at(batch["garment"], batch["flow"])).abs()
        colours = (fetched * known).mean(dim=(1, 2, 3)) / share
        crossed = F.binary_cross_entropy_with_logits(warp.outline.float(), batch["seen"], reduction="none")
        outline = (crossed * mask).mean(dim=(1, 2, 3)) / mask.mean(dim=(1, 2, 3)).clamp(min=1e-3)
        options = self.options
        parts = {
            "flow": (options.flow_weight, flow),
            "slopes": (options.slope_weight, slope_error(warp.flow.float(), batch["flow"], known)),
            "colours": (options.colour_weight, colours),
            "outline": (options.outline_weight, outline),
        }
        total = sum((weight * error for weight, error in parts.values()), torch.zeros_like(flow))
        return Loss(total, parts={name: error.mean() for name, (_, error) in parts.items()})

    # ------------------------------------------------------------------------------------------ results

    @torch.no_grad()
    def pictures(self, samples: Sequence[TryOnSample]) -> Image.Image:
        """What is repainted, the garment, the draft with it, the truth; one row a sample."""
        self.net.eval()
        device = self.net.device
        person, densepose, garment = (
            to_vae_tensor([getattr(each, kind) for each in samples]).to(device)
            for kind in ("person", "densepose", "garment")
        )
        mask = mask_to_tensor([each.mask for each in samples]).to(device)
        drafts = to_pil(from_vae_tensor(Drafter(self.net)(person, mask, densepose, garment).whole).cpu())
        self.net.train()
        rows = [
            (greyed(each.person, each.mask), each.garment, picture, each.unpaired_target or each.person)
            for each, picture in zip(samples, drafts, strict=True)
        ]
        return sheet(rows)

    @torch.no_grad()
    def measure(self, samples: Sequence[TryOnSample]) -> dict[str, float]:
        """Median error of the flow as a share of the garment window's height, mean error of its slopes, IoU."""
        self.net.eval()
        errors, slopes, overlaps = [], [], []
        for sample in samples:
            batch = self.content(sample, np.random.default_rng(0))
            warp = self.net(*(batch[name][None].to(self.net.device) for name in ("person", "garment")))
            scale = torch.tensor([self.size.width / self.size.height, 1.0], device=self.net.device)[:, None, None] / 2
            distance = ((warp.flow[0] - batch["flow"].to(self.net.device)) * scale).norm(dim=0)
            told = (batch[name][None].to(self.net.device) for name in ("flow", "known"))
            slopes.append(float(slope_error(warp.flow, *told)))
            errors.append(distance[batch["known"][0] > 0].cpu())
            seen, said = batch["seen"][0] > 0, (warp.outline[0, 0] > 0).cpu() & (batch["person"][25] > 0)
            overlaps.append(float((seen & said).sum() / (seen | said).sum().clamp(min=1)))
        self.net.train()
        return {
            "flow_error": float(torch.cat(errors).median()),
            "slope_error": float(np.mean(slopes)),
            "outline_iou": float(np.mean(overlaps)),
        }

    def export(self, folder: Path, model: nn.Module) -> None:
        """Writes ``warp_net``."""
        with whole_folder(folder) as new:
            save_parts({WARP_NET: model}, new)


def slope_error(flow_B2HW: Tensor, truth_B2HW: Tensor, known_B1HW: Tensor) -> Tensor:
    """Mean difference of the slopes of two flows, in pixels of the garment's window for a pixel of the person's.

    Slopes are those between pixels a few apart: the truth is told to whole pixels.

    Args:
        flow_B2HW, truth_B2HW: places from -1 to 1.
        known_B1HW: 1 where the truth is known, else 0.

    Returns:
        float (B,).
    """
    height, width = flow_B2HW.shape[-2:]
    pixels = flow_B2HW.new_tensor([width / 2, height / 2])[:, None, None]
    wrong = (flow_B2HW - truth_B2HW) * pixels
    errors = []
    for distance, axis in itertools.product(_SLOPE_DISTANCES, (2, 3)):
        count = wrong.shape[axis] - distance
        difference = wrong.narrow(axis, distance, count) - wrong.narrow(axis, 0, count)
        both = known_B1HW.narrow(axis, distance, count) * known_B1HW.narrow(axis, 0, count)
        share = both.mean((1, 2, 3)).clamp(min=1e-3)
        errors.append((difference.abs() / distance * both).mean((1, 2, 3)) / share)
    return torch.stack(errors).mean(0)


def move_garment(
    garment: Image.Image, flow: NDArray[np.float32], rng: np.random.Generator, options: WarpOptions
) -> tuple[Image.Image, NDArray[np.float32]]:
    """The product picture turned, scaled, sheared and moved a little, with its flow: real ones are not all alike.

    Args:
        garment: RGB on white or light grey.
        flow: float (H, W, 2) into it.
        rng: drawn from equally often, whatever the options are.
        options: how much.
    """
    turn, zoom, shear, right, down = rng.uniform(-1, 1, 5)
    angle, scale = np.deg2rad(options.turn * turn), 1 + options.zoom * zoom
    linear = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = linear @ np.array([[1, options.shear * shear], [0, 1]])
    centre = np.array(garment.size) / 2
    offset = centre + np.array([right, down]) * options.shift * np.array(garment.size) - linear @ centre
    matrix = np.concatenate([linear, offset[:, None]], 1)
    to_centres = matrix.copy()  # OpenCV counts from the first pixel's centre
    to_centres[:, 2] += linear @ np.array([0.5, 0.5]) - 0.5
    pixels = np.asarray(garment)
    border = tuple(int(value) for value in np.median(np.concatenate([pixels[0], pixels[-1]]), 0))
    moved = cv2.warpAffine(
        pixels, to_centres, garment.size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=border
    )
    finite = np.isfinite(flow)
    placed = np.where(finite, flow, 0) @ linear.T + offset
    return Image.fromarray(moved), np.where(finite, placed, flow).astype(np.float32)
