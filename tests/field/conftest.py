"""The fixtures of the photos, and the command line in this process."""

import pytest
from typer.testing import CliRunner

from golden_data import CHECKPOINT
from idmvton.cli import app
from photo_fixtures import photos, rendered, truth

__all__ = ["photos", "rendered", "truth"]
RUNNER = CliRunner(env={"COLUMNS": "300", "HF_HUB_OFFLINE": "1"})
MODEL = ("--model", str(CHECKPOINT), "--steps", "1", "--seed", "3", "--caption", "short sleeve t-shirts")


@pytest.fixture
def cli():
    """The command line, in this process: never a traceback."""

    def call(*arguments):
        result = RUNNER.invoke(app, [str(argument) for argument in arguments])
        assert "Traceback" not in result.output
        assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
        return result

    return call


@pytest.fixture
def try_on(cli):
    """``idmvton try-on`` with the golden checkpoint."""
    return lambda *arguments: cli("try-on", *MODEL, *arguments)
