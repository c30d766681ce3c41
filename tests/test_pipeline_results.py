"""What callers of the pipeline get and give: kinds of inputs and outputs, devices, precision, memory, warnings."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from golden_data import CHECKPOINT, forget
from idmvton import TryOnPipeline
from idmvton.errors import CaptionTruncatedWarning, GuidanceWarning, NumericsError
from idmvton.images import from_vae_tensor, to_pil
from idmvton.models.latents import decode_latents
from idmvton.options import TryOnOptions, describe
from idmvton.weights import stamp

CLOSE = {"atol": 2e-3, "rtol": 0.0}  # batches of other sizes round differently; latents have a deviation of 6


def same(first, second):
    torch.testing.assert_close(first, second, **CLOSE)


def test_numbers_of_numpy_are_numbers(pipe, one_call):
    numbers = {"num_inference_steps": np.int64(2), "guidance_scale": np.float32(2), "seed": np.arange(3, 5)}
    result = pipe(**one_call | numbers)
    assert result.seed == (3, 4)
    same(result.latents[0], pipe(**one_call).latents[0])
    json.dumps(result.provenance())


def test_networks_in_inference_mode_and_under_autocast(one_call, pipe):
    with torch.inference_mode():
        loaded = TryOnPipeline.from_pretrained(CHECKPOINT, device="cpu")
    loaded.set_progress_bar_config(disable=True)
    expected = pipe(**one_call).latents
    same(loaded(**one_call).latents, expected)
    with torch.autocast("cpu", torch.bfloat16):
        loaded(**one_call)
    same(loaded(**one_call).latents, expected)


def test_offloading_gives_the_same_and_never_needs_both_networks_at_once(own_pipe, pipe, one_call):
    own_pipe.enable_model_cpu_offload(device="cpu")
    order = []
    for name in ("unet_encoder", "unet"):
        getattr(own_pipe, name).register_forward_pre_hook(lambda *_, name=name: order.append(name))
    offloaded = own_pipe(**one_call | {"num_inference_steps": 3})
    assert order == ["unet_encoder"] * 3 + ["unet"] * 3
    again = own_pipe(**one_call | {"num_inference_steps": 3})
    assert order[6:] == ["unet"] * 3, "the features are kept on the CPU"
    same(again.latents, offloaded.latents)
    same(offloaded.latents, pipe(**one_call | {"num_inference_steps": 3}).latents)


def test_offloading_with_a_fixed_garment_timestep(own_pipe, pipe, one_call):
    own_pipe.enable_model_cpu_offload(device="cpu")
    order = []
    for name in ("unet_encoder", "unet"):
        getattr(own_pipe, name).register_forward_pre_hook(lambda *_, name=name: order.append(name))
    results = [own_pipe(**one_call, garment_timestep=0).latents for _ in range(2)]
    assert order == ["unet_encoder", "unet", "unet", "unet", "unet"], "GarmentNet once, in the first call"
    for latents in results:
        same(latents, pipe(**one_call, garment_timestep=0).latents)


@pytest.mark.parametrize("size", [(128, 96), (64, 64), (96, 160), (160, 96)])
def test_any_valid_size_works(pipe, one_call, size):
    height, width = size
    result = pipe(**one_call, height=height, width=width, paste_back=False)
    assert result.latents.shape == (1, 4, height // 8, width // 8)
    assert result.images[0].size == (width, height)


def test_output_types_agree(pipe, one_call):
    call = one_call | {"paste_back": False}
    as_latent = pipe(**call, output_type="latent")
    as_tensor = pipe(**call, output_type="pt").images[0]
    as_array = pipe(**call, output_type="np").images[0]
    as_pil = pipe(**call).images[0]
    assert torch.equal(as_latent.images[0], as_latent.latents[0])
    assert "decoding" not in as_latent.timings
    with torch.no_grad():
        decoded = from_vae_tensor(decode_latents(pipe.vae, as_latent.latents))
    assert np.array_equal(np.asarray(to_pil(decoded)[0]), np.asarray(as_pil))
    assert as_tensor.shape == (3, 128, 96)
    assert np.array_equal(as_tensor.permute(1, 2, 0).numpy(), as_array)
    assert np.array_equal((as_array * 255).round().astype(np.uint8), np.asarray(as_pil))


def test_arrays_tensors_and_files_are_the_same_input(pipe, one_call):
    expected = pipe(**one_call).latents
    pictures = {name: Image.open(one_call[name]) for name in ("person", "garment", "densepose")}
    mask = np.asarray(Image.open(one_call["mask"]).convert("L")) > 127
    arrays = {name: np.asarray(picture.convert("RGB")) for name, picture in pictures.items()}
    tensors = {name: torch.from_numpy(array.copy()).permute(2, 0, 1) / 255 for name, array in arrays.items()}
    batches = {name: tensor[None] for name, tensor in tensors.items()}
    for call in (pictures, arrays, tensors, batches):
        same(pipe(**one_call | call | {"mask": mask}).latents, expected)


def test_paste_back_keeps_the_photo_and_its_size(pipe, one_call):
    generator = np.random.default_rng(0)
    photo = Image.fromarray(generator.integers(0, 256, (700, 430, 3), dtype=np.uint8))
    mask = np.zeros((700, 430), bool)
    mask[200:400, 100:300] = True
    body_map = Image.new("RGB", photo.size)
    call = one_call | {"person": photo, "mask": mask, "densepose": body_map}
    result = np.asarray(pipe(**call, feather=4).images[0])
    assert result.shape == (700, 430, 3)
    reach = int(np.ceil(4 * 700 / 128)) + 1
    outside = np.ones_like(mask)
    outside[200 - reach : 400 + reach, 100 - reach : 300 + reach] = False
    assert np.array_equal(result[outside], np.asarray(photo)[outside])
    assert (result[mask] != np.asarray(photo)[mask]).mean() > 0.9
    assert pipe(**call, paste_back=False).images[0].size == (96, 128)
    array = pipe(**call, output_type="np", feather=4).images[0]
    assert np.array_equal((array * 255).round().astype(np.uint8), result)


def test_the_result_says_how_it_was_made(pipe, one_call):
    result = pipe(**one_call, guidance_scale=1.5)
    assert result.seed == (3,)
    assert result.options.guidance_scale == 1.5
    stages = ["inputs", "people", "garments", "noise", "denoising", "decoding", "pasting back"]
    assert list(result.timings) == stages
    assert all(seconds >= 0 for seconds in result.timings.values())
    told = json.loads(json.dumps(result.provenance()))
    assert told["made_with"]["torch"] == torch.__version__
    assert told["made_with"]["weights"] == f"{CHECKPOINT} at {stamp(CHECKPOINT)}"
    assert told["made_with"]["scheduler"] == "DDPMScheduler"
    assert told["made_with"]["garment_timestep"] == "each_step"
    assert told["caption"] == one_call["caption"]
    assert told["num_inference_steps"] == 2


def test_callback_sees_and_changes_the_latents(pipe, one_call):
    seen = []

    def watch(pipeline, step, timestep, state):
        assert pipeline is pipe
        seen.append((step, int(timestep), state["latents"].shape))
        return {"latents": torch.zeros_like(state["latents"])} if step == 1 else None

    result = pipe(**one_call, callback_on_step_end=watch)
    assert [step for step, _, _ in seen] == [0, 1]
    assert seen[0][1] > seen[1][1]
    assert result.latents.abs().max() == 0


def test_progress_bar_counts_the_steps(own_pipe, one_call, capsys):
    own_pipe.set_progress_bar_config(disable=False)
    own_pipe(**one_call)
    assert "2/2" in capsys.readouterr().err


def test_half_precision_stays_near_float32(own_pipe, pipe, one_call):
    own_pipe.to(torch.bfloat16)
    rough, exact = own_pipe(**one_call, output_type="latent").latents, pipe(**one_call, output_type="latent").latents
    assert rough.dtype == torch.float32, "the scheduler's arithmetic stays float32"
    assert (rough - exact).std() < 0.05 * exact.std()


def test_vae_slicing_changes_nothing(own_pipe, golden_call):
    plain = own_pipe(**golden_call, num_inference_steps=2, seed=1, output_type="pt")
    own_pipe.enable_vae_slicing()
    forget(own_pipe)
    sliced = own_pipe(**golden_call, num_inference_steps=2, seed=1, output_type="pt")
    torch.testing.assert_close(torch.stack(sliced.images), torch.stack(plain.images), atol=2 / 255, rtol=0)
    own_pipe.disable_vae_slicing()


def test_vae_tiling_runs(own_pipe, one_call):
    own_pipe.enable_vae_tiling()
    assert own_pipe.vae.use_tiling
    assert own_pipe(**one_call).images[0].size == (96, 128)
    own_pipe.disable_vae_tiling()


def test_a_long_caption_warns_and_quotes_what_is_not_read(pipe, one_call):
    caption = "red " * 60 + "sleeveless"
    with pytest.warns(CaptionTruncatedWarning, match="not read") as caught:
        result = pipe(**one_call | {"caption": caption})
    assert "sleeveless" in result.warnings[0]
    told = [note for note in result.warnings if "not read" in note]
    assert sum(each.category is CaptionTruncatedWarning for each in caught) == len(told) == 2, "both are too long"


def test_guidance_of_a_checkpoint_that_takes_none_warns(own_pipe, one_call):
    own_pipe.register_to_config(guidance_scale=1.0)
    assert not any("guidance" in note for note in own_pipe(**one_call).warnings)
    with pytest.warns(GuidanceWarning, match="guidance_scale=1.5") as caught:
        result = own_pipe(**one_call, guidance_scale=1.5)
    assert result.warnings[0] == str(caught[0].message)


def test_captions_are_optional(pipe, one_call):
    without = pipe(**one_call | {"caption": None})
    same(without.latents, pipe(**one_call | {"caption": "clothes"}).latents)


def test_nan_in_the_networks_is_an_error(own_pipe, one_call):
    with torch.no_grad():
        own_pipe.unet.conv_out.bias.fill_(float("nan"))
    with pytest.raises(NumericsError, match="NaN"):
        own_pipe(**one_call)


def test_the_call_has_every_option_with_its_default():
    import inspect

    parameters = inspect.signature(TryOnPipeline.__call__).parameters
    for option in describe(TryOnOptions):
        assert parameters[option.name].default == option.default
