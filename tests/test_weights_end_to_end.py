"""From a hub to a picture: the command line downloads, the pipeline loads by name."""

import pytest
from typer.testing import CliRunner

from golden_data import CHECKPOINT
from idmvton import TryOnPipeline, weights
from idmvton.cli import app
from idmvton.errors import WeightsError

runner = CliRunner(env={"COLUMNS": "200"})


def serve(hub, *folders):
    """Lets the hub have the golden checkpoint, or only some of its folders."""
    hub.files = {
        file.relative_to(CHECKPOINT).as_posix(): file.read_bytes()
        for file in CHECKPOINT.rglob("*")
        if file.is_file() and (not folders or file.parent.name in folders)
    }


def test_downloaded_by_command_loaded_by_name(hub, one_call):
    serve(hub)
    with pytest.raises(WeightsError, match="run `idmvton weights get idm-vton`"):
        TryOnPipeline.from_pretrained("idm-vton")
    result = runner.invoke(app, ["weights", "get", "idm-vton"], input="y\n")
    assert result.exit_code == 0, result.output
    assert "CC BY-NC-SA 4.0" in result.stderr
    pipe = TryOnPipeline.from_pretrained("idm-vton")
    pipe.set_progress_bar_config(disable=True)
    assert pipe(**one_call).made_with["weights"] == f"idm-vton at {weights.CATALOGUE['idm-vton'].revision}"
    assert "present" in runner.invoke(app, ["weights", "list"]).stdout
    assert runner.invoke(app, ["weights", "verify", "idm-vton"]).exit_code == 0


def test_parts_that_a_repository_lacks_come_with_its_base(hub):
    serve(hub)
    weights.get("idm-vton", endpoint=hub.url)
    serve(hub, "unet")
    result = runner.invoke(app, ["weights", "get", "idm-vton-dc", "--yes"])
    assert result.exit_code == 0, result.output
    assert "the rest comes from idm-vton" in result.stderr
    assert set(TryOnPipeline.from_pretrained("idm-vton-dc").components) >= {"vae", "unet", "scheduler"}
