"""Two photos in a real browser, mini in the lane, and the same picture made again by what the page shows."""

import os
import shlex
import socket
import subprocess
import threading
import time

import numpy as np
import pytest
import uvicorn
from page_visitor import PERSON, SHIRT, Visitor
from PIL import Image
from typer.testing import CliRunner

from idmvton.cli import app
from idmvton.engine.service import Service
from idmvton.images import read_provenance
from idmvton.options import ModelOptions, ServerOptions, ServiceOptions, WebOptions
from idmvton.server.app import create_app
from idmvton.web.app import Running


@pytest.fixture
def with_mini(tmp_path):
    """A page and a REST server on one lane with mini."""
    options = ServiceOptions(state=str(tmp_path / "state"), warm_up=False)
    service = Service(options, ModelOptions(device="cpu", threads=1))
    before = os.environ.get("GRADIO_TEMP_DIR")
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        second.bind(("127.0.0.1", 0))
        ports = first.getsockname()[1], second.getsockname()[1]
    config = uvicorn.Config(create_app(service, ServerOptions(port=ports[0])), port=ports[0], log_level="warning")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    with Running(service, WebOptions(port=ports[1])) as page:
        yield page.url, f"http://127.0.0.1:{ports[0]}"
    server.should_exit = True
    thread.join()
    os.environ.pop("GRADIO_TEMP_DIR")
    if before is not None:
        os.environ["GRADIO_TEMP_DIR"] = before


def test_two_photos_become_a_picture_that_is_made_again_elsewhere(chromium, with_mini, tmp_path, monkeypatch):
    url, rest = with_mini
    visitor = Visitor(chromium, url).enter()
    visitor.put("person", PERSON)
    visitor.put("garment", SHIRT)
    visitor.mask_share()
    visitor.stroke("erase", [(0.5, 0.35), (0.5, 0.55)])
    visitor.see("text=mask changed by you")
    visitor.window.get_by_label("Top", exact=True).click()
    visitor.see("text=mask changed by you")
    visitor.run()
    made = visitor.download("#png")
    assert read_provenance(made)["preparation"]["category"] == "upper_body"
    after, old = (np.asarray(Image.open(path).convert("RGB")).astype(int) for path in (made, PERSON))
    changed = np.abs(after - old).max(2) > 24
    assert after.shape == old.shape
    assert changed.mean() > 0.03
    assert not changed[:60].any()  # above the head nothing is repainted
    assert not changed[380:540, 380:390].any()  # where the mask was erased neither
    visitor.window.click("#copy > button")
    command, script, request = (visitor.see(f"#as-{name} pre").inner_text() for name in ("command", "python", "curl"))
    mask = visitor.download("#mask-file").read_bytes()
    visitor.leave()

    def again(name):
        place = tmp_path / name
        place.mkdir()
        (place / "mask.png").write_bytes(mask)
        for path in (PERSON, SHIRT):
            (place / path.name).write_bytes(path.read_bytes())
        monkeypatch.chdir(place)
        return place / "out.png"

    out = again("command")
    result = CliRunner().invoke(app, [*shlex.split(command.strip())[1:], "--threads", "1"])
    assert result.exit_code == 0, result.output
    assert (np.asarray(Image.open(out).convert("RGB")) == after).all()
    out = again("script")
    exec(compile(script, "script", "exec"), {})
    assert (np.asarray(Image.open(out).convert("RGB")) == after).all()
    out = again("request")
    subprocess.run(["bash", "-c", request.replace("http://127.0.0.1:8000", rest)], check=True, capture_output=True)
    assert (np.asarray(Image.open(out).convert("RGB")) == after).all()
