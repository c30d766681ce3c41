"""The draft: surroundings and skin spread into the mask, and the garment on top."""

import numpy as np
import torch

from idmvton.draft.colours import spread
from idmvton.draft.drafter import draft_results
from idmvton.draft.warp import garment_outlines
from idmvton.draft.warp_net import Warp, places
from idmvton.images import to_vae_tensor
from idmvton.images.densepose import colour_parts

RED, GREEN, BLUE = ((1.0, -1.0, -1.0), (-1.0, 1.0, -1.0), (-1.0, -1.0, 1.0))
HERE = places((64, 64), torch.zeros(()))


def filled(colour):
    return torch.tensor(colour)[None, :, None, None].expand(1, 3, 64, 64).clone()


def person():
    """A green wall, a body in the middle with a red head and a white shirt; the mask is below the head."""
    parts = np.zeros((64, 64), np.uint8)
    parts[8:20, 24:40], parts[20:, 24:40] = 23, 2
    picture = filled(GREEN)
    picture[..., 8:20, 24:40] = torch.tensor(RED)[:, None, None]
    picture[..., 20:, 24:40] = 1.0
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., 20:, 16:48] = 1
    return picture, mask, to_vae_tensor([colour_parts(parts)])


def warp(outline):
    return Warp(HERE, torch.full((1, 1, 64, 64), outline))


def garment():
    """A blue square with a white print, on white."""
    picture = filled((1.0, 1.0, 1.0))
    picture[..., 16:48, 16:48] = torch.tensor(BLUE)[:, None, None]
    picture[..., 26:38, 26:38] = 1.0
    return picture


def is_colour(pixels, colour):
    return (pixels - torch.tensor(colour)[None, :, None, None]).abs().max() < 0.05


def test_without_the_garment_the_surroundings_and_the_skin_are_spread():
    draft, laid = draft_results(*person(), garment(), warp(-50.0))[:2]
    assert draft.shape == (1, 3, 64, 64)
    assert laid.abs().max() < 1e-6
    assert is_colour(draft[..., 20:, 24:40], RED)
    assert is_colour(draft[..., 20:, 16:24], GREEN)
    assert torch.equal(draft[..., :20, :], person()[0][..., :20, :])


def test_the_garment_lies_on_top_without_its_background():
    draft = draft_results(*person(), garment(), warp(50.0)).whole
    assert is_colour(draft[..., 20:25, 17:47], BLUE)
    assert is_colour(draft[..., 27:37, 27:37], (1.0, 1.0, 1.0))
    assert is_colour(draft[..., 50:, 24:40], RED)
    assert torch.equal(draft[..., :20, :], person()[0][..., :20, :])


def test_beyond_the_cut_out_the_garments_colours_go_on():
    """A wide shirt whose hem ends a little above the trousers that stay on."""
    picture, mask, _ = person()
    parts = np.zeros((64, 64), np.uint8)
    parts[8:20, 24:40], parts[20:, 24:40] = 23, 2
    mask[..., 49:, :] = 0
    plain = filled((1.0, 1.0, 1.0))
    plain[..., 16:48, 16:48] = torch.tensor(BLUE)[:, None, None]
    draft = draft_results(picture, mask, to_vae_tensor([colour_parts(parts)]), plain, warp(50.0)).whole
    assert is_colour(draft[..., 44:49, 26:38], BLUE)


def test_the_garment_lies_in_one_part_of_the_draft_and_the_person_in_the_other():
    shown, laid = draft_results(*person(), garment(), warp(50.0))[:2]
    assert is_colour(shown[..., 20:25, 17:47], (0.0, 0.0, 0.0))
    assert is_colour(shown[..., 50:, 24:40], RED)
    assert is_colour(laid[..., 20:25, 17:47], BLUE)
    assert is_colour(laid[..., 50:, :], (0.0, 0.0, 0.0))
    assert is_colour(laid[..., :20, :], (0.0, 0.0, 0.0))


def test_outlines_hold_white_prints_but_no_background():
    shown = garment()
    shown[..., 36:, 42:] = 1.0  # as between a sleeve and the trunk
    expected = torch.zeros(64, 64, dtype=torch.bool)
    expected[16:48, 16:48], expected[36:48, 42:48] = True, False
    assert torch.equal(garment_outlines(shown)[0, 0], expected)


def test_outlines_leave_out_narrow_gaps_that_are_exactly_background():
    shown = filled((1.0, 1.0, 1.0)).repeat_interleave(8, -1).repeat_interleave(8, -2)
    shown[..., 100:400, 100:400] = torch.tensor(BLUE)[:, None, None]
    shown[..., 150:400, 200:206] = 1.0  # between sleeve and trunk
    shown[..., 200:206, 250:350] = 1.0  # a printed line
    found = garment_outlines(shown)[0, 0]
    assert not found[160:390, 200:206].any()
    assert found[200:206, 260:340].all()


def test_pictures_spread_from_the_nearest_known_pixels():
    known = torch.zeros(1, 1, 64, 64)
    known[..., :20], known[..., 44:] = 1, 1
    picture = torch.where(torch.arange(64) < 32, filled(RED), filled(BLUE))
    carried_on = spread(picture, known)
    assert torch.equal(carried_on * known, picture * known)
    assert (carried_on[..., 20:26] - picture[..., 20:26]).abs().max() < 1.0
    assert (carried_on[..., 38:44] - picture[..., 38:44]).abs().max() < 1.0
    assert (spread(picture, torch.zeros_like(known)) == 0).all()


def test_where_no_skin_is_seen_the_rest_of_the_body_tells():
    picture, mask, _ = person()
    parts = np.zeros((64, 64), np.uint8)
    parts[8:, 24:40] = 2
    draft = draft_results(picture, mask, to_vae_tensor([colour_parts(parts)]), garment(), warp(-50.0)).whole
    assert is_colour(draft[..., 24:, 26:38], RED)
