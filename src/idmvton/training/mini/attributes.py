"""Training of the network that reads garments: product pictures by worker processes, varied on the device."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from idmvton.prepare.attribute_net import SIZE, WORDS, AttributeNet, framed, to_input
from idmvton.training.mini.shop_look import shop_look

_STUDIO_WORDS: Final = {"hood": "hooded", "collar": "collared"}
_ABSENT: Final = -100  # what the garment does not have; cross-entropy skips it
_RENDERED: Final = (192, 144)  # (height, width)


def render_product(seed: int, index: int, split: str = "train") -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """One product picture as the network sees it, and the numbers of its words; sleeves and necklines may be absent.

    Args:
        seed, index: whatever, the same make the same.
        split: goes into the random state, so that splits share nothing.
    """
    from idmvton.studio.products import photograph_product
    from idmvton.studio.wardrobe import sample_garment

    rng = np.random.default_rng([seed, index, *split.encode(), *b"attributes"])
    category = ("upper_body", "lower_body", "dresses")[int(rng.integers(3))]
    garment = sample_garment(rng, category, female=bool(rng.random() < 0.6))  # type: ignore[arg-type]
    product = photograph_product(garment, _RENDERED, rng, depth=False)
    told = garment.attributes()
    picture = shop_look(product.picture, product.mask, told["neckline"], rng)
    return framed(picture, product.mask > 127), numbers_of(told)


class Products:
    """Makes some product pictures at a time."""

    def __init__(self, seed: int, at_once: int = 16) -> None:
        self.seed, self.at_once = seed, at_once

    def __call__(self, index: int) -> tuple[dict[str, NDArray[Any]], list[Any]]:
        """``picture`` uint8 (n, h, w, 4) and ``words`` int64 (n, attributes); nothing else is told."""
        made = [render_product(self.seed, index * self.at_once + each) for each in range(self.at_once)]
        pictures, numbers = zip(*made, strict=True)
        return {"picture": np.stack(pictures), "words": np.stack(numbers)}, [None] * self.at_once


def numbers_of(attributes: dict[str, Any]) -> NDArray[np.int64]:
    """The studio's words -> numbers in the order of :data:`WORDS`; -100 where there is none."""
    told = attributes | {"pattern": attributes["fabric"]}
    words = {name: _STUDIO_WORDS.get(told[name], told[name]) for name in WORDS}
    return np.array(
        [WORDS[name].index(word) if word in WORDS[name] else _ABSENT for name, word in words.items()], np.int64
    )


def vary(pictures_BHW4: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Pictures turned, scaled, lit, tinted, and some filled with another's fabric.

    Returns:
        float (B, 4, H, W), and whether colour and pattern are still the own ones, bool (B,).
    """
    count, device = len(pictures_BHW4), pictures_BHW4.device

    def between(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(count, generator=generator, device=device)

    planes = to_input(pictures_BHW4)
    own = between(0, 1) > 0.25
    other = planes[torch.randperm(count, generator=generator, device=device)]
    middle = other[..., SIZE.height // 4 : -SIZE.height // 4, SIZE.width // 4 : -SIZE.width // 4]
    fabric = F.interpolate(middle[:, :3], planes.shape[-2:], mode="bilinear", align_corners=False)
    detail = (planes[:, :3] - F.avg_pool2d(planes[:, :3], 9, 1, 4)) * 0.5
    swapped = torch.where(planes[:, 3:] > 0.5, (fabric + detail).clamp(-1, 1), planes[:, :3])
    colours = torch.where(own[:, None, None, None], planes[:, :3], swapped)
    planes = torch.cat([colours - 1, planes[:, 3:]], 1)
    angle, mirror = between(-0.2, 0.2), torch.where(between(0, 1) < 0.5, -1.0, 1.0)
    wide, tall, shear = between(0.95, 1.25), between(0.95, 1.25), between(-0.12, 0.12)
    aspect = SIZE.width / SIZE.height
    rows = [
        torch.stack([mirror * wide * angle.cos(), (shear - angle.sin()) / aspect, between(-0.06, 0.06)], 1),
        torch.stack([mirror * wide * angle.sin() * aspect, tall * angle.cos(), between(-0.06, 0.06)], 1),
    ]
    grid = F.affine_grid(torch.stack(rows, 1), list(planes.shape), align_corners=False)
    planes = F.grid_sample(planes, grid, padding_mode="zeros", align_corners=False)
    colours, mask = planes[:, :3] + 1, planes[:, 3:]
    gain, lift, power = between(0.9, 1.1), between(-0.06, 0.06), between(0.9, 1.12)
    lit = ((colours * 0.5 + 0.5).clamp(1e-3, 1) ** power[:, None, None, None] * 2 - 1) * gain[:, None, None, None]
    noise = torch.randn(colours.shape, generator=generator, device=device) * between(0, 0.05)[:, None, None, None]
    lit = (lit + lift[:, None, None, None] + noise).clamp(-1, 1)
    soft = F.avg_pool2d(lit, 3, 1, 1)
    lit = torch.where((between(0, 1) < 0.3)[:, None, None, None], soft, lit)
    return torch.cat([torch.where(mask > 0.5, lit, 1.0), (mask > 0.5).float()], 1), own


def loss_of(net: AttributeNet, pictures: Tensor, numbers: Tensor, generator: torch.Generator) -> Tensor:
    """Mean cross-entropy over the attributes; those of the fabric count where the fabric is the own one."""
    planes, own = vary(pictures, generator)
    total = torch.zeros((), device=pictures.device)
    for column, (name, scores) in enumerate(net(planes).items()):
        target = numbers[:, column]
        if name in ("colour", "pattern"):
            target = torch.where(own, target, _ABSENT)
        if bool((target >= 0).any()):
            total = total + F.cross_entropy(scores.float(), target, label_smoothing=0.05)
    return total / len(WORDS)


def cosine(passed: float) -> float:
    """From 1 to 0."""
    return 0.5 * (1 + math.cos(math.pi * min(max(passed, 0.0), 1.0)))
