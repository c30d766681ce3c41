"""Large batches of varied samples, made on the device from a pool.

Shape legend: B samples, H and W pixels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor

from idmvton.draft.warp import garment_windows, plain_background, planes_of_parts, stand_out, windows_around
from idmvton.draft.warp_net import places
from idmvton.images import bytes_to_vae_tensor
from idmvton.images.densepose import OTHER_SIDE, part_colours
from idmvton.training.mini.pool import unpacked
from idmvton.training.mini.stage_sections import WarpOptions
from idmvton.types import Size

_GROWN: Final = 0.5  # how often a mask is varied
_EXCHANGED: Final = 0.3  # how often a garment's red, green and blue change places


def draw_samples(pool: Any, count: int, generator: torch.Generator, first: int = 0) -> dict[str, Tensor]:
    """Numbers of samples, which garment, which maps, whether the mask is varied, whether all is mirrored: (B,) each.

    Samples before ``first`` are not drawn.
    """
    device = pool.device
    number = torch.randint(first, len(pool), (count,), generator=generator, device=device)
    half = torch.rand((4, count), generator=generator, device=device)
    return {
        "number": number,
        "other": (half[0] < 0.5).long(),
        "maps": (half[1] < 0.5).long(),
        "varied": half[2] < _GROWN,
        "mirrored": half[3] < 0.5,
    }


def warp_batch(
    pool: Any, drawn: Mapping[str, Tensor], own: Size, options: WarpOptions, generator: torch.Generator
) -> dict[str, Tensor]:
    """What :meth:`idmvton.training.mini.warp_task.WarpTask.loss` reads, as its ``content`` makes it."""
    number, other, maps = (drawn[name] for name in ("number", "other", "maps"))
    person = bytes_to_vae_tensor(pool["person"][number].permute(0, 3, 1, 2))
    garment = bytes_to_vae_tensor(pool["garment"][number, other].permute(0, 3, 1, 2))
    outline = pool["outline"][number, other][:, None]
    plain, varied = (pool[name][number, maps][:, None] for name in ("mask", "varied"))
    mask = torch.where(drawn["varied"][:, None, None, None], varied, plain).float()
    parts = pool["parts"][number, maps][:, None]
    flow, known, seen = unpacked(pool["flow"][number, other], Size(*person.shape[-2:]))
    flip = drawn["mirrored"]
    person, garment, outline, mask, parts, flow, known, seen = (
        _mirrored(each, flip) for each in (person, garment, outline, mask, parts, flow, known, seen)
    )
    table = torch.as_tensor(OTHER_SIDE, device=parts.device)
    parts = torch.where(flip[:, None, None, None], table[parts.long()], parts)
    flow = torch.where(flip[:, None, None, None], flow * flow.new_tensor([-1, 1])[:, None, None], flow)
    garment, outline, flow = _moved(garment, outline, flow, options, generator)
    garment = stand_out(garment, outline)
    people, products = windows_around(mask > 0.5), garment_windows(garment)
    return {
        "person": planes_of_parts(people, person, mask, parts, own),
        "garment": products.colours(garment, own),
        "flow": products.inside(people.values(torch.where(known, flow, 0.0), own)),
        "known": people.values(known, own),
        "seen": people.values(seen, own),
    }


def _mirrored(values: Tensor, which: Tensor) -> Tensor:
    return torch.where(which[:, None, None, None], values.flip(-1), values)


def _moved(
    garment: Tensor, outline: Tensor, flow: Tensor, options: WarpOptions, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Product pictures turned, scaled, sheared and moved a little, as ``move_garment`` does it, with their flow."""
    count, (height, width) = len(garment), garment.shape[-2:]
    turn, zoom, shear, right, down = (
        torch.rand((5, count), generator=generator, device=garment.device) * 2 - 1
    ).unbind()
    angle, scale = turn * math.radians(options.turn), 1 + options.zoom * zoom
    zero, one = torch.zeros_like(angle), torch.ones_like(angle)
    rotation = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], 1).view(-1, 2, 2)
    slant = torch.stack([one, options.shear * shear, zero, one], 1).view(-1, 2, 2)
    to_places = garment.new_tensor([1 / width, 1 / height]).diag()
    linear = to_places @ (scale[:, None, None] * rotation @ slant) @ to_places.inverse()
    offset = 2 * options.shift * torch.stack([right, down], 1)[:, :, None]
    grid = places((height, width), garment).flatten(2)
    back = (linear.inverse() @ (grid - offset)).view(count, 2, height, width)
    background = plain_background(garment)
    planes = torch.cat([garment - background, outline.float()], 1)
    moved = F.grid_sample(planes, back.permute(0, 2, 3, 1), padding_mode="zeros", align_corners=False)
    placed = (linear @ flow.flatten(2) + offset).view_as(flow)
    return moved[:, :3] + background, moved[:, 3:] > 0.5, placed


def tryon_batch(pool: Any, size: Size, number: int, other: int, maps: int, varied: bool) -> dict[str, Any]:
    """One pair as :meth:`idmvton.training.tryon_task.Tryon.content` makes it; with ``outline`` in addition."""
    flow, known, seen = unpacked(pool["flow"][number, other][None], size)
    unknown = torch.where(seen, torch.inf, torch.nan).expand_as(flow)
    palette = torch.as_tensor(part_colours(), device=pool.device)
    target = pool["person" if other == 0 else "target"][number]
    return {
        "person": pool["person"][number].permute(2, 0, 1),
        "target": target.permute(2, 0, 1),
        "garment": pool["garment"][number, other].permute(2, 0, 1),
        "densepose": palette[pool["parts"][number, maps].long()].permute(2, 0, 1),
        "mask": pool["varied" if varied else "mask"][number, maps][None].float(),
        "clip_pixels": pool["clip"][number, other].float(),
        "caption": pool.told[number][other],
        "flow": torch.where(known, flow, torch.where(unknown.isinf(), torch.nan, unknown))[0],
    }


def recoloured(batch: dict[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
    """WarpNet's pictures in a little other light, some garments with their colours exchanged: the flow stays."""
    changed = brightened(batch, generator)
    garment = changed["garment"]
    order = torch.rand((len(garment), 3), generator=generator, device=garment.device).argsort(1)
    exchanged = garment.gather(1, order[:, :, None, None].expand_as(garment))
    chosen = torch.rand(len(garment), generator=generator, device=garment.device) < _EXCHANGED
    return changed | {"garment": torch.where(chosen[:, None, None, None], exchanged, garment)}


def brightened(batch: dict[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
    """WarpNet's pictures in a little other light: it shall not depend on it."""
    changed = dict(batch)
    shape = (len(batch["garment"]), 1, 1, 1)
    for name, first in (("garment", 0), ("person", -3)):
        gain, lift = (torch.rand(shape, generator=generator, device=batch[name].device) * 2 - 1 for _ in range(2))
        planes = batch[name][:, first:]
        lit = (planes * (1 + 0.15 * gain) + 0.1 * lift).clamp(-1, 1)
        if name == "person":
            lit = lit * (1 - batch[name][:, -4:-3])
            changed[name] = torch.cat([batch[name][:, :first], lit], 1)
        else:
            changed[name] = lit
    return changed
