"""Ctrl-C and SIGTERM at any moment of a single try-on: an exit status and a line, no traceback and no half file."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from golden_data import CHECKPOINT

EXAMPLES = Path(__file__).parents[2] / "examples"
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
AT_A_CALL = """
import importlib, os, sys

module, _, name = sys.argv.pop(1).partition(":")
number = int(sys.argv.pop(1))
place, names = importlib.import_module(module), name.split(".")
for each in names[:-1]:
    place = getattr(place, each)
original = getattr(place, names[-1])

def send(*arguments, **keywords):
    result = original(*arguments, **keywords)
    os.kill(os.getpid(), number)
    return result

setattr(place, names[-1], send)
from idmvton.__main__ import main
main()
"""


def heed_ctrl_c():
    """Of a process whose parent ignores it, as shells have their background jobs do."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.mark.parametrize("module", ["logging", "idmvton.cli", "typer", "idmvton.cli.try_on"])
def test_ctrl_c_while_modules_are_imported(module):
    code = [sys.executable, "-c", AT_AN_IMPORT, module]
    told = subprocess.run(code, capture_output=True, text=True, timeout=60, preexec_fn=heed_ctrl_c)
    assert (told.returncode, told.stderr) == (-signal.SIGINT, "")


@pytest.mark.parametrize(
    ("moment", "number", "status", "word"),
    [
        ("idmvton.prepare.preparer:preparer_for", signal.SIGINT, 130, "interrupted"),
        ("PIL.Image:Image.save", signal.SIGTERM, 143, "terminated"),
    ],
)
def test_a_single_try_on(tmp_path, moment, number, status, word):
    """While it prepares, and while it writes the result."""
    output = tmp_path / "out" / "result.png"
    output.parent.mkdir()
    command = [
        sys.executable, "-c", AT_A_CALL, moment, str(int(number)), "try-on",
        EXAMPLES / "person.jpg", EXAMPLES / "checked_shirt.jpg", "-o", output, "--model", CHECKPOINT, "--steps", "1",
    ]  # fmt: skip
    told = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | {"COLUMNS": "200"},
        preexec_fn=heed_ctrl_c,
    )
    assert told.returncode == status, told.stderr
    assert f"{word}: no file was written" in told.stderr
    assert "Traceback" not in told.stderr
    assert not list(output.parent.iterdir())
