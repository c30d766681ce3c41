import dataclasses

import numpy as np
import pytest
from PIL import Image

from golden_data import golden_pictures
from idmvton.customize.options import CustomizeOptions
from idmvton.customize.run import Customization
from idmvton.data.sample import TryOnSample
from idmvton.images.densepose import colour_parts
from idmvton.prepare.mask import ATR_LABELS
from idmvton.types import Size
from photo_fixtures import photos, rendered, truth  # noqa: F401 - fixtures

SMALL = CustomizeOptions(
    steps=4, batch_size=1, layers="up_attention", learning_rate=1e-3, check_every=2, patience=100, garment_weight=2.0
)


@pytest.fixture(scope="session")
def golden_sample():
    """A golden person in a golden garment, at a size that the tiny checkpoint works in."""
    pictures = {kind: Image.open(golden_pictures(kind)[0]) for kind in ("person", "garment")}
    mask = np.asarray(Image.open(golden_pictures("mask")[0])) > 127
    labels = np.where(mask, ATR_LABELS.index("upper_clothes"), 0).astype(np.uint8)
    rgb = {kind: each.convert("RGB") for kind, each in pictures.items()}
    rgb["densepose"] = colour_parts(np.where(mask, 2, 0).astype(np.uint8))
    sample = TryOnSample("pair", mask=mask, caption="striped shirt", category="upper_body", labels=labels, **rgb)
    return sample.resized(Size(64, 64))


@pytest.fixture(scope="session")
def learn(golden_sample):
    """Customizes a pipeline: ``learn(pipe, folder, steps=2)``."""

    def run(pipe, folder, *, resume=False, at_checks=None, **changes):
        choices = dataclasses.replace(SMALL, **changes)
        customization = Customization(
            pipe, [golden_sample], folder, choices, photos={"a.jpg": "12"}, device="cpu", resume=resume
        )
        return customization.run(at_checks)

    return run
