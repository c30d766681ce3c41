"""Results that follow the photo's colours around the mask."""

import numpy as np
import torch

from idmvton.draft.colours import match_colours


def test_a_shift_of_colours_is_undone_in_the_mask_and_details_stay():
    rng = np.random.default_rng(0)
    photo = np.full((64, 64, 3), 200, np.uint8)
    mask = np.zeros((64, 64), bool)
    mask[16:48, 16:48] = True
    shown = torch.tensor(photo / 255, dtype=torch.float32).permute(2, 0, 1)[None]
    pair = shown, torch.tensor(mask, dtype=torch.float32)[None, None]
    truth = shown.clone()
    detail = torch.tensor(rng.uniform(-0.1, 0.1, (1, 1, 32, 32)), dtype=torch.float32)
    truth[..., 16:48, 16:48] += detail  # what was painted
    shift = torch.tensor([-0.04, 0.02, -0.03])[None, :, None, None]
    matched = match_colours(truth + shift, *pair)
    assert matched.shape == truth.shape
    assert (matched - truth).abs().max() < 2e-3
    assert torch.allclose(match_colours(truth, *pair), truth, atol=2e-3)
