"""The client: one call, progress, retries, errors as the library's."""

import subprocess
import sys
import threading
import time

import pytest
from tests.fake_lane import picture
from tests.server_process import free_port

from idmvton import Client
from idmvton.client import ServerError


def test_a_try_on_with_progress(server, tmp_path):
    with Client(server.url) as client:
        told = []
        job = client.try_on(picture("red"), picture("blue"), seed=7, caption="sleep 4")
        done = client.wait(job, on_progress=told.append)
        assert done["state"] == "succeeded"
        assert {"stage": "denoising", "done": 2, "total": 4} in [each["progress"] for each in told]
        client.save(done, tmp_path / "out.png")
        assert (tmp_path / "out.png").read_bytes() == client.read(done)
        prepared = client.prepare(picture("red"))
        client.wait(prepared)
        assert client.put_mask(prepared, picture("white"))["about"]["sources"] == {"mask": "changed by hand"}
        assert client.wait(client.try_on(prepared=prepared, garment=picture("blue")))["state"] == "succeeded"
        adapter = client.adapter(picture("red"), name="coat", steps=3)
        client.wait(adapter)
        assert [each["name"] for each in client.adapters()] == ["coat"]
        dressed = client.try_on(picture("red"), picture("blue"), adapter=adapter, terms={"adapter_scale": 0.5})
        assert client.wait(dressed)["state"] == "succeeded"
        client.erase(adapter)
        assert client.adapters() == []
        client.erase(done)
        with pytest.raises(ServerError, match="no such job"):
            client.job(done)
        assert "seed" in client.options()["properties"]


def test_a_busy_server_is_asked_again(server):
    with Client(server.url) as client:
        running = client.try_on(picture("red"), picture("blue"), caption="sleep 4000")
        while client.job(running)["state"] != "running":
            time.sleep(0.05)
        waiting = [client.try_on(picture("red"), picture("blue")) for _ in range(20)]
        end = threading.Timer(0.5, client.cancel, [running])
        end.start()
        last = client.try_on(picture("red"), picture("blue"))
        end.join()
        assert {client.wait(job)["state"] for job in (*waiting, last)} == {"succeeded"}
    assert '"status": 429' in server.log.read_text()


def test_what_is_refused_or_fails_is_an_error_of_the_library(server):
    with Client(server.url) as client:
        with pytest.raises(ServerError, match="unknown option 'sead'") as caught:
            client.try_on(picture("red"), picture("blue"), sead=1)
        assert (caught.value.code, caught.value.status) == ("bad_option", 422)
        with pytest.raises(ServerError, match="no person was found") as caught:
            client.wait(client.try_on(picture("red"), picture("blue"), caption="fail"))
        assert caught.value.code == "no_person"
        job = client.try_on(picture("red"), picture("blue"), caption="sleep 400")
        client.cancel(job)
        with pytest.raises(ServerError, match="was cancelled"):
            client.wait(job)
    with Client(f"http://127.0.0.1:{free_port()}", retries=0) as client, pytest.raises(ServerError, match="not answer"):
        client.options()


def test_from_the_command_line(server, tmp_path):
    for name, colour in (("person", "red"), ("garment", "blue")):
        (tmp_path / f"{name}.png").write_bytes(picture(colour))
    command = [
        sys.executable,
        "-m",
        "idmvton.client",
        "person.png",
        "garment.png",
        "-o",
        "out.png",
        "--url",
        server.url,
    ]
    run = subprocess.run([*command, "--options", '{"seed": 7}'], cwd=tmp_path, capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (0, "out.png\n")
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")
    run = subprocess.run([*command, "--options", '{"sead": 7}'], cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 1
    assert "unknown option 'sead'" in run.stderr
    assert "Traceback" not in run.stderr
