"""The Python API as people call it: right values, or what is wrong in words; and no noise."""

import json
import subprocess
import sys

import diffusers
import numpy as np
import pytest
import torch

from golden_data import CHECKPOINT
from idmvton import TryOnPipeline, prepare, read_prepared
from idmvton.errors import ConfigError, IdmVtonError, InputError, WeightsError


@pytest.fixture
def prepared(photos):
    return prepare(photos / "anna.png", photos / "shirt.png")


STEPS = {"num_inference_steps": 1, "seed": 3}


class TestPeopleAndGarments:
    def test_a_prepared_person_brings_its_garment(self, pipe, prepared):
        brought = pipe(person=prepared, **STEPS).images[0]
        assert np.array_equal(brought, pipe(prepared, prepared.garment, **STEPS).images[0])
        assert np.array_equal(brought, pipe(prepared, prepared, **STEPS).images[0])

    def test_one_without_a_garment_is_told(self, pipe, photos):
        with pytest.raises(InputError, match="no garment was given"):
            pipe(person=prepare(photos / "anna.png"))
        with pytest.raises(InputError, match="prepared without one"):
            pipe(prepare(photos / "anna.png"), prepare(photos / "anna.png"))

    def test_generators_are_lists(self, pipe, one_call):
        pairs = one_call | {"num_inference_steps": 1, "garment": (each for each in [one_call["garment"]] * 2)}
        assert len(pipe(**pairs).images) == 2

    @pytest.mark.parametrize("name", ["person", "garment", "mask", "caption"])
    def test_nested_lists_are_named(self, pipe, one_call, name):
        with pytest.raises(InputError, match="a list lies in a list"):
            pipe(**one_call | {name: [[one_call[name]]]})

    def test_latents_are_where_diffusers_has_them(self, pipe, one_call):
        result = pipe(**one_call, output_type="latent")
        assert len(result.images) == 1
        assert torch.equal(result.images[0], result.latents[0])


class TestLoading:
    @pytest.mark.parametrize("model", [None, 7, True])
    def test_no_name(self, model):
        with pytest.raises(WeightsError, match="no checkpoint is named"):
            TryOnPipeline.from_pretrained(model)

    def test_dtypes_by_either_name(self):
        assert (
            TryOnPipeline.from_pretrained(CHECKPOINT, dtype=torch.bfloat16, device="cpu").unet.dtype == torch.bfloat16
        )
        assert (
            TryOnPipeline.from_pretrained(CHECKPOINT, torch_dtype="float32", device="cpu").unet.dtype == torch.float32
        )
        with pytest.raises(ConfigError, match="were given"):
            TryOnPipeline.from_pretrained(CHECKPOINT, dtype="float32", torch_dtype="float32")

    @pytest.mark.parametrize("dtype", [torch.int8, torch.float64, "int8", "double"])
    def test_dtypes_that_networks_do_not_run_in(self, dtype):
        with pytest.raises(ConfigError, match="do not run in this dtype"):
            TryOnPipeline.from_pretrained(CHECKPOINT, dtype=dtype, device="cpu")

    def test_devices_of_torch(self):
        assert TryOnPipeline.from_pretrained(CHECKPOINT, device=torch.device("cpu")).unet.device.type == "cpu"
        with pytest.raises(ConfigError, match="unknown device"):
            TryOnPipeline.from_pretrained(CHECKPOINT, device=7.5)


class TestSchedulers:
    @pytest.mark.parametrize(
        "name", ["EulerAncestralDiscreteScheduler", "HeunDiscreteScheduler", "DEISMultistepScheduler", "TCDScheduler"]
    )
    def test_others_of_diffusers(self, own_pipe, one_call, name):
        own_pipe.scheduler = getattr(diffusers, name).from_config(own_pipe.scheduler.config)
        result = own_pipe(**one_call, output_type="latent")
        assert torch.isfinite(result.latents).all()

    @pytest.mark.parametrize(
        "name", ["FlowMatchEulerDiscreteScheduler", "FlowMatchHeunDiscreteScheduler", "EDMEulerScheduler"]
    )
    def test_those_for_other_networks_are_named(self, own_pipe, one_call, name):
        own_pipe.scheduler = getattr(diffusers, name)()
        with pytest.raises(ConfigError, match="does not fit the networks") as caught:
            own_pipe(**one_call)
        assert name in str(caught.value)

    def test_a_step_that_fails_is_told_before_the_networks_run(self, own_pipe, one_call):
        own_pipe.scheduler = diffusers.EulerAncestralDiscreteScheduler(prediction_type="sample")
        own_pipe.unet.register_forward_pre_hook(lambda *_: pytest.fail("the networks ran"))
        with pytest.raises(ConfigError, match="cannot be used with these weights"):
            own_pipe(**one_call)

    def test_in_checkpoints(self, tmp_path, untouched):
        untouched.save_pretrained(tmp_path / "own")
        file = tmp_path / "own" / "scheduler" / "scheduler_config.json"
        file.write_text(json.dumps({"_class_name": "FlowMatchEulerDiscreteScheduler"}))
        with pytest.raises(IdmVtonError, match="does not fit the networks"):
            TryOnPipeline.from_pretrained(tmp_path / "own", device="cpu")


class TestTamperedPreparations:
    """Numbers in ``prepared.json`` and maps that cannot be, changed by hand or by a program."""

    @pytest.fixture
    def folder(self, prepared, tmp_path):
        prepared.save(tmp_path / "pr")
        return tmp_path / "pr"

    @pytest.mark.parametrize(
        "box", [[0, 0, 5, 5], [9000, 9000, 9900, 9900], [-9000, 0, -8000, 900], [0, 0, 384, 100], [10, 10, 5, 5]]
    )
    def test_a_framing_box_that_no_framing_makes(self, folder, box):
        summary = json.loads((folder / "prepared.json").read_text())
        summary["framing"]["box"] = box
        (folder / "prepared.json").write_text(json.dumps(summary))
        with pytest.raises(InputError, match="framing"):
            read_prepared(folder)

    def test_keypoints_in_shares_of_the_picture(self, folder):
        content = json.loads((folder / "keypoints.json").read_text())
        flat = np.array(content["people"][0]["pose_keypoints_2d"]).reshape(-1, 3)
        flat[:, :2] /= 1024
        content["people"][0]["pose_keypoints_2d"] = flat.ravel().tolist()
        (folder / "keypoints.json").write_text(json.dumps(content))
        with pytest.raises(InputError, match="not pixels"):
            read_prepared(folder)


def test_quiet():
    """A process that loads, casts and prepares prints nothing."""
    code = (
        "import torch; from idmvton import TryOnPipeline\n"
        f"pipe = TryOnPipeline.from_pretrained({str(CHECKPOINT)!r}, device='cpu')\n"
        "pipe.to(torch.bfloat16); pipe.to(torch.float32); pipe.to('cpu', torch.float32)\n"
        "from idmvton.models.text import unread_notes\n"
        "assert unread_notes(['red ' * 99], pipe.tokenizers)\n"
        "from idmvton.prepare.backends.registry import POSE_BACKENDS\n"
        "import numpy as np; POSE_BACKENDS.get('blazepose')(np.zeros((64, 48, 3), np.uint8))\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout + result.stderr == ""
