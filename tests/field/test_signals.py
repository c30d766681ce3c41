"""Ctrl-C and SIGTERM at any moment of a single try-on: an exit status and a line, no traceback and no half file."""

import contextlib
import os
import signal
import subprocess
import sys

import pytest
from PIL import Image

from idmvton.cli import terminate
from idmvton.prepare import preparer

AT_AN_IMPORT = """
import os, signal, sys

class Sender:
    def find_spec(self, name, *_):
        if name == sys.argv[1]:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Sender())
from idmvton.__main__ import main
main()
"""


def heed_ctrl_c():
    """Of a process whose parent ignores it, as shells have their background jobs do."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@contextlib.contextmanager
def heeded():
    """Signals as the command line has them."""
    handlers = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: terminate}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@pytest.mark.parametrize("module", ["logging", "idmvton.cli", "typer", "idmvton.cli.try_on"])
def test_ctrl_c_while_modules_are_imported(module):
    code = [sys.executable, "-c", AT_AN_IMPORT, module]
    told = subprocess.run(code, capture_output=True, text=True, timeout=60, preexec_fn=heed_ctrl_c)
    assert (told.returncode, told.stderr) == (-signal.SIGINT, "")


@pytest.mark.parametrize(
    ("place", "name", "number", "status", "word"),
    [
        (preparer, "preparer_for", signal.SIGINT, 130, "interrupted"),
        (Image.Image, "save", signal.SIGTERM, 143, "terminated"),
    ],
    ids=["prepares", "writes"],
)
def test_a_single_try_on(photos, try_on, monkeypatch, place, name, number, status, word):
    """While it prepares, and while it writes the result, sent to this process: `test_cli` interrupts one of its own."""
    original = getattr(place, name)

    def send(*arguments, **keywords):
        result = original(*arguments, **keywords)
        os.kill(os.getpid(), number)
        return result

    output = photos / "out" / "result.png"
    output.parent.mkdir()
    monkeypatch.setattr(place, name, send)
    with heeded():
        told = try_on(photos / "anna.png", photos / "shirt.png", "-o", output)
    assert told.exit_code == status, told.output
    assert f"{word}: no file was written" in told.stderr
    assert not list(output.parent.iterdir())
