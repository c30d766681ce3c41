"""What tests and benchmarks of try-ons on rendered people share: scores, a baseline, and GarmentNet switched off."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torchmetrics.functional.image import structural_similarity_index_measure

from idmvton import TryOnPipeline
from idmvton.types import GarmentFeatures

Bytes = NDArray[np.uint8]


def scores(result: Bytes, truth: Bytes, mask: NDArray[np.bool_]) -> dict[str, float]:
    """Figures inside the mask: mean SSIM, PSNR in dB, and the distance of the mean colours in CIE Lab (1976)."""
    pictures = [torch.tensor(each).permute(2, 0, 1)[None] / 255 for each in (result, truth)]
    similarity: Any = structural_similarity_index_measure(
        pictures[0], pictures[1], data_range=1.0, return_full_image=True
    )[1]
    error = ((result[mask].astype(float) - truth[mask]) / 255) ** 2
    lab = [cv2.cvtColor(each.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[mask].mean(0) for each in (result, truth)]
    return {
        "SSIM": float(similarity[0].mean(0).numpy()[mask].mean()),
        "PSNR": float(-10 * np.log10(max(error.mean(), 1e-10))),
        "colour": float(np.linalg.norm(lab[0] - lab[1])),
    }


def garment_pixels(garment: Bytes) -> NDArray[np.bool_]:
    """Which pixels (H, W) of a product picture on white or light grey are garment: what differs from its border."""
    border = np.concatenate([garment[0], garment[-1], garment[:, 0], garment[:, -1]])
    distance = np.abs(garment.astype(int) - np.median(border, 0)).max(-1)
    filled = cv2.morphologyEx((distance > 12).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    return filled.astype(bool)


def colour_fill(person: Bytes, garment: Bytes, mask: NDArray[np.bool_]) -> Bytes:
    """The mask filled with the garment's mean colour."""
    result = person.copy()
    result[mask] = garment[garment_pixels(garment)].mean(0).round()
    return result


@contextlib.contextmanager
def without_garment_net(pipe: TryOnPipeline) -> Iterator[None]:
    """GarmentNet's features are zero: what the unconditional half of guidance sees."""

    def no_features(_module: Any, _inputs: Any, features: GarmentFeatures) -> GarmentFeatures:
        return GarmentFeatures({name: torch.zeros_like(tokens) for name, tokens in features.tokens.items()})

    handle = pipe.unet_encoder.register_forward_hook(no_features)
    try:
        yield
    finally:
        handle.remove()
