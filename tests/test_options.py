"""Options are declared once, checked when made, strict about names."""

import math

import pytest

from idmvton.errors import ConfigError
from idmvton.options import ModelOptions, TryOnOptions, describe


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"num_inference_steps": -1}, "from 1 to 1000"),
        ({"num_inference_steps": 0}, "from 1 to 1000"),
        ({"num_inference_steps": 2.5}, "wrong type"),
        ({"num_inference_steps": True}, "wrong type"),
        ({"guidance_scale": math.nan}, "out of range"),
        ({"guidance_scale": "2"}, "wrong type"),
        ({"scheduler": "heun"}, "one of ddpm, ddim"),
        ({"seed": -1}, "out of range"),
        ({"paste_back": 1}, "wrong type"),
        ({"feather": 10_000}, "pixels at working size"),
        ({"garment_timestep": 1000}, "or nothing"),
    ],
)
def test_bad_values_are_refused(values, words):
    with pytest.raises(ConfigError, match=words) as caught:
        TryOnOptions(**values)
    (name,) = values
    assert name in str(caught.value)
    assert "got:" in str(caught.value)
    assert "expected:" in str(caught.value)


def test_good_values_pass():
    TryOnOptions(guidance_scale=2, scheduler="unipc", seed=None, height=1024, garment_timestep=0)


def test_unknown_names_are_errors_with_the_nearest_one():
    with pytest.raises(ConfigError, match="unknown option 'guidence_scale'") as caught:
        TryOnOptions.from_mapping({"guidence_scale": 2.0})
    assert "'guidance_scale'?" in str(caught.value)
    with pytest.raises(ConfigError, match="one of model, device"):
        ModelOptions.from_mapping({"zzz": 1})


def test_round_trip():
    options = TryOnOptions(num_inference_steps=7, scheduler="ddim")
    assert TryOnOptions.from_mapping(options.to_dict()) == options


@pytest.mark.parametrize("declaration", [TryOnOptions, ModelOptions])
def test_every_option_has_help_and_a_flag(declaration):
    flags = [option.flag for option in describe(declaration)]
    assert len(set(flags)) == len(flags)
    assert all(option.help.endswith(".") for option in describe(declaration))


def test_the_soft_edge_follows_the_working_size():
    assert TryOnOptions().at(1024, 768, 30, 2.0).feather == 8
    filled = TryOnOptions().at(256, 192, 8, 1.5)
    assert (filled.height, filled.width, filled.feather) == (256, 192, 2)
    assert (filled.num_inference_steps, filled.guidance_scale) == (8, 1.5)
    kept = TryOnOptions(feather=5, num_inference_steps=3, guidance_scale=3.0).at(256, 192, 8, 1.5)
    assert (kept.feather, kept.num_inference_steps, kept.guidance_scale) == (5, 3, 3.0)
