"""Tools of an assistant: the command as an assistant starts it, called by the package's own client over stdio."""

import asyncio
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from mcp import Client, StdioServerParameters
from PIL import Image

from golden_data import CHECKPOINT
from idmvton.engine.job import Settings, TryOn
from idmvton.images import read_provenance
from idmvton.mcp.server import make_server
from idmvton.options import JobOptions, ModelOptions, PrepareOptions, TryOnOptions
from idmvton.prepare.preparer import preparer_for
from photo_fixtures import photos, rendered, truth

__all__ = ["photos", "rendered", "truth"]  # fixtures


def in_thread(talk):
    """Runs a coroutine in a thread of its own: a browser of other tests may have an event loop in this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(talk())).result()


NAMES = {"try_on", "prepare", "caption"}


def test_the_command_speaks_over_standard_input_and_output(tmp_path):
    """What needs no network: the list of tools, and what is said of files that are not there."""
    server = StdioServerParameters(
        command=sys.executable, args=["-m", "idmvton", "mcp", "--model", str(CHECKPOINT), "--device", "cpu"],
        env={"PYTHONPATH": os.pathsep.join(sys.path), "HF_HUB_OFFLINE": "1"}, cwd=str(tmp_path),
    )  # fmt: skip

    async def talk():
        async with Client(server) as client:
            tools = (await client.list_tools()).tools
            wrong = await client.call_tool("try_on", {"person": "a.png", "garment": "b.png", "output": "out.jpg"})
        return tools, wrong

    tools, wrong = in_thread(lambda: asyncio.wait_for(talk(), 120))
    assert {tool.name for tool in tools} == NAMES
    schema = next(tool.input_schema for tool in tools if tool.name == "try_on")
    assert {"person", "garment", "output"} == set(schema["required"])
    assert set(schema["properties"]["quality"]["enum"]) == {"best", "balanced", "fast"}
    assert "context" not in schema["properties"]
    assert wrong.is_error
    assert ".png" in wrong.content[0].text


@pytest.fixture
def server(pipe, photos, monkeypatch):
    """In this process, so that the photos' truth is known."""
    monkeypatch.setattr("idmvton.engine.loading.load_pipeline", lambda model: pipe)
    return make_server(ModelOptions(model=str(CHECKPOINT)))


def call(server, tool, arguments, progress=None):
    async def talk():
        async with Client(server) as client:
            return await client.call_tool(tool, arguments, progress_callback=progress)

    return in_thread(talk)


def test_a_try_on_writes_the_picture_of_the_python_job_and_shows_it(server, photos, pipe):
    stages = []

    async def progress(done, total, stage):
        stages.append(stage)

    arguments = {"person": str(photos / "anna.png"), "garment": str(photos / "shirt.png"),
                 "output": str(photos / "out.png"), "caption": "vest", "seed": 3, "quality": "fast"}  # fmt: skip
    result = call(server, "try_on", arguments, progress)
    assert not result.is_error, result.content
    told, shown = json.loads(result.content[0].text), result.content[1]
    assert told["output"] == str(photos / "out.png")
    assert (told["seed"], told["caption"]) == (3, "vest")
    assert shown.mime_type == "image/jpeg"
    assert "denoising" in stages
    made = read_provenance(photos / "out.png")
    assert made["seed"] == 3
    job = TryOn(pipe, preparer_for(PrepareOptions()))
    settings = Settings(JobOptions(caption="vest"), TryOnOptions(seed=3, quality="fast"))
    alone = job(photos / "anna.png", photos / "shirt.png", settings)
    assert np.array_equal(np.asarray(Image.open(photos / "out.png")), np.asarray(alone.images[0]))


def test_preparing_and_describing(server, photos):
    arguments = {"person": str(photos / "anna.png"), "output": str(photos / "anna")}
    result = call(server, "prepare", arguments)
    assert not result.is_error, result.content
    assert np.asarray(Image.open(json.loads(result.content[0].text)["mask"])).any()
    assert result.content[1].mime_type == "image/jpeg"
    described = call(server, "caption", {"garment": str(photos / "shirt.png")})
    assert not described.is_error, described.content
    assert json.loads(described.content[0].text)["caption"]


def test_an_error_says_what_to_do(server, photos):
    (photos / "broken.png").write_bytes(b"no picture")
    arguments = {"person": str(photos / "broken.png"), "garment": str(photos / "shirt.png"),
                 "output": str(photos / "out.png")}  # fmt: skip
    result = call(server, "try_on", arguments)
    assert result.is_error
    assert "broken.png" in result.content[0].text
    assert not (photos / "out.png").exists()
