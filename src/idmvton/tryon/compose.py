"""One result -> the finished photo: what has to change is taken from it, with the garment's own detail."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from idmvton.draft.colours import spread
from idmvton.draft.detail import Laid, add_detail
from idmvton.draft.drafter import Draft
from idmvton.images.paste import paste_layer
from idmvton.options import TryOnOptions
from idmvton.tryon.inputs import Pairs, Person
from idmvton.tryon.keep import clothes, differing, old_garment, share_of_new, share_of_old, upsample

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]

ParseResult = Callable[[Image.Image, Person], Bytes]
"""Tells the labels of a result: (RGB of the working size, the person) -> uint8 of the working size."""

_SMOOTH: Final = 8  # pixels: details that a result lacks are no shift of colours
_MOST: Final = 0.2  # in [0, 1]: a larger difference is another thing, not another light
_KNOWN: Final = 0.3  # share of such a block that must be kept to tell a colour
_BESIDE: Final = 4  # working pixels beside the body that are no background for sure
_STRIP: Final = 0.035  # of the height: so far above trousers what is bared still belongs to them
_BLUR: Final = 2.5  # working pixels beside the outline where a result mixes both sides


def laid_garments(drafts: Draft, pairs: Pairs) -> list[Laid]:
    """For each pair, how its garment lies.

    Args:
        drafts: one row a distinct pair.
        pairs: likewise.
    """
    flow, opacity = (each.float().cpu().numpy() for each in (drafts.flow, drafts.opacity[:, 0]))
    garments = [pairs.garments[row] for row in pairs.garment_rows]
    return [
        Laid(garment.photo, garment.framing, flow[row], opacity[row])
        for garment, row in zip(garments, pairs.distinct_rows, strict=True)
    ]


def compose(
    result: Image.Image,
    person: Person,
    options: TryOnOptions,
    laid: Laid | None = None,
    parse: ParseResult | None = None,
) -> Image.Image:
    """Puts a result into the untouched photo, at the photo's own size.

    Args:
        result: RGB of the working size.
        person: who it shows.
        options: of these, ``keep`` and ``feather`` are used.
        laid: the garment as it lies there, where a draft was made.
        parse: tells the result's labels, where no draft was made.
    """
    framing, feather = person.framing, options.feather or 0
    if options.keep == "mask" or person.labels is None or (laid is None and parse is None):
        restored = framing.invert(result)
        if laid is not None:
            restored = add_detail(restored, result, laid, framing)
        return paste_layer(restored, person.photo, person.photo_mask, framing, feather)
    old = share_of_old(np.asarray(person.photo), person.labels, person.photo_mask, framing.scale)
    if laid is not None:
        return _in_two_layers(result, person, old, laid, feather)
    assert parse is not None
    labels = framing.apply(Image.fromarray(person.labels), resample="labels", fill=(0, 0, 0))
    new = differing(np.asarray(labels), parse(result, person))
    share = np.maximum(old, share_of_new(new, framing))
    result = follow_what_stays(result, person, share, new.astype(np.float32))
    return paste_layer(framing.invert(result), person.photo, person.photo_mask, framing, feather, share)


def _in_two_layers(result: Image.Image, person: Person, old: Floats, laid: Laid, feather: int) -> Image.Image:
    """What the old garment leaves behind, and on it the new garment, with an edge as sharp as the photo."""
    framing, photo, mask = person.framing, person.photo, person.photo_mask
    opacity = upsample(laid.opacity, framing)
    below = follow_what_stays(result, person, np.maximum(old, opacity), laid.opacity)
    beside, inside = (torch.from_numpy(each)[None, None] for each in (1 - laid.opacity, laid.opacity))
    picture = paste_layer(framing.invert(_extended(below, beside)), photo, mask, framing, feather, old)
    garment = add_detail(framing.invert(_extended(result, inside)), result, laid, framing)
    edge = np.clip(0.5 + (opacity - 0.5) * np.float32(max(framing.scale, 1.0)), 0, 1)
    return paste_layer(garment, picture, mask, framing, feather, edge)


def _extended(result: Image.Image, where: Tensor) -> Image.Image:
    """One side of an outline, its colours going on over the edge, where a result mixes both.

    Args:
        result: RGB of the working size.
        where: float (1, 1, h, w), how much of each pixel is on that side.
    """
    reach = round(_BLUR)
    core = -F.max_pool2d(-(where > 0.5).float(), 2 * reach + 1, 1, reach)
    return _image(spread(_picture(result), core)) if core.any() else result


def follow_what_stays(result: Image.Image, person: Person, share: Floats, new: Floats) -> Image.Image:
    """What old garment and mask leave behind, as the photo goes on beside it.

    Bared skin is the result's, in the light that the photo has on the skin next to it. Beside the body the photo's own
    background goes on. A narrow strip above the other garment belongs to that: shirts lie over waistbands.

    Args:
        result: RGB of the working size.
        person: who it shows.
        share: float32 (H, W) of the photo's size, how much of the result is taken.
        new: float32 (h, w), how much of each pixel is the new garment.

    Returns:
        RGB of the working size; the new garment is as it was.
    """
    grey = Image.fromarray(np.rint(share * person.photo_mask * 255).astype(np.uint8))
    taken = _plane(np.asarray(person.framing.apply(grey, resample="photo", fill=(0, 0, 0)))) / 255
    garment, is_body = _plane(new), _plane(np.asarray(np.asarray(person.densepose).any(-1)))
    picture, photo = (_picture(each) for each in (result, person.image))
    stays = (taken < 0.02).float() * (1 - garment)
    skin = picture + _spread_shift(photo - picture, stays * is_body * _plane(person.mask))
    around = stays * (1 - _grown(is_body, _BESIDE)) * (1 - _grown((taken > 0.5).float(), 1))
    background = spread(photo, around) if around.any() else picture
    below = torch.lerp(background, skin, _softened(is_body))
    other = _other_garment(person)
    if other.any():
        reach = round(_STRIP * other.shape[-2])
        above = F.max_pool2d(F.pad(other, (0, 0, 0, 2 * reach)), (2 * reach + 1, 1), 1)
        near = above[..., : other.shape[-2], :] * (1 - other) * is_body * (taken > 0.02)
        below = torch.lerp(below, spread(photo, other * stays), _softened(near))
    return _image(torch.where(taken > 0, torch.lerp(below, picture, garment), picture))


def _other_garment(person: Person) -> Tensor:
    """Clothes that stay on, such as trousers under a shirt, at the working size: float (1, 1, h, w) in {0, 1}."""
    assert person.labels is not None
    stays_on = clothes(person.labels) & ~old_garment(person.labels, person.photo_mask)
    grey = Image.fromarray(stays_on.astype(np.uint8))
    return _plane(np.asarray(person.framing.apply(grey, resample="labels", fill=(0, 0, 0))))


def _grown(mask: Tensor, pixels: int) -> Tensor:
    return F.max_pool2d(mask, 2 * pixels + 1, 1, pixels)


def _softened(mask: Tensor) -> Tensor:
    """A mask with a soft, smooth edge."""
    blurred = mask
    for _ in range(2):
        blurred = F.avg_pool2d(blurred, 5, 1, 2, count_include_pad=False)
    return (0.5 + 2 * (blurred - 0.5)).clamp(0, 1)


def _spread_shift(difference: Tensor, where: Tensor) -> Tensor:
    """The smooth part of a difference, from where it is known to everywhere; 0 if it is known nowhere."""
    changed, known = (F.avg_pool2d(each, _SMOOTH, ceil_mode=True) for each in (difference * where, where))
    is_known = (known > _KNOWN).float()
    shift = spread((changed / known.clamp(min=1e-3)).clamp(-_MOST, _MOST), is_known)
    return F.interpolate(shift, difference.shape[-2:], mode="bilinear", align_corners=False)


def _plane(values: NDArray[np.generic]) -> Tensor:
    return torch.from_numpy(values.astype(np.float32))[None, None]


def _picture(image: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255


def _image(picture: Tensor) -> Image.Image:
    pixels = picture.clamp(0, 1)[0].permute(1, 2, 0).numpy()
    return Image.fromarray(np.rint(pixels * 255).astype(np.uint8))
