"""The server in a process of its own, with the worker of `tests.fake_lane`; for tests that kill it."""

import contextlib
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[1]


def free_port():
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return opened.getsockname()[1]


class ServerProcess:
    """``python tests/server_process.py OPTIONS``, started and killed."""

    def __init__(self, state, server=None, worker="tests.fake_lane:FakeWorker", file_size=None, **service):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = Path(f"{state}.log")
        self.given = {
            "service": {"state": str(state), "warm_up": False, **service},
            "server": {"port": self.port, "webhooks": "any", **(server or {})},
            "worker": worker,
            "file_size": file_size,
        }
        self.process = None

    def start(self, wait=True):
        environment = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"}
        command = [sys.executable, __file__, json.dumps(self.given)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stderr=log, stdout=log, cwd=ROOT, env=environment)
        if wait:
            try:
                self.until_ready()
            except BaseException:
                self.end()
                raise
        return self

    def until_ready(self, seconds=300):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"{self.url}/healthz/ready").status_code == 200:
                    return
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.05)
        raise AssertionError(self.log.read_text())

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def end(self):
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.end()


if __name__ == "__main__":
    from idmvton.options import ModelOptions, ServerOptions, ServiceOptions
    from idmvton.server.running import run

    given = json.loads(sys.argv[1])
    if given["file_size"]:
        resource.setrlimit(resource.RLIMIT_FSIZE, (given["file_size"], given["file_size"]))
    run(ServiceOptions(**given["service"]), ModelOptions(), ServerOptions(**given["server"]), given["worker"])
