"""Processes of the command line import less, and nothing is lost that is used after all."""

import contextlib
import json
import subprocess
import sys
from types import ModuleType

import pytest

from idmvton import lean_imports

HEAVY = ["torch._dynamo", "torch.distributed.tensor"]
CODE = f"""
import json, sys
from idmvton.lean_imports import import_less
import_less()
import gradio
from diffusers import AutoencoderKL, DiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTextModelWithProjection
from idmvton.engine.loading import load_pipeline
from idmvton.options import ModelOptions
load_pipeline(ModelOptions(device="cpu", threads=1))
told = {{"heavy": [name for name in {HEAVY!r} if name in sys.modules]}}
import torch._dynamo
told["whole"] = hasattr(torch._dynamo, "optimize")
from transformers import masking_utils
told["late"] = type(masking_utils.TransformGetItemToIndex()).__name__
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def told():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_loading_mini_and_gradio_imports_none_of_what_is_never_called(told):
    assert told["heavy"] == []


def test_what_was_put_aside_can_be_used(told):
    assert told["whole"]
    assert told["late"] == "TransformGetItemToIndex"


@pytest.mark.parametrize("name", ["diffusers.utils.torch_utils", "diffusers.hooks.*", "gradio.component_meta"])
def test_versions_with_other_names_are_left_as_they_are(name):
    module = ModuleType(name)
    before = dict(vars(module))
    with contextlib.ExitStack() as stack:
        stack.enter_context(lean_imports._AROUND[name](module))
    assert vars(module) == before
    assert not isinstance(sys.modules.get("torch._dynamo"), lean_imports._StandIn)


def test_importing_the_library_changes_nothing():
    assert not [each for each in sys.meta_path if type(each).__module__ == "idmvton.lean_imports"]
