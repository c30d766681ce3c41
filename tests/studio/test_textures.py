"""The product picture and the worn picture show the same fabric at the same fabric coordinates."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from idmvton.studio import dressing, people, poses, products, shells, shots, wardrobe
from idmvton.studio.bodies import load_anatomy, sample_body

SIZE = (512, 384)
WHITE = np.full((2, 2, 3), 255, np.uint8)
TOLERANCE = 14 / 255  # median of the absolute difference, worst channel; what is left is filtering
FLOW_TOLERANCE = 6 / 255  # the same, through the flow


def unshaded(items, view, size=SIZE):
    """Bare colours, fabric coordinates in units of 1/4096 of two metres, and chart of each pixel."""
    renderer = shots.renderer()
    colours = renderer.render(items, view, size, WHITE, mode=1).picture[..., :3].copy()
    frame = renderer.render(items, view, size, WHITE, mode=2)
    packed = frame.picture.astype(int)
    u = packed[..., 0] * 16 + packed[..., 1] // 16
    v = (packed[..., 1] % 16) * 256 + packed[..., 2]
    target = frame.truth[..., 1] > 0
    return colours, u, v, np.where(target, frame.truth[..., 2], 0)


def dressed(item: str, seed: int):
    """A person in a plain pose who wears a garment, as items to draw; the person, the garment and a camera."""
    rng = np.random.default_rng(seed)
    garment = wardrobe.make_garment(rng, item)
    body = sample_body(rng)
    posed = shells.pose_body(body, poses.solve(body, poses.BodyPose("plain", turn=0.25)))
    if garment.category == "lower_body":
        outfit = dressing.Outfit(wardrobe.make_garment(rng, "crop top", calm=True), garment, None, garment)
    else:
        below = wardrobe.make_garment(rng, "jeans", calm=True) if garment.category == "upper_body" else None
        outfit = dressing.Outfit(garment, below, None, garment)
    view = products.product_view(posed, dressing.garment_alone(posed, garment))
    return posed, garment, dressing.dress(posed, people.sample_look(rng, body), outfit), view


@pytest.mark.parametrize("item", ["t-shirt", "jersey top", "trousers", "midi skirt"])
@pytest.mark.parametrize("seed", [1, 2])
def test_textures_agree(item, seed):
    _, garment, worn, worn_view = dressed(item, seed)
    mannequin = products.mannequin(True, load_anatomy(), 30)
    product = dressing.garment_alone(mannequin, garment)
    colours, u, v, chart = unshaded(product, products.product_view(mannequin, product))
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


@pytest.mark.parametrize(
    ("item", "spread"), [("shirt", 10), ("jacket", 18), ("shorts", 30), ("maxi skirt", 30), ("midi dress", 45)]
)
@pytest.mark.parametrize("size", [(256, 192), (512, 384)])
def test_the_flow_finds_the_same_spot_of_fabric(item, spread, size, monkeypatch):
    monkeypatch.setattr(products, "SPREADS", {spread: 1.0})
    posed, garment, worn, view = dressed(item, 3)
    product = products.photograph_product(garment, size, np.random.default_rng(3), depth=True)
    flow = products.garment_flow(worn, posed.body.anatomy, view, product, size)
    assert flow.shape == (*size, 2)
    mannequin = products.mannequin(product.female, shots.detail("product", size), product.spread)
    colours, u, v, chart = unshaded(dressing.garment_alone(mannequin, garment), product.view, size)
    worn_colours, wu, wv, worn_chart = unshaded(worn, view, size)
    known = np.isfinite(flow[..., 0]) & (worn_chart > 0)  # 0: not the garment, or its inside
    assert known.sum() > 0.9 * (worn_chart > 0).sum()
    x, y = flow[known].T
    sampled = cv2.remap(colours, np.where(known[..., None], flow - 0.5, 0), None, cv2.INTER_LINEAR)[known]
    away = np.abs(sampled.astype(int) - worn_colours[known]).max(-1)
    assert np.median(away) / 255 <= FLOW_TOLERANCE
    row, column = np.minimum(y.astype(int), size[0] - 1), np.minimum(x.astype(int), size[1] - 1)
    same_chart = chart[row, column] == worn_chart[known]
    assert same_chart.mean() > 0.95
    off = np.hypot(u[row, column] - wu[known], v[row, column] - wv[known])[same_chart] * 2 / 4096
    assert np.median(off) < product.view.height / size[0]  # metres: less than a pixel of the product picture
