"""Everything here runs offline, on the tiny golden checkpoint."""

import copy
import functools
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("COLUMNS", "200")  # before rich makes a console: tables are not folded
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: threads that spin slow whatever runs beside
os.environ["OMP_NUM_THREADS"] = "1"  # the networks are tiny: threads would only wait for each other

import huggingface_hub
import pytest
import torch
from safetensors.torch import load_file

from fake_hub import Hub
from golden_data import CHECKPOINT, GOLDEN, forget, golden_pictures
from idmvton import TryOnPipeline
from idmvton.checkpoint.published import load_checkpoint
from idmvton.training import start
from idmvton.tryon import system
from idmvton.weights import locate


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """A small hub on this machine, and an empty cache."""
    server = Hub()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    constants = huggingface_hub.constants
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "ENDPOINT", server.url)
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", server.url + "/{repo_id}/resolve/{revision}/{filename}"
    )
    monkeypatch.setattr(constants, "AGENT_HARNESSES_PATH", str(tmp_path / "harnesses.json"), raising=False)
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="session")
def loaded_once() -> Any:
    """Loads each checkpoint once."""
    return functools.cache(load_checkpoint)


@pytest.fixture(autouse=True)
def _copies_of_checkpoints(loaded_once: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who loads the golden checkpoint or mini gets copies, a quarter of the time of loading them."""
    kept = (CHECKPOINT, locate("mini"))

    def load(folder: Path, **how: Any) -> dict[str, Any]:
        if folder in kept:
            return copy.deepcopy(loaded_once(folder, **how))
        return load_checkpoint(folder, **how)

    for module in (system, start):
        monkeypatch.setattr(module, "load_checkpoint", load)


@pytest.fixture(scope="session")
def loaded() -> TryOnPipeline:
    """The golden checkpoint, loaded once; tests that change it take ``pipe`` or load their own."""
    pipe = TryOnPipeline.from_pretrained(CHECKPOINT, device="cpu")
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture
def pipe(loaded: TryOnPipeline) -> TryOnPipeline:
    """The golden checkpoint with nothing in its cache."""
    forget(loaded)
    return loaded


@pytest.fixture(scope="session")
def untouched() -> TryOnPipeline:
    """The golden checkpoint as it was loaded: to be copied, which takes a quarter of the time of loading it."""
    pipe = TryOnPipeline.from_pretrained(CHECKPOINT, device="cpu")
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture
def own_pipe(untouched: TryOnPipeline) -> TryOnPipeline:
    """A golden checkpoint that the test may change."""
    return copy.deepcopy(untouched)


@pytest.fixture(scope="session")
def unet_io() -> dict[str, torch.Tensor]:
    """Inputs and outputs of one GarmentNet and TryonNet evaluation of the published code."""
    return load_file(GOLDEN / "dev" / "unet_io.safetensors")


@pytest.fixture(scope="session")
def pipeline_io() -> dict[str, torch.Tensor]:
    """Inputs and outputs of a whole try-on of the published code."""
    return load_file(GOLDEN / "dev" / "pipeline_io.safetensors")


@pytest.fixture(scope="session")
def golden_info() -> dict[str, Any]:
    """Captions and settings of the whole try-on."""
    return json.loads((GOLDEN / "dev" / "pipeline_io.json").read_text())


@pytest.fixture
def golden_call(golden_info: dict[str, Any]) -> dict[str, Any]:
    """The arguments of the golden try-on: two people, two garments."""
    kinds = ("person", "garment", "mask", "densepose")
    return {kind: golden_pictures(kind) for kind in kinds} | {"caption": golden_info["captions"]}


@pytest.fixture
def one_call(golden_call: dict[str, Any]) -> dict[str, Any]:
    """One person, one garment, few steps."""
    return {name: values[0] for name, values in golden_call.items()} | {"num_inference_steps": 2, "seed": 3}
