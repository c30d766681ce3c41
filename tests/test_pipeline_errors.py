"""Bad input to the pipeline: each a typed error with what, got, expected."""

import numpy as np
import pytest
import torch
from diffusers.models.attention_processor import AttnProcessor2_0
from PIL import Image

from idmvton.errors import ConfigError, InputError


def refuse(pipe, call, error, words):
    runs = []
    hook = pipe.unet.register_forward_pre_hook(lambda *_: runs.append(1))
    with pytest.raises(error, match=words) as caught:
        pipe(**call)
    hook.remove()
    assert not runs, "refused before the expensive work"
    assert "got:" in str(caught.value) or "expected:" in str(caught.value)
    return str(caught.value)


def test_a_size_that_does_not_fit_names_the_nearest(pipe, one_call):
    words = refuse(pipe, one_call | {"height": 130, "width": 100}, InputError, "working size does not fit")
    assert "use height 128, width 96" in words


@pytest.mark.parametrize("steps", [-5, 0, 1001])
def test_numbers_of_steps_out_of_range(pipe, one_call, steps):
    refuse(pipe, one_call | {"num_inference_steps": steps}, ConfigError, "num_inference_steps is out of range")


@pytest.mark.parametrize("seed", [-1, [3, -1], 2.5])
def test_seeds_out_of_range(pipe, one_call, seed):
    refuse(pipe, one_call | {"seed": seed}, ConfigError, "seed")


def test_a_thousand_steps_and_an_offset(pipe, one_call):
    refuse(pipe, one_call | {"num_inference_steps": 1000}, ConfigError, "cannot take 1000 steps")


def test_generators_that_do_not_fit(pipe, one_call):
    two = [torch.Generator(), torch.Generator()]
    refuse(pipe, one_call | {"generator": two, "seed": None}, InputError, "generators do not fit")
    refuse(pipe, one_call | {"generator": two[0]}, InputError, "seed and a generator")


def test_an_unknown_output_type(pipe, one_call):
    refuse(pipe, one_call | {"output_type": "jpg"}, ConfigError, "unknown output_type")


def test_what_would_replace_the_garment_attention_is_refused(own_pipe, one_call):
    with pytest.raises(ConfigError, match="slicing would replace"):
        own_pipe.enable_attention_slicing()
    with pytest.raises(ConfigError, match="fused projections"):
        own_pipe.unet.fuse_qkv_projections()
    own_pipe.unet.set_attn_processor(AttnProcessor2_0())
    with pytest.raises(ConfigError, match="processors were exchanged"):
        own_pipe(**one_call)


def test_more_steps_than_the_scheduler_takes(pipe, one_call):
    refuse(pipe, one_call | {"num_inference_steps": 60, "scheduler": "lcm"}, ConfigError, "cannot take 60 steps")


def test_an_unknown_option_is_an_error(pipe, one_call):
    with pytest.raises(TypeError, match="guidence_scale"):
        pipe(**one_call, guidence_scale=3)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_latents_that_are_not_finite(pipe, one_call, value):
    latents = torch.full((1, 4, 16, 12), value)
    assert "NaN or infinite" in refuse(pipe, one_call | {"latents": latents}, InputError, "latents cannot be used")


def test_latents_of_another_shape(pipe, one_call):
    refuse(pipe, one_call | {"latents": torch.zeros(1, 4, 8, 8)}, InputError, r"expected: shape \(1, 4, 16, 12\)")


def test_numbers_that_cannot_be_paired(pipe, one_call, golden_call):
    people = {name: golden_call[name] * 2 for name in ("person", "mask", "densepose")}
    garments = {name: golden_call[name] + golden_call[name][:1] for name in ("garment", "caption")}
    refuse(pipe, one_call | people | garments, InputError, "4 people, 3 garments, 1 seeds")
    refuse(pipe, one_call | {"mask": golden_call["mask"] * 2, "person": golden_call["person"]}, InputError, "mask")
    refuse(pipe, one_call | {"seed": [1, 2], "person": golden_call["person"] * 2}, InputError, "cannot be paired")


@pytest.mark.parametrize("name", ["person", "garment", "mask", "densepose"])
def test_what_is_missing_is_named(pipe, one_call, name):
    refuse(pipe, one_call | {name: None}, InputError, f"no {name} was given")
    refuse(pipe, one_call | {name: []}, InputError, f"no {name} was given")


@pytest.mark.parametrize("name", ["person", "garment", "densepose"])
def test_which_picture_is_bad_is_named(pipe, one_call, tmp_path, name):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"<!doctype html>")
    assert name in refuse(pipe, one_call | {name: broken}, InputError, "HTML page")


def test_which_of_several_is_bad_is_numbered(pipe, golden_call, tmp_path):
    people = [golden_call["person"][0], tmp_path / "missing.png"]
    refuse(pipe, golden_call | {"person": people}, InputError, "person 1 picture does not exist")


def test_maps_of_another_size(pipe, one_call):
    other = Image.new("RGB", (90, 128))
    refuse(pipe, one_call | {"densepose": other}, InputError, "densepose is not of the photo's size")
    refuse(pipe, one_call | {"mask": np.ones((128, 90), bool)}, InputError, "mask and the photo differ in size")


def test_masks_that_cannot_be_used(pipe, one_call):
    refuse(pipe, one_call | {"mask": np.zeros((128, 96), bool)}, InputError, "mask is empty")
    grey = np.zeros((128, 96), np.uint8)
    grey[40:90, 20:70] = 130
    refuse(pipe, one_call | {"mask": grey}, InputError, "not binary")
    pipe(**one_call | {"mask": grey}, mask_threshold=128)


def test_a_caption_must_be_a_text(pipe, one_call):
    refuse(pipe, one_call | {"caption": 5}, InputError, "caption must be a text")
