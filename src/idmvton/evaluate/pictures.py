"""Metrics of one result against one truth: structure, error, colour, and what must not have changed.

Pictures are uint8 (H, W, 3) RGB of one size; masks are bool (H, W), True = repainted. Where a region is given, only
its pixels count.
"""

from __future__ import annotations

import math
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from idmvton.errors import InputError
from idmvton.evaluate.extra import require
from idmvton.evaluate.similarity import similarity_map
from idmvton.types import Size

Bytes = NDArray[np.uint8]
Region = NDArray[np.bool_] | None
EQUAL_DB: Final = 100.0
"""What the PSNR of equal pictures, which is infinite, counts as in a mean."""
FEATHER: Final = 16
"""Pixels around a mask in which paste-back may blend."""
_FACE_POINTS: Final = (0, 14, 15, 16, 17)  # nose, eyes, ears
_FACE_MARGIN: Final = 1.5


def ssim(result: Bytes, truth: Bytes, region: Region = None) -> float:
    """Structural similarity on RGB as torchmetrics defines it: gaussian window of 11, sigma 1.5; 1 for equal pictures.

    With a region, the mean of the similarity map inside it.
    """
    found = similarity_map(result, truth)
    return float((found if region is None else found[_checked(region, result)]).mean(dtype=np.float64))


def ssim_grey(result: Bytes, truth: Bytes) -> float:
    """Structural similarity as HR-VITON scores it: scikit-image on grey pictures with gaussian weights.

    Raises:
        MissingExtraError: scikit-image is not installed.
    """
    compare = require("skimage.metrics").structural_similarity
    grey = [np.asarray(Image.fromarray(picture).convert("L")) for picture in (result, truth)]
    return float(compare(*grey, data_range=255, gaussian_weights=True, use_sample_covariance=False))


def psnr(result: Bytes, truth: Bytes, region: Region = None) -> float:
    """Peak signal-to-noise ratio in dB; infinite for equal pictures."""
    error = (result.astype(np.float64) - truth) ** 2
    mean = error.mean() if region is None else error[_checked(region, result)].mean()
    return math.inf if mean == 0 else float(10 * np.log10(255**2 / mean))


def colour_difference(result: Bytes, truth: Bytes, region: Region = None) -> float:
    """CIEDE2000 between the mean CIE Lab colours of a region.

    Raises:
        MissingExtraError: scikit-image is not installed.
    """
    where = np.ones(result.shape[:2], bool) if region is None else _checked(region, result)
    return float(require("skimage.color").deltaE_ciede2000(*_mean_colours(result, truth, where)))


def change(result: Bytes, photo: Bytes, region: NDArray[np.bool_]) -> tuple[float, float]:
    """How much a region that should not change did: largest and mean difference of a channel, 0 to 255."""
    if not region.any():
        return 0.0, 0.0
    difference = np.abs(result.astype(np.int16) - photo)[_checked(region, result)]
    return float(difference.max()), float(difference.mean())


def with_feather(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A mask grown by :data:`FEATHER` pixels."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * FEATHER + 1, 2 * FEATHER + 1))
    return cv2.dilate(mask.astype(np.uint8), kernel).astype(bool)


def face(keypoints: NDArray[np.floating], size: Size) -> NDArray[np.bool_] | None:
    """The face by its keypoints: a disc around the middle of nose, eyes and ears, half as wide again as they lie.

    Args:
        keypoints: float (18, 2), OpenPose order, pixels, (0, 0) missing.
        size: of the picture that they are counted in.

    Returns:
        bool (H, W); ``None`` where fewer than two of the five points are seen.
    """
    points = keypoints[list(_FACE_POINTS)]
    points = points[(points != 0).any(1)]
    if len(points) < 2:
        return None
    centre = points.mean(0)
    radius = _FACE_MARGIN * np.linalg.norm(points - centre, axis=1).max()
    y, x = np.ogrid[: size.height, : size.width]
    return np.asarray((x - centre[0]) ** 2 + (y - centre[1]) ** 2 <= radius**2)


def _mean_colours(result: Bytes, truth: Bytes, where: NDArray[np.bool_]) -> list[NDArray[np.floating]]:
    to_lab = require("skimage.color").rgb2lab
    return [to_lab(picture[where]).mean(0) for picture in (result, truth)]


def _checked(region: NDArray[np.bool_], picture: Bytes) -> NDArray[np.bool_]:
    if region.shape != picture.shape[:2]:
        raise InputError("the mask and the picture differ in size", got=f"{region.shape}, {picture.shape[:2]}")
    if not region.any():
        raise InputError("the region to score is empty", expected="a mask with white pixels")
    return region
