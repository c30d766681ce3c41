"""A rendered person and a garment on the disk, and backends that know them: quick, and without the pose networks."""

import pytest
from PIL import Image
from typer.testing import CliRunner

from golden_data import CHECKPOINT
from idmvton.cli import app
from idmvton.studio import sample
from truth_backends import of_sample, use

RUNNER = CliRunner(env={"COLUMNS": "300", "HF_HUB_OFFLINE": "1"})
MODEL = ("--model", str(CHECKPOINT), "--steps", "1", "--seed", "3", "--caption", "short sleeve t-shirts")


@pytest.fixture(scope="session")
def rendered():
    """A rendered person in a shirt, to the feet, with the product picture of the shirt."""
    return sample(3, 18, "test", "upper_body", (512, 384))


@pytest.fixture
def truth(rendered):
    return of_sample(rendered)


@pytest.fixture
def photos(rendered, truth, monkeypatch, tmp_path):
    """A person's and a garment's photo on the disk, and backends that know them."""
    use(truth, monkeypatch)
    Image.fromarray(rendered.person).save(tmp_path / "anna.png")
    Image.fromarray(rendered.garment).save(tmp_path / "shirt.png")
    return tmp_path


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
