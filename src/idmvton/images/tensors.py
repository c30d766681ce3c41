"""Pictures <-> tensors: the ranges of the VAE, of CLIP and of the outside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from idmvton.errors import InputError, NumericsError

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

_CLIP_MEAN = np.array([0.48145466, 0.4578275, 0.40821073], np.float32)
_CLIP_STD = np.array([0.26862954, 0.26130258, 0.27577711], np.float32)
_RANGE_SLACK = 1e-3


def to_vae_tensor(images: Sequence[Image.Image]) -> torch.Tensor:
    """Pictures for the VAE.

    Args:
        images: PIL RGB, all of one size.

    Returns:
        float32 (B, 3, H, W) in [-1, 1], exactly ``x / 255 * 2 - 1`` in float32.

    Raises:
        InputError: no pictures, different sizes, or not RGB.
    """
    return bytes_to_vae_tensor(bytes_tensor(images))


def bytes_tensor(images: Sequence[Image.Image]) -> torch.Tensor:
    """Pictures as they are: uint8 (B, 3, H, W) in 0..255.

    Args:
        images: PIL RGB, all of one size.

    Raises:
        InputError: no pictures, different sizes, or not RGB.
    """
    import torch

    return torch.from_numpy(_rgb_batch(images)).permute(0, 3, 1, 2).contiguous()


def bytes_to_vae_tensor(pictures: torch.Tensor) -> torch.Tensor:
    """uint8 0..255 -> float32 in [-1, 1], exactly ``x / 255 * 2 - 1`` in float32; any shape."""
    return 2.0 * (pictures.float() / 255.0) - 1.0


def from_vae_tensor(tensor: torch.Tensor) -> torch.Tensor:
    """Decoded pictures back to the outside range.

    Args:
        tensor: float (B, 3, H, W), nominally in [-1, 1].

    Returns:
        float32 (B, 3, H, W) in [0, 1], clamped.
    """
    return (tensor.float() / 2 + 0.5).clamp(0, 1)


def to_numpy(tensor: torch.Tensor) -> NDArray[np.float32]:
    """Pictures as an array.

    Args:
        tensor: float (B, C, H, W) in [0, 1].

    Returns:
        float32 (B, H, W, C) in [0, 1].

    Raises:
        NumericsError: NaN or infinite values.
        InputError: values outside [0, 1].
    """
    array = tensor.detach().float().cpu().permute(0, 2, 3, 1).numpy()
    if not np.isfinite(array).all():
        raise NumericsError(
            "the picture holds NaN or infinite values",
            got=f"{np.count_nonzero(~np.isfinite(array))} of {array.size} values",
            fix="run the VAE in float32",
        )
    return check_unit_range(array, "output")


def to_pil(tensor: torch.Tensor) -> list[Image.Image]:
    """Pictures as PIL, ``round(x * 255)``.

    Args:
        tensor: float (B, 3, H, W) in [0, 1].

    Returns:
        B pictures, RGB 8 bit.

    Raises:
        NumericsError: NaN or infinite values.
        InputError: values outside [0, 1].
    """
    return [array_to_pil(array) for array in to_numpy(tensor)]


def mask_to_tensor(masks: Sequence[NDArray[np.bool_]]) -> torch.Tensor:
    """Masks for the model.

    Args:
        masks: bool (H, W), True = repaint, all of one size.

    Returns:
        float32 (B, 1, H, W) in {0, 1}, 1 = repaint.

    Raises:
        InputError: no masks, different sizes, or not bool.
    """
    import torch

    batch = _stack(masks, "masks")
    if batch.dtype != np.bool_:
        raise InputError("a mask is not bool", got=batch.dtype, expected="bool", fix="read it by load_mask")
    return torch.from_numpy(batch[:, None].astype(np.float32))


def clip_pixel_values(images: Sequence[Image.Image], size: int = 224) -> torch.Tensor:
    """Pictures for the CLIP image encoder: short side to ``size``, centre crop, CLIP mean and deviation.

    Args:
        images: PIL RGB; sizes may differ.
        size: side of the square that the encoder reads, pixels.

    Returns:
        float32 (B, 3, size, size), normalized.

    Raises:
        InputError: no pictures, or not RGB.
    """
    import torch

    crops = []
    for image in images:
        short, long = sorted(image.size)
        longer = int(size * long / short)
        width, height = (size, longer) if image.width <= image.height else (longer, size)
        left, top = (width - size) // 2, (height - size) // 2
        resized = image.resize((width, height), Image.Resampling.BICUBIC)
        crops.append(resized.crop((left, top, left + size, top + size)))
    unit = (_rgb_batch(crops).astype(np.float64) * (1 / 255)).astype(np.float32)
    return torch.from_numpy((unit - _CLIP_MEAN) / _CLIP_STD).permute(0, 3, 1, 2).contiguous()


def check_unit_range(values: NDArray[Any], what: str) -> NDArray[np.float32]:
    """Float values as float32 in [0, 1]; outside it (beyond the slack) or NaN is an error."""
    low, high = float(values.min()), float(values.max())
    if not (low >= -_RANGE_SLACK and high <= 1 + _RANGE_SLACK):  # `not >=` refuses NaN as well
        raise InputError(
            f"the {what} picture's float values are outside [0, 1]",
            got=f"{low:g} to {high:g}",
            expected="float pictures in [0, 1]; uint8 pictures in 0..255",
            fix="[-1, 1]: use x / 2 + 0.5; 0..255: convert to uint8; NaN: see where it comes from",
        )
    return np.clip(values, 0, 1).astype(np.float32)


def array_to_pil(array: NDArray[Any]) -> Image.Image:
    """HWC, uint8 or float32 in [0, 1], to PIL."""
    if array.dtype != np.uint8:
        array = (array * 255).round().astype(np.uint8)
    return Image.fromarray(np.ascontiguousarray(array[..., 0] if array.shape[-1] == 1 else array))


def _stack(arrays: Sequence[NDArray[Any]], what: str) -> NDArray[Any]:
    shapes = {array.shape for array in arrays}
    if len(shapes) != 1:
        raise InputError(
            f"the {what} of a batch differ in size" if shapes else f"the batch has no {what}",
            got=sorted(shapes),
            expected="one or more of one size",
        )
    return np.stack(arrays)


def _rgb_batch(images: Sequence[Image.Image]) -> NDArray[np.uint8]:
    for image in images:
        if image.mode != "RGB":
            raise InputError("a picture is not RGB", got=image.mode, expected="RGB", fix="read it by load_image")
    return _stack([np.asarray(image) for image in images], "pictures")
