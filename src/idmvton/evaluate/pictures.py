"""Metrics of one result against one truth: structure, error, colour, and what must not have changed.

Pictures are uint8 (H, W, 3) RGB of one size; masks are bool (H, W), True = repainted. Where a region is given, only
its pixels count.
"""

from __future__ import annotations

import math
from typing import Any, Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from skimage.color import deltaE_ciede2000, rgb2lab
from skimage.metrics import structural_similarity
from torch import Tensor
from torchmetrics.functional.image import (
    multiscale_structural_similarity_index_measure,
    structural_similarity_index_measure,
)

from idmvton.errors import InputError

Bytes = NDArray[np.uint8]
Region = NDArray[np.bool_] | None
MS_SSIM_SIDE: Final = 176
"""The smallest side that five scales of an 11 pixel window leave something of."""
EQUAL_DB: Final = 100.0
"""What the PSNR of equal pictures, which is infinite, counts as in a mean."""
FEATHER: Final = 16
"""Pixels around a mask in which paste-back may blend."""


def ssim(result: Bytes, truth: Bytes, region: Region = None) -> float:
    """Structural similarity on RGB (torchmetrics: gaussian window of 11, sigma 1.5), 1 for equal pictures.

    With a region, the mean of the similarity map inside it.
    """
    first, second = to_unit(result), to_unit(truth)
    value: Any
    if region is None:
        value = structural_similarity_index_measure(first, second, data_range=1.0)
        return float(value)
    _, full = structural_similarity_index_measure(first, second, data_range=1.0, return_full_image=True)
    return float(full[0].mean(0).numpy()[_checked(region, result)].mean())


def ssim_grey(result: Bytes, truth: Bytes) -> float:
    """Structural similarity as HR-VITON scores it: scikit-image on grey pictures with gaussian weights."""
    grey = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in (result, truth)]
    return float(structural_similarity(*grey, data_range=255, gaussian_weights=True, use_sample_covariance=False))


def ms_ssim(result: Bytes, truth: Bytes) -> float:
    """Multi-scale structural similarity on RGB (torchmetrics), sides of at least :data:`MS_SSIM_SIDE` pixels."""
    return float(multiscale_structural_similarity_index_measure(to_unit(result), to_unit(truth), data_range=1.0))


def psnr(result: Bytes, truth: Bytes, region: Region = None) -> float:
    """Peak signal-to-noise ratio in dB; infinite for equal pictures."""
    error = (result.astype(np.float64) - truth) ** 2
    mean = error.mean() if region is None else error[_checked(region, result)].mean()
    return math.inf if mean == 0 else float(10 * np.log10(255**2 / mean))


def colour_difference(result: Bytes, truth: Bytes, region: Region = None) -> float:
    """CIEDE2000 between the mean CIE Lab colours of a region."""
    where = np.ones(result.shape[:2], bool) if region is None else _checked(region, result)
    lab = [rgb2lab(picture[where]).mean(0) for picture in (result, truth)]
    return float(deltaE_ciede2000(*lab))


def change(result: Bytes, photo: Bytes, region: NDArray[np.bool_]) -> tuple[float, float]:
    """How much a region that should not change did: largest and mean difference of a channel, 0 to 255."""
    if not region.any():
        return 0.0, 0.0
    difference = np.abs(result.astype(np.int16) - photo)[_checked(region, result)]
    return float(difference.max()), float(difference.mean())


def scores_inside(result: Bytes, truth: Bytes, mask: NDArray[np.bool_]) -> dict[str, float]:
    """Figures inside the mask: SSIM, PSNR in dB, and the distance of the mean colours in CIE Lab (1976)."""
    where = _checked(mask, result)
    first, second = (rgb2lab(each[where]).mean(0) for each in (result, truth))
    return {
        "SSIM": ssim(result, truth, mask),
        "PSNR": min(psnr(result, truth, mask), EQUAL_DB),
        "colour": float(np.linalg.norm(first - second)),
    }


def with_feather(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A mask grown by :data:`FEATHER` pixels."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * FEATHER + 1, 2 * FEATHER + 1))
    return cv2.dilate(mask.astype(np.uint8), kernel).astype(bool)


def to_unit(picture: Bytes) -> Tensor:
    """uint8 (H, W, 3) as float (1, 3, H, W) in [0, 1]."""
    return torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255


def _checked(region: NDArray[np.bool_], picture: Bytes) -> NDArray[np.bool_]:
    if region.shape != picture.shape[:2]:
        raise InputError("the mask and the picture differ in size", got=f"{region.shape}, {picture.shape[:2]}")
    if not region.any():
        raise InputError("the region to score is empty", expected="a mask with white pixels")
    return region
