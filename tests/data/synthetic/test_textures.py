"""The product picture and the worn picture show the same fabric at the same fabric coordinates."""

from __future__ import annotations

import numpy as np
import pytest

from idmvton.data.synthetic import dressing, people, poses, products, shells, shots, wardrobe
from idmvton.data.synthetic.bodies import load_anatomy, sample_body

SIZE = (512, 384)
WHITE = np.full((2, 2, 3), 255, np.uint8)
TOLERANCE = 14 / 255  # median of the absolute difference, worst channel; what is left is filtering


def unshaded(items, view):
    """Bare colours, fabric coordinates in units of 1/4096 of two metres, and chart of each pixel."""
    renderer = shots.renderer()
    colours = renderer.render(items, view, SIZE, WHITE, mode=1).picture
    frame = renderer.render(items, view, SIZE, WHITE, mode=2)
    packed = frame.picture.astype(int)
    u = packed[..., 0] * 16 + packed[..., 1] // 16
    v = (packed[..., 1] % 16) * 256 + packed[..., 2]
    target = frame.truth[..., 1] > 0
    return colours, u, v, np.where(target, frame.truth[..., 2], 0)


@pytest.mark.parametrize("item", ["t-shirt", "jersey top", "trousers", "midi skirt"])
@pytest.mark.parametrize("seed", [1, 2])
def test_textures_agree(item, seed):
    rng = np.random.default_rng(seed)
    garment = wardrobe.make_garment(rng, item)
    body = sample_body(rng)
    posed = shells.pose_body(body, poses.solve(body, poses.Pose("plain")))
    look = people.sample_look(rng, body)
    product = dressing.garment_alone(products.mannequin(True, load_anatomy()), garment)
    view = products.product_view(products.mannequin(True, load_anatomy()), product)
    if garment.category == "upper_body":
        outfit = dressing.Outfit(garment, wardrobe.make_garment(rng, "jeans", calm=True), None, garment)
    else:
        outfit = dressing.Outfit(wardrobe.make_garment(rng, "crop top", calm=True), garment, None, garment)
    worn = dressing.dress(posed, look, outfit)
    worn_view = products.product_view(posed, dressing.garment_alone(posed, garment))
    colours, u, v, chart = unshaded(product, view)
    table = {}
    for y, x in zip(*np.nonzero(chart), strict=True):
        table[(chart[y, x], u[y, x] // 4, v[y, x] // 4)] = (y, x)
    worn_colours, wu, wv, worn_chart = unshaded(worn, worn_view)
    differences = []
    for y, x in zip(*np.nonzero(worn_chart), strict=True):
        place = table.get((worn_chart[y, x], wu[y, x] // 4, wv[y, x] // 4))
        if place is not None:
            differences.append(np.abs(colours[place].astype(int) - worn_colours[y, x]).max())
    assert len(differences) > 500
    assert np.median(differences) / 255 <= TOLERANCE
