"""Everything here runs offline, on the tiny golden checkpoint.

Nothing heavy is imported at the top: a test of texts or pictures needs no torch, nor does the process that only hands
tests to others.
"""

from __future__ import annotations

import copy
import functools
import json
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("COLUMNS", "200")  # before rich makes a console: tables are not folded
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: threads that spin slow whatever runs beside
os.environ["OMP_NUM_THREADS"] = "1"  # the networks are tiny: threads would only wait for each other

import pytest
import typer.testing

from golden_data import CHECKPOINT, GOLDEN, forget, golden_pictures
from idmvton.options import ModelOptions
from idmvton.weights import locate

if TYPE_CHECKING:
    import torch

    from fake_hub import Hub
    from idmvton import TryOnPipeline

GOLDEN_MODEL = ModelOptions(model=str(CHECKPOINT))
LONG = ("tests/web", "tests/test_ray.py", "tests/engine/test_lane_with_mini.py", "tests/server", "tests/field",
        "tests/customize", "tests/training/test_processes.py", "tests/prepare", "tests/test_cli.py")  # fmt: skip
"""What takes longest: begun first, so that two processes end at about the same time."""
typer.testing._get_command = functools.cache(typer.testing._get_command)  # once, not in each call


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first; the order within a file stays."""
    order = {name: place for place, name in enumerate(LONG)}

    def place_of(item: pytest.Item) -> int:
        return min((order[name] for name in LONG if item.nodeid.startswith(name)), default=len(LONG))

    items.sort(key=place_of)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """A small hub on this machine, and an empty cache."""
    import huggingface_hub

    from fake_hub import Hub

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

    @functools.cache
    def load(folder: Path, **how: Any) -> dict[str, Any]:
        from idmvton.checkpoint.published import load_checkpoint

        return load_checkpoint(folder, **how)

    return load


@pytest.fixture(autouse=True)
def _copies_of_checkpoints(loaded_once: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who loads the golden checkpoint or mini gets copies, a quarter of the time of loading them."""
    kept = (CHECKPOINT, locate("mini"))

    def load(folder: Path, **how: Any) -> dict[str, Any]:
        from idmvton.checkpoint.published import load_checkpoint

        return copy.deepcopy(loaded_once(folder, **how)) if folder in kept else load_checkpoint(folder, **how)

    for name in ("idmvton.tryon.system", "idmvton.training.start"):
        if name in sys.modules:
            monkeypatch.setattr(sys.modules[name], "load_checkpoint", load)


@pytest.fixture(scope="session")
def golden_of_commands() -> Any:
    """The golden checkpoint for commands that leave it as it is, loaded once."""
    from idmvton.engine import loading

    return functools.cache(functools.partial(loading.load_pipeline, GOLDEN_MODEL))


@pytest.fixture(autouse=True)
def _one_golden_checkpoint(golden_of_commands: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands that name the golden checkpoint, and nothing to change about it, share one."""
    from idmvton.engine import loading

    load_pipeline = loading.load_pipeline

    def load(model: ModelOptions) -> TryOnPipeline:
        if model != GOLDEN_MODEL:
            return load_pipeline(model)
        pipe = golden_of_commands()
        forget(pipe)
        return pipe

    monkeypatch.setattr(loading, "load_pipeline", load)


def load_golden() -> TryOnPipeline:
    """The golden checkpoint, without a bar of its own."""
    from idmvton import TryOnPipeline

    pipe = TryOnPipeline.from_pretrained(CHECKPOINT, device="cpu")
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture(scope="session")
def loaded() -> TryOnPipeline:
    """The golden checkpoint, loaded once; tests that change it take ``pipe`` or load their own."""
    return load_golden()


@pytest.fixture
def pipe(loaded: TryOnPipeline) -> TryOnPipeline:
    """The golden checkpoint with nothing in its cache."""
    forget(loaded)
    return loaded


@pytest.fixture(scope="session")
def untouched() -> TryOnPipeline:
    """The golden checkpoint as it was loaded: to be copied, which takes a quarter of the time of loading it."""
    return load_golden()


@pytest.fixture
def own_pipe(untouched: TryOnPipeline) -> TryOnPipeline:
    """A golden checkpoint that the test may change."""
    return copy.deepcopy(untouched)


@pytest.fixture(scope="session")
def unet_io() -> dict[str, torch.Tensor]:
    """Inputs and outputs of one GarmentNet and TryonNet evaluation of the published code."""
    from safetensors.torch import load_file

    return load_file(GOLDEN / "dev" / "unet_io.safetensors")


@pytest.fixture(scope="session")
def pipeline_io() -> dict[str, torch.Tensor]:
    """Inputs and outputs of a whole try-on of the published code."""
    from safetensors.torch import load_file

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
